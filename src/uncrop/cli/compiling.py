"""Compiling the engine once, with a line that says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from uncrop.cli.exits import note

if TYPE_CHECKING:
    from uncrop.settings import Settings


def compile_once(configured: Settings) -> None:
    """Compile the engine if this data folder has no kernels of this version yet."""
    import subprocess

    from uncrop import engine

    folder = configured.kernel_cache
    if engine.is_compiled(folder):
        return
    if reason := engine.why_not_kept(folder):
        note(not_kept(configured, reason))
        return
    note("compiling the engine for this data folder (once; about half a minute)")
    # In a process of its own: this one shall not carry the compiler's memory along.
    command = [sys.executable, "-m", "uncrop", "warm-up"]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - nothing of it is anyone's input
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()[-1:]
        unknown = "the engine could not be compiled ahead; its first picture will take longer"
        note(said[0].removeprefix("uncrop: ") if said and said[0].startswith("uncrop: ") else unknown)


def not_kept(configured: Settings, reason: str) -> str:
    """Say that the engine is compiled for nothing but one process, why, and what helps."""
    return (
        f"the compiled engine cannot be kept in {configured.kernel_cache} ({reason}), so every start compiles it anew "
        "(about half a minute); UNCROP_DATA_DIR names another folder"
    )
