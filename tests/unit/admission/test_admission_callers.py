from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from uncrop.admission.callers import Authenticator
from uncrop.errors import (
    ApiKeyDeactivated,
    ApiKeyExpired,
    ApiKeyPaused,
    AuthenticationError,
    AuthenticationRequired,
    InvalidApiKey,
)
from uncrop.model import Caller
from uncrop.store.keys import ApiKey

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
