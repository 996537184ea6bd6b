"""Kernels are kept where there is a place for them, and run where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.caching import FunctionCache

from places import read_only
from uncrop import kernels

DECORATORS = [kernels.kernel, kernels.inlined, kernels.allocating]


def twice(values: Any) -> Any:
    return 2 * values[0]


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_kernel_runs_where_no_folder_can_keep_it(decorator: Any) -> None:
    scope: dict[str, Any] = {}
    exec("def thrice(values):\n    return 3 * values[0]", scope)  # of no file: Numba finds no place for its cache
    with pytest.raises(RuntimeError, match="cannot cache function"):
        FunctionCache(scope["thrice"])
    compiled = decorator(scope["thrice"])
    assert compiled(np.array([4])) == 12
    assert len(compiled.signatures) == 1


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_kernel_frees_the_interpreters_lock_and_is_kept(decorator: Any) -> None:
    compiled = decorator(twice)
    assert compiled.targetoptions["nogil"] is True
    assert isinstance(compiled._cache, FunctionCache)


def test_only_what_allocates_counts_references() -> None:
    assert [decorator(twice).targetoptions.get("_nrt", True) for decorator in DECORATORS] == [False, False, True]
    assert [isinstance(decorator(twice)._cache, kernels.ReadyCache) for decorator in DECORATORS] == [True, True, False]


MODULE = """
import numpy as np
from uncrop.kernels import allocating, kernel

@kernel
def last(values):
    return values[-1]

@allocating
def zeros(count):
    return np.zeros(count)

print(last(np.arange(3)), zeros(2).size, sum(len(f.stats.cache_hits) for f in (last, zeros)))
"""


def test_the_next_process_takes_both_kinds_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.py"
    script.write_text(MODULE)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    answers = [
        subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout for _ in range(2)
    ]
    assert answers == ["2 2 0\n", "2 2 2\n"]


def run(script: Path) -> str:
    return subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "script.py"
    path.write_text(MODULE)
    (tmp_path / "kernels").mkdir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    return path


def test_kernels_that_somebody_else_kept_are_used_where_nothing_can_be_written(script: Path, tmp_path: Path) -> None:
    run(script)
    command = read_only(tmp_path / "kernels", [sys.executable, str(script)])
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "2 2 2\n"


def test_an_empty_folder_that_cannot_be_written_to_is_no_hindrance(script: Path, tmp_path: Path) -> None:
    command = read_only(tmp_path / "kernels", [sys.executable, str(script)])
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2 2 0\n", "")


@pytest.mark.parametrize("ending", [pytest.param("nbi", marks=pytest.mark.slow), "nbc"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:40],
        pytest.param(lambda data: b"", marks=pytest.mark.slow),
        pytest.param(lambda data: b"\xff" * len(data), marks=pytest.mark.slow),
    ],
)
def test_files_that_were_damaged_are_made_anew(script: Path, tmp_path: Path, ending: str, harm: Any) -> None:
    run(script)
    for path in (tmp_path / "kernels").rglob(f"*.{ending}"):
        path.write_bytes(harm(path.read_bytes()))
    assert [run(script), run(script)] == ["2 2 0\n", "2 2 2\n"]


@pytest.mark.parametrize("decorator", DECORATORS)
def test_why_a_kernel_was_not_kept_is_noted(decorator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "kernels"))
    monkeypatch.setattr(kernels.KernelCache, "failure", None)
    compiled = decorator(twice)
    assert compiled(np.array([4])) == 8
    assert isinstance(kernels.KernelCache.failure, NotADirectoryError)


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_full_disk_keeps_no_kernel_from_running(
    decorator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernels.KernelCache, "failure", None)
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert decorator(twice)(np.array([4])) == 8
    assert kernels.KernelCache.failure is not None
    assert kernels.KernelCache.failure.errno == 28


def test_the_last_room_on_a_disk_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(kernels.KernelCache, "failure", None)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=10**9, free=7_999_999))
    assert kernels.kernel(twice)(np.array([4])) == 8
    assert kernels.KernelCache.failure is not None
    assert kernels.KernelCache.failure.errno == 28
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=0, free=0))  # it is not told
    monkeypatch.setattr(kernels.KernelCache, "failure", None)
    kernels.kernel(twice)(np.array([4]))
    assert kernels.KernelCache.failure is None
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
