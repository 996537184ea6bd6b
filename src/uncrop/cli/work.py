"""`uncrop work`: a worker for jobs or batches, without HTTP."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.compiling import compile_once
from uncrop.cli.exits import explained, note, require_server, stop
from uncrop.cli.serve import end_this_process, loop_factory
from uncrop.cli.unkept import unkept_jobs_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from uncrop.service.service import Service
    from uncrop.settings import Settings

JOBS, BULK = "jobs", "bulk"


def work(
    queue: Annotated[str, typer.Option(help="jobs: pictures that callers wait for; bulk: photos of batches.")] = JOBS,
    at_once: Annotated[
        int | None, typer.Option("--jobs", min=1, max=256, help="Of bulk: photos worked on at once.")
    ] = None,
) -> None:
    """Work on jobs or batches until stopped: beside servers of the same database, on any machine that has its files."""
    import asyncio

    if queue not in {JOBS, BULK}:
        stop(f"--queue {queue}: must be {JOBS} or {BULK}")
    if at_once is not None and queue != BULK:
        stop(f"--jobs goes with --queue {BULK}; UNCROP_JOBS_AT_ONCE says it of {JOBS}")
    with explained():
        from uncrop import settings

        configured = settings.load()
        require_server()
        for line in settings.slip_lines(configured):
            note(line)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_work(configured, queue, at_once))


async def _work(configured: Settings, queue: str, at_once: int | None) -> None:
    import asyncio

    from uncrop.bootstrap import open_service
    from uncrop.server.logs import configure_logs

    configure_logs(configured)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_service(configured, serves=False) as service:
        await asyncio.to_thread(compile_once, configured)
        if queue == JOBS and (line := unkept_jobs_line(configured)):
            note(line)
        async with _working(service, queue, at_once):
            note(f"working on {'batches' if queue == BULK else 'jobs'}")
            await stopped.wait()


@asynccontextmanager
async def _working(service: Service, queue: str, at_once: int | None) -> AsyncIterator[None]:
    if queue == BULK:
        from uncrop.batch.opening import open_batches

        async with open_batches(service, at_once=at_once, lost=end_this_process):
            yield
        return
    from uncrop.jobs.opening import open_jobs
    from uncrop.server.jobs_wire import render

    async with open_jobs(service, render, lost=end_this_process):
        yield
