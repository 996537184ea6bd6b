"""`uncrop jobs`: look at the jobs in the database, fetch their pictures, cancel them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.exits import REFUSED, code_of, stop
from uncrop.cli.outputs import prepare_output
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from datetime import datetime

    from uncrop.model.jobs import BackgroundJob
    from uncrop.store.database import Store

app = typer.Typer(help="Look at jobs, fetch their pictures, cancel them.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as `uncrop jobs list` shows it.")]


@app.command("list", cls=RowsCommand)
def list_jobs(
    organization: Annotated[str | None, typer.Option(metavar="org_…", help="Only those of one organization.")] = None,
    state: Annotated[
        str | None,
        typer.Option(help="Only those that are queued, running, done, failed, cancelled or unknown."),
    ] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 100,
) -> None:
    """List jobs, newest first."""
    from uncrop.model.jobs import JOB_STATES

    wanted = next((known for known in JOB_STATES if known == state), None)
    if state is not None and wanted is None:
        stop(f"--state {state}: must be one of {', '.join(JOB_STATES)}")
    found = with_store(lambda store: store.jobs.page(organization, most=most, state=wanted))
    headings = ("ID", "ORGANIZATION", "PROVIDER", "STATE", "CALLS", "CREATED", "ENDED", "EXPIRES")
    show_table(headings, (_row(job) for job in found))


@app.command(cls=RowsCommand)
def show(job_id: JobId) -> None:
    """Print what is known of a job, as JSON."""
    import json

    from uncrop.server.jobs_wire import job_json

    typer.echo(json.dumps(job_json(with_store(lambda store: _job(store, job_id))), indent=2))


@app.command(cls=RowsCommand)
def result(
    job_id: JobId,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - is standard output.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a job's picture to a file."""
    import asyncio

    from uncrop import settings
    from uncrop.errors import InternalError, ServerBusy, UncropError
    from uncrop.jobs.answers import error_from_text, unpack
    from uncrop.jobs.files import KIND, JobFiles, earlier_folder_of, result_name
    from uncrop.objects.objects import Objects

    target = prepare_output(output, force=force)
    job = with_store(lambda store: _job(store, job_id))
    if job.error is not None:
        error: UncropError = error_from_text(job.error)
        stop(f"{job_id}: there is no picture ({error.message})", code_of(error))
    if job.result_bytes is None:
        stop(f"{job_id}: there is no picture (the job is {job.state})", REFUSED)
    configured = settings.load()
    files = JobFiles(Objects(configured.objects_place(KIND)), earlier_folder_of(configured.data_dir))
    try:
        data = asyncio.run(files.read(job.id, result_name(job.attempt)))
    except (InternalError, ServerBusy):
        stop(f"{job_id}: its picture lies where this machine does not see it, or cannot be read")
    target.write(unpack(data).body)


@app.command(cls=RowsCommand)
def cancel(job_id: JobId) -> None:
    """End a job; one that may have sent a billed call is seen through."""
    from datetime import timedelta

    from uncrop import settings
    from uncrop.jobs.opening import announcing, open_adding
    from uncrop.ledger.job_holds import giving_back
    from uncrop.ledger.ledger import Ledger
    from uncrop.store.jobs import in_turn

    configured = settings.load()
    keep = timedelta(hours=configured.job_result_hours)

    async def work(store: Store) -> BackgroundJob:
        job = await _job(store, job_id)
        async with open_adding(configured) as adding:
            also = in_turn((giving_back(Ledger(store.books), job_id), announcing(store, adding, job_id)))
            return await store.jobs.cancel(job.organization_id, job_id, keep=keep, also=also) or job

    job = with_store(work)
    typer.echo(f"{job_id} is {'asked to end' if job.is_open else job.state}")


async def _job(store: Store, job_id: str) -> BackgroundJob:
    job = await store.jobs.look_up(job_id)
    if job is None:
        stop(f"{job_id}: there is no such job", REFUSED)
    return job


def _row(job: BackgroundJob) -> tuple[str, ...]:
    return (
        job.id,
        job.organization_id,
        job.provider,
        job.state,
        str(job.calls_sent),
        _second(job.created_at),
        _second(job.ended_at),
        _second(job.expires_at),
    )


def _second(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
