"""Kernels are kept where there is a place for them, and run where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import FunctionCache

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
