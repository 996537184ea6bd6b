"""Where the local engine computes: in worker processes for a server, in a thread for one picture.

The engine is CPU-bound for a second or more and runs compiled code that may, in principle, crash. In its own process
it can neither block the event loop nor take the server down, and it can be stopped at any moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import from_thread, to_process, to_thread

from uncrop import engine
from uncrop.errors import InternalError, ProviderTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from uncrop.engine import Extension
    from uncrop.model import Pixels, Quality, Sides

# The engine looks at its deadline between steps; a worker that has not come back by then hangs and is killed.
GRACE_S = 5.0


class EngineRunner(Protocol):
    """Runs ``engine.extend`` somewhere."""

    async def extend(self, photo: Pixels, sides: Sides, *, seed: int, quality: Quality) -> Extension:
        """Extend one photo.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline, ``InternalError`` when a worker died.
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
    """

    def __init__(self, *, workers: int, cache: Path | None, deadline_s: float, grace_s: float = GRACE_S) -> None:
        self._workers = anyio.CapacityLimiter(workers)
        self._cache = cache
        self._deadline_s = deadline_s
        self._grace_s = grace_s

    async def extend(self, photo: Pixels, sides: Sides, *, seed: int, quality: Quality) -> Extension:
        """Extend one photo in a worker; cancelling the caller kills that worker, and only that one.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline, ``InternalError`` when the worker died.
        """
        deadline = anyio.current_time() + self._deadline_s
        try:
            with anyio.fail_after(self._deadline_s + self._grace_s):
                async with self._workers:
                    return await to_process.run_sync(
                        compute,
                        self._cache,
                        deadline - anyio.current_time(),
                        photo,
                        sides,
                        seed,
                        quality,
                        cancellable=True,
                        limiter=anyio.CapacityLimiter(1),
                    )
        except TimeoutError as error:
            raise ProviderTimeout(system_message="The engine's worker did not come back and was ended") from error
        except anyio.BrokenWorkerProcess as error:
            raise InternalError(system_message="The engine's worker ended in the middle of its work") from error


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

    async def extend(self, photo: Pixels, sides: Sides, *, seed: int, quality: Quality) -> Extension:
        """Extend one photo in a thread; cancelling the caller ends the work at the next step.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline.
        """
        return await to_thread.run_sync(
            compute, self._cache, self._deadline_s, photo, sides, seed, quality, _stop_when_cancelled
        )


def _stop_when_cancelled(_fraction: float, _step: str) -> None:
    from_thread.check_cancelled()


def compute(
    cache: Path | None,
    seconds: float,
    photo: Pixels,
    sides: Sides,
    seed: int,
    quality: Quality,
    progress: Callable[[float, str], None] | None = None,
) -> Extension:
    """Extend one photo here and now, within so many seconds.

    Raises
    ------
    UncropError
    """
    engine.use_cache(cache)
    deadline = time.monotonic() + seconds
    return engine.extend(photo, sides, seed=seed, quality=quality, progress=progress, deadline=deadline)
