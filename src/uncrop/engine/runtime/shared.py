"""What pictures of one family of seeds have in common is kept from one to the next.

Half of a picture's candidates are made with the family's seed, so that the others of the family need not make them
again. Which picture is made never depends on what is kept.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uncrop.model import Pixels, Quality, Sides

FAMILY = 4  # seeds: 4 n to 4 n + 3


def family_seed(seed: int) -> int:
    """Return the first seed of a seed's family."""
    return seed - seed % FAMILY


class SharedCandidates:
    """The shared candidates of the last picture: up to 24 at the quality ``best``, 2.5 MB each at most.

    Threads that work on different pictures at once displace each other's; both are right all the same.
    """

    def __init__(self) -> None:
        self._kept: tuple[bytes, dict[Any, Any]] = (b"", {})

    def of(self, image: Pixels, sides: Sides, quality: Quality) -> dict[Any, Any]:
        """Return what is kept for this photo, by prior and seed; whatever was kept for another is dropped."""
        key = hashlib.blake2b(repr((image.shape, image.dtype, sides, quality)).encode())
        key.update(image.tobytes())
        if self._kept[0] != key.digest():
            self._kept = (key.digest(), {})
        return self._kept[1]

    def clear(self) -> None:
        """Drop everything."""
        self._kept = (b"", {})
