"""Waiting in an event loop for what another process or task does."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

COMES_WITHIN_S = 60


async def until(condition: Callable[[], object] | Callable[[], Awaitable[object]]) -> None:
    """Return as soon as a condition, which may have to be awaited, is true; fail when it never is."""
    async with asyncio.timeout(COMES_WITHIN_S):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.005)
