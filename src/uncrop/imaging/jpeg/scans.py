"""Whether the scans of a JPEG carry the whole picture.

A progressive file that was cut off between two scans decodes without a warning, to a coarse picture: the standard
lets an encoder stop anywhere. No encoder does, so what is missing was lost on the way. After ITU-T T.81, annex G.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from uncrop.errors import InvalidImage

if TYPE_CHECKING:
    from collections.abc import Iterable

COEFFICIENTS = 64
# Not one bit of the coefficient has come yet; any real position of the lowest bit is smaller.
NOTHING = 16


def check_complete(scans: Iterable[bytes], components: Iterable[int], *, progressive: bool) -> None:
    """Check that every coefficient of every component is there to its last bit.

    Parameters
    ----------
    scans
        The scan headers, from the component count on.
    components
        Ids from the frame header.
    progressive
        Whether the scans carry parts of the coefficients.

    Raises
    ------
    InvalidImage
        When a part never comes.
    """
    missing = {component: [NOTHING] * COEFFICIENTS for component in components}
    for scan in scans:
        count = scan[0]
        spectral = (*struct.unpack_from(">BB", scan, 1 + 2 * count), scan[3 + 2 * count] & 15)
        first, last, lowest = spectral if progressive else (0, COEFFICIENTS - 1, 0)
        for place in range(count):
            bits = missing.get(scan[1 + 2 * place])
            if bits is None or not first <= last < COEFFICIENTS:
                raise InvalidImage(system_message="a JPEG scan header is not valid")
            bits[first : last + 1] = [lowest] * (last + 1 - first)
    if any(any(bits) for bits in missing.values()):
        raise InvalidImage(system_message="the JPEG's scans do not carry the whole picture")
