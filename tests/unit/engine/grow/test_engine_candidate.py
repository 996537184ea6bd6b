"""Patches that no pixel was grown for get a source too."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import ALONE, picture

from uncrop.engine.grow.candidate import clamp_labels
from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.pyramid import make_atlas, usable_place, with_rim
from uncrop.engine.search.patch_field import make_field, target_mask


@pytest.mark.parametrize("rim", [False, True])
def test_patches_on_the_photos_rim_copy_from_where_they_are(rim: bool) -> None:
    frame = Frame(height=26, width=30, top=4, left=5, rows=16, cols=18)
    pixels, solid = picture(16, 18), np.ones((16, 18), bool)
    solid[15, 0] = False  # transparent
    atlas = make_atlas(pixels, solid, ALONE)
    atlas = with_rim(atlas) if rim else atlas
    field = make_field(frame, pixels)
    clamp_labels(field, atlas, target_mask(frame))
    rows, cols = np.nonzero(target_mask(frame)[4:20, 5:23])
    assert rows.size == 16 * 18 - 10 * 12  # those that reach over the border
    inside = np.clip(rows, 3, 12), np.clip(cols, 3, 14)
    for row, col, inner_row, inner_col in zip(rows, cols, *inside, strict=True):
        own = (row, col) if rim else (inner_row, inner_col)
        expected = own if atlas.usable[own] else usable_place(atlas)
        assert tuple(field.labels[4 + row, 5 + col]) == tuple(expected)
    assert not atlas.usable[12, 3]
    assert tuple(field.labels[4 + 15, 5]) == tuple(usable_place(atlas))
