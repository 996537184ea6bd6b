"""Colour profiles: whether one is sound, and what it describes. After ICC.1:2022, section 7.2."""

from __future__ import annotations

from uncrop.imaging.limits import MAX_ICC_BYTES

ICC_HEADER_BYTES = 128
# The data colour space that a profile states, by the number of colour channels it describes.
ICC_SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}


def icc_channels(icc: bytes) -> int | None:
    """Return how many colour channels a profile describes, or ``None`` when it is no sound profile (ICC.1, 7.2)."""
    sound = ICC_HEADER_BYTES <= len(icc) <= MAX_ICC_BYTES and icc[36:40] == b"acsp"
    if not sound or int.from_bytes(icc[:4], "big") != len(icc):
        return None
    return ICC_SPACES.get(icc[16:20])
