"""The limits of an organization and of a key, before the body of a request is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fixtures_server import KEY, ORGANIZATION, FakeAuthenticator, FakeUncropper, fake_service, picture
from uncrop.admission import recent
from uncrop.admission.recent import RecentCallers
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.errors import RateLimitExceeded, ServerBusy, UncropError
from uncrop.model import Caller, Policy, UncropRequest, UncropResult
from uncrop.model.policies import NO_LIMIT, UNLIMITED
from uncrop.providers.commitment import Commitment
from uncrop.service.once import Asked
from uncrop.service.quote import QuoteRequest
from uncrop.service.report import RunReport
from uncrop.service.service import Service
from waiting import until


@dataclass
class Limited:
    """Knows one key, with limits."""

    policy: Policy = UNLIMITED
    key_policy: Policy = UNLIMITED

    async def authenticate(self, _candidates: Sequence[str]) -> Caller:
        return Caller(organization_id=ORGANIZATION, key_id="key_1", policy=self.policy, key_policy=self.key_policy)


class Read(Exception):
    """The body is read."""


async def _read() -> QuoteRequest:
    raise Read


async def told(service: Service) -> tuple[int, int] | None:
    """Ask once, and return the limit that is told with what is left of it."""
    report = RunReport()
    with pytest.raises(Read):
        await service.quote([KEY], _read, report=report)
    return None if report.rate is None else (report.rate.limit, report.rate.remaining)


def limited(tmp_path: Path, policy: Policy, key_policy: Policy | None = None) -> Service:
    return fake_service(tmp_path, authenticator=Limited(policy, key_policy or Policy()), rate_limit=9)


async def test_an_organizations_own_limit_takes_the_place_of_the_servers(tmp_path: Path) -> None:
    service = limited(tmp_path, Policy(requests_per_minute=2))
    assert [await told(service) for _ in range(2)] == [(2, 1), (2, 0)]
    with pytest.raises(RateLimitExceeded):
        await told(service)


async def test_without_any_limit_none_is_told(tmp_path: Path) -> None:
    service = limited(tmp_path, Policy(requests_per_minute=NO_LIMIT))
    assert [await told(service) for _ in range(20)] == [None] * 20


async def test_of_two_limits_the_scarcer_is_told(tmp_path: Path) -> None:
    service = limited(tmp_path, Policy(), Policy(requests_per_minute=3))
    assert await told(service) == (3, 2)
    service = limited(tmp_path, Policy(requests_per_minute=2), Policy(requests_per_minute=3))
    assert await told(service) == (2, 1)


async def test_requests_at_once_are_counted_before_the_body(tmp_path: Path) -> None:
    service = limited(tmp_path, Policy(requests_at_once=1))

    async def left() -> None:
        pytest.fail("nobody waits")

    async def read() -> UncropRequest:
        with pytest.raises(RateLimitExceeded) as caught:
            await service.extend([KEY], read, left, report=RunReport(), finished=lambda _end: None)
        assert caught.value.details == {"limit": 1, "running": 1, "scope": "organization"}
        raise Read

    for _ in range(2):  # the second time the place is free again
        with pytest.raises(Read):
            await service.extend([KEY], read, left, report=RunReport(), finished=lambda _end: None)


# --- a crowd ----------------------------------------------------------------------------------------------------------


async def refused(service: Service, keys: Sequence[str] = (KEY,)) -> tuple[type[UncropError], RunReport]:
    """Ask for a picture where there is no place, and return why there is none."""
    report = RunReport()

    with pytest.raises(UncropError) as caught:
        await service.extend(keys, _read, _never, report=report, finished=lambda _end: None)  # type: ignore[arg-type]
    return type(caught.value), report


async def test_a_crowd_is_refused_without_asking_who_it_is_again(tmp_path: Path) -> None:
    authenticator = FakeAuthenticator()
    service = fake_service(tmp_path, authenticator=authenticator, capacity=Capacity(slots=Slots(1, 0)), rate_limit=3)
    async with service.capacity.slots.hold(ORGANIZATION):
        for remaining in (2, 1, 0):
            kind, report = await refused(service)
            assert kind is ServerBusy
            assert report.caller is not None
            assert report.caller.organization_id == ORGANIZATION
            assert report.rate is not None
            assert report.rate.remaining == remaining  # counted as ever
        assert (await refused(service))[0] is RateLimitExceeded
        assert len(authenticator.asked) == 1
        await refused(service, ("another", KEY))
        assert len(authenticator.asked) == 2


async def test_where_there_is_a_place_every_key_is_asked_about(tmp_path: Path) -> None:
    authenticator = FakeAuthenticator()
    service = fake_service(tmp_path, authenticator=authenticator)
    for _ in range(2):
        with pytest.raises(Read):
            await service.extend([KEY], _read, _never, report=RunReport(), finished=lambda _end: None)  # type: ignore[arg-type]
    assert len(authenticator.asked) == 2


async def _never() -> None:
    raise AssertionError("nobody waits")


async def test_of_a_crowd_that_comes_at_once_only_those_are_worked_on_who_find_a_place(tmp_path: Path) -> None:
    """All of them are looked at before any has asked for its turn, which comes behind the work on its header."""
    here, go_on, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    reading = 0

    async def read() -> Asked:
        nonlocal reading
        reading += 1
        if reading == 10:
            here.set()
        await go_on.wait()
        return Asked(request=UncropRequest(provider="clipdrop", image=b"photo"))

    async def work(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
        await over.wait()
        return picture()

    uncropper = FakeUncropper(work)
    service = fake_service(tmp_path, uncropper=uncropper, capacity=Capacity(slots=Slots(1, 1)))
    asking = [
        asyncio.create_task(
            service.extend([KEY], read, asyncio.Event().wait, report=RunReport(), finished=lambda _end: None)  # type: ignore[arg-type]
        )
        for _ in range(10)
    ]
    await here.wait()
    go_on.set()
    await until(lambda: sum(task.done() for task in asking) == 8)
    over.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(end, ServerBusy) for end in ended) == 8
    assert len(uncropper.requests) == 2
    service.capacity.slots.check(ORGANIZATION)


async def test_the_limit_of_requests_at_once_is_told_before_the_want_of_a_place(tmp_path: Path) -> None:
    service = limited(tmp_path, Policy(requests_at_once=1))
    service = replace(service, capacity=Capacity(slots=Slots(1, 0)))
    async with service.capacity.slots.hold(ORGANIZATION):
        assert (await refused(service))[0] is ServerBusy
        caller = service.recent.find([KEY])
        assert caller is not None
        with service.at_once.take(caller):
            assert (await refused(service))[0] is RateLimitExceeded


def test_callers_are_forgotten_after_some_seconds_and_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    known, caller = RecentCallers(clock=lambda: now), Caller(organization_id=ORGANIZATION, key_id="key_1")
    assert known.find(["a\udfff"]) is None
    known.note(["a\udfff"], caller)
    assert known.find(["a\udfff"]) is caller
    assert known.find(["a\udfff", "b"]) is None
    assert b"a" not in known._callers
    now += recent.KEPT_S + 0.1
    assert known.find(["a\udfff"]) is None
    monkeypatch.setattr(recent, "MOST_KEPT", 1)
    known.note(["b"], caller)
    assert len(known._callers) == 1
