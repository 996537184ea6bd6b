"""The prior's anchors, dead zones and penalties."""

from __future__ import annotations

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.prior import FRACTION_BITS, Strictness, make_prior, penalty


def test_penalty_is_zero_in_the_dead_zone_and_grows_with_the_square():
    weight = 5 << FRACTION_BITS
    assert [penalty(d, 3, weight) for d in (-3, 0, 3, 4, -5, 13)] == [0, 0, 0, 5, 20, 500]


def test_prior_anchors_to_the_nearest_point_of_the_photo():
    canvas = CanvasGeometry(height=60, width=80, top=10, left=20, rows=40, cols=50)
    prior = make_prior(canvas, Strictness(vertical=100, dead_rows=0.1, outward_rows=0.5, dead_cols=0.2))
    assert [int(prior.anchor_row[y]) for y in (0, 10, 30, 59)] == [0, 0, 20, 39]
    assert [int(prior.dead_row[y]) for y in (0, 10, 59)] == [9, 4, 9]
    assert [int(prior.anchor_col[x]) for x in (0, 25, 79)] == [0, 5, 49]
    assert set(prior.dead_col.tolist()) == {10}
    assert prior.row_weight == round(100 * 16 * 49 * 4096 / 2500)
