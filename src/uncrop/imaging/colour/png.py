"""What a PNG says about its colours in its own chunks, and the profile that says the same elsewhere.

PNG specification, third edition (W3C, 2025), sections 4.3 and 11.3.2: of cICP, iCCP, sRGB, and gAMA with cHRM, the
first that is understood counts. Code points of cICP after ITU-T H.273.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from uncrop.imaging.colour.profiles import (
    D65,
    SRGB_CURVE,
    SRGB_PRIMARIES,
    Curve,
    Primaries,
    made,
)
from uncrop.imaging.metadata.icc import sound_icc
from uncrop.imaging.png.layout import icc_of

if TYPE_CHECKING:
    from typing import Literal

    from uncrop.imaging.png.layout import PngLayout

# Chunks that tell about colours, with their length in bytes; written to another PNG as they are.
CHUNKS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"mDCV": 24, b"cLLI": 8}
_CICP_PRIMARIES = {
    1: SRGB_PRIMARIES,
    5: Primaries(red=(0.64, 0.33), green=(0.29, 0.60), blue=(0.15, 0.06)),
    6: Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070)),
    7: Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070)),
    9: Primaries(red=(0.708, 0.292), green=(0.170, 0.797), blue=(0.131, 0.046)),
    11: Primaries(red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060), white=(0.314, 0.351)),
    12: Primaries(red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060), white=D65),
}
# The inverse of BT.709's transfer function.
_BT709 = Curve((1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081))
_CICP_CURVES = {
    **dict.fromkeys((1, 6, 14, 15), _BT709),
    4: Curve((2.2,)),
    5: Curve((2.8,)),
    8: Curve((1.0,)),
    13: SRGB_CURVE,
}


def kept_chunks(data: bytes, layout: PngLayout, *, colours: Literal[1, 3]) -> tuple[tuple[bytes, bytes], ...]:
    """Return what another PNG with the same numbers holds about their meaning; nothing where iCCP alone tells it.

    Each is a chunk's name and its payload; that of iCCP is the bare profile.
    """
    chunks = _chunks(data, layout)
    icc = sound_icc(icc_of(data, layout), colours)
    if not chunks or icc is None:
        return tuple(chunks.items())
    return ((b"iCCP", icc), *chunks.items())


def _chunks(data: bytes, layout: PngLayout) -> dict[bytes, bytes]:
    """Return the chunks about colours that count, by name, in the file's order; not iCCP."""
    found: dict[bytes, bytes] = {}
    for chunk in layout.chunks:
        # Behind the palette or the picture data they are out of their place, and readers ignore them.
        if chunk.name in (b"PLTE", b"IDAT"):
            break
        if CHUNKS.get(chunk.name) == chunk.end - chunk.start:
            found.setdefault(chunk.name, data[chunk.start : chunk.end])
    return found


def profile_of(data: bytes, layout: PngLayout, *, colours: Literal[1, 3]) -> bytes | None:
    """Return the profile that says what the file's numbers mean; ``None`` where nothing says so.

    Parameters
    ----------
    data, layout
        The file.
    colours
        Colour channels after decoding.
    """
    chunks = _chunks(data, layout)
    return (
        _of_cicp(chunks.get(b"cICP"), colours)
        or sound_icc(icc_of(data, layout), colours)
        or (made(SRGB_PRIMARIES, SRGB_CURVE, colours) if b"sRGB" in chunks else None)
        or _of_gamma(chunks.get(b"gAMA"), chunks.get(b"cHRM"), colours)
    )


def _of_cicp(payload: bytes | None, colours: Literal[1, 3]) -> bytes | None:
    """Return cICP's profile; ``None`` for high dynamic range and video levels, which no such profile expresses."""
    if payload is None:
        return None
    primaries, transfer, matrix, full_range = payload
    if primaries not in _CICP_PRIMARIES or transfer not in _CICP_CURVES or matrix != 0 or full_range != 1:
        return None
    return made(_CICP_PRIMARIES[primaries], _CICP_CURVES[transfer], colours)


def _of_gamma(gamma: bytes | None, chromaticities: bytes | None, colours: Literal[1, 3]) -> bytes | None:
    """Return the profile of gAMA and cHRM; what one of them leaves open is as in sRGB."""
    exponent = int.from_bytes(gamma, "big") if gamma is not None else 0
    # An exponent of the sizes that files have; others are slips that readers ignore.
    curve = Curve((100_000 / exponent,)) if 10_000 <= exponent <= 1_000_000 else None
    primaries = None if chromaticities is None else _primaries(chromaticities)
    profile = None if primaries is None else made(primaries, curve or SRGB_CURVE, colours)
    return profile or (None if curve is None else made(SRGB_PRIMARIES, curve, colours))


def _primaries(payload: bytes) -> Primaries:
    values = [value / 100_000 for value in struct.unpack(">8I", payload)]
    white, red, green, blue = zip(values[::2], values[1::2], strict=True)
    return Primaries(red=red, green=green, blue=blue, white=white)
