"""Renews the leases of claims that are worked on, and deletes answers that have been kept for long enough."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from uncrop.errors import UncropError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from uncrop.admission.idempotency import Idempotency

log = structlog.stdlib.get_logger("uncrop.admission")

PURGE_S, STRAYS_S = 300.0, 3600.0


@asynccontextmanager
async def open_upkeep(
    idempotency: Idempotency,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[None]:
    """Do what is due, again and again in the background, until the context is left.

    Parameters
    ----------
    sleep
        Waits for so many seconds.
    clock
        The present moment, aware.
    """

    async def strays() -> None:
        await idempotency.purge_strays(clock())

    async def purge() -> None:
        await idempotency.purge()

    works = (
        (idempotency.renew, idempotency.lease.total_seconds() / 3),
        (purge, PURGE_S),
        (strays, STRAYS_S),
    )
    tasks = [asyncio.create_task(_again_and_again(work, every_s, sleep)) for work, every_s in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _again_and_again(
    work: Callable[[], Awaitable[None]], every_s: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    while True:
        await sleep(every_s)
        try:
            await work()
        except UncropError as error:
            log.warning("keys of requests could not be looked after", error_type=type(error).__name__)
