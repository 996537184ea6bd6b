"""The composition root: what is built from the settings, and who opens and closes it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from anyio.from_thread import start_blocking_portal

from uncrop import engine
from uncrop import settings as configuration
from uncrop.admission.admission import Admission
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.fair_queue import FairQueue
from uncrop.capacity.pixel_memory import PixelMemory
from uncrop.capacity.slots import Slots
from uncrop.errors import ProviderNotConfigured, SettingsError, UncropError
from uncrop.providers.maker import MakerContext
from uncrop.providers.registry import Registry
from uncrop.providers.transport.sender import Sender, open_client
from uncrop.telemetry.spans import UNTRACED
from uncrop.uncropper import Uncropper
from uncrop.workers.decoding.decoder import INLINE
from uncrop.workers.engine_runner import EngineRunner, InlineRunner, ProcessRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from uncrop.admission.idempotency import Idempotency
    from uncrop.admission.window import WindowStorage
    from uncrop.ledger.ledger import Ledger
    from uncrop.model import Pixels, Progress, Sides, UncropRequest, UncropResult
    from uncrop.service.pictures import MadePictures, Pictures
    from uncrop.service.provider_list import ProviderEntry
    from uncrop.service.quote import Quote
    from uncrop.service.service import Service
    from uncrop.settings import Settings
    from uncrop.store.copying import CopiedTable
    from uncrop.store.database import Store
    from uncrop.store.pepper import Peppers
    from uncrop.telemetry.spans import Tracer
    from uncrop.workers.decoding.decoder import Decoder
    from uncrop.workers.decoding.sandboxed import SandboxedDecoder
    from uncrop.workers.engine_runner import WarmRunner
    from uncrop.workers.ray.runner import RayRunner
    from uncrop.workers.ray.trial import NodeTrial

# For how long the database is waited for when somebody else holds what is needed. Requests are many, and better told
# soon; a command is alone, and better patient.
REQUESTS_LOCK_TIMEOUT_MS = 1000
COMMANDS_LOCK_TIMEOUT_MS = 5000
Here = TypeVar("Here", InlineRunner, ProcessRunner)


@asynccontextmanager
async def open_uncropper(settings: Settings | None = None) -> AsyncIterator[Uncropper]:
    """Open an ``Uncropper`` without database, keys or limits, for one's own program.

    Parameters
    ----------
    settings
        Read from the environment when absent.

    Raises
    ------
    SettingsError
        With a line for each mistake in the environment.
    """
    async with _open_alone(settings or configuration.load()) as (uncropper, _registry):
        yield uncropper


@asynccontextmanager
async def _open_pictures(settings: Settings) -> AsyncIterator[Pictures]:
    """Open what makes pictures for one's own program, by ``auto`` too."""
    from uncrop.service.durations import Durations
    from uncrop.service.pictures import Pictures

    # One picture at a time on this machine, so that each finds what the one before it has kept for it.
    at_once = settings.engine_at_once if settings.engine == "ray" else 1
    async with _open_alone(settings, engine_places=FairQueue(at_once)) as (uncropper, registry):
        yield Pictures(
            uncropper=uncropper,
            registry=registry,
            auto=settings.auto_names,
            durations=Durations(),
            max_output_pixels=settings.max_output_pixels,
        )


@asynccontextmanager
async def _open_alone(
    settings: Settings, *, engine_places: FairQueue | None = None
) -> AsyncIterator[tuple[Uncropper, Registry]]:
    async with _open_engine(settings, InlineRunner) as runner, _registry(settings, runner) as registry:
        capacity = Capacity(slots=Slots(settings.max_running, settings.max_waiting), engine=engine_places)
        yield _uncropper(settings, registry, capacity, Admission(capacity=capacity)), registry


def extend_once(request: UncropRequest, settings: Settings, *, progress: Progress | None = None) -> UncropResult:
    """Make one picture as ``make_once`` does."""
    return make_once(request, settings, progress=progress).pictures[0].result


def make_once(request: UncropRequest, settings: Settings, *, progress: Progress | None = None) -> MadePictures:
    """Open what makes pictures, make those of one request, close it again; blocks, in a notebook's event loop too.

    An interrupt (Ctrl-C) ends the work at its next step.
    """
    from uncrop.service.pictures import Work

    async def run() -> MadePictures:
        async with _open_pictures(settings) as pictures:
            return await pictures.make(
                request, Work(progress_of=None if progress is None else lambda _number: progress)
            )

    # In a thread of its own, since a notebook's thread has a loop running already.
    with start_blocking_portal() as portal:
        return portal.call(run)


