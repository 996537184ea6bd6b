"""Random numbers without a state: a hash of where and when they are drawn.

A number depends on the pixel, the iteration, its index and the seed alone, so that no order of work can change it. The
mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
"""

from __future__ import annotations

from typing import Any

from numba import uint64

from uncrop.kernels import inlined

_A = uint64(0x9E3779B97F4A7C15)
_B = uint64(0xBF58476D1CE4E5B9)
_C = uint64(0x94D049BB133111EB)


@inlined
def random_bits(seed: int, place: int, iteration: int) -> Any:
    """Return 64 well mixed bits for a seed, a place (a pixel's flat index) and an iteration or draw."""
    x = uint64(seed) * _A + uint64(place) * _B + uint64(iteration) * _C
    x = (x ^ (x >> uint64(30))) * _B
    x = (x ^ (x >> uint64(27))) * _C
    return x ^ (x >> uint64(31))


@inlined
def random_below(bits: Any, shift: int, span: int) -> int:
    """Turn 16 of the bits, from ``shift`` on, into an integer in [0, span); span is at most 2**31."""
    part = (uint64(bits) >> uint64(shift)) & uint64(0xFFFF)
    return int((part * uint64(span)) >> uint64(16))
