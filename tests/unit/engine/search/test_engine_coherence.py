"""Coherent is where all patches copy from one place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from engine_scenes import scene
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.search.coherence import coherent
from uncrop.engine.search.patch_field import make_field, target_mask


@pytest.mark.parametrize("cuts", [(0, 26), (0, 5, 6, 20, 26)])
def test_coherent_is_where_all_patches_copy_from_one_place(cuts):
    _, _, field, _ = scene()
    targets = field.sources[..., 0] >= 0
    y, x = np.mgrid[0:26, 0:30]
    field.sources[targets] = np.stack([y % 13 + 3, x - (x > 25) - 9 * (y > 17)], -1)[targets]
    found = np.concatenate([coherent(field, first, last) for first, last in pairwise(cuts)])
    for y, x in np.ndindex(26, 30):
        covering = [
            (qy, qx) for qy in range(max(3, y - 3), min(23, y + 4)) for qx in range(max(3, x - 3), min(27, x + 4))
        ]
        places = {tuple(field.sources[q] + (y - q[0], x - q[1])) for q in covering}
        assert found[y, x] == (len(places) == 1 and all(targets[q] for q in covering))
    assert 20 < found.sum() < 600


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(7, 22),
    width=st.integers(7, 26),
    photo=st.tuples(*[st.integers(-8, 30)] * 4),
    breaks=st.lists(st.tuples(st.integers(0, 21), st.integers(0, 25), st.integers(1, 9)), max_size=3),
    cut=st.integers(1, 21),
)
def test_coherence_is_the_agreement_of_all_patches_over_a_pixel(height, width, photo, breaks, cut):
    top, left = min(photo[:2]), min(photo[2:])
    canvas = CanvasGeometry(
        height=height, width=width, top=top, left=left, rows=max(photo[:2]) - top + 1, cols=max(photo[2:]) - left + 1
    )
    field, targets = make_field(canvas, np.zeros((canvas.rows, canvas.cols, 4), np.uint8)), target_mask(canvas)
    sources = np.moveaxis(np.mgrid[0:height, 0:width], 0, -1).astype(np.int32) + 50
    for row, col, by in breaks:  # below and right of each break the sources lie elsewhere
        sources[row:, col:, (row + col) % 2] += by
    field.sources[targets] = sources[targets]
    expected = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        covering = [
            (qy, qx)
            for qy in range(max(3, y - 3), min(height - 3, y + 4))
            for qx in range(max(3, x - 3), min(width - 3, x + 4))
        ]
        if covering and all(targets[place] for place in covering):
            expected[y, x] = len({tuple(sources[qy, qx] + (y - qy, x - qx)) for qy, qx in covering}) == 1
    cuts = [0, min(cut, height), height]
    found = np.concatenate([coherent(field, first, last) for first, last in pairwise(cuts)])
    assert np.array_equal(found, expected)
