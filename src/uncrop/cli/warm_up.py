"""`uncrop warm-up`: compiles what is compiled, so that no user waits for it."""

from __future__ import annotations

import time

import typer


def warm_up() -> None:
    """Compile the local engine and the PNG reader into their cache; takes a moment the first time only."""
    from uncrop import engine, settings
    from uncrop.cli.compiling import not_kept
    from uncrop.cli.exits import explained, stop
    from uncrop.imaging import png_read

    with explained():
        configured = settings.load()
    folder = configured.kernel_cache
    if not engine.is_compiled(folder) and (reason := engine.why_not_kept(folder)):
        stop(not_kept(configured, reason))
    started = time.perf_counter()
    engine.use_cache(folder)
    png_read.warm_up()
    if reason := engine.warm_up():
        stop(not_kept(configured, reason))
    typer.echo(f"engine ready in {time.perf_counter() - started:.1f} s; kernels in {folder}")