@asynccontextmanager
async def open_service(
    settings: Settings, *, decoder: Decoder | None = None, serves: bool = True
) -> AsyncIterator[Service]:
    """Open everything that a server needs: database, keys, limits, providers, the engine's workers, decoders.

    Parameters
    ----------
    settings, decoder
        Whatever can be chosen; what decodes the files of strangers, by default a process for each.
    serves
        Whether it takes requests; one that only works on jobs may stand beside any server.

    Raises
    ------
    SettingsError
        With a line for each setting that cannot work, such as a database that does not answer or an unknown proxy.
    """
    from uncrop.admission.callers import Authenticator
    from uncrop.admission.rate_limits import RateLimiter
    from uncrop.ledger.ledger import Ledger
    from uncrop.ledger.sweep import abandoned_after, open_sweep
    from uncrop.service.service import Service

    settings.check_network()
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(_open_processes(settings))
        window = await stack.enter_async_context(_open_window(settings))
        if serves:
            await stack.enter_async_context(_registered(settings, counts_together=window is not None))
        store = await stack.enter_async_context(open_store_from(settings, lock_timeout_ms=REQUESTS_LOCK_TIMEOUT_MS))
        tracer = await stack.enter_async_context(_open_tracer(settings))
        if decoder is None:
            sandboxed = _sandboxed_decoder(settings)
            decoder = INLINE if sandboxed is None else stack.enter_context(sandboxed)
        registry = await stack.enter_async_context(_registry(settings, runner, tracer, decoder))
        capacity = Capacity(
            slots=Slots(settings.max_running, settings.max_waiting),
            memory=PixelMemory(settings.max_pixel_bytes, refuses=settings.max_pixel_megabytes is not None),
            engine=FairQueue(settings.engine_at_once + 1),
        )
        rates = RateLimiter(settings.rate_limit_per_minute, window=window)
        ledger = Ledger(store.books, default_pictures_per_day=settings.usage_limit_per_day)
        await stack.enter_async_context(open_sweep(ledger, older_than=abandoned_after(settings.provider_timeout_s)))
        admission = Admission(capacity=capacity, ledger=ledger, rates=rates)
        stack.push_async_callback(admission.drain)
        idempotency = _open_idempotency(settings, store, ledger, alone=window is None)
        yield Service(
            settings=settings,
            uncropper=_uncropper(settings, registry, capacity, admission, tracer, decoder),
            authenticator=Authenticator(store.keys, store.provider_keys),
            rates=rates,
            store=store,
            registry=registry,
            capacity=capacity,
            ledger=ledger,
            runner=runner,
            decoder=decoder,
            tracer=tracer,
            idempotency=await stack.enter_async_context(idempotency),
        )


@asynccontextmanager
async def _open_engine(settings: Settings, here: Callable[..., Here]) -> AsyncIterator[Here | RayRunner]:
    """Open what runs the local engine: what ``here`` returns, or on a cluster, where the settings say so."""
    if settings.engine == "ray":
        async with _open_ray(settings) as there:
            yield there
    else:
        yield here(cache=settings.kernel_cache, deadline_s=settings.provider_timeout_s)


def _open_processes(settings: Settings) -> AbstractAsyncContextManager[WarmRunner]:
    return _open_engine(settings, partial(ProcessRunner, workers=settings.engine_workers))


def _open_ray(settings: Settings) -> AbstractAsyncContextManager[RayRunner]:
    if find_spec("ray") is None:
        raise SettingsError(["UNCROP_ENGINE: Ray needs a package that comes with uncrop[ray]"])
    from uncrop.workers.ray.runner import Cluster, open_ray_runner

    host, port = settings.ray_head
    cluster = Cluster(host=host, port=port, cpus=settings.ray_cpus_per_picture)
    return open_ray_runner(cluster, cache=settings.kernel_cache, deadline_s=settings.provider_timeout_s)


