"""Whether requests can be served."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from uncrop import engine
from uncrop.errors import UncropError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from uncrop.store.database import Store
    from uncrop.workers.decoding.decoder import Decoder
    from uncrop.workers.engine_runner import WarmRunner

_log = structlog.stdlib.get_logger("uncrop.service")


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """What was found.

    Attributes
    ----------
    database
        It has the tables of this version and can be written.
    engine
        Its kernels are compiled, and its first process is warm. Kernels that no folder keeps are in that process.
    decoders
        Processes can be started that decode.
    """

    database: bool
    engine: bool
    decoders: bool

    def checks(self) -> dict[str, bool]:
        """Return each check by its name."""
        return {"database": self.database, "engine": self.engine, "decoders": self.decoders}


class ReadinessChecks:
    """Looks whenever it is asked, but remembers what cannot change back, and for a moment what costs a write.

    Parameters
    ----------
    limit_s
        Seconds within which the database must have been written.
    keep_s
        Seconds for which what was found of the database is told again, so that those who ask cannot keep it busy.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, *, limit_s: float = 1.0, keep_s: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_s = limit_s
        self._keep_s = keep_s
        self._clock = clock
        self._compiled = False
        self._looking: asyncio.Task[bool] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._found: tuple[bool, float] | None = None

    async def look(self, store: Store, runner: WarmRunner, kernels: Path, decoder: Decoder) -> Readiness:
        """Look at a store, at an engine with its folder of kernels, and at what decodes."""
        # Once compiled, kernels stay; looking means reading all of the engine's sources.
        self._compiled = self._compiled or await to_thread.run_sync(engine.is_compiled, kernels)
        compiled = self._compiled or runner.warm
        decoders = decoder.is_ready
        if not decoders and (self._starting is None or self._starting.done()):
            # Who is told that this server is not ready sends no picture, which would start them.
            self._starting = asyncio.create_task(start_decoders(decoder))
        return Readiness(
            database=await self._database_is_written(store),
            engine=compiled and not runner.warming,
            decoders=decoders,
        )

    async def _database_is_written(self, store: Store) -> bool:
        """Write, or wait for the write of another who asked before, or repeat what was found a moment ago."""
        if self._found is not None and self._clock() < self._found[1]:
            return self._found[0]
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._write(store))
        return await asyncio.shield(self._looking)

    async def _write(self, store: Store) -> bool:
        reason = "it took too long"
        with anyio.move_on_after(self._limit_s):
            reason = await _refusal(store)
        if reason:
            _log.warning("database not ready", reason=reason)
        self._found = (not reason, self._clock() + self._keep_s)
        return not reason


async def start_decoders(decoder: Decoder) -> None:
    """Start what decodes files, off the event loop; a failure is logged."""
    try:
        await to_thread.run_sync(decoder.warm_up)
    except UncropError as error:
        _log.warning("decoders could not be started; the next picture tries again", reason=error.system_message)


async def _refusal(store: Store) -> str:
    """Return why the database cannot be written, or nothing."""
    try:
        await store.ping()
    except UncropError as error:
        return error.system_message
    return ""
