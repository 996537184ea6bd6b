"""No kernel reads or writes outside its arrays, or does what kernels must not do."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

from uncrop import engine
from uncrop.engine.runtime.cache import fingerprint

PICTURES = """
import hashlib, sys
from pathlib import Path
import numpy as np
from uncrop import engine
engine.use_cache(Path(sys.argv[1]))
from uncrop.engine import pipeline
from uncrop.model import Sides

def extend_small_pictures():
    pipeline.TILE = 64
    rng, digest = np.random.default_rng(0), hashlib.sha256()
    for shape, dtype, sides, quality in (
        ((40, 50, 3), np.uint8, Sides(left=9, up=4), "standard"),
        ((16, 16, 4), np.uint8, Sides(right=20, down=20), "best"),
        ((33, 130, 1), np.uint16, Sides(left=250, right=3), "fast"),
        ((300, 20, 3), np.uint8, Sides(up=25, right=-1), "fast"),
        ((61, 47, 2), np.uint16, Sides(left=31, right=17, up=40, down=23), "fast"),
        ((60, 500, 3), np.uint8, Sides(left=231, up=1, down=35), "standard"),
    ):
        image = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
        if shape[2] in (2, 4):
            image[:, :, -1] = np.iinfo(dtype).max
            image[:3, :3, -1] = 0
        result = engine.extend(image, sides, seed=2, quality=quality)
        digest.update(result.pixels.tobytes() + result.confidence_map.tobytes())
    return digest.hexdigest()
"""

CHECKED = """
from uncrop.kernels import kernel

@kernel
def beyond(values, place):
    return values[place]

try:
    beyond(np.zeros(4)[:3], 3)
    print("unchecked")
except IndexError:
    print("checked")
print(extend_small_pictures())
"""


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays(tmp_path):
    """The same pictures come out with Numba's bounds checks on, and no check fails."""
    script = tmp_path / "small_pictures.py"
    script.write_text(PICTURES + CHECKED)
    found = []
    for check, meaning in (("0", "unchecked"), ("1", "checked")):
        answer = subprocess.run(
            [sys.executable, script, tmp_path / check],
            env={**os.environ, "NUMBA_BOUNDSCHECK": check},
            check=True,
            capture_output=True,
            text=True,
        )
        checks, digest = answer.stdout.split()
        assert checks == meaning
        found.append(digest)
    assert found[0] == found[1]


# The comparison of patches in vector registers goes by pointers, which Numba does not check: here the processor does.
GUARDED = """
import ctypes, mmap
from uncrop.engine.grow import candidate
from uncrop.engine.prepare import pyramid
from uncrop.engine.search import refine

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
kept = []

def guarded(values):
    size = -(-values.size // mmap.PAGESIZE) * mmap.PAGESIZE
    room = mmap.mmap(-1, size + 2 * mmap.PAGESIZE)
    whole = np.frombuffer(room, np.uint8)
    for guard in (0, size + mmap.PAGESIZE):
        assert libc.mprotect(whole.ctypes.data + guard, mmap.PAGESIZE, 0) == 0
    start = mmap.PAGESIZE + (size - values.size if sys.argv[2] == "behind" else 0)
    copy = whole[start : start + values.size]
    copy[:] = values
    kept.append(room)
    return copy

with_border, make_field = pyramid.with_repeated_border, refine.make_field
pyramid.with_repeated_border = lambda pixels: guarded(with_border(pixels))

def make_guarded_field(canvas, photo):
    field = make_field(canvas, photo)
    return field._replace(flat=guarded(field.flat))

refine.make_field = candidate.make_field = make_guarded_field
if sys.argv[3] == "beyond":
    values = guarded(np.zeros(100, np.uint8))
    ctypes.string_at(values.ctypes.data + (values.size if sys.argv[2] == "behind" else -1), 1)
print(extend_small_pictures(), len(kept))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are protected by Linux's own call")
@pytest.mark.parametrize("side", ["before", "behind"])
def test_patches_are_read_inside_their_arrays(kernels, tmp_path, side):
    script = tmp_path / "guarded.py"
    script.write_text(PICTURES + GUARDED)

    def run(what: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, script, kernels, side, what]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    assert run("beyond").returncode < 0  # the guards are real: such a read ends the process
    answer = run("inside")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert int(answer.stdout.split()[1]) > 50


def test_kernels_share_their_way_of_compiling(kernels):
    """Every kernel frees the interpreter's lock, counts no references, and is kept in the folder of these sources."""
    modules = [
        importlib.import_module(module.name) for module in pkgutil.walk_packages(engine.__path__, "uncrop.engine.")
    ]
    found = {name: value for module in modules for name, value in vars(module).items() if isinstance(value, Dispatcher)}
    assert len(found) > 35
    for name, kernel in found.items():
        options = {option: kernel.targetoptions.get(option) for option in ("nogil", "_nrt", "nopython", "parallel")}
        assert options == {"nogil": True, "_nrt": False, "nopython": True, "parallel": None}, name
        assert Path(kernel._cache.cache_path).is_relative_to(kernels / fingerprint()), name
        assert not kernel.targetoptions.get("fastmath"), name
