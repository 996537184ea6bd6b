"""Where the local engine computes: in worker processes for a server, in a thread for one picture.

The engine is CPU-bound for a second or more and runs compiled code that may, in principle, crash. In its own process
it can neither block the event loop nor take the server down, and it can be stopped at any moment.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
import structlog
from anyio import from_thread, to_process, to_thread

from uncrop import engine
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.errors import InternalError, ProviderTimeout
from uncrop.workers.progress_pipe import progress_pipe, progress_through
from uncrop.workers.watched import watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from uncrop.engine import Extension
    from uncrop.model import Pixels, Progress, Quality, Sides

# The engine ends by itself at its deadline, a tenth of a second late at most; what has not come back after this long
# hangs and is killed. Not sooner: a worker that is still starting on a busy machine would be killed before it ever
# makes a picture, and so would its successors.
GRACE_S = 5.0
_log = structlog.stdlib.get_logger("uncrop.workers")
T = TypeVar("T")
# Of the process that computes: a worker's own, or this one's.
_SHARED = engine.SharedCandidates()


class EngineRunner(Protocol):
    """Runs ``engine.extend`` somewhere."""

    async def extend(
        self,
        photo: Pixels,
        sides: Sides,
        *,
        seed: int,
        quality: Quality,
        confidence_map: bool = False,
        is_variation: bool = False,
        progress: Progress | None = None,
    ) -> Extension:
        """Extend one photo.

        Parameters
        ----------
        photo, sides, seed, quality
            As ``engine.extend`` takes them.
        confidence_map
            Whether the map is wanted; it is None otherwise.
        is_variation
            Whether the same photo is extended for other seeds too, so that what they have in common is kept.
        progress
            Told how far the work is, in any thread; what it raises ends the work.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline, ``InternalError`` when a worker died.
        """
        ...


class WarmRunner(EngineRunner, Protocol):
    """Runs it where it can be loaded ahead of the first picture.

    Attributes
    ----------
    warming, warm
        Whether ``warm_up`` is at work, and whether it has ended well.
    """

    warming: bool
    warm: bool

    async def warm_up(self) -> None:
        """Load the engine where it computes, so that the first picture need not wait for that.

        Raises
        ------
        UncropError
            As ``extend``.
        """
        ...


class ProcessRunner:
    """Runs the engine in worker processes, which are kept for the next picture.

    Parameters
    ----------
    workers
        How many pictures are computed at once.
    cache
        Folder of the compiled kernels; ``None``: the engine's own choice.
    deadline_s
        Seconds for one picture, the wait for a worker included.
    grace_s
        Seconds after the deadline when a worker that still computes is killed.

    Attributes
    ----------
    warming, warm
        Whether ``warm_up`` is at work, and whether it has ended well.
    """

    def __init__(self, *, workers: int, cache: Path | None, deadline_s: float, grace_s: float = GRACE_S) -> None:
        self._workers = anyio.CapacityLimiter(workers)
        self._cache = cache
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self.warming = self.warm = False

    async def warm_up(self) -> None:
        """Start a worker and load the engine there, so that the first picture need not wait for either.

        Pictures that are asked for meanwhile wait, since it takes a worker's place. Workers after the first start when
        so many pictures are made at once.

        Raises
        ------
        UncropError
            As ``extend``; whatever else befalls the engine in its worker comes out too.
        """
        self.warming = True
        try:
            await self._in_worker(prepare, self._cache)
            self.warm = True
        finally:
            self.warming = False

    async def extend(
        self,
        photo: Pixels,
        sides: Sides,
        *,
        seed: int,
        quality: Quality,
        confidence_map: bool = False,
        is_variation: bool = False,
        progress: Progress | None = None,
    ) -> Extension:
        """Extend one photo in a worker; cancelling the caller kills that worker, and only that one.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline, ``InternalError`` when two workers
            died of it.
        """
        deadline = time.monotonic() + self._deadline_s
        work = compute_variation if is_variation else compute
        arguments = (self._cache, deadline, photo, sides, seed, quality, confidence_map)
        if progress is None:
            return await self._in_worker(work, *arguments)
        return await self._in_telling_worker(progress, work, *arguments)

    async def _in_telling_worker(self, progress: Progress, work: Callable[..., T], *arguments: object) -> T:
        """Work in a worker that tells how far it is; it works all the same where it cannot tell."""
        with ExitStack() as stack:
            try:
                pipe = stack.enter_context(progress_pipe())
            except OSError:
                _log.warning("no pipe can be made for the progress of the engine, so that none is told", exc_info=True)
                return await self._in_worker(work, *arguments)
            return await watched(
                lambda: self._in_worker(tell_through, pipe.path, work, *arguments), lambda: pipe.listen(progress)
            )

    async def _in_worker(self, work: Callable[..., T], *arguments: object) -> T:
        outcome = "No worker of the engine became free in time"
        try:
            with anyio.fail_after(self._deadline_s) as limit:
                async with self._workers:
                    limit.deadline += self._grace_s
                    outcome = "The engine's worker did not come back and was ended"
                    return await _twice(work, *arguments)
        except TimeoutError as error:
            raise ProviderTimeout(system_message=outcome) from error
        except anyio.BrokenWorkerProcess as error:
            raise InternalError(system_message="The engine's worker ended in the middle of its work") from error


async def _twice(work: Callable[..., T], *arguments: object) -> T:
    """Work in a process, and once more in another if that one dies: others may have killed it, for want of memory.

    If the second one dies too, the work is to blame. Nothing was billed, so that nothing is done twice but computing.
    """
    try:
        return await to_process.run_sync(work, *arguments, cancellable=True, limiter=anyio.CapacityLimiter(1))
    except anyio.BrokenWorkerProcess:
        _log.warning("a worker of the engine died; its picture is tried once more")
    return await to_process.run_sync(work, *arguments, cancellable=True, limiter=anyio.CapacityLimiter(1))


class InlineRunner:
    """Runs the engine in a thread of this process: for the command line and for Python.

    Parameters
    ----------
    cache
        Folder of the compiled kernels; ``None``: the engine's own choice.
    deadline_s
        Seconds for one picture.
    """

    def __init__(self, *, cache: Path | None, deadline_s: float) -> None:
        self._cache = cache
        self._deadline_s = deadline_s

    async def extend(
        self,
        photo: Pixels,
        sides: Sides,
        *,
        seed: int,
        quality: Quality,
        confidence_map: bool = False,
        is_variation: bool = False,
        progress: Progress | None = None,
    ) -> Extension:
        """Extend one photo in a thread; cancelling the caller ends the work at the next step.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline.
        """
        deadline = time.monotonic() + self._deadline_s

        def tell(fraction: float, step: str) -> None:
            from_thread.check_cancelled()
            if progress is not None:
                progress(fraction, step)

        work = compute_variation if is_variation else compute
        return await to_thread.run_sync(work, self._cache, deadline, photo, sides, seed, quality, confidence_map, tell)


def tell_through(pipe: str, work: Callable[..., T], *arguments: object) -> T:
    """Work here and now, and tell through a pipe how far it is."""
    with progress_through(pipe) as progress:
        return work(*arguments, progress)


def prepare(cache: Path | None) -> None:
    """Load the engine and all its kernels here and now; those that are missing are compiled."""
    engine.use_cache(cache)
    engine.warm_up()


def compute_variation(
    cache: Path | None,
    deadline: float,
    photo: Pixels,
    sides: Sides,
    seed: int,
    quality: Quality,
    confidence_map: bool,
    progress: Progress | None = None,
    *,
    threads: int | None = None,
) -> Extension:
    """Extend one photo as ``compute`` does, and keep what pictures with other seeds of the same family share with it.

    Raises
    ------
    UncropError
    """
    wishes = (photo, sides, seed, quality, confidence_map)
    return compute(cache, deadline, *wishes, progress, _SHARED, threads=threads)


def compute(
    cache: Path | None,
    deadline: float,
    photo: Pixels,
    sides: Sides,
    seed: int,
    quality: Quality,
    confidence_map: bool,
    progress: Progress | None = None,
    shared: engine.SharedCandidates | None = None,
    *,
    threads: int | None = None,
) -> Extension:
    """Extend one photo here and now.

    A map that nobody wants is left behind, since a worker's answer is copied twice on its way.
    ``deadline`` is a time on ``time.monotonic``, which all processes of a machine read alike: what it took to start
    this one counts. ``threads`` is how many compute, by default as many as Numba allows.

    Raises
    ------
    UncropError
    """
    # Before Numba is loaded, which takes a while.
    ProgressMonitor(progress=None, deadline=deadline, clock=time.monotonic).check()
    engine.use_cache(cache)
    if shared is None:
        # Whoever asked for variations has them; a large photo may need the memory.
        _SHARED.clear()
    made = engine.extend(
        photo,
        sides,
        seed=seed,
        quality=quality,
        progress=progress,
        deadline=deadline,
        threads=threads,
        shared=shared,
    )
    return made if confidence_map else replace(made, confidence_map=None)
