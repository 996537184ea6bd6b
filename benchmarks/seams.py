"""How visible the outline of what was made is, when a provider repaints everything larger, shifted or in another tone.

``scripts/bench seams`` cuts a hole into pictures whose contents are known, lets them be repainted, finishes them, and
prints for each outline and each repaint the seam visibility (``uncrop.finish.visibility``; under 1 is invisible, over
3 a visible step), mean and worst over the pictures: of the truth itself, of the repaint as it came with the photo
pasted into it, and of the finished picture. The pictures are ``examples/raccoon.jpg``, two generated ones, and those
of a folder that is named.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncrop.finish.pipeline import finish
from uncrop.finish.visibility import seam_visibility
from uncrop.imaging import arrays, codec
from uncrop.model import Fill, PictureFacts, Sides, Task, UncropRequest
from uncrop.providers.openai.facts import FACTS
from uncrop.testing.pictures import photo
from uncrop.testing.workbench import make_task

ROOT = Path(__file__).resolve().parent.parent
ROOM = 0.1  # of each side, around the part that is used, so that a smaller repaint has something to show
# Scale, pixels across and down, and grey levels.
REPAINTS: dict[str, tuple[float, tuple[float, float], float]] = {
    "nothing": (1.0, (0, 0), 0),
    "1 % larger": (1.01, (0, 0), 0),
    "4 % larger": (1.04, (0, 0), 0),
    "5 % smaller": (0.95, (0, 0), 0),
    "3 px off": (1.0, (3, 1), 0),
    "12 px off": (1.0, (12, -12), 0),
    "10 levels darker": (1.0, (0, 0), -10),
    "4 %, 9 px, 10 levels": (1.04, (-9, 9), 10),
}


def pictures(long_side: int, folder: Path | None) -> Iterator[NDArray[np.uint8]]:
    files = [ROOT / "examples" / "raccoon.jpg", *(sorted(folder.iterdir()) if folder else ())]
    for path in files:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        scale = long_side / max(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        yield np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    for seed in (1, 2):
        yield arrays.to_8bit(photo(long_side, long_side * 3 // 4, seed=seed))


def repaint(whole: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return the inner part of a picture as it may come back: scaled about its middle, then shifted, then toned."""
    scale, shift, tone = REPAINTS[name]
    room = [round(extent * ROOM) for extent in whole.shape[1::-1]]
    width, height = (extent - 2 * each for extent, each in zip(whole.shape[1::-1], room, strict=True))
    left = room[0] + width / 2 - (width / 2 + shift[0]) / scale
    top = room[1] + height / 2 - (height / 2 + shift[1]) / scale
    made = codec.resize(whole, width, height, box=(left, top, left + width / scale, top + height / scale))
    return np.clip(made + np.float64(tone), 0, 255).astype(np.uint8)


def outlines(height: int, width: int) -> dict[str, NDArray[np.bool_]]:
    """Return what is to be made, (height, width): around a photo, and in masks of two shapes."""
    y, x = np.mgrid[0:height, 0:width]
    around = np.ones((height, width), bool)
    around[height // 8 : height - height // 8, width // 8 : width - width // 8] = False
    ellipse = ((x - width * 0.55) / (width * 0.22)) ** 2 + ((y - height * 0.5) / (height * 0.3)) ** 2 < 1
    return {"sides": around, "ellipse": ellipse, "wavy": x > width * (0.62 + 0.05 * np.sin(y / 37))}


def task_of(truth: NDArray[np.uint8], hole: NDArray[np.bool_], outline: str) -> Task:
    height, width = hole.shape
    if outline == "sides":
        up, left = height // 8, width // 8
        given = codec.encode(np.ascontiguousarray(truth[up : height - up, left : width - left]), "PNG")
        sides = Sides(left=left, right=left, up=up, down=up)
        return make_task(UncropRequest(provider="", image=given, sides=sides), FACTS)
    mask = np.zeros((height, width, 4), np.uint8)
    mask[..., 3] = np.where(hole, 0, 255)
    request = UncropRequest(provider="", image=codec.encode(truth, "PNG"), mask=codec.encode(mask, "PNG"))
    return make_task(request, FACTS)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench seams", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long-side", type=int, default=1000, metavar="PIXELS", help="default: 1000")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="of other pictures")
    asked = parser.parse_args()
    facts = PictureFacts(provider=FACTS.name, request_id="benchmark")
    print("\n| outline | repainted | truth | as it came | finished | worst | CPU, ms |\n|" + "---|" * 7)
    shown = list(pictures(asked.long_side, asked.photos))
    for outline in ("sides", "ellipse", "wavy"):
        for name in REPAINTS:
            rows, spent = [], []
            for whole in shown:
                truth, made = repaint(whole, "nothing"), repaint(whole, name)
                hole = outlines(*truth.shape[:2])[outline]
                task, fill = task_of(truth, hole, outline), Fill(pixels=made, facts=facts)
                finish(task, replace(fill, pixels=made.copy()))
                start = time.process_time()
                picture = arrays.to_8bit(finish(task, replace(fill, pixels=made.copy())).pixels)
                spent.append(1000 * (time.process_time() - start))
                pasted = np.where(hole[..., None], made, truth).astype(np.uint8)
                rows.append([seam_visibility(each, hole) or 0.0 for each in (truth, pasted, picture)])
            means = " | ".join(f"{value:.1f}" for value in np.mean(rows, axis=0))
            print(
                f"| {outline} | {name} | {means} | {max(row[2] for row in rows):.1f} | {np.mean(spent):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
