"""Time, memory and quality of the local engine, with peers from PyPI where they are installed, in the same run.

``scripts/bench engine`` prints

* seconds for each quality at 1024 px and for a large picture, by step, with the peak memory of a process of its own;
* how generated pictures, whose surroundings are known, are extended by the engine and by its peers, reflection,
  OpenCV's Telea and PyPatchMatch: how visible the border is (seam, in standard deviations of the same measure inside
  the photo; under 1 is invisible), the correlation of what was made with the photo's reflection (mirror; over 0.6 is a
  kaleidoscope), its grain over the truth's, the mean difference from the truth in the first 16 pixels (near), and
  seconds by the clock and of all cores together; at the end, the means over the pictures.

``scripts/bench quality`` measures photographs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from peers import QUALITIES, Maker, Picture, peers, reflect, uncrop

from uncrop.engine import extend, peak_bytes, use_cache, warm_up
from uncrop.model import Quality, Sides


def waves(height: int, width: int, seed: int) -> NDArray[np.float64]:
    """Return smooth noise, 0 to 1, from 40 waves of random direction and length."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    total = np.zeros((height, width))
    for _ in range(40):
        length, angle, phase = 8 * 2 ** rng.uniform(0, 5), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        total += np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length + phase) * length**0.5
    scaled: NDArray[np.float64] = (total - total.min()) / (total.max() - total.min())
    return scaled


