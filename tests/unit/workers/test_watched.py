"""Work that something watches."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from uncrop.errors import ProviderError
from uncrop.workers.watched import watched


class Enough(Exception):
    """Raised by what watches."""


async def never() -> Any:
    await anyio.sleep_forever()


async def test_the_works_end_ends_what_watches_it() -> None:
    ended = anyio.Event()

    async def watch() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async def work() -> str:
        await anyio.wait_all_tasks_blocked()
        return "done"

    assert await watched(work, watch) == "done"
    assert ended.is_set()


async def test_what_the_work_raises_comes_out_as_it_is() -> None:
    async def fail() -> str:
        raise ProviderError

    with pytest.raises(ProviderError):
        await watched(fail, never)


async def test_what_the_watch_raises_ends_the_work_and_comes_out_as_it_is() -> None:
    async def watch() -> None:
        raise Enough

    with pytest.raises(Enough):
        await watched(never, watch)


async def test_work_that_is_done_counts_whatever_the_watch_raises() -> None:
    async def watch() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise Enough

    async def work() -> str:
        await anyio.wait_all_tasks_blocked()
        return "done"

    assert await watched(work, watch) == "done"


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    with anyio.move_on_after(0) as scope:
        await watched(never, never)
    assert scope.cancelled_caught
