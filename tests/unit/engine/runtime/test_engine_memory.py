"""No extension takes more memory than was told before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uncrop.engine import peak_bytes, picture_bytes
from uncrop.model import Sides

SIDES = Sides(left=300, right=300, up=200, down=200)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_formula():
    assert peak_bytes(1000, 2000, 3, Sides(left=500, up=-200)) == 220_000_000 + 13 * 800 * 2500 + 12 * 2_000_000
    assert peak_bytes(100, 100, 8, Sides()) == 220_000_000 + (23 + 17) * 10_000
    assert picture_bytes(100, 100, 8, Sides()) == (23 + 17) * 10_000


@pytest.mark.parametrize(
    ("height", "width", "sides", "coarsest"),
    [
        (16, 2000, Sides(up=200, down=200), 416 * 2000),
        (2000, 16, Sides(left=2000), 2000 * (16 + 256)),  # no patches are searched for farther out than 256
        (16, 6000, Sides(up=200, down=200), (16 + 2 * 48) * 6000),  # of so long a photo, three times its shorter side
        (6000, 16, Sides(left=2000), 6000 * (16 + 48)),
        (24, 4000, Sides(right=100), 12 * 2050),
        (4000, 6000, Sides(up=-3984, left=-2000), 0),  # what is cropped is no photo
        (1500, 2000, Sides(left=300, right=300, up=200, down=200), 0),
        (1000, 800, Sides(left=300, right=300, up=200, down=200), 0),
    ],
)
def test_thin_photos_take_more_for_their_candidates(height, width, sides, coarsest):
    rows, cols = height + sides.up + sides.down, width + sides.left + sides.right
    known = 13 * rows * cols + 12 * height * width
    assert picture_bytes(height, width, 3, sides) == known + 52 * max(0, coarsest - 362 * 362)


# Not by getrusage, whose peak begins with that of the process which started this one.
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's own peak")
@pytest.mark.parametrize(
    ("height", "width", "channels", "dtype", "bar", "quality", "sides", "most"),
    [
        (1500, 2000, 3, "uint8", 0, "fast", SIDES, 1.5),
        (900, 1300, 4, "uint16", 0, "fast", SIDES, 1.5),
        (1200, 1600, 1, "uint8", 0, "fast", SIDES, 1.5),
        (1500, 2000, 3, "uint8", 40, "fast", SIDES, 1.5),
        (900, 1300, 4, "uint16", 40, "fast", SIDES, 1.5),
        # 350 pixels a side where candidates are made, about the most there is around photos of ordinary shapes
        (1000, 800, 3, "uint8", 0, "best", SIDES, 1.5),
        (
            16,
            1400,
            3,
            "uint8",
            0,
            "best",
            Sides(up=63, down=63),
            1.5,
        ),  # about the most for which all candidates are made
        # What is farther out than 48 lines is reflected, and takes less than is told.
        (16, 6000, 3, "uint8", 0, "standard", Sides(up=200, down=200), 1.75),
    ],
)
def test_a_process_stays_under_it(kernels, height, width, channels, dtype, bar, quality, sides, most):
    start = f"""
from pathlib import Path
import numpy as np
from uncrop import engine
from uncrop.model import Sides
engine.use_cache(Path({str(kernels)!r}))

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])
"""
    python(start + "engine.warm_up()")  # in a process of its own: the compiler takes more
    measured = python(
        start
        + f"""
y, x = np.mgrid[0:{height}, 0:{width}].astype(np.int32)
plane = ((x * 7 + y * 3) // 5 ^ (x // 64 * 37 + y // 64 * 91)) & 255
image = plane[:, :, None].repeat({channels}, 2).astype(np.{dtype}) * np.{dtype}(np.iinfo(np.{dtype}).max // 255)
image[:, :, -1] |= 128
if {bar}:  # above and at the left; such photos have no transparent pixels
    image[:, :, 3:] = np.iinfo(np.{dtype}).max
    image[:{bar}, :, :3] = image[:, :{bar}, :3] = 0
    from uncrop.engine.prepare.bars import find_bars
    assert {{bar.side for bar in find_bars(image)}} == {{"up", "left"}}
del y, x, plane
before = peak()
engine.extend(image, {sides!r}, seed=0, quality={quality!r}, threads=2)
print(before, peak())
"""
    )
    before, peak = (int(number) for number in measured.split())
    told = peak_bytes(height, width, channels * (2 if dtype == "uint16" else 1), sides)
    assert before < peak < told < most * peak
