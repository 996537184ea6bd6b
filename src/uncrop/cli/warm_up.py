"""`uncrop warm-up`: compiles what is compiled, so that no user waits for it."""

from __future__ import annotations

import time

import typer


def warm_up() -> None:
    """Compile engine, codecs and finishing steps into their cache; takes a moment the first time only."""
    from uncrop import engine, settings
    from uncrop.cli.compiling import not_kept
    from uncrop.cli.exits import explained, stop
    from uncrop.finish import pipeline
    from uncrop.imaging import codec

    with explained():
        configured = settings.load()
    folder = configured.kernel_cache
    if not engine.is_compiled(folder) and (reason := engine.why_not_kept(folder)):
        stop(not_kept(configured, reason))
    started = time.perf_counter()
    engine.use_cache(folder)
    codec.warm_up()
    pipeline.warm_up()
    if reason := engine.warm_up():
        stop(not_kept(configured, reason))
    typer.echo(f"engine ready in {time.perf_counter() - started:.1f} s; kernels in {folder}")
