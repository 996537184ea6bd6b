"""`uncrop warm-up`: compiles what is compiled, so that no user waits for it."""

from __future__ import annotations

import time

import typer


def warm_up() -> None:
    """Compile engine, codecs and finishing steps into their cache; takes a moment the first time only."""
    from uncrop import engine, settings
    from uncrop.cli.exits import explained, stop
    from uncrop.finish import pipeline
    from uncrop.imaging import codec

    with explained():
        configured = settings.load()
    try:
        configured.kernel_cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"UNCROP_DATA_DIR: {configured.kernel_cache} cannot be made ({(error.strerror or 'unknown').lower()})")
    started = time.perf_counter()
    engine.use_cache(configured.kernel_cache)
    codec.warm_up()
    pipeline.warm_up()
    engine.warm_up()
    typer.echo(f"engine ready in {time.perf_counter() - started:.1f} s; kernels in {configured.kernel_cache}")
