"""The feature channels are what plain NumPy says they are."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, RNG, random_pixels

from uncrop.engine.prepare.features import feature_channels, gradient_rows, mean_rows


def exact_lab(rgb: np.ndarray) -> np.ndarray:
    v = rgb / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = linear @ np.array(matrix).T / [0.950456, 1, 1.088754]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [(116 * f[..., 1] - 16) * 2.55, 500 * (f[..., 0] - f[..., 1]) + 128, 200 * (f[..., 1] - f[..., 2]) + 128], -1
    )


def test_lab_within_one_level_of_the_formula():
    rgb = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    rgb[0, :8] = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    found = feature_channels(rgb, 1, ONE_THREAD)[..., :3]
    assert np.abs(found - np.clip(exact_lab(rgb), 0, 255)).max() <= 1.6


def test_slope_is_sobels():
    lab = random_pixels(9, 8)
    out = np.empty((9, 8), np.uint16)
    gradient_rows(lab, out, 0, 9)
    light = np.pad(lab[..., 0].astype(int), 1, mode="edge")
    down = light[2:, :] - light[:-2, :]
    across = light[:, 2:] - light[:, :-2]
    gy = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    gx = across[:-2] + 2 * across[1:-1] + across[2:]
    assert np.array_equal(out, np.sqrt(gx**2 + gy**2).astype(np.uint16))


@pytest.mark.parametrize("reach", [1, 4, 30])
def test_mean_over_a_window_cut_at_the_border(reach):
    slope = RNG.integers(0, 1442, (20, 17), dtype=np.uint16)
    out = np.empty_like(slope)
    for first, last in ((0, 7), (7, 20)):
        mean_rows(slope, out, np.zeros(17, np.int64), reach, first, last)
    for y, x in ((0, 0), (6, 5), (7, 16), (19, 9)):
        window = slope[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        assert out[y, x] == window.sum(dtype=int) // window.size


def test_texture_channel_is_higher_where_there_is_texture():
    rgb = np.full((40, 80, 3), 128, np.uint8)
    rgb[:, 40:] = RNG.integers(0, 256, (40, 40, 1))
    texture = feature_channels(rgb, 2, ONE_THREAD)[..., 3].astype(int)
    assert texture[:, :35].max() == 0
    assert texture[:, 45:].min() > 40
