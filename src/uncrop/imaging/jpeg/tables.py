"""How strongly a JPEG was compressed, told from its quantisation tables.

The tables are those of ITU-T T.81, annex K, scaled as the Independent JPEG Group's library does; nearly all encoders
use them or come close.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

# In rows of eight frequencies. The order does not matter here, only the values do.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)


def estimate_quality(luminance_sum: int, chrominance_sum: int | None) -> int:
    """Return the lowest quality, 1..100, whose standard tables are at most as coarse as the file's.

    Parameters
    ----------
    luminance_sum, chrominance_sum
        Sums of the 64 steps of the tables in use; ``None`` where there is no colour.
    """
    actual = luminance_sum + (chrominance_sum or 0)
    # The sums fall with quality, so the negated ones are sorted.
    return 1 + min(99, bisect_left(_negated_sums(chrominance_sum is not None), -actual))


@cache
def _negated_sums(colour: bool) -> tuple[int, ...]:
    tables = (LUMINANCE, CHROMINANCE) if colour else (LUMINANCE,)
    steps = [step for table in tables for row in table for step in row]
    return tuple(-sum(_scaled(step, quality) for step in steps) for quality in range(1, 101))


def _scaled(step: int, quality: int) -> int:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return min(255, max(1, (step * percent + 50) // 100))
