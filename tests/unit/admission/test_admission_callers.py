from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from uncrop.admission.callers import Authenticator, check_scope, network_of
from uncrop.errors import (
    ApiKeyDeactivated,
    ApiKeyExpired,
    ApiKeyPaused,
    AuthenticationError,
    AuthenticationRequired,
    InvalidApiKey,
    ScopeMissing,
)
from uncrop.model import SERVERS, Caller, ProviderKeys
from uncrop.store.api_key import ApiKey

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeKeys:
    """Keys by their text; notes what was asked."""

    def __init__(self) -> None:
        self.known: dict[str, ApiKey] = {}
        self.asked: list[str] = []
        self.used: list[str] = []

    def add(self, text: str, **states: datetime) -> None:
        moments = {"expires_at": None, "paused_at": None, "revoked_at": None, **states}
        self.known[text] = ApiKey(
            id=f"id-{text}", organization_id=f"org_{text}", name=None, created_at=NOON, last_used_at=None, **moments
        )

    async def verify(self, text: str) -> ApiKey | None:
        self.asked.append(text)
        return self.known.get(text)

    async def note_use(self, key: ApiKey) -> None:
        self.used.append(key.id)

    async def find(self, key_id: str) -> ApiKey | None:
        return next((key for key in self.known.values() if key.id == key_id), None)


@pytest.fixture
def keys() -> FakeKeys:
    fake = FakeKeys()
    fake.add("good")
    fake.add("other")
    fake.add("paused", paused_at=NOON)
    fake.add("expired", expires_at=NOON)
    fake.add("revoked", revoked_at=NOON)
    return fake


@pytest.fixture
def authenticator(keys: FakeKeys) -> Authenticator:
    return Authenticator(keys, clock=lambda: NOON)


async def test_a_caller_has_the_scopes_of_its_key(keys: FakeKeys, authenticator: Authenticator) -> None:
    keys.known["good"] = replace(keys.known["good"], scopes=frozenset({"admin"}))

    caller = await authenticator.authenticate(["good"])

    assert (caller.scopes, caller.is_operator) == ({"admin"}, True)
    assert not (await authenticator.authenticate(["other"])).is_operator


def test_one_of_several_scopes_is_enough() -> None:
    caller = Caller(scopes=frozenset({"usage:read"}))
    check_scope(caller, "usage:read")
    check_scope(caller, "admin", "usage:read")

    with pytest.raises(ScopeMissing) as caught:
        check_scope(caller, "images:write", "admin")
    assert caught.value.details == {"scope": "images:write"}


async def test_a_valid_key_is_its_organization(authenticator: Authenticator, keys: FakeKeys) -> None:
    assert await authenticator.authenticate(["good"]) == Caller(organization_id="org_good", key_id="id-good")
    assert keys.used == ["id-good"]


@pytest.mark.parametrize("candidates", [[], [""], ["", ""]])
async def test_without_credentials(authenticator: Authenticator, keys: FakeKeys, candidates: list[str]) -> None:
    with pytest.raises(AuthenticationRequired) as caught:
        await authenticator.authenticate(candidates)

    assert type(caught.value) is AuthenticationRequired
    assert caught.value.code == "AUTHENTICATION_REQUIRED"
    assert keys.asked == []


@pytest.mark.parametrize(
    ("text", "error"),
    [("unknown", InvalidApiKey), ("paused", ApiKeyPaused), ("expired", ApiKeyExpired), ("revoked", ApiKeyDeactivated)],
)
async def test_each_refusal_has_its_error(
    authenticator: Authenticator, keys: FakeKeys, text: str, error: type[AuthenticationError]
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        await authenticator.authenticate([text])

    assert type(caught.value) is error
    assert caught.value.status == 401
    assert keys.used == []


@pytest.mark.parametrize("first", ["", "unknown", "paused", "expired", "revoked"])
async def test_one_valid_key_is_enough(authenticator: Authenticator, keys: FakeKeys, first: str) -> None:
    for candidates in ([first, "good"], ["good", first]):
        assert (await authenticator.authenticate(candidates)).organization_id == "org_good"
    assert keys.used == ["id-good", "id-good"]


async def test_of_two_valid_keys_the_first_counts(authenticator: Authenticator, keys: FakeKeys) -> None:
    assert (await authenticator.authenticate(["other", "good"])).organization_id == "org_other"
    assert keys.asked == ["other"]


@pytest.mark.parametrize(
    ("candidates", "error"),
    [
        (["paused", "unknown"], ApiKeyPaused),
        (["unknown", "paused"], InvalidApiKey),
        (["", "revoked", "expired"], ApiKeyDeactivated),
    ],
)
async def test_the_first_ones_error_counts(
    authenticator: Authenticator, candidates: list[str], error: type[AuthenticationError]
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        await authenticator.authenticate(candidates)

    assert type(caught.value) is error


async def test_the_same_key_twice_is_looked_up_once(authenticator: Authenticator, keys: FakeKeys) -> None:
    with pytest.raises(InvalidApiKey):
        await authenticator.authenticate(["unknown", "unknown"])

    assert keys.asked == ["unknown"]


async def test_a_key_expires_by_the_real_clock_unless_told_otherwise(keys: FakeKeys) -> None:
    now = datetime.now(UTC)
    keys.add("old", expires_at=now - timedelta(hours=1))
    keys.add("new", expires_at=now + timedelta(hours=1))
    authenticator = Authenticator(keys)

    assert (await authenticator.authenticate(["new"])).key_id == "id-new"
    with pytest.raises(ApiKeyExpired):
        await authenticator.authenticate(["old"])


class FakeProviderKeys:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def of(self, organization_id: str) -> dict[str, str | None]:
        self.asked.append(organization_id)
        return {"clipdrop": "sk-own"}


async def test_an_organizations_own_keys_are_looked_up_where_there_are_any(keys: FakeKeys) -> None:
    own = FakeProviderKeys()
    authenticator = Authenticator(keys, own, clock=lambda: NOON)

    assert (await authenticator.authenticate(["good"])).provider_keys == SERVERS
    assert own.asked == []
    keys.known["good"] = replace(keys.known["good"], has_provider_keys=True, may_use_server_keys=False)
    caller = await authenticator.authenticate(["good"])
    assert caller.provider_keys == ProviderKeys(own={"clipdrop": "sk-own"}, may_use_servers=False)
    assert own.asked == ["org_good"]
    assert "sk-own" not in repr(caller)
    with_none_kept = await Authenticator(keys, clock=lambda: NOON).authenticate(["good"])
    assert with_none_kept.provider_keys == ProviderKeys(may_use_servers=False)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_addresses_are_counted_by_their_network(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_work_goes_on_for_a_key_that_was_revoked_and_not_for_one_that_is_gone(
    authenticator: Authenticator,
) -> None:
    assert await authenticator.caller_of("id-revoked") == Caller(organization_id="org_revoked", key_id="id-revoked")
    with pytest.raises(InvalidApiKey):
        await authenticator.caller_of("id-nobodys")
