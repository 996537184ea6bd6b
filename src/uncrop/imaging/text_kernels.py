"""The loop of base64, compiled; loaded by ``text`` on its first use, because Numba takes a while to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.kernels import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def decode(digits: NDArray[np.uint8], values: NDArray[np.uint8], content: NDArray[np.uint8]) -> bool:
    """Put every four digits together to three bytes.

    Parameters
    ----------
    digits
        (4 * n,), without padding.
    values
        (256,): each character's value, or one of more than 6 bits where it is no digit.
    content
        (3 * n or more,), written to.

    Returns
    -------
    bool
        False when a character was no digit.
    """
    seen = np.uint8(0)
    to = np.uint64(0)
    for at in range(np.uint64(0), np.uint64(len(digits)), np.uint64(4)):
        first, second = values[digits[at]], values[digits[at + np.uint64(1)]]
        third, fourth = values[digits[at + np.uint64(2)]], values[digits[at + np.uint64(3)]]
        seen |= first | second | third | fourth
        content[to] = (first << 2) | (second >> 4)
        content[to + np.uint64(1)] = (second << 4) | (third >> 2)
        content[to + np.uint64(2)] = (third << 6) | fourth
        to += np.uint64(3)
    return bool(seen < 64)
