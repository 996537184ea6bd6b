"""The one function that fronts call, with a service of fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_server import KEY, ORGANIZATION, FakeRunner, FakeStore, FakeUncropper, fake_service, picture
from uncrop import engine
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.errors import (
    AuthenticationRequired,
    InvalidApiKey,
    InvalidFieldValue,
    OrganizationAccessDenied,
    ProviderError,
    RateLimitExceeded,
    RequestCancelled,
    ServerBusy,
    UncropError,
)
from uncrop.model import Sides, UncropRequest, UncropResult
from uncrop.providers.commitment import Commitment
from uncrop.service.once import Asked
from uncrop.service.pictures import MadePictures
from uncrop.service.quote import QuoteRequest
from uncrop.service.readiness import Readiness
from uncrop.service.report import RunEnd, RunReport
from uncrop.service.service import Service
from uncrop.service.tasks import CallerLeft
from uncrop.testing.pictures import photo_jpeg
from uncrop.testing.workbench import make_registry

if TYPE_CHECKING:
    Action = Callable[[UncropRequest, Commitment], Awaitable[UncropResult]]

REQUEST = UncropRequest(provider="clipdrop", image=b"photo")


class Front:
    """Calls the service as a front does, and notes what it is told."""

    def __init__(self, service: Service, request: UncropRequest = REQUEST) -> None:
        self.service = service
        self.request = request
        self.read = 0
        self.gone = asyncio.Event()
        self.report = RunReport()
        self.outcomes: list[str] = []

    async def _read(self) -> Asked:
        self.read += 1
        return Asked(request=self.request)

    async def _left(self) -> None:
        await self.gone.wait()

    def _finished(self, end: RunEnd) -> None:
        assert end.provider == self.report.provider
        self.outcomes.append(end.outcome)

    async def extend(self, *keys: str, request_id: str = "") -> UncropResult:
        made = await self.service.extend(
            keys, self._read, self._left, report=self.report, finished=self._finished, request_id=request_id
        )
        assert isinstance(made, MadePictures)
        (one,) = made.pictures
        return one.result


class Held:
    """Work that goes on when it is told to, with or without a call that may be billed before."""

    def __init__(self, *, sends: bool) -> None:
        self.sends = sends
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    async def make(self, _request: UncropRequest, commitment: Commitment) -> UncropResult:
        if self.sends:
            await commitment.commit()
        self.started.set()
        await self.go_on.wait()
        return picture()


def made_of(report: RunReport) -> list[UncropResult]:
    assert report.made is not None
    return [made.result for made in report.made.pictures]


def front(folder: Path, action: Action | None = None, *, request: UncropRequest = REQUEST, **parts: Any) -> Front:
    return Front(fake_service(folder, uncropper=FakeUncropper(action), **parts), request)


async def test_a_request_becomes_a_picture_and_a_report(tmp_path: Path) -> None:
    async def make(request: UncropRequest, commitment: Commitment) -> UncropResult:
        await commitment.commit()
        await commitment.commit()
        return picture()

    asking = front(tmp_path, make)
    assert await asking.extend(KEY) == picture()
    report = asking.report
    assert report.caller is not None
    assert report.caller.organization_id == ORGANIZATION
    assert report.rate is not None
    assert (report.provider, report.billed_calls, made_of(report)) == ("clipdrop", 2, [picture()])
    assert [stage.name for stage in report.stages] == ["intake"]
    assert asking.outcomes == ["OK"]


@pytest.mark.parametrize(("keys", "kind"), [((), AuthenticationRequired), (("wrong",), InvalidApiKey)])
async def test_who_has_no_key_is_not_read(tmp_path: Path, keys: tuple[str, ...], kind: type[UncropError]) -> None:
    asking = front(tmp_path)
    with pytest.raises(kind):
        await asking.extend(*keys)
    assert (asking.read, asking.outcomes, asking.report.caller) == (0, [], None)


async def test_who_asks_too_often_is_not_read(tmp_path: Path) -> None:
    asking = front(tmp_path, rate_limit=1)
    await asking.extend(KEY)
    with pytest.raises(RateLimitExceeded):
        await asking.extend(KEY)
    assert (asking.read, asking.outcomes) == (1, ["OK"])


async def test_who_would_find_no_place_is_not_read(tmp_path: Path) -> None:
    asking = front(tmp_path, capacity=Capacity(slots=Slots(1, 0)))
    async with asking.service.capacity.slots.hold(ORGANIZATION):
        with pytest.raises(ServerBusy):
            await asking.extend(KEY)
    assert asking.read == 0
    await asking.extend(KEY)


async def test_an_error_is_told_by_its_code(tmp_path: Path) -> None:
    async def fail(request: UncropRequest, commitment: Commitment) -> UncropResult:
        await commitment.commit()
        raise ProviderError

    asking = front(tmp_path, fail)
    with pytest.raises(ProviderError):
        await asking.extend(KEY)
    assert (asking.outcomes, asking.report.billed_calls, asking.report.made) == (["PROVIDER_ERROR"], 1, None)


async def test_a_provider_that_nobody_knows_is_not_repeated(tmp_path: Path) -> None:
    asking = front(tmp_path, request=UncropRequest(provider="x" * 1000, image=b""))
    await asking.extend(KEY)
    assert asking.report.provider == "unknown"


@pytest.mark.parametrize(("sends", "outcome"), [(False, "CANCELLED"), (True, "OK")])
async def test_who_leaves_ends_only_what_costs_nothing(
    tmp_path: Path, sends: bool, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    work = Held(sends=sends)
    asking = front(tmp_path, work.make)
    extending = asyncio.create_task(asking.extend(KEY))
    await work.started.wait()
    with caplog.at_level("INFO"):
        asking.gone.set()
        with pytest.raises(CallerLeft):
            await extending
        work.go_on.set()
        await asking.service.drain()
    assert (asking.outcomes, asking.report.billed_calls) == ([outcome], int(sends))
    assert "the client left" in caplog.text


async def test_the_wait_for_a_place_counts_from_the_first_byte(tmp_path: Path) -> None:
    given: list[float] = []

    class Noting(FakeUncropper):
        async def run(self, *arguments: Any, **options: Any) -> UncropResult:
            given.append(options["admit_by"] - asyncio.get_running_loop().time())
            return picture()

    asking = Front(fake_service(tmp_path, uncropper=Noting()))
    asking.report.arrived -= 100
    await asking.extend(KEY)
    assert 0 < given[0] <= asking.service.settings.provider_timeout_s - 100


async def test_the_providers_are_told_by_name_and_without_a_secret(tmp_path: Path) -> None:
    service = fake_service(tmp_path, registry=make_registry())
    entries = service.providers()
    assert [entry.facts.name for entry in entries] == list(service.registry.names())
    assert all(entry.configured for entry in entries)


async def test_a_service_that_stops_refuses_who_comes_and_finishes_what_it_began(tmp_path: Path) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def make(request: UncropRequest, commitment: Commitment) -> UncropResult:
        started.set()
        await go_on.wait()
        return picture()

    asking = front(tmp_path, make)
    extending = asyncio.create_task(asking.extend(KEY))
    await started.wait()
    assert not asking.service.stopping
    asking.service.stop()
    assert asking.service.stopping
    late = Front(asking.service)
    with pytest.raises(ServerBusy) as refused:
        await late.extend(KEY)
    assert (refused.value.message, refused.value.retry_after) == ("The server is stopping; try again later", 5)
    assert late.read == 0
    go_on.set()
    assert await extending == picture()


async def test_a_service_that_may_wait_no_longer_ends_billed_work_too(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def make(request: UncropRequest, commitment: Commitment) -> UncropResult:
        await commitment.commit()
        started.set()
        await asyncio.Event().wait()
        return picture()

    asking = front(tmp_path, make)
    extending = asyncio.create_task(asking.extend(KEY))
    await started.wait()
    asking.service.abandon()
    with pytest.raises(asyncio.CancelledError):
        await extending
    await asking.service.drain()
    assert (asking.outcomes, asking.report.billed_calls) == (["CANCELLED"], 1)


async def test_readiness_is_the_databases_and_the_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)
    store, runner = FakeStore(), FakeRunner(warming=True)
    service = fake_service(tmp_path, store=store, runner=runner)
    assert await service.readiness() == Readiness(database=True, engine=False, decoders=True)
    runner.warming = False
    assert (await service.readiness()).checks() == {"database": True, "engine": True, "decoders": True}


# --- quotes, and the search for a provider ---------------------------------------------------------------------------


async def quoted(service: Service, wanted: QuoteRequest, report: RunReport) -> list[str]:
    async def read() -> QuoteRequest:
        return wanted

    return [told.facts.name for told in await service.quote([KEY], read, report=report)]


def by_size(provider: str, organization_id: str = ORGANIZATION) -> QuoteRequest:
    request = UncropRequest(provider=provider, image=b"", organization_id=organization_id, sides=Sides(left=8))
    return QuoteRequest(request=request, extent=(64, 48))


async def test_quotes_are_told_to_those_with_a_key_and_counted_as_requests(tmp_path: Path) -> None:
    uncropper, report = FakeUncropper(), RunReport()
    service = fake_service(tmp_path, registry=make_registry(), uncropper=uncropper, rate_limit=3)
    assert await quoted(service, by_size("all"), report) == list(service.registry.names())
    assert report.provider == "all"
    assert report.rate is not None
    assert report.rate.remaining == 2
    assert await quoted(service, by_size("auto"), report) == ["local"]
    with pytest.raises(OrganizationAccessDenied):
        await quoted(service, by_size("local", "org_other"), report)
    with pytest.raises(RateLimitExceeded):
        await quoted(service, by_size("local"), report)
    assert uncropper.requests == []


async def test_a_search_in_which_nobody_could_be_asked_is_told_once(tmp_path: Path) -> None:
    photo = UncropRequest(provider="auto", image=photo_jpeg(64, 48), sides=Sides(left=8), prompt="a beach")
    asking = front(tmp_path, request=photo, registry=make_registry())
    with pytest.raises(InvalidFieldValue):
        await asking.extend(KEY)
    assert (asking.outcomes, asking.report.provider) == (["INVALID_FIELD_VALUE"], "auto")
    assert [attempt["provider"] for attempt in asking.report.tried] == ["local"]


# --- requests that are asked for by their id -------------------------------------------------------------------------


@pytest.mark.parametrize("sends", [False, True])
async def test_a_request_is_ended_by_its_id_but_for_what_may_be_billed(tmp_path: Path, sends: bool) -> None:
    work = Held(sends=sends)
    asking = front(tmp_path, work.make)
    service = asking.service
    extending = asyncio.create_task(asking.extend(KEY, request_id="mine"))
    await work.started.wait()
    running = await service.look_up((KEY,), "mine", report=RunReport())
    assert running is not None
    assert (running.stage, running.to_json()["calls_billed"]) == ("intake", int(sends))
    running.cancel()
    with pytest.raises(RequestCancelled) as ended:
        await extending
    assert ended.value.details == {"calls_billed": int(sends)}
    work.go_on.set()
    await service.drain()
    assert asking.outcomes == ["OK" if sends else "CANCELLED"]
    assert await service.look_up((KEY,), "mine", report=RunReport()) is None


async def test_who_has_no_key_finds_no_request(tmp_path: Path) -> None:
    with pytest.raises(InvalidApiKey):
        await front(tmp_path).service.look_up(("wrong",), "mine", report=RunReport())
