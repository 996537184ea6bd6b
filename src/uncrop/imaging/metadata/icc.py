"""Colour profiles: whether one is sound, and what it describes. After ICC.1:2022, sections 7.2 and 7.3."""

from __future__ import annotations

from uncrop.imaging.limits import MAX_ICC_BYTES

ICC_HEADER_BYTES = 128
# The data colour space that a profile states, by the number of colour channels it describes.
ICC_SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
# More tags than any profile has.
MAX_TAGS = 200


def icc_channels(icc: bytes) -> int | None:
    """Return how many colour channels a profile describes, or ``None`` when it is no sound profile (ICC.1, 7.2)."""
    sound = ICC_HEADER_BYTES <= len(icc) <= MAX_ICC_BYTES and icc[36:40] == b"acsp"
    if not sound or (int.from_bytes(icc[:4], "big") > len(icc) and not _has_all_tags(icc)):
        return None
    return ICC_SPACES.get(icc[16:20])


def sound_icc(icc: bytes | None, *channels: int) -> bytes | None:
    """Return a profile that is sound and describes one of these numbers of channels, without what follows its end.

    Writers pad profiles, and some declare more bytes than there are. Readers take both, as long as all tags are there,
    so a picture without its profile would look different.
    """
    if icc is None or icc_channels(icc) not in channels:
        return None
    declared = int.from_bytes(icc[:4], "big")
    return icc[:declared] if ICC_HEADER_BYTES <= declared < len(icc) else icc


def _has_all_tags(icc: bytes) -> bool:
    """Tell whether every tag of a profile that declares more bytes than it has lies within those that it has."""
    start = ICC_HEADER_BYTES + 4
    count = int.from_bytes(icc[ICC_HEADER_BYTES:start], "big")
    if not 0 < count <= MAX_TAGS or start + 12 * count > len(icc):
        return False
    entries = (icc[start + 12 * number : start + 12 * (number + 1)] for number in range(count))
    return all(int.from_bytes(entry[4:8], "big") + int.from_bytes(entry[8:], "big") <= len(icc) for entry in entries)
