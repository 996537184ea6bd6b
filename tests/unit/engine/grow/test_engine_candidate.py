"""Patches that no pixel was grown for get a source too."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, random_pixels

from uncrop.engine.grow.candidate import set_border_sources
from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.pyramid import make_exemplar, usable_place, with_border_patches
from uncrop.engine.search.patch_field import make_field, target_mask


@pytest.mark.parametrize("border", [False, True])
def test_patches_on_the_photos_border_copy_from_where_they_are(border: bool) -> None:
    canvas = CanvasGeometry(height=26, width=30, top=4, left=5, rows=16, cols=18)
    pixels, opaque = random_pixels(16, 18), np.ones((16, 18), bool)
    opaque[15, 0] = False  # transparent
    exemplar = make_exemplar(pixels, opaque, ONE_THREAD)
    exemplar = with_border_patches(exemplar) if border else exemplar
    field = make_field(canvas, pixels)
    set_border_sources(field, exemplar, target_mask(canvas))
    rows, cols = np.nonzero(target_mask(canvas)[4:20, 5:23])
    assert rows.size == 16 * 18 - 10 * 12  # those that reach over the border
    inside = np.clip(rows, 3, 12), np.clip(cols, 3, 14)
    for row, col, inner_row, inner_col in zip(rows, cols, *inside, strict=True):
        own = (row, col) if border else (inner_row, inner_col)
        expected = own if exemplar.usable[own] else usable_place(exemplar)
        assert tuple(field.sources[4 + row, 5 + col]) == tuple(expected)
    assert not exemplar.usable[12, 3]
    assert tuple(field.sources[4 + 15, 5]) == tuple(usable_place(exemplar))
