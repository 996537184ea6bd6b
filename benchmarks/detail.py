"""What is left of the difference between a sharp photo and a small picture that was made around it.

``scripts/bench detail`` takes photographs whose surroundings are known. The whole is made as small as a provider would
send it, with a provider's flaws, and finished as any provider's picture is; once as it is (``enlarged``), once with the
photo's own grain laid over it (``grain``), and once with the photo's detail drawn into it (``redrawn``). For each it
prints, over what was made:

lp, fd
    As ``scripts/bench quality`` has them, over tiles of 512 pixels.
fd border
    The same within 96 pixels of the photo's border.
gradient
    Energy of lightness's gradient, as a share of the truth's.
blocks
    Mean deviation of the logarithm (of base 2) of that share, over blocks of 32 pixels.
step
    By how much that energy changes from 24 pixels inside the border to as many outside, as a logarithm of base 2, less
    what it changes by in the truth; 0 is no step.
seam
    The visibility of the seam, as ``scripts/bench seams`` has it.
seconds
    Of the processor, for each megapixel that was made, drawing detail alone.

``--crops FOLDER`` writes pictures at 100 % with the border in the middle: the truth, enlarged, redrawn.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from efficientnet import Network, load_network
from numpy.typing import NDArray
from PIL import Image
from quality import frechet, of_length_one

from uncrop.engine import use_cache
from uncrop.finish import pipeline
from uncrop.finish.visibility import seam_visibility
from uncrop.imaging import codec
from uncrop.model import Fill, Picture, PictureFacts, Sides, Task, UncropRequest
from uncrop.providers.openai.facts import FACTS
from uncrop.testing.workbench import make_task

ROOT = Path(__file__).resolve().parent.parent
# What measures is in the environment of the engine's peers; what is measured is in uncrop's own.
sys.path += map(str, sorted((ROOT / ".venv-bench").glob("lib/python*/site-packages")))
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg", "retina.jpg")
TILE, BLOCK, BAND, NEAR = 512, 32, 24, 96  # pixels
Pixels = NDArray[np.uint8]
Light = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A photograph of which the middle is given.

    Attributes
    ----------
    name
        Of the photograph.
    truth
        (height, width, 3) uint8.
    sides
        What is to be made.
    small
        What a provider would send.
    """

    name: str
    truth: Pixels
    sides: Sides
    small: Pixels

    @property
    def made(self) -> NDArray[np.bool_]:
        """(height, width): what is to be made."""
        made = np.ones(self.truth.shape[:2], bool)
        made[self.inside] = False
        return made

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the photo lies."""
        height, width = self.truth.shape[:2]
        return slice(self.sides.up, height - self.sides.down), slice(self.sides.left, width - self.sides.right)


def photographs(asked: argparse.Namespace) -> Iterator[tuple[str, Pixels]]:
    """Yield names and pictures, none of them enlarged: the long side is at most ``--long-side``."""
    if asked.list is not None:
        paths = sorted(
            path for path in asked.list.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
        )
    else:
        found = importlib.util.find_spec("skimage")
        if found is None:
            sys.exit("uncrop: the photographs need the packages of requirements/bench.txt")
        data = Path(str(found.origin)).parent / "data"
        paths = [path for name in PHOTOGRAPHS if (path := data / name).exists()]
        paths.append(ROOT / "examples" / "raccoon.jpg")
    for path in paths:
        if asked.only and asked.only not in path.stem:
            continue
        picture = Image.open(path).convert("RGB")
        scale = min(asked.long_side / max(picture.size), 1)
        size = (round(picture.width * scale), round(picture.height * scale))
        yield path.stem, np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def flawed(truth: Pixels, factor: float, *, flaws: bool, seed: int = 1) -> Pixels:
    """Make a picture small as a provider's is: a little drifted in colour, sharpened, wobbling, compressed."""
    height, width = (round(side / factor) for side in truth.shape[:2])
    small = np.asarray(Image.fromarray(truth).resize((width, height), Image.Resampling.BOX), np.float32)
    if not flaws:
        return np.rint(small).astype(np.uint8)
    draw = np.random.default_rng(seed)
    down, across = (smooth_noise(draw, (height, width), 40) * 0.7 for _ in range(2))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    small = sampled(small, rows + down, columns + across)
    small = small + smooth_noise(draw, (height, width), 150)[..., None] * draw.uniform(-2, 2, 3).astype(np.float32)
    blurred = np.stack([smooth(plane, 1.0) for plane in np.moveaxis(small, 2, 0)], axis=-1)
    small = small + 0.5 * (small - blurred)
    data = io.BytesIO()
    Image.fromarray(np.clip(np.rint(small), 0, 255).astype(np.uint8)).save(data, "JPEG", quality=90)
    return np.asarray(Image.open(data))


