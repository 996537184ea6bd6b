"""How natural extensions look, in numbers: photographs with known surroundings are cropped, extended and compared.

``scripts/bench quality`` prints for every photograph and every maker, and at the end their means:

lp
    How far what was made is from the truth: the squared distance of deep features scaled to length 1, mean over five
    depths of EfficientNet-lite0 (after Zhang et al. 2018, arXiv:1801.03924). Less is better.
fd
    How far its kind of content is from the truth's: the Fréchet distance of the features' means and covariances,
    a channel, with the truth's standard deviations as units (after Heusel et al. 2017, arXiv:1706.08500). Less is
    better; it does not ask for the same content.
seam
    How visible the border is: the jump across it in excess of the slopes beside it, in standard deviations of the same
    measure on lines inside the photo. Under 1 is invisible, over 3 a visible step.
kept
    1 where every pixel of the photo came back equal.

Only made pixels count, and the seam. No number may be optimised by itself: blur comes near, and a reflection is of the
same kind. The photographs are those in scikit-image's package and ``examples/raccoon.jpg``; ``--list FILE`` takes them
from a Python file instead, whose function ``photos(long_side)`` yields names and pictures.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from efficientnet import Features, Network, load_network
from numpy.typing import NDArray
from peers import QUALITIES, Maker, Picture, peers, uncrop
from PIL import Image

from uncrop.engine import use_cache, warm_up
from uncrop.finish.visibility import seam_visibility
from uncrop.model import Sides

ROOT = Path(__file__).resolve().parent.parent
PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
EIGHT = 8  # both sides of a photograph are a multiple of it
RIDGE = 1e-3  # added to the variances, so that no covariance is singular


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A photograph of which a part is given.

    Attributes
    ----------
    name
        Of the photograph.
    truth
        (height, width, 3) uint8, all of it.
    sides
        What was cut off and is to be made.
    """

    name: str
    truth: Picture
    sides: Sides

    @property
    def inside(self) -> tuple[slice, slice]:
        """The rows and the columns that are given."""
        height, width = self.truth.shape[:2]
        return slice(self.sides.up, height - self.sides.down), slice(self.sides.left, width - self.sides.right)

    @property
    def hole(self) -> NDArray[np.bool_]:
        """(height, width): True where pixels are to be made."""
        hole = np.ones(self.truth.shape[:2], bool)
        hole[self.inside] = False
        return hole


