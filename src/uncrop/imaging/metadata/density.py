"""How densely a picture's pixels lie on paper, as PNG, JFIF and EXIF tell it.

PNG: third edition, section 11.3.4.3 (pHYs); JFIF: ITU-T T.871, section 10.1.
"""

from __future__ import annotations

import struct

from uncrop.model import Density

# More than this, pixels an inch or an aspect, is a slip.
MAX_DENSITY = 65_536
NO_UNIT, PER_INCH, PER_CENTIMETRE = 0, 1, 2
METRE = 0.0254  # of an inch


def sound_density(x: float, y: float, *, physical: bool) -> Density | None:
    """Return a density that says something: positive, within bounds, and, where it is an aspect alone, not 1:1."""
    if not (0 < x < MAX_DENSITY and 0 < y < MAX_DENSITY) or (not physical and x == y):
        return None
    return Density(x=x, y=y, physical=physical)


def read_phys(payload: bytes | None) -> Density | None:
    """Read the payload of a pHYs chunk."""
    if payload is None or len(payload) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", payload)
    factor = METRE if unit == 1 else 1.0
    return sound_density(x * factor, y * factor, physical=unit == 1) if unit in (0, 1) else None


def write_phys(density: Density) -> bytes:
    """Write the payload of a pHYs chunk."""
    factor = METRE if density.physical else 1.0
    x, y = round(density.x / factor), round(density.y / factor)
    return struct.pack(">IIB", x, y, density.physical)


def read_jfif(payload: bytes) -> Density | None:
    """Read the payload of a JFIF segment, from its name on."""
    if len(payload) < 12:
        return None
    unit, x, y = struct.unpack_from(">BHH", payload, 7)
    factor = 2.54 if unit == PER_CENTIMETRE else 1.0
    return sound_density(x * factor, y * factor, physical=unit != NO_UNIT) if unit <= PER_CENTIMETRE else None


def write_jfif(density: Density) -> bytes:
    """Write unit and densities of a JFIF segment, five bytes, in the unit that rounds less."""
    if not density.physical:
        return struct.pack(">BHH", NO_UNIT, *(max(1, round(value)) for value in (density.x, density.y)))
    inches, centimetres = (density.x, density.y), (density.x / 2.54, density.y / 2.54)
    unit, values = min(
        ((PER_INCH, inches), (PER_CENTIMETRE, centimetres)),
        key=lambda choice: max(abs(value - round(value)) / value for value in choice[1]),
    )
    return struct.pack(">BHH", unit, *(min(65_535, max(1, round(value))) for value in values))
