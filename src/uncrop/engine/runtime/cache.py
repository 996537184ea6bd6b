"""Where compiled kernels are kept, and whether they are there."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

_MARK = "complete"


def fingerprint() -> str:
    """Return a name for exactly these kernels: a hash of their sources, the sources' folder and the compiler.

    Numba notices a change in a kernel's own file, but not in a kernel that it calls; a folder for each fingerprint
    does. The sources' own folder is part of the hash because Numba compiles again for another copy of the same sources.
    """
    engine = Path(__file__).parent.parent
    digest = hashlib.sha256(f"{engine} {version('numba')} {version('llvmlite')} {version('numpy')}".encode())
    for source in [engine.parent / "kernels.py", *sorted(engine.rglob("*.py"))]:
        digest.update(source.relative_to(engine.parent).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:16]


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
    return (folder / fingerprint() / _MARK).is_file()


def mark_compiled() -> None:
    """Note in the cache folder, if one was given, that all kernels are there."""
    if given := _numba_config().CACHE_DIR:
        mark = Path(given) / _MARK
        if not mark.exists():  # the folder may be read-only, having been filled before
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
