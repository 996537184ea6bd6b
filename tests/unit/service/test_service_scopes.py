"""What a key may be used for is looked at once it is known whose it is, and before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures_server import KEY, ORGANIZATION, FakeUncropper, fake_service
from uncrop.errors import AuthenticationRequired, InvalidApiKey, RateLimitExceeded, ScopeMissing
from uncrop.model import Caller, Scope, UncropRequest
from uncrop.service.quote import QuoteRequest
from uncrop.service.report import RunReport


@dataclass
class OneKey:
    """Knows one key of some scopes."""

    scopes: tuple[Scope, ...]

    async def authenticate(self, _candidates: Sequence[str]) -> Caller:
        return Caller(organization_id=ORGANIZATION, key_id="key_1", scopes=frozenset(self.scopes))


async def _not_read() -> UncropRequest:
    pytest.fail("the body was read")


async def _quote_not_read() -> QuoteRequest:
    pytest.fail("the body was read")


async def _left() -> None:
    pytest.fail("nobody waits")


@pytest.mark.parametrize("scopes", [("usage:read",), ("admin",), ("usage:read", "admin")])
async def test_pictures_need_their_scope(tmp_path: Path, scopes: tuple[Scope, ...]) -> None:
    uncropper = FakeUncropper()
    service = fake_service(tmp_path, authenticator=OneKey(scopes), uncropper=uncropper)
    report = RunReport()

    for refused in (
        service.extend([KEY], _not_read, _left, report=report, finished=lambda _end: None),
        service.quote([KEY], _quote_not_read, report=report),
        service.look_up([KEY], "id", report=report),
    ):
        with pytest.raises(ScopeMissing) as caught:
            await refused
        assert (caught.value.status, caught.value.details) == (403, {"scope": "images:write"})
    assert uncropper.requests == []
    # The order of the contract: who asks, how often, and only then what the key is for.
    assert report.caller is not None
    assert report.rate is not None
    assert report.rate.remaining == 58


async def test_the_rate_limit_comes_first(tmp_path: Path) -> None:
    service = fake_service(tmp_path, authenticator=OneKey(("admin",)), rate_limit=1)
    with pytest.raises(ScopeMissing):
        await service.extend([KEY], _not_read, _left, report=RunReport(), finished=lambda _end: None)
    with pytest.raises(RateLimitExceeded):
        await service.extend([KEY], _not_read, _left, report=RunReport(), finished=lambda _end: None)


async def test_with_its_scope_alone_pictures_are_looked_up(tmp_path: Path) -> None:
    service = fake_service(tmp_path, authenticator=OneKey(("images:write",)))
    assert await service.look_up([KEY], "id", report=RunReport()) is None


async def test_administration_is_counted_apart_from_pictures(tmp_path: Path) -> None:
    service = fake_service(tmp_path, rate_limit=1)
    report = RunReport()

    caller = await service.recognize([KEY], report)
    assert report.caller == caller
    assert report.rate is not None
    with pytest.raises(RateLimitExceeded):
        await service.recognize([KEY], report)
    assert (await service.rates.state(ORGANIZATION)).remaining == 1
    assert service.administration.store is service.store


async def test_refused_keys_are_counted_by_address_and_valid_ones_are_not_kept_out(tmp_path: Path) -> None:
    service = fake_service(tmp_path, rate_limit=3)
    here, there = RunReport(address="192.0.2.1"), RunReport(address="192.0.2.2")
    for _ in range(3):
        with pytest.raises(InvalidApiKey):
            await service.recognize(["wrong"], here)
    for _ in range(3):
        with pytest.raises(RateLimitExceeded) as refused:
            await service.look_up(["wrong"], "id", report=here)
        assert refused.value.retry_after is not None
    with pytest.raises(InvalidApiKey):
        await service.recognize(["wrong"], there)
    with pytest.raises(AuthenticationRequired):
        await service.recognize([], here)
    assert (await service.recognize([KEY], here)).organization_id == ORGANIZATION
