"""Sees a planned batch through: puts it into the queue, watches it, puts back what was lost, and ends it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from uncrop.batch.opening import OpenBatches
    from uncrop.model.batches import Batch
    from uncrop.store.batches import Batches, Sums

CHUNK = 100  # photos that nobody is billed for
LOOK_EVERY_S = 0.5
# After so long without a photo that has ended, it is looked whether all that is left is in the queue.
STANDS_STILL_S = 15.0


@dataclass(kw_only=True)
class Run:
    """One round of a batch, from its plan to its end.

    Attributes
    ----------
    batches
        What is kept of it.
    opened
        The queue, and the worker of this process.
    tell
        Told every now and then where it stands.
    interrupted
        Set when nobody shall work on it any more.
    """

    batches: Batches
    opened: OpenBatches
    batch: Batch
    tell: Callable[[Sums], None]
    interrupted: asyncio.Event
    max_usd_micro: int | None = None
    look_every_s: float = LOOK_EVERY_S
    stands_still_s: float = STANDS_STILL_S
    clock: Callable[[], float] = time.monotonic
    _moved_at: float = field(default=0.0)

    async def see_through(self) -> bool:
        """Return whether all photos have ended; False: it was interrupted, and nobody works on it any more."""
        await self._do(partial(self.batches.open, self.batch.id, max_usd_micro=self.max_usd_micro))
        adding = asyncio.create_task(self._fill_queue(), name="batch's entries")
        try:
            if not await self._watch(adding):
                await self._do(partial(self.batches.stop, self.batch.id))
                return False
            await adding
        finally:
            adding.cancel()
            await asyncio.wait({adding})
        await self._do(partial(self.batches.end, self.batch.id))
        await self.opened.forget(self.batch)
        return True

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        await self.opened.patience.until_done(work)

    async def _fill_queue(self) -> None:
        """Put all that is left to do into the queue, but what is there already."""
        alive = await self.opened.waiting(self.batch)
        await self._do(partial(self.batches.forget_chunks, self.batch, alive))
        adding = partial(self.opened.adding, self.batch)
        put = partial(self.batches.put_into_chunks, self.batch, size=CHUNK, adding=adding)
        while not self.interrupted.is_set():
            count = await self.opened.patience.until_done(put)
            if not count:
                return

    async def _watch(self, adding: asyncio.Task[None]) -> bool:
        ended, self._moved_at = -1, self.clock()
        while True:
            sums = await self.opened.patience.until_done(partial(self.batches.sums, self.batch))
            self.tell(sums)
            left = sums.of("queued", "running")
            if not left:
                return True
            if sums.photos - left != ended:
                ended, self._moved_at = sums.photos - left, self.clock()
            elif adding.done() and self.clock() - self._moved_at > self.stands_still_s:
                adding.result()
                await self._fill_queue()
                self._moved_at = self.clock()
            if await self._is_interrupted():
                return False

    async def _is_interrupted(self) -> bool:
        try:
            await asyncio.wait_for(self.interrupted.wait(), self.look_every_s)
        except TimeoutError:
            return False
        return True