def photographs(long_side: int, listed: Path | None) -> Iterator[tuple[str, Picture]]:
    """Yield the names and the pictures of the photographs, their long side at ``long_side`` pixels."""
    if listed is not None:
        # Beside other modules of its folder, which it may import.
        sys.path.insert(0, str(listed.parent))
        spec: Any = importlib.util.spec_from_file_location(listed.stem, listed)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield from module.photos(long_side)
        return
    data = Path(str(importlib.import_module("skimage").__file__)).parent / "data"
    for path in (*(data / name for name in PHOTOGRAPHS), ROOT / "examples" / "raccoon.jpg"):
        picture = Image.open(path).convert("RGB")
        scale = long_side / max(picture.size)
        width, height = (round(side * scale) // EIGHT * EIGHT for side in picture.size)
        yield path.stem, np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def tasks(asked: argparse.Namespace) -> Iterator[Task]:
    """Yield the photographs that were asked for, with what is cut off."""
    for name, truth in photographs(asked.long_side, asked.list):
        if asked.only and asked.only not in name:
            continue
        height, width = truth.shape[:2]
        if asked.sides == "right":
            sides = Sides(right=width - int(width * asked.keep))
        else:
            down, across = int(height * (1 - asked.keep) / 2), int(width * (1 - asked.keep) / 2)
            sides = Sides(up=down, down=down, left=across, right=across)
        yield Task(name=name, truth=truth, sides=sides)


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the Fréchet distance of two sets of features (n, channels), taken as normal distributions, a channel."""
    ridge = RIDGE * np.eye(a.shape[1])
    of_a, of_b = np.cov(a, rowvar=False) + ridge, np.cov(b, rowvar=False) + ridge
    # The trace of the square root of a product is the sum of the roots of its eigenvalues, which are those of
    # root(A) B root(A), a symmetric matrix.
    values, vectors = np.linalg.eigh(of_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    joint = np.sqrt(np.linalg.eigvalsh(root @ of_b @ root).clip(min=0)).sum()
    apart = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float((apart + np.trace(of_a) + np.trace(of_b) - 2 * joint) / a.shape[1])


def of_length_one(maps: Features) -> NDArray[np.float64]:
    wide = maps.astype(np.float64)
    return np.asarray(wide / (np.linalg.norm(wide, axis=-1, keepdims=True) + 1e-6))


def compare_features(made: list[Features], truth: list[Features], hole: NDArray[np.bool_], cv2: Any) -> list[float]:
    """Return lp and fd of what was made, from the feature maps of every depth."""
    distances, kinds = [], []
    for of_made, of_truth in zip(made, truth, strict=True):
        rows, cols, channels = of_truth.shape
        # A place of a map counts where more than half of it was made.
        counts = cv2.resize(hole.astype(np.float32), (cols, rows), interpolation=cv2.INTER_AREA) > 0.5
        distances.append(float(np.square(of_length_one(of_made) - of_length_one(of_truth)).sum(-1)[counts].mean()))
        if counts.sum() > 2 * channels:  # fewer do not determine a covariance
            unit = of_truth.reshape(-1, channels).astype(np.float64).std(axis=0) + 1e-3
            kinds.append(frechet(of_made[counts] / unit, of_truth[counts] / unit))
    return [float(np.mean(distances)), float(np.mean(kinds)) if kinds else float("nan")]


def seam(made: Picture, task: Task) -> float:
    """Return the visibility of the border, mean over the sides that were extended."""
    found = seam_visibility(made, task.hole)
    return float("nan") if found is None else found


def score(made: Picture, task: Task, network: Network, truth: list[Features], cv2: Any) -> list[float]:
    """Return lp, fd, seam and kept."""
    kept = float(np.array_equal(made[task.inside], task.truth[task.inside]))
    return [*compare_features(network.features(made), truth, task.hole, cv2), seam(made, task), kept]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quality", choices=QUALITIES, action="append", help="may be repeated; default: standard")
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; default: 0")
    parser.add_argument("--keep", type=float, default=0.75, help="part of each side that is given; default: 0.75")
    parser.add_argument("--sides", choices=("all", "right"), default="all", help="where pixels are cut off")
    parser.add_argument("--long-side", type=int, default=1024, metavar="PIXELS", help="default: 1024")
    parser.add_argument("--only", metavar="TEXT", help="photographs whose name contains it")
    parser.add_argument("--list", type=Path, metavar="FILE", help="a Python file that yields other photographs")
    parser.add_argument("--no-peers", action="store_true", help="measure uncrop alone")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    try:
        network, cv2 = load_network(), importlib.import_module("cv2")
    except ImportError as missing:
        sys.exit(f"uncrop: the measurement needs the packages of requirements/bench.txt: {missing}")
    makers: dict[str, Maker] = {
        f"uncrop {quality}, seed {seed}": partial(uncrop, quality=quality, seed=seed)
        for quality, seed in product(asked.quality or ["standard"], asked.seed or [0])
    }
    if not asked.no_peers:
        makers |= peers()
    use_cache(ROOT / ".venv-bench" / "kernels")
    warm_up()  # so that no picture's seconds hold the compiler's
    rows: dict[str, list[list[float]]] = defaultdict(list)
    print("\n| photograph | maker | lp | fd | seam | kept | seconds |\n|" + "---|" * 7)
    for task in tasks(asked):
        photo, truth = np.ascontiguousarray(task.truth[task.inside]), network.features(task.truth)
        for name, make in makers.items():
            start = time.perf_counter()
            made = make(photo, task.sides)
            took = time.perf_counter() - start
            rows[name].append([*score(made, task, network, truth, cv2), took])
            print(line(task.name, name, rows[name][-1]), flush=True)
    for name, values in rows.items():
        print(line("mean", name, [float(value) for value in np.nanmean(values, axis=0)]))


def line(photograph: str, maker: str, values: list[float]) -> str:
    lp, fd, visible, kept, took = values
    return f"| {photograph} | {maker} | {lp:.3f} | {fd:.3f} | {visible:.1f} | {kept:.2f} | {took:.2f} |"


if __name__ == "__main__":
    main()
