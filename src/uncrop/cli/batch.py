"""`uncrop batch`: many photos in, many larger photos out; it goes on where it was ended."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from uncrop.cli import batch_options as own
from uncrop.cli import extend_options as options
from uncrop.cli.batch_progress import BatchProgress, outcome
from uncrop.cli.exits import (
    INTERRUPTED,
    PROVIDER_FAILED,
    REFUSED,
    WRONG_USE,
    code_of,
    explained,
    note,
    require_server,
    stop,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

    from uncrop.batch.plan import Wishes
    from uncrop.model import UncropRequest
    from uncrop.model.batches import Batch
    from uncrop.settings import Settings
    from uncrop.store.batches import Batches, Sums
    from uncrop.store.database import Store

ORGANIZATION = "org_batch"


def batch(
    sources: own.Sources,
    output_dir: own.OutputPlace,
    recursive: own.Recursive = False,
    left: options.Left = 0,
    right: options.Right = 0,
    up: options.Up = 0,
    down: options.Down = 0,
    aspect: options.Aspect = None,
    canvas: options.Canvas = None,
    zoom_out: options.ZoomOut = None,
    anchor: options.Anchor = None,
    output_size: options.OutputSize = None,
    output_format: options.OutputFormat = None,
    provider: options.Provider = "local",
    quality: options.Quality = None,
    seed: options.Seed = None,
    max_calls: options.MaxCalls = None,
    detail: options.Detail = None,
    prompt: options.Prompt = None,
    negative_prompt: options.NegativePrompt = None,
    jobs: own.AtOnce = None,
    max_usd: own.MaxUsd = None,
    retry_failed: own.RetryFailed = False,
    force: own.Force = False,
    dry_run: own.DryRun = False,
    organization: own.Organization = ORGANIZATION,
    as_json: own.AsJson = False,
) -> None:
    """Extend many photos; given again, the command goes on where it was ended."""
    asked = dict(locals())
    from uncrop.batch.plan import Wishes

    order = Order(
        sources=tuple(sources),
        place=_place(output_dir),
        recursive=recursive,
        defaults=_defaults(asked),
        wishes=Wishes(force=force, retry_failed=retry_failed, quote_all=dry_run),
        jobs=jobs,
        max_usd_micro=None if max_usd is None else int(max_usd * 1_000_000),
        organization=organization,
    )
    with explained({"provider": provider}), _problems_told():
        code = _run(order, dry_run=dry_run, as_json=as_json)
    if code:
        raise typer.Exit(code)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was typed.

    Attributes
    ----------
    place
        Where the pictures go: an absolute folder, or ``s3://bucket/prefix``.
    defaults
        What is asked for each photo where no table says otherwise.
    """

    sources: tuple[str, ...]
    place: str
    recursive: bool
    defaults: UncropRequest
    wishes: Wishes
    jobs: int | None
    max_usd_micro: int | None
    organization: str


def _place(text: str) -> str:
    if text.startswith("s3://"):
        return text.rstrip("/")
    if os.path.lexists(text) and not Path(text).is_dir():
        stop(f"--output-dir {text}: is a file, not a folder")
    return os.path.realpath(text)


def _defaults(asked: Mapping[str, Any]) -> UncropRequest:
    """Return what is asked for each photo where no table says otherwise, read as a table's row is."""
    from uncrop.batch.columns import GEOMETRY, OTHERS, BadValueError, request_of
    from uncrop.model import UncropRequest

    named = {name: asked[name.replace("-", "_")] for name in (*GEOMETRY, *OTHERS)}
    typed = {name: str(value) for name, value in named.items() if value is not None}
    try:
        return request_of(typed, UncropRequest(provider="local", image=b""))
    except BadValueError as error:
        stop(f"--{error.column} {typed[error.column]}: {error}")


@contextmanager
def _problems_told() -> Iterator[None]:
    """Tell each problem of the sources in a line of its own."""
    from uncrop.batch.sources import SourcesError

    try:
        yield
    except SourcesError as error:
        for problem in error.problems:
            note(problem)
        raise typer.Exit(WRONG_USE) from error


def _run(order: Order, *, dry_run: bool, as_json: bool) -> int:
    import asyncio

    from uncrop import settings
    from uncrop.cli.serve import loop_factory

    configured = settings.load()
    require_server()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        command = _Command(order=order, settings=configured, as_json=as_json)
        return runner.run(command.dry_run() if dry_run else command.run())