def try_ray_nodes(settings: Settings, photo: Pixels, sides: Sides, *, seed: int) -> list[NodeTrial]:
    """Let every node of the Ray cluster tell what it has, and extend a photo; blocks.

    Raises
    ------
    SettingsError
        Ray is not installed.
    ProviderUnavailable
        The cluster is away.
    """
    from uncrop.workers.ray.trial import try_nodes

    async def look() -> list[NodeTrial]:
        async with _open_ray(settings) as runner:
            return await try_nodes(runner, photo, sides, seed=seed)

    return asyncio.run(look())


@asynccontextmanager
async def _open_idempotency(
    settings: Settings, store: Store, ledger: Ledger, *, alone: bool
) -> AsyncIterator[Idempotency]:
    """Open what keeps answers and finds them again; ``alone`` where no other server is on the database."""
    from uncrop.admission.idempotency import Idempotency
    from uncrop.admission.upkeep import open_upkeep
    from uncrop.objects.objects import Objects

    idempotency = Idempotency(store.keyed_requests, Objects(settings.objects_place("answers")), ledger)
    try:
        if alone:
            await idempotency.begin_alone()
        async with open_upkeep(idempotency):
            yield idempotency
    finally:
        await idempotency.drain()


@asynccontextmanager
async def _open_window(settings: Settings) -> AsyncIterator[WindowStorage | None]:
    """Open what counts rate limits together with other servers, where the settings say where."""
    if settings.redis_url is None:
        yield None
        return
    try:
        from uncrop.admission.redis_hits import open_shared_window
    except ModuleNotFoundError as error:
        raise SettingsError(["UNCROP_REDIS_URL: Redis needs a package that comes with uncrop[redis]"]) from error
    async with open_shared_window(settings.redis_url.get_secret_value()) as window:
        yield window


def check_redis(settings: Settings) -> None:
    """See whether rate limits can be counted in the Redis that the settings name; blocks.

    Raises
    ------
    SettingsError
        They cannot.
    """

    async def look() -> None:
        async with _open_window(settings):
            pass

    asyncio.run(look())


def _registered(settings: Settings, *, counts_together: bool) -> AbstractAsyncContextManager[None]:
    """Let no server start beside one that it does not go with."""
    from uncrop.store.server_lock import register_server

    variable = _database_variable(settings)
    return register_server(settings.database, variable=variable, counts_together=counts_together)


@asynccontextmanager
async def _open_tracer(settings: Settings) -> AsyncIterator[Tracer]:
    """Open what records spans, where the settings say where to."""
    if not settings.otlp_endpoint:
        yield UNTRACED
        return
    try:
        from uncrop.telemetry.otel import open_tracer
    except ModuleNotFoundError as error:
        raise SettingsError(["UNCROP_OTLP_ENDPOINT: traces need packages that come with uncrop[otel]"]) from error
    async with open_tracer(settings.otlp_endpoint) as tracer:
        yield tracer


def list_providers(settings: Settings) -> list[ProviderEntry]:
    """Return what can be told about the providers, without opening anything."""
    from uncrop.service.provider_list import entries_of

    return entries_of(closed_registry(settings))


def quote_once(request: UncropRequest, settings: Settings) -> tuple[Quote, ...]:
    """Return what a picture would take, of the named provider or of all, without opening anything.

    Raises
    ------
    InvalidRequest
        Nobody could make what is asked.
    """
    from uncrop.service.durations import Durations
    from uncrop.service.quote import QuoteRequest, makers_for, quote

    makers = makers_for(request.provider, closed_registry(settings), settings.auto_names)
    return quote(
        QuoteRequest(request=request),
        makers,
        durations=Durations(),
        max_output_pixels=settings.max_output_pixels,
    )


def closed_registry(settings: Settings) -> Registry:
    """Return the makers of a program that asks about them and calls none."""
    runner = InlineRunner(cache=settings.kernel_cache, deadline_s=settings.provider_timeout_s)
    context = MakerContext(send=Sender(), engine=runner, timeout_s=settings.provider_timeout_s)
    return Registry(settings.rows, settings.providers, context)


def examine_providers(settings: Settings) -> dict[str, tuple[str, ...] | UncropError]:
    """Ask the configured providers that can be asked for nothing whether their servers have all that is needed.

    Blocks.

    Returns
    -------
    dict
        By name: a line for each thing that is missing, or why the server did not tell.
    """
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> dict[str, tuple[str, ...] | UncropError]:
    found: dict[str, tuple[str, ...] | UncropError] = {}
    runner = InlineRunner(cache=settings.kernel_cache, deadline_s=settings.provider_timeout_s)
    async with _open_registry(settings, runner) as registry:
        for name in registry.names():
            try:
                missing = await registry.get(name).examine()
            except ProviderNotConfigured:
                continue
            except UncropError as error:
                found[name] = error
                continue
            if missing is not None:
                found[name] = missing
    return found