def pictures(height: int, width: int) -> Iterator[tuple[str, Picture]]:
    """Yield generated pictures: a landscape, a facade, a texture and a gradient."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    noise, grain = waves(height, width, 1), rng.normal(0, 6, (height, width, 1))
    ground = np.stack([90 + 80 * noise, 110 + 70 * noise, 60 + 40 * noise], -1) + 4 * grain
    sky = np.stack([110 + 60 * y / height, 150 + 50 * y / height, 215 + 20 * y / height], -1)
    yield "landscape", to_bytes(np.where((y < height * 0.55 + 30 * noise)[..., None], sky, ground) + grain / 6)
    window = ((x % 48 > 14) & (y % 64 > 22))[..., None]
    yield "facade", to_bytes(np.where(window, (60, 75, 95), (190, 170, 150)) + grain)
    yield "texture", to_bytes(np.stack([255 * waves(height, width, seed) for seed in (2, 3, 4)], -1))
    yield "gradient", to_bytes(np.stack([40 + 150 * x / width, 60 + 120 * y / height, 200 - 90 * x / width], -1))


def to_bytes(values: NDArray[np.float64]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def seam(made: Picture, sides: Sides) -> float:
    """Return the visibility of the border, in standard deviations of the same measure on lines inside the photo."""
    light = made.mean(axis=2)
    inner = light[sides.up : light.shape[0] - sides.down, sides.left : light.shape[1] - sides.right]

    def excess(lines: NDArray[np.float64]) -> float:
        steps = np.abs(np.diff(lines, axis=0))
        return float(np.maximum(0, steps[1] - (steps[0] + steps[2]) / 2).mean())

    found = []
    top, left = sides.up, sides.left
    for lines, within, at in (
        (light[:, left : left + inner.shape[1]], inner, top),
        (light.T[:, top : top + inner.shape[0]], inner.T, left),
    ):
        null = [excess(within[n : n + 4]) for n in range(8, 64, 2)]
        found.append((excess(lines[at - 2 : at + 2]) - np.mean(null)) / (np.std(null) + 0.02))
    return float(np.mean(found))


def scores(made: Picture, truth: Picture, sides: Sides) -> dict[str, float]:
    height, width = truth.shape[:2]
    hole = np.ones((height, width), bool)
    inner = np.s_[sides.up : height - sides.down, sides.left : width - sides.right]
    hole[inner] = False
    near = hole.copy()
    near[: sides.up - 16] = near[height - sides.down + 16 :] = False
    near[:, : sides.left - 16] = near[:, width - sides.right + 16 :] = False
    reflected = reflect(np.ascontiguousarray(truth[inner]), sides)
    grain = [np.abs(np.diff(p.astype(int), axis=1)).mean(axis=2)[hole[:, 1:]].mean() for p in (made, truth)]
    flat = [p[hole].astype(float).ravel() - truth[inner].mean() for p in (made, reflected)]
    return {
        "seam": seam(made, sides),
        "mirror": float(np.corrcoef(*flat)[0, 1]),
        "grain": float(grain[0] / max(grain[1], 1e-6)),
        "near": float(np.abs(made[near].astype(int) - truth[near]).mean()),
    }


def compare() -> None:
    """Print a table of all makers on the generated pictures of 1024 x 768, the middle three quarters given."""
    height, width = 768, 1024
    sides = Sides(left=width // 8, right=width // 8, up=height // 8, down=height // 8)
    print()
    everyone: dict[str, Maker] = {f"uncrop {quality}": partial(uncrop, quality=quality) for quality in QUALITIES}
    everyone |= peers()
    rows: dict[str, list[list[float]]] = defaultdict(list)
    print("\n| picture | maker | seam | mirror | grain | near | seconds | CPU seconds |\n|" + "---|" * 8)
    for picture, truth in pictures(height, width):
        photo = np.ascontiguousarray(truth[sides.up : height - sides.down, sides.left : width - sides.right])
        for name, make in everyone.items():
            start, spent = time.perf_counter(), time.process_time()
            made = make(photo, sides)
            took = [time.perf_counter() - start, time.process_time() - spent]
            rows[name].append([*scores(made, truth, sides).values(), *took])
            print(f"| {picture} | {name} | " + " | ".join(f"{value:.2f}" for value in rows[name][-1]) + " |")
    for name, values in rows.items():
        print(f"| mean | {name} | " + " | ".join(f"{value:.2f}" for value in np.mean(values, axis=0)) + " |")


def peak_memory() -> float:
    """Return this process's peak in MB. Linux adds to getrusage's that of the process which started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def measure(kernels: str, height: int, width: int, quality: Quality) -> None:
    """Time one extension by 15 % a side in this process, and print the result as JSON."""
    use_cache(Path(kernels))
    photo = to_bytes(255 * np.stack([waves(height // 4, width // 4, n) for n in range(3)], -1))
    photo = np.ascontiguousarray(photo.repeat(4, axis=0).repeat(4, axis=1))
    tiny = np.zeros((64, 64, 3), np.uint8)
    start = time.perf_counter()
    extend(tiny, Sides(left=30), seed=0)  # loads the kernels
    load, before, spent = time.perf_counter() - start, peak_memory(), time.process_time()
    marks: list[tuple[float, str]] = []
    sides = Sides(left=width * 3 // 20, right=width * 3 // 20, up=height * 3 // 20, down=height * 3 // 20)
    extend(photo, sides, seed=0, quality=quality, progress=lambda _, step: marks.append((time.perf_counter(), step)))
    spent = time.process_time() - spent
    steps: dict[str, float] = {}
    for (start, step), (end, _) in pairwise(marks):
        steps[step] = steps.get(step, 0) + end - start
    told = peak_bytes(height, width, 3, sides) / 1e6
    print(
        json.dumps(
            {"steps": steps, "spent": spent, "load": load, "peak": peak_memory(), "before": before, "told": told}
        )
    )


def times(kernels: str) -> None:
    sizes: tuple[tuple[int, int, tuple[Quality, ...]], ...] = (
        (512, 788, QUALITIES),
        (2592, 3872, ("fast", "standard")),
    )
    for height, width, qualities in sizes:
        for quality in qualities:
            command = [sys.executable, __file__, "--measure", kernels, str(height), str(width), quality]
            answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            total = sum(answer["steps"].values())
            print(f"\n{width}x{height} +15 % a side, {quality}: {total:.2f} s, {answer['spent']:.2f} of CPU,", end=" ")
            print(f"peak {answer['peak']:.0f} MB ({answer['told']:.0f} told before,", end=" ")
            print(f"{answer['before']:.0f} without any picture); kernels loaded in {answer['load']:.2f} s")
            print("  " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in answer["steps"].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--measure", nargs=4, metavar=("KERNELS", "HEIGHT", "WIDTH", "QUALITY"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        kernels, height, width, quality = asked.measure
        measure(kernels, int(height), int(width), quality)
        return
    # A folder of its own: kernels that an earlier version left beside the sources are not measured by mistake.
    with tempfile.TemporaryDirectory() as kernels:
        use_cache(Path(kernels))
        start, spent = time.perf_counter(), time.process_time()
        warm_up()
        print(f"compiling the kernels: {time.perf_counter() - start:.1f} s, {time.process_time() - spent:.1f} of CPU")
        times(kernels)
        compare()


if __name__ == "__main__":
    main()
