"""A ledger in memory, which can be slow and can fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from uncrop.errors import InternalError
from uncrop.store.usage import ReservationOutcome


@dataclass
class FakeLedger:
    """Keeps reservations as ``uncrop.store.usage.Usage`` does; every call takes ``steps`` turns of the event loop."""

    steps: int = 0
    failing: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    reservations: list[dict[str, Any]] = field(default_factory=list)
    booked: list[dict[str, Any]] = field(default_factory=list)

    async def _work(self, name: str) -> None:
        for _ in range(self.steps):
            await asyncio.sleep(0)
        if name in self.failing:
            raise InternalError(system_message="The database could not be used")

    async def reserve(
        self, reservation_id: str, *, organization_id: str, key_id: str | None, provider: str, default_limit: int = 0
    ) -> ReservationOutcome:
        await self._work("reserve")
        used = sum(state != "released" for state in self.states.values())
        if default_limit and used >= default_limit:
            return ReservationOutcome(reserved=False, limit=default_limit, used=used)
        self.states[reservation_id] = "reserved"
        self.reservations.append({"organization_id": organization_id, "key_id": key_id, "provider": provider})
        for _ in range(self.steps):
            await asyncio.sleep(0)
        return ReservationOutcome(reserved=True, limit=default_limit or None, used=used)

    async def capture(self, reservation_id: str, **booked: Any) -> bool:
        await self._work("capture")
        self.booked.append(booked)
        return self._settle(reservation_id, "captured")

    async def release(self, reservation_id: str, **booked: Any) -> bool:
        await self._work("release")
        self.booked += [booked] if booked else []
        return self._settle(reservation_id, "released")

    def _settle(self, reservation_id: str, state: str) -> bool:
        if self.states.get(reservation_id) != "reserved":
            return False
        self.states[reservation_id] = state
        return True


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()
