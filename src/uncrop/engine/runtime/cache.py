"""Where compiled kernels are kept, whether they are there, and whether they can be kept.

The folder saves time and is no duty: where it cannot be written to, the kernels that are in it are used, and those that
are missing are compiled by every process for itself.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

_MARK = "complete"


def fingerprint() -> str:
    """Return a name for exactly these kernels: a hash of their sources, the sources' folder, compiler and processor.

    Numba notices a change in a kernel's own file, but not in a kernel that it calls; a folder for each fingerprint
    does. The sources' own folder is part of the hash because Numba compiles again for another copy of the same sources,
    as it does for another processor or another version of Python.
    """
    engine = Path(__file__).parent.parent
    made_by = [sys.implementation.cache_tag, *(version(name) for name in ("numba", "llvmlite", "numpy"))]
    digest = hashlib.sha256(os.fsencode(engine) + " ".join(["", *made_by, *_processor()]).encode())
    # Outside the engine, files with kernels that others call are named so.
    for source in sorted({*engine.rglob("*.py"), *engine.parent.rglob("*kernels.py")}):
        digest.update(source.relative_to(engine.parent).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> tuple[str, str]:
    """Return the name and the abilities of the processor that Numba compiles for, as it does."""
    from numba.core import codegen

    made_for: Any = codegen
    config = _numba_config()
    name = made_for.ll.get_host_cpu_name() if config.CPU_NAME is None else config.CPU_NAME
    return name, made_for.get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES


def _numba_config() -> Any:
    """Return Numba's configuration. Loading Numba takes a while, so it is not done at import."""
    import numba

    return numba.config


def use_cache(folder: Path | None) -> None:
    """Keep compiled kernels in a folder below ``folder``; to be called before the first use of the engine.

    ``None`` leaves the choice to Numba: beside the sources, or in the user's own cache folder.
    """
    _numba_config().CACHE_DIR = "" if folder is None else str(folder / fingerprint())


def is_compiled(folder: Path) -> bool:
    """Tell whether ``warm_up`` has finished, for exactly these sources, after ``use_cache(folder)``."""
    return os.access(folder / fingerprint() / _MARK, os.R_OK)


def why_not_kept(folder: Path) -> str | None:
    """Try whether compiled kernels can be kept below ``folder``, and return why not; None when they can."""
    from uncrop.kernels import check_room

    place = folder / fingerprint()
    try:
        check_room(place)
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        return (error.strerror or "unknown reason").lower()
    return None


def mark_compiled() -> str | None:
    """Note in the cache folder, if one was given, that all kernels are there.

    Returns
    -------
    str or None
        Why a kernel, or the note, could not be kept.
    """
    from uncrop.kernels import KernelCache

    if KernelCache.failure is not None:
        return (KernelCache.failure.strerror or "unknown reason").lower()
    given = _numba_config().CACHE_DIR
    if not given or os.access(mark := Path(given) / _MARK, os.R_OK):
        return None
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        return (error.strerror or "unknown reason").lower()
    return None
