"""Importing the engine is light, and its kernels are kept where they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from places import read_only
from uncrop import engine
from uncrop.engine.runtime import cache


def python(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, capture_output=True, text=True
    ).stdout


def test_importing_loads_neither_numba_nor_numpy():
    code = "import sys, uncrop.engine; print([name for name in ('numba', 'numpy', 'llvmlite') if name in sys.modules])"
    assert python(code) == "[]\n"


def test_public_names():
    assert engine.__all__ == [
        "FAMILY",
        "PROCESS_BYTES",
        "Extension",
        "SharedCandidates",
        "extend",
        "family_seed",
        "is_compiled",
        "peak_bytes",
        "picture_bytes",
        "use_cache",
        "warm_up",
        "why_not_kept",
    ]


@pytest.fixture
def _restored_setting(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)


@pytest.mark.usefixtures("_restored_setting")
def test_cache_folder_is_named_by_the_sources(tmp_path):
    engine.use_cache(tmp_path)
    assert str(tmp_path / cache.fingerprint()) == numba.config.CACHE_DIR
    engine.use_cache(None)
    assert numba.config.CACHE_DIR == ""


@pytest.mark.usefixtures("_restored_setting")
def test_compiled_only_after_warming_up(tmp_path, monkeypatch):
    engine.use_cache(tmp_path)
    assert not engine.is_compiled(tmp_path)
    monkeypatch.setattr("uncrop.engine.runtime.warm_up.compile_all_kernels", lambda: None)
    engine.warm_up()
    assert engine.is_compiled(tmp_path)
    monkeypatch.setattr(Path, "touch", None)  # a folder that was filled before may be read-only now
    engine.warm_up()
    monkeypatch.setattr("uncrop.engine.runtime.cache.fingerprint", lambda: "another")
    assert not engine.is_compiled(tmp_path)


@pytest.mark.usefixtures("_restored_setting")
def test_warming_up_without_a_folder_marks_none(monkeypatch, tmp_path):
    engine.use_cache(None)
    monkeypatch.setattr("uncrop.engine.runtime.warm_up.compile_all_kernels", lambda: None)
    monkeypatch.chdir(tmp_path)
    engine.warm_up()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_restored_setting")
def test_what_was_not_kept_is_not_taken_for_compiled(tmp_path, monkeypatch):
    engine.use_cache(tmp_path)
    monkeypatch.setattr("uncrop.engine.runtime.warm_up.compile_all_kernels", lambda: None)
    monkeypatch.setattr("uncrop.kernels.KernelCache.failure", OSError(28, "No space left on device"))
    assert engine.warm_up() == "no space left on device"
    assert not engine.is_compiled(tmp_path)


@pytest.mark.usefixtures("_restored_setting")
def test_a_mark_that_cannot_be_set_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    engine.use_cache(tmp_path / "file")
    monkeypatch.setattr("uncrop.engine.runtime.warm_up.compile_all_kernels", lambda: None)
    assert engine.warm_up() == "not a directory"
    assert not engine.is_compiled(tmp_path / "file")


def test_whether_kernels_can_be_kept_is_tried(tmp_path, monkeypatch):
    assert engine.why_not_kept(tmp_path / "new" / "folder") is None
    assert [*(tmp_path / "new" / "folder" / cache.fingerprint()).iterdir()] == []
    (tmp_path / "file").touch()
    assert engine.why_not_kept(tmp_path / "file" / "kernels") == "not a directory"

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert engine.why_not_kept(tmp_path) == "no space left on device"


def test_a_read_only_folder_is_told(tmp_path):
    code = f"from pathlib import Path; from uncrop import engine; print(engine.why_not_kept(Path({str(tmp_path)!r})))"
    command = read_only(tmp_path, [sys.executable, "-c", code])
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout in {
        "read-only file system\n",
        "permission denied\n",
    }


@pytest.mark.parametrize(("setting", "value"), [("CPU_NAME", "another"), ("CPU_FEATURES", "+none")])
def test_fingerprint_follows_the_processor(monkeypatch, setting, value):
    before = cache.fingerprint()
    monkeypatch.setattr(numba.config, setting, value)
    assert cache.fingerprint() != before


def test_fingerprint_follows_the_version_of_python(monkeypatch):
    before = cache.fingerprint()
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert cache.fingerprint() != before


@pytest.mark.parametrize("changed", ["vote.py", "engine/pipeline.py", "uncrop/kernels.py", "detail/plane_kernels.py"])
def test_fingerprint_follows_the_sources(monkeypatch, changed):
    before = cache.fingerprint()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: read(self) + b"#" * self.as_posix().endswith(changed))
    assert cache.fingerprint() != before


def test_kernels_from_the_folder_need_no_compiler(kernels):
    """What Numba knows about compiling is loaded for compiling alone; it takes longer than all kernels together."""
    code = f"""
import sys
from pathlib import Path
import numpy as np
from uncrop import engine
from uncrop.model import Sides
engine.use_cache(Path({str(kernels)!r}))
image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
engine.extend(image, Sides(left=70), seed=1, quality="standard")
from numba.core.runtime import rtsys
print("numba.cpython.setobj" in sys.modules, rtsys._init)
"""
    python(code)  # compiles what is missing
    assert python(code) == "False False\n"


def test_another_copy_of_the_sources_is_not_taken_for_compiled(monkeypatch, tmp_path):
    before = cache.fingerprint()
    package = Path(cache.__file__).parents[2]
    shutil.copytree(package / "engine", tmp_path / "engine")
    shutil.copy(package / "kernels.py", tmp_path)
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "engine" / "runtime" / "cache.py"))
    assert cache.fingerprint() != before


@pytest.mark.slow
def test_nothing_compiles_after_warming_up(tmp_path):
    code = f"""
from pathlib import Path
import numpy as np
from uncrop import engine
from uncrop.model import Sides
folder = Path({str(tmp_path)!r})
engine.use_cache(folder)
engine.warm_up()
count = lambda: sum(1 for path in folder.rglob("*.nbc"))
before = count()
rng = np.random.default_rng(0)
for channels in (1, 2, 3, 4):
    for dtype in (np.uint8, np.uint16):
        for quality in ("fast", "standard", "best"):
            image = rng.integers(200, np.iinfo(dtype).max, (70, 300, channels), dtype=dtype)
            image[:9, :9, -1] = 0
            image.flags.writeable = quality != "fast"
            engine.extend(image, Sides(left=150, up=30), seed=1, quality=quality)
print(before == count(), before > 10)
"""
    assert python(code) == "True True\n"