def smooth(plane: Any, sigma: float) -> Any:
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(plane, [(reach, reach) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        extent = plane.shape[axis]
        plane = sum(
            weight * padded.take(range(i, i + extent), axis) for i, weight in enumerate(weights.astype(np.float32))
        )
    return plane


def smooth_noise(draw: np.random.Generator, shape: tuple[int, int], scale: int) -> Any:
    """Return noise of deviation 1 that changes over ``scale`` pixels."""
    coarse = draw.normal(size=(shape[0] // scale + 3, shape[1] // scale + 3)).astype(np.float32)
    picture = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def sampled(pixels: Any, rows: Any, columns: Any) -> Any:
    height, width = pixels.shape[:2]
    rows, columns = rows.clip(0, height - 1.001), columns.clip(0, width - 1.001)
    top, left = rows.astype(int), columns.astype(int)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    above = pixels[top, left] * (1 - across) + pixels[top, left + 1] * across
    below = pixels[top + 1, left] * (1 - across) + pixels[top + 1, left + 1] * across
    return above * (1 - down) + below * down


def scenes(asked: argparse.Namespace) -> Iterator[Scene]:
    for name, truth in photographs(asked):
        height, width = truth.shape[:2]
        down, across = int(height * (1 - asked.keep) / 2), int(width * (1 - asked.keep) / 2)
        small = flawed(truth, asked.factor, flaws=not asked.flawless)
        yield Scene(name=name, truth=truth, sides=Sides(up=down, down=down, left=across, right=across), small=small)


def finished(scene: Scene, task: Task, detail: str) -> Picture:
    task = replace(task, job=replace(task.job, request=replace(task.job.request, detail=detail)))
    fill = Fill(pixels=scene.small.copy(), facts=PictureFacts(provider=FACTS.name, request_id="benchmark"))
    return pipeline.finish(task, fill)


def task_of(scene: Scene) -> Task:
    given = codec.encode(np.ascontiguousarray(scene.truth[scene.inside]), "PNG")
    return make_task(UncropRequest(provider="", image=given, sides=scene.sides), FACTS)


def grainy(picture: Pixels, scene: Scene, factor: float) -> Pixels:
    """Lay the photo's grain over what was made: its finest differences in a calm part, mirrored over the picture."""
    photo = scene.truth[scene.inside]
    height, width = photo.shape[:2]
    small = Image.fromarray(photo).resize((round(width / factor), round(height / factor)), Image.Resampling.BOX)
    soft = np.asarray(small.resize((width, height), Image.Resampling.LANCZOS))
    rest = lightness(photo) - lightness(soft)
    side = 128
    parts = [
        rest[y : y + side, x : x + side]
        for y in range(0, height - side + 1, side)
        for x in range(0, width - side + 1, side)
    ]
    middle = sorted(parts, key=lambda part: float(part.std()))[len(parts) // 2]
    reach = [(0, extent - side) for extent in picture.shape[:2]]
    added = picture + np.pad(middle, reach, mode="symmetric")[..., None]
    added[~scene.made] = picture[~scene.made]
    return np.clip(np.rint(added), 0, 255).astype(np.uint8)


def lightness(pixels: Pixels) -> Light:
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114]))


def steepness(light: Light) -> Light:
    """Return the energy of the gradient, in levels squared a pixel squared."""
    down, across = np.gradient(light)
    return np.asarray(down * down + across * across)


def tiles(scene: Scene) -> Iterator[tuple[slice, slice]]:
    height, width = scene.truth.shape[:2]
    for y in range(0, max(height - TILE // 2, 1), TILE):
        for x in range(0, max(width - TILE // 2, 1), TILE):
            top, left = max(min(y, height - TILE), 0), max(min(x, width - TILE), 0)
            place = slice(top, top + TILE), slice(left, left + TILE)
            if scene.made[place].any():
                yield place


class Truth:
    """What the truth's tiles look like to the network; looked at once for all that are compared with it."""

    def __init__(self, scene: Scene, network: Network) -> None:
        self.scene, self.network = scene, network
        self.tiles = list(tiles(scene))
        self.near = np.zeros(scene.made.shape, bool)
        rows, columns = (slice(max(part.start - NEAR, 0), part.stop + NEAR) for part in scene.inside)
        self.near[rows, columns] = True
        self.features = [network.features(np.ascontiguousarray(scene.truth[place])) for place in self.tiles]

    def compare(self, picture: Pixels) -> tuple[float, float, float]:
        """Return lp, fd, and fd of the tiles at the border."""
        own = [self.network.features(np.ascontiguousarray(picture[place])) for place in self.tiles]
        distances, all_kinds, border_kinds = [], [], []
        for depth in range(len(own[0])):
            rows: list[tuple[Any, Any]] = []
            beside: list[tuple[Any, Any]] = []
            for place, got, wanted in zip(self.tiles, own, self.features, strict=True):
                holes = self.scene.made[place]
                counts = shares(holes, wanted[depth].shape[:2]) > 0.5
                near = shares(self.near[place], wanted[depth].shape[:2]) > 0.5
                rows.append((got[depth][counts], wanted[depth][counts]))
                beside.append((got[depth][counts & near], wanted[depth][counts & near]))
            made, truth = joined(rows)
            distances.append(float(np.square(of_length_one(made) - of_length_one(truth)).sum(-1).mean()))
            unit = np.concatenate([each[depth].reshape(-1, truth.shape[1]) for each in self.features]).std(0) + 1e-3
            all_kinds.append(kinds(made, truth, unit))
            border_kinds.append(kinds(*joined(beside), unit))
        return float(np.mean(distances)), float(np.nanmean(all_kinds)), float(np.nanmean(border_kinds))


def joined(rows: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Return the features of all tiles together: of what was made, and of the truth."""
    made, truth = (np.concatenate([row[i] for row in rows]).astype(np.float64) for i in (0, 1))
    return made, truth


def kinds(made: Any, truth: Any, unit: Any) -> float:
    return frechet(made / unit, truth / unit) if len(truth) > 2 * truth.shape[1] else float("nan")


def shares(flags: NDArray[np.bool_], shape: tuple[int, int]) -> Any:
    picture = Image.fromarray(flags.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BOX))


def measures(picture: Pixels, scene: Scene) -> list[float]:
    """Return gradient, blocks, step and seam."""
    made, truth = steepness(lightness(picture)), steepness(lightness(scene.truth))
    hole = scene.made
    height, width = (extent // BLOCK * BLOCK for extent in hole.shape)
    cut = (height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    of_blocks = [each[:height, :width].reshape(cut).mean(axis=(1, 3)) for each in (made, truth)]
    whole = hole[:height, :width].reshape(cut).all(axis=(1, 3))
    apart = np.abs(np.log2((of_blocks[0] + 0.1) / (of_blocks[1] + 0.1)))[whole].mean()
    seam = seam_visibility(picture, hole)
    steps = step(made, scene) - step(truth, scene)
    return [float(made[hole].mean() / truth[hole].mean()), float(apart), steps, float("nan") if seam is None else seam]


def step(steep: Light, scene: Scene) -> float:
    """Return by how much steepness changes over the border, as a logarithm; two pixels at it do not count."""
    rows, columns = scene.inside
    grown = np.zeros(steep.shape, bool)
    grown[max(rows.start - BAND, 0) : rows.stop + BAND, max(columns.start - BAND, 0) : columns.stop + BAND] = True
    grown[rows.start - 2 : rows.stop + 2, columns.start - 2 : columns.stop + 2] = False
    inner = np.zeros(steep.shape, bool)
    inner[rows.start + 2 : rows.stop - 2, columns.start + 2 : columns.stop - 2] = True
    inner[rows.start + BAND : rows.stop - BAND, columns.start + BAND : columns.stop - BAND] = False
    return float(np.log2(steep[grown].mean() / steep[inner].mean()))


def crops(scene: Scene, pictures: dict[str, Pixels], folder: Path) -> None:
    """Write 360 x 360 pixels around the middle of the right and of the upper border, of the truth and of the others."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = scene.inside
    middle = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    lines = []
    for y, x in ((middle[0], columns.stop), (rows.start, middle[1])):
        top, left = max(y - 180, 0), max(x - 180, 0)
        parts = [each[top : top + 360, left : left + 360] for each in (scene.truth, *pictures.values())]
        lines.append(np.concatenate(parts, axis=1))
    width = min(line.shape[1] for line in lines)
    Image.fromarray(np.concatenate([line[:, :width] for line in lines])).save(folder / f"{scene.name}.png")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench detail", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factor", type=float, default=3.0, help="by how much is enlarged; default: 3")
    parser.add_argument("--keep", type=float, default=0.6, help="part of each side that is given; default: 0.6")
    parser.add_argument("--long-side", type=int, default=2048, metavar="PIXELS", help="default: 2048")
    parser.add_argument("--only", metavar="TEXT", help="photographs whose name contains it")
    parser.add_argument("--list", type=Path, metavar="FOLDER", help="other photographs")
    parser.add_argument("--flawless", action="store_true", help="a provider's picture without flaws")
    parser.add_argument("--quick", action="store_true", help="without lp and fd, which take the longest")
    parser.add_argument("--no-grain", action="store_true", help="without matched grain")
    parser.add_argument("--crops", type=Path, metavar="FOLDER", help="write crops at 100 %%")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    network = None
    if not asked.quick:
        try:
            network = load_network()
        except ImportError as missing:
            sys.exit(f"uncrop: the measurement needs the packages of requirements/bench.txt: {missing}")
    use_cache(ROOT / ".venv-bench" / "kernels")
    pipeline.warm_up()
    rows: dict[str, list[list[float]]] = defaultdict(list)
    print(
        "\n| photograph | picture | lp | fd | fd border | gradient | blocks | step | seam | seconds |\n|" + "---|" * 10
    )
    for scene in scenes(asked):
        truth = None if network is None else Truth(scene, network)
        task, spent = task_of(scene), {}
        pictures: dict[str, Pixels] = {}
        for name, detail in (("enlarged", "off"), ("redrawn", "on")):
            start = time.process_time()
            picture = finished(scene, task, detail)
            spent[name] = time.process_time() - start
            pictures[name] = np.asarray(picture.pixels, np.uint8)
        if asked.crops:
            crops(scene, pictures, asked.crops)
        if not asked.no_grain:
            pictures["grain"] = grainy(pictures["enlarged"], scene, asked.factor)
        pixels = float(scene.made.sum()) / 1e6
        seconds = {"redrawn": (spent["redrawn"] - spent["enlarged"]) / pixels}
        for name, made in pictures.items():
            if not np.array_equal(made[scene.inside], scene.truth[scene.inside]):
                sys.exit(f"uncrop: {name} changed the photo {scene.name}")
            deep = (float("nan"),) * 3 if truth is None else truth.compare(made)
            rows[name].append([*deep, *measures(made, scene), seconds.get(name, float("nan"))])
            print(line(scene.name, name, rows[name][-1]), flush=True)
    for name, values in rows.items():
        table = np.array(values)
        print(line("mean", name, [float(v) for v in table.mean(axis=0)]))
        print(f"{name}: gradient {table[:, 3].min():.2f} to {table[:, 3].max():.2f}")


def line(photograph: str, picture: str, values: list[float]) -> str:
    lp, fd, border, gradient, blocks, steps, seam, seconds = values
    return (
        f"| {photograph} | {picture} | {lp:.3f} | {fd:.3f} | {border:.3f} | {gradient:.2f} | {blocks:.2f} "
        f"| {steps:+.2f} | {seam:.1f} | {seconds:.2f} |"
    )


if __name__ == "__main__":
    main()
