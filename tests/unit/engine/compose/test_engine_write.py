"""What is written is the copy with its correction."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import RNG, RUN, copies_of, patchwork

from uncrop.engine.compose.write import write_colour, write_tile


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_written_is_the_copy_with_its_correction(dtype, scale, channels):
    colour = RNG.integers(0, np.iinfo(dtype).max + 1, (17, 20, channels)).astype(dtype)
    origin = RNG.integers(0, 17 * 20, (4, 6)).astype(np.int32)
    origin[2, 3] = -1
    corrections = RNG.normal(0, 40, (channels, 4, 6)).astype(np.float32)
    made = np.zeros((4, 6, channels), np.uint16)
    write_tile(copies_of(colour, origin, (0, 17, 0, 20)), corrections, 0, 0, np.iinfo(dtype).max, made)
    copied = colour.reshape(-1, channels)[origin].astype(float)
    expected = np.clip(copied + corrections.transpose(1, 2, 0) * scale, 0, np.iinfo(dtype).max)
    expected[2, 3] = 0
    assert np.abs(made - expected).max() <= 0.51 + scale / 1000


def test_a_tile_is_written_from_its_own_corner():
    copies = patchwork()
    corrections = RNG.normal(0, 40, (3, 30, 36)).astype(np.float32)
    whole = np.zeros((30, 36, 3), np.uint16)
    write_tile(copies, corrections, 0, 0, 255, whole)
    part = np.zeros((9, 14, 3), np.uint16)
    write_tile(copies, np.ascontiguousarray(corrections[:, 17:26, 20:34]), 17, 20, 255, part)
    assert np.array_equal(part, whole[17:26, 20:34])
    assert whole.any()


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_step_at_the_border_is_corrected_at_once(dtype, scale):
    colour = np.full((20, 30, 1), 150, np.uint8)
    colour[:, 20:] = 180  # what is copied is brighter than the border that it meets
    colour[:, 29] = 150
    origin = np.full((20, 42), -1, np.int32)
    origin[:, 30:] = np.arange(20)[:, None] * 30 + 24
    copies = copies_of(colour.astype(dtype) * dtype(scale), origin, (0, 20, 0, 30))
    made = write_colour(copies, np.dtype(dtype), RUN)
    assert made.dtype == dtype
    assert np.abs(made[:, 30:].astype(int) - 150 * scale).max() <= 2 * scale
