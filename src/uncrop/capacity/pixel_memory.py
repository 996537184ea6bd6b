"""Memory: how many bytes of decoded pixels are held at once."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from uncrop.model import Job


def pixel_bytes(job: Job) -> int:
    """Predict the bytes that a job's pixels take: the photo and its mask as decoded, and the work of its provider.

    What works on this machine takes them in another process; the finished picture takes their place in this one.
    """
    header = job.header
    extent = header.width * header.height
    photo = extent * header.channels * header.bits // 8
    mask = 0 if job.request.mask is None else extent * 4
    predict = job.provider.working_bytes
    return photo + mask + (0 if predict is None else predict(header, job.sides))


class PixelMemory:
    """A bounded number of bytes; first come, first served.

    A small file may hold a large picture, so a number of slots alone does not bound the memory. A picture that is
    larger than all there is waits until it is alone.

    Parameters
    ----------
    max_bytes
        All there is, at least 1.
    """

    def __init__(self, max_bytes: int) -> None:
        self._all = max_bytes
        self._free = max_bytes
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return self._all - self._free

    @asynccontextmanager
    async def hold(self, wanted: int) -> AsyncIterator[None]:
        """Hold so many bytes, once those who came before have theirs."""
        share = min(wanted, self._all)
        await self._take(share)
        try:
            yield
        finally:
            self._give_back(share)

    async def _take(self, share: int) -> None:
        if not self._queue and share <= self._free:
            self._free -= share
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((turn, share))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.remove((turn, share))
                # Whoever stood behind may need less and fit now.
                self._serve()
            else:
                # It was given in the same moment in which we were told to stop.
                self._give_back(share)
            raise

    def _give_back(self, share: int) -> None:
        self._free += share
        self._serve()

    def _serve(self) -> None:
        while self._queue and self._queue[0][1] <= self._free and not self._queue[0][0].cancelled():
            turn, share = self._queue.popleft()
            self._free -= share
            turn.set_result(None)
