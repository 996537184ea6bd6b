"""A ledger in memory, which can be slow and can fail, and jobs to admit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from uncrop.errors import InternalError
from uncrop.model import Canvas, Capabilities, ImageHeader, Job, Metadata, Rect, UncropRequest
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

    async def release(self, reservation_id: str) -> bool:
        await self._work("release")
        return self._settle(reservation_id, "released")

    def _settle(self, reservation_id: str, state: str) -> bool:
        if self.states.get(reservation_id) != "reserved":
            return False
        self.states[reservation_id] = state
        return True


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


def make_job(organization_id: str | None = "org_a", requests_per_minute: int | None = None) -> Job:
    """Make a job of 16x16 pixels for a provider called clipdrop."""
    whole = Rect(x=0, y=0, width=16, height=16)
    return Job(
        request=UncropRequest(provider="clipdrop", image=b"", organization_id=organization_id),
        capabilities=Capabilities(
            name="clipdrop",
            takes_sides=True,
            takes_mask=False,
            takes_prompt=False,
            takes_size=False,
            takes_quality=False,
            max_seed=None,
            max_image_bytes=1,
            answer_format="JPEG",
            bills=True,
            requests_per_minute=requests_per_minute,
        ),
        header=ImageHeader(
            format="JPEG",
            width=16,
            height=16,
            channels=3,
            bits=8,
            mode="RGB",
            orientation=1,
            jpeg=None,
            metadata=Metadata(),
        ),
        canvas=Canvas(width=16, height=16, source=whole, kept=whole),
        seed=None,
        quality="standard",
        answer_format="JPEG",
    )


@pytest.fixture
def job() -> Job:
    return make_job()


@pytest.fixture
def limited_job() -> Job:
    """A job whose provider takes one request a minute."""
    return make_job(requests_per_minute=1)


@pytest.fixture
def anonymous_job() -> Job:
    """A job that names no organization, as on the command line."""
    return make_job(organization_id=None)
