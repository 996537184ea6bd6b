"""The order and the weights of the growth."""

from __future__ import annotations

import math

import numpy as np

from uncrop.engine.grow.growth import context_weights, visiting_order
from uncrop.engine.prepare.canvas import CanvasGeometry


def test_visiting_order_goes_outward_and_leaves_the_photo_out():
    canvas = CanvasGeometry(height=20, width=24, top=5, left=6, rows=9, cols=10)
    phase, order = visiting_order(canvas)
    assert (phase == -1).sum() == 90
    assert order.size == 20 * 24 - 90
    assert (np.diff(phase.reshape(-1)[order]) >= 0).all()
    for y in range(20):
        for x in range(24):
            around = phase[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert (around == phase[y, x]).sum() == 1 or phase[y, x] == -1


def test_context_weights_fall_with_the_distance():
    weights = context_weights()
    assert weights[3, 3] == 64
    assert weights[3, 4] == math.floor(64 / 1.15 + 0.5)
    assert weights[0, 0] == math.floor(64 / 3.7 + 0.5)
    assert np.array_equal(weights, weights[::-1, ::-1])
