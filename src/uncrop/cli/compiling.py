"""Compiling the engine once, with a line that says so."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from uncrop.settings import Settings


def compile_once(configured: Settings) -> None:
    """Compile the engine if this data folder has no kernels of this version yet."""
    from uncrop import engine

    if engine.is_compiled(configured.kernel_cache):
        return
    typer.echo("uncrop: compiling the engine for this data folder (once; about half a minute)", err=True)
    # In a process of its own: this one shall not carry the compiler's memory along.
    command = [sys.executable, "-m", "uncrop", "warm-up"]
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - nothing of it is anyone's input
    if done.returncode:
        typer.echo("uncrop: the engine could not be compiled ahead; its first picture will take longer", err=True)
