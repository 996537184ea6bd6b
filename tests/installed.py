"""Programs that tests need beside the locked packages: installed from locks into a folder of their own, once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = Path(__file__).resolve().parents[1] / ".venv-generators"


def run(*command: str | Path, cwd: Path, what: str | None = None, **options: Any) -> str:
    """Run a command; where it installs ``what`` and cannot, skip."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, **options)
    if done.returncode and what is not None:
        pytest.skip(f"{what} could not be installed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def installing(name: str, lock: Path) -> Iterator[Path | None]:
    """Give the folder in which to install what a lock names, or ``None`` if that is done; one process at a time."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stamp = TOOLS / name / "installed"
        if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
            yield None
            return
        shutil.rmtree(TOOLS / name, ignore_errors=True)
        (TOOLS / name).mkdir()
        yield TOOLS / name
        stamp.write_bytes(lock.read_bytes())


def npm_packages(name: str, folder: Path, *, what: str) -> Path:
    """Return ``node_modules`` with what a folder's ``package-lock.json`` names; skip where that cannot be had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node.js and npm are not installed; on Debian: apt-get install nodejs npm")
    with installing(name, folder / "package-lock.json") as empty:
        if empty is not None:
            for file in ("package.json", "package-lock.json"):
                shutil.copy(folder / file, empty)
            run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=empty, what=what)
    return TOOLS / name / "node_modules"