def open_store_from(
    settings: Settings, *, lock_timeout_ms: int = COMMANDS_LOCK_TIMEOUT_MS
) -> AbstractAsyncContextManager[Store]:
    """Open the database that the settings name, with the pepper of its keys."""
    from uncrop.store.database import open_store

    return open_store(
        settings.database,
        pepper=_peppers(settings),
        encryption_keys=settings.encryption_keys,
        variable=_database_variable(settings),
        lock_timeout_ms=lock_timeout_ms,
    )


async def upgrade_database_of(settings: Settings) -> tuple[str | None, str | None]:
    """Bring the tables of the settings' database up to date; return their revisions before and after."""
    from uncrop.store.database import upgrade_database

    return await upgrade_database(settings.database, pepper=_peppers(settings), variable=_database_variable(settings))


async def copy_database_of(settings: Settings, target: str, tell: Callable[[CopiedTable], None]) -> list[str]:
    """Copy the settings' database to an empty one, as ``uncrop.store.copying.copy_store`` does."""
    from uncrop.store.copying import copy_store

    await upgrade_database_of(settings)
    return await copy_store(settings.database, target, variable=_database_variable(settings), tell=tell)


def _peppers(settings: Settings) -> Peppers:
    from uncrop.store.pepper import load_peppers

    present, previous = (
        None if value is None else value.get_secret_value()
        for value in (settings.key_pepper, settings.key_pepper_previous)
    )
    return load_peppers(settings.data_dir, present, previous)


def _database_variable(settings: Settings) -> str:
    return "UNCROP_DATABASE_URL" if settings.database_url else "UNCROP_DATA_DIR"


def probe_decoders(settings: Settings) -> str:
    """Start what a server decodes files in, and return a line about what is not enforced there; empty when all is.

    Blocks.

    Raises
    ------
    ServerBusy
        It cannot be started.
    """
    sandboxed = _sandboxed_decoder(settings)
    if sandboxed is None:
        return "this system has no processes that can be confined; a server decodes files by itself"
    with sandboxed as decoder:
        return decoder.protection().missing()


def _sandboxed_decoder(settings: Settings) -> SandboxedDecoder | None:
    """Return what decodes each file in a process of its own; None where the system has none that can be confined."""
    if sys.platform != "linux":
        return None
    from uncrop.workers.decoding.sandboxed import SandboxedDecoder
    from uncrop.workers.decoding.starting import start_fork_server

    return SandboxedDecoder(partial(start_fork_server, settings.kernel_cache))


@asynccontextmanager
async def _registry(
    settings: Settings, runner: EngineRunner, tracer: Tracer = UNTRACED, decoder: Decoder = INLINE
) -> AsyncIterator[Registry]:
    # The reader of PNGs is compiled code too. In a thread, since it loads the compiler's library.
    await asyncio.to_thread(engine.use_cache, settings.kernel_cache)
    async with _open_registry(settings, runner, tracer, decoder) as registry:
        yield registry


@asynccontextmanager
async def _open_registry(
    settings: Settings, runner: EngineRunner, tracer: Tracer = UNTRACED, decoder: Decoder = INLINE
) -> AsyncIterator[Registry]:
    async with Sender(client=partial(open_client, settings.network), tracer=tracer) as send:
        context = MakerContext(
            send=send,
            engine=runner,
            timeout_s=settings.provider_timeout_s,
            decoder=decoder,
        )
        yield Registry(settings.rows, settings.providers, context)


def _uncropper(
    settings: Settings,
    registry: Registry,
    capacity: Capacity,
    admission: Admission,
    tracer: Tracer = UNTRACED,
    decoder: Decoder = INLINE,
) -> Uncropper:
    return Uncropper(
        registry=registry,
        admission=admission,
        capacity=capacity,
        max_output_pixels=settings.max_output_pixels,
        decoder=decoder,
        tracer=tracer,
        detail_s=settings.provider_timeout_s,
    )
