"""A store on either database, and a clock that stands still until it is moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from uncrop.store.database import Store, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PEPPER = bytes(range(32))


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pepper() -> bytes:
    return PEPPER


@pytest.fixture
async def store(database_url: str, clock: Clock, pepper: bytes) -> AsyncIterator[Store]:
    async with open_store(database_url, pepper=pepper, clock=clock) as opened:
        yield opened