@dataclass(kw_only=True)
class _Command:
    """One run of the command."""

    order: Order
    settings: Settings
    as_json: bool

    async def dry_run(self) -> int:
        """Tell what would be made, by a plan in a database that is thrown away."""
        from uncrop.bootstrap import open_store_from
        from uncrop.store.database import open_store

        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="uncrop-"))
            store = await stack.enter_async_context(open_store_from(self.settings))
            url = f"sqlite+aiosqlite:///{folder}/plan.db"
            thrown_away = await stack.enter_async_context(open_store(url, pepper=bytes(32)))
            batch, _ = await self._begin(thrown_away)
            known = await store.batches.find(batch.id)
            resumed = known is not None and known.state != "ended"
            await self._plan(store, thrown_away.batches, batch, resumed=resumed)
            sums = await thrown_away.batches.sums(batch)
            self._tell_plan(sums, planned=True)
            return self._too_dear(sums, spent=known.usd_micro if known is not None and resumed else 0)

    async def run(self) -> int:
        """Plan the batch, make what is left of it, and report."""
        from uncrop.batch.sources import BUCKET
        from uncrop.bootstrap import open_store_from
        from uncrop.store.batch_lock import hold_batch
        from uncrop.store.batches import batch_id_of

        if not self.order.place.startswith(BUCKET):
            from uncrop.cli.outputs import make_folder

            make_folder(Path(self.order.place))
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store_from(self.settings))
            batch_id = batch_id_of(self.order.place)
            if not await stack.enter_async_context(hold_batch(self.settings.database, batch_id)):
                stop(f"--output-dir {self.order.place}: another uncrop batch makes pictures there")
            await self._stop_others(store, batch_id)
            batch, resumed = await self._begin(store)
            try:
                await self._plan(store, store.batches, batch, resumed=resumed)
            except BaseException:
                await store.batches.stop(batch.id)
                raise
            sums = await store.batches.sums(batch)
            if code := self._too_dear(sums, spent=batch.usd_micro):
                await store.batches.stop(batch.id)
                return code
            self._tell_plan(sums, planned=False)
            is_whole = True
            if sums.of("queued", "running"):
                is_whole = await self._make(batch)
            else:
                await store.batches.end(batch.id)
            return await self._report(store.batches, batch, is_whole=is_whole)

    async def _begin(self, store: Store) -> tuple[Batch, bool]:
        await store.organizations.ensure(self.order.organization, name="uncrop batch")
        return await store.batches.begin(self.order.place, self.order.organization)

    async def _stop_others(self, store: Store, own_id: str) -> None:
        """Leave alone what killed commands have left, where nobody but this one would work on it."""
        from uncrop.store.batch_lock import hold_batch, is_alone

        if not is_alone(self.settings.database):
            return
        for other in await store.batches.unfinished():
            if other.id == own_id:
                continue
            async with hold_batch(self.settings.database, other.id) as nobody_is_at_it:
                if nobody_is_at_it:
                    await store.batches.stop(other.id)
                    note(f"the batch into {other.place} was ended midway; its own command goes on with it")

    async def _plan(self, store: Store, written: Batches, batch: Batch, *, resumed: bool) -> None:
        from uncrop.batch.callers import caller_of
        from uncrop.batch.places import Places
        from uncrop.batch.plan import Planner
        from uncrop.batch.prices import Prices
        from uncrop.batch.sources import Sources, SourcesError
        from uncrop.bootstrap import closed_registry

        organization = await store.organizations.find(self.order.organization)
        keys = {} if organization is None else {"keys": (await caller_of(store, organization.id)).provider_keys}
        prices = Prices(
            registry=closed_registry(self.settings),
            auto=self.settings.auto_names,
            max_output_pixels=self.settings.max_output_pixels,
            **keys,
        )
        places = Places()
        sources = Sources(
            typed=self.order.sources,
            defaults=self.order.defaults,
            files_at=places.files_at,
            check=prices.check,
            output=self.order.place,
            recursive=self.order.recursive,
        )
        # What a table's rows say by themselves is looked at row by row.
        if any(not source.lower().endswith(".csv") for source in self.order.sources):
            prices.check(self.order.defaults)
        planner = Planner(
            known=store.batches,
            written=written,
            batch=batch,
            resumed=resumed,
            places=places,
            prices=prices,
            wishes=self.order.wishes,
        )
        await planner.plan(sources)
        for why, count in sorted(sources.ignored.items()):
            note(f"{count} files were passed over: {why}")
        if not (await written.sums(batch)).photos:
            raise SourcesError([f"{', '.join(self.order.sources)}: there is no photo"])
        if planner.gone:
            note(
                f"{planner.gone} pictures that were made and paid for are not there any more; --force makes them again"
            )
        if (failed := planner.before["failed"]) and not self.order.wishes.retry_failed:
            note(f"{failed} photos failed before; --retry-failed tries them again")

    def _too_dear(self, sums: Sums, *, spent: int) -> int:
        """Return an exit code if the plan takes more money than it may, once that is told."""
        most = self.order.max_usd_micro
        if most is None:
            return 0
        if sums.without_price:
            note(f"--max-usd: what {sums.without_price} photos cost is not known here; `uncrop providers` says why")
            return REFUSED
        planned = sums.usd_micro_planned + spent
        if planned > most:
            note(f"--max-usd {most / 1_000_000:g}: the plan takes {planned / 1_000_000:g} dollars; nothing was begun")
            return REFUSED
        return 0

    def _tell_plan(self, sums: Sums, *, planned: bool) -> None:
        from uncrop.batch.report import sums_of, usd

        left = sums.of("queued", "running")
        price = "free" if not sums.calls_planned else f"{sums.calls_planned} calls"
        if sums.calls_planned:
            known = f"{usd(sums.usd_micro_planned)} USD"
            price += (
                f", {known}"
                if not sums.without_price
                else f", {known} and {sums.without_price} photos of unknown price"
            )
        said = f"{sums.photos} photos: {left} to make ({price}), {outcome(replace(sums, states=_ended(sums)))}"
        if planned and self.as_json:
            told = {**sums_of(sums), "calls_planned": sums.calls_planned, "usd_planned": usd(sums.usd_micro_planned)}
            typer.echo(json.dumps({**told, "without_price": sums.without_price}))
        elif planned:
            typer.echo(said)
        else:
            note(said)

    async def _make(self, batch: Batch) -> bool:
        import asyncio

        from uncrop.batch.opening import open_batches
        from uncrop.batch.run import Run
        from uncrop.bootstrap import open_service
        from uncrop.cli.compiling import compile_once
        from uncrop.cli.serve import end_this_process
        from uncrop.server.logs import configure

        interrupted = asyncio.Event()
        with BatchProgress() as progress, _signals(interrupted):
            configure("console", "error" if self.settings.log_level == "error" else "warning")
            async with open_service(self.settings, serves=False) as service:
                await asyncio.to_thread(compile_once, self.settings)
                async with open_batches(service, at_once=self.order.jobs, lost=end_this_process) as opened:
                    run = Run(
                        batches=service.store.batches,
                        opened=opened,
                        batch=batch,
                        tell=progress.tell,
                        interrupted=interrupted,
                        max_usd_micro=self.order.max_usd_micro,
                    )
                    return await run.see_through()

    async def _report(self, batches: Batches, batch: Batch, *, is_whole: bool) -> int:
        from uncrop.batch.places import Places
        from uncrop.batch.report import CSV, Report, sums_of

        report = Report(batches=batches, files=Places().files_at(batch.place))
        try:
            sums = await report.write(batch)
        except OSError as error:
            stop(f"{batch.place}/{CSV}: cannot be written ({(error.strerror or '').lower()})")
        if self.as_json:
            typer.echo(json.dumps({"batch": batch.id, "place": batch.place, **sums_of(sums)}))
        else:
            typer.echo(f"{batch.place}: {outcome(sums)}; {CSV} tells of each")
        if sums.of("unknown"):
            note("photos in doubt are not sent again; `uncrop usage --unknown` lists their calls")
        if not is_whole:
            note("interrupted; the same command goes on with the rest")
            return INTERRUPTED
        return await _code(batches, batch, sums)


def _ended(sums: Sums) -> dict[Any, int]:
    return {state: count for state, count in sums.states.items() if state not in {"queued", "running"}}


async def _code(batches: Batches, batch: Batch, sums: Sums) -> int:
    """Return the exit code: of all that were not made, the gravest."""
    from uncrop.jobs.answers import error_from_text

    code = PROVIDER_FAILED if sums.of("unknown") else 0
    if sums.of("failed"):
        code = max([code, *(code_of(error_from_text(text)) for text in await batches.errors(batch))])
    return code


@contextmanager
def _signals(interrupted: asyncio.Event) -> Iterator[None]:
    """Within this, Ctrl-C and SIGTERM end the batch cleanly; a second one ends the process at once."""
    import asyncio

    loop = asyncio.get_running_loop()

    def end() -> None:
        if interrupted.is_set():
            os._exit(INTERRUPTED)
        interrupted.set()
        note("ending: calls that may be billed are seen through; Ctrl-C once more ends at once")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
