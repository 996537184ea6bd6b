"""The measures of ``scripts/bench quality`` are what their definitions say, on arrays worked out by hand."""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks_beside_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_filter_is_a_convolution(stride: int, depthwise: bool) -> None:
    from efficientnet import Filter

    x, bias = noise(9, 7, 4), noise(4 if depthwise else 5)
    weights = noise(3, 3, 4) if depthwise else noise(3, 3, 4, 5)
    found = Filter(weights=weights, bias=bias, stride=stride, before=0, after=1)(x)
    padded = np.pad(x, ((0, 1), (0, 1), (0, 0)))
    assert found.shape == ((10 - 3) // stride + 1, (8 - 3) // stride + 1, bias.size)
    for row, col in ((0, 0), (1, 1), (found.shape[0] - 1, found.shape[1] - 1)):
        window = padded[row * stride : row * stride + 3, col * stride : col * stride + 3]
        summed = (window * weights).sum((0, 1)) if depthwise else np.einsum("ijk,ijkl->l", window, weights)
        assert np.allclose(found[row, col], summed + bias, atol=1e-4)


def write_like_torch(path: Path, table: dict[str, Any], storages: dict[str, np.ndarray]) -> None:
    class Writer(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, Storage):
                return ("storage", obj.kind, obj.key, "cpu", storages[obj.key].size, None)
            return None

    with path.open("wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        Writer(file, protocol=2).dump(table)
        pickle.dump(sorted(storages), file, protocol=2)
        for key in sorted(storages):
            file.write(storages[key].size.to_bytes(8, "little") + storages[key].tobytes())


class Storage:
    def __init__(self, kind: type, key: str) -> None:
        self.kind, self.key = kind, key


class View:
    """A tensor, which is written as a call of the function that rebuilds it."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (*self._arguments, False, OrderedDict())


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand in for the names that a file of weights uses."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return module


def test_weights_are_read_without_pytorch(tmp_path: Path, torch: Any) -> None:
    from efficientnet import read_weights

    storages = {"1": np.arange(10, dtype="<f4"), "2": np.array([7], "<i8")}
    table = OrderedDict(
        weight=View(Storage(torch.FloatStorage, "1"), 2, (2, 3), (3, 1)),
        turned=View(Storage(torch.FloatStorage, "1"), 0, (3, 2), (1, 3)),
        count=View(Storage(torch.LongStorage, "2"), 0, (), ()),
    )
    write_like_torch(tmp_path / "weights", table, storages)
    found = read_weights(tmp_path / "weights")
    assert found["weight"].tolist() == [[2, 3, 4], [5, 6, 7]]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["count"] == 7


def test_a_file_of_weights_cannot_call_anything_else(tmp_path: Path) -> None:
    from efficientnet import read_weights

    class Evil:
        def __reduce__(self) -> Any:
            return print, ("called",)

    write_like_torch(tmp_path / "weights", {"weight": Evil()}, {})
    with pytest.raises(pickle.UnpicklingError, match=r"__builtin__\.print"):
        read_weights(tmp_path / "weights")


# --- the measures -----------------------------------------------------------------------------------------------------


def test_the_frechet_distance_is_that_of_normal_distributions() -> None:
    from quality import RIDGE, frechet

    wide = noise(4000, 3).astype(np.float64)
    assert frechet(wide, wide) == pytest.approx(0, abs=1e-9)
    assert frechet(wide + np.array([1, 2, 0]), wide) == pytest.approx(5 / 3)
    # Of two covariances that commute, the distance is that of their roots.
    spread = np.linalg.eigvalsh(np.cov(wide, rowvar=False))
    apart = np.square(np.sqrt(4 * spread + RIDGE) - np.sqrt(spread + RIDGE)).sum() / 3
    assert frechet(2 * wide - wide.mean(0), wide) == pytest.approx(apart)


class Plain:
    """OpenCV's two functions, for pictures whose lightness is their red, and maps of the picture's size."""

    COLOR_RGB2LAB = INTER_AREA = 0

    @staticmethod
    def cvtColor(picture: np.ndarray, _kind: int) -> np.ndarray:
        return picture

    @staticmethod
    def resize(values: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
        assert values.shape[::-1] == size
        return values


def task_of(truth: np.ndarray) -> Any:
    from quality import Task

    from uncrop.model import Sides

    return Task(name="made up", truth=truth, sides=Sides(left=20, right=10, up=12))


def test_only_made_pixels_are_compared() -> None:
    from quality import compare_features

    task = task_of(np.zeros((100, 120, 3), np.uint8))
    assert (task.hole.sum(), task.hole[12:, 20:110].any()) == (100 * 120 - 88 * 90, False)
    truth = np.abs(noise(100, 120, 2)) + 1
    inside = truth.copy()
    inside[task.inside] = 9
    assert compare_features([inside], [truth], task.hole, Plain) == pytest.approx([0, 0], abs=1e-9)
    turned = truth[..., ::-1]
    length = np.square(truth).sum(-1)
    expected = np.square(truth - turned).sum(-1) / length
    lp, _ = compare_features([turned], [truth], task.hole, Plain)
    assert lp == pytest.approx(expected[task.hole].mean(), rel=1e-3)


def test_a_step_at_the_border_is_seen_and_a_slope_is_not() -> None:
    from quality import seam

    slope = np.broadcast_to(np.arange(100, 220)[None, :, None], (160, 120, 3)).astype(np.uint8)
    grain = np.random.default_rng(1).integers(0, 3, slope.shape, dtype=np.uint8)
    task = task_of(slope)
    stepped = slope + grain
    stepped[task.hole] += 20
    assert abs(seam(slope + grain, task)) < 1
    assert seam(stepped, task) > 10


def test_a_photo_that_came_back_changed_is_not_kept() -> None:
    from quality import score

    truth = np.random.default_rng(2).integers(0, 256, (160, 140, 3), dtype=np.uint8)

    class Values:
        @staticmethod
        def features(rgb: np.ndarray) -> list[np.ndarray]:
            return [rgb.astype(np.float32) + 1]

    task = task_of(truth)
    made = truth.copy()
    lp, fd, _, kept = score(made, task, Values, Values.features(truth), Plain)
    assert (lp, fd, kept) == pytest.approx((0, 0, 1), abs=1e-9)
    made[80, 80] ^= 1
    assert score(made, task, Values, Values.features(truth), Plain)[-1] == 0
