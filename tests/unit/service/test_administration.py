"""What operators do for all, and what the others see of their own, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from uncrop.errors import InvalidFieldValue, NotFound, ScopeMissing
from uncrop.model import Caller
from uncrop.providers.registry import load_rows
from uncrop.service.administration import Administration, Place
from uncrop.store.database import Store, open_store

OPERATOR = Caller(organization_id="org_operators", key_id="operator01", scopes=frozenset({"admin"}))
OURS = Caller(organization_id="org_a", key_id="ours000001", scopes=frozenset({"images:write", "usage:read"}))
IMAGES = Caller(organization_id="org_a", key_id="images0001", scopes=frozenset({"images:write"}))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'uncrop.db'}"
    async with open_store(url, pepper=bytes(32), encryption_keys=["e" * 32]) as opened:
        for organization in ("org_a", "org_b"):
            await opened.organizations.create(organization)
        yield opened


@pytest.fixture
def admin(store: Store) -> Administration:
    return Administration(store=store, rows=load_rows(()))


async def test_an_operator_sees_all_and_the_others_their_own(admin: Administration) -> None:
    def ids(page) -> list[str]:
        return [each.id for each in page.items]

    assert ids(await admin.organizations(OPERATOR, after=None, limit=10)) == ["org_a", "org_b"]
    assert ids(await admin.organizations(OURS, after=None, limit=10)) == ["org_a"]
    assert (await admin.organization(OURS, "org_a")).id == "org_a"
    assert (await admin.organization(OPERATOR, "org_b")).id == "org_b"
    for caller, organization in ((OURS, "org_b"), (OURS, "org_c"), (OURS, "?"), (OPERATOR, "org_c"), (OPERATOR, "\0")):
        with pytest.raises(NotFound):
            await admin.organization(caller, organization)


async def test_pages_join(admin: Administration) -> None:
    first = await admin.organizations(OPERATOR, after=None, limit=1)
    assert ([each.id for each in first.items], first.more) == (["org_a"], True)
    place = Place(first.items[0].created_at, first.items[0].id)
    second = await admin.organizations(OPERATOR, after=place, limit=1)
    assert ([each.id for each in second.items], second.more) == (["org_b"], False)


async def test_organizations_are_made_and_changed_by_operators(admin: Administration, store: Store) -> None:
    drawn = await admin.create_organization(OPERATOR, organization_id=None, name="Drawn")
    assert drawn.id.startswith("org_")
    named = await admin.create_organization(OPERATOR, organization_id="org_c", name=None)
    assert (named.id, named.name) == ("org_c", None)
    changed = await admin.change_organization(OPERATOR, "org_c", name="C", may_use_server_keys=False)
    assert (changed.name, changed.may_use_server_keys) == ("C", False)
    with pytest.raises(NotFound):
        await admin.change_organization(OPERATOR, "org_d", name="D", may_use_server_keys=None)
    with pytest.raises(InvalidFieldValue):
        await admin.create_organization(OPERATOR, organization_id="org_c", name=None)
    assert {entry.actor for entry in (await store.audit.page())[:3]} == {"operator01"}


async def test_keys_of_providers(admin: Administration, store: Store) -> None:
    (entry,) = await admin.put_provider_key(OPERATOR, "org_a", "clipdrop", "sk-0123456789abcdef")
    assert (entry.provider, entry.last4) == ("clipdrop", "cdef")
    assert await admin.provider_keys(OURS, "org_a") == (entry,)
    for wrong in (
        admin.provider_keys(OURS, "org_b"),
        admin.put_provider_key(OPERATOR, "org_c", "clipdrop", "sk"),
        admin.remove_provider_key(OPERATOR, "org_b", "clipdrop"),
        admin.remove_provider_key(OPERATOR, "org_a", "no\0body"),
        admin.remove_provider_key(OPERATOR, "org_c", "clipdrop"),
    ):
        with pytest.raises(NotFound):
            await wrong
    with pytest.raises(InvalidFieldValue):
        await admin.put_provider_key(OPERATOR, "org_a", "local", "sk")
    assert await admin.remove_provider_key(OPERATOR, "org_a", "clipdrop") == ()
    assert await store.provider_keys.all() == ()


async def test_keys(admin: Administration, store: Store) -> None:
    new = await admin.create_api_key(OPERATOR, "org_a", name="web", scopes=["usage:read"], expires_at=None)
    other = await admin.create_api_key(OPERATOR, "org_b", name=None, scopes=None, expires_at=None)
    assert (await admin.api_key(OURS, new.id)).scopes == {"usage:read"}
    assert (await admin.api_key(OPERATOR, other.id)).id == other.id
    for caller, key_id in ((OURS, other.id), (OURS, "0123456789"), (OPERATOR, "0123456789"), (OPERATOR, "\0")):
        with pytest.raises(NotFound):
            await admin.api_key(caller, key_id)
    both = await admin.api_keys(OPERATOR, organization_id=None, after=None, limit=10)
    assert [key.id for key in both.items] == [new.id, other.id]
    for page in (
        await admin.api_keys(OURS, organization_id=None, after=None, limit=10),
        await admin.api_keys(OURS, organization_id="org_a", after=None, limit=10),
        await admin.api_keys(OPERATOR, organization_id="org_a", after=None, limit=10),
    ):
        assert [key.id for key in page.items] == [new.id]
    for caller, organization in ((OURS, "org_b"), (OPERATOR, "org_c")):
        with pytest.raises(NotFound):
            await admin.api_keys(caller, organization_id=organization, after=None, limit=10)

    rotated = await admin.rotate_api_key(OPERATOR, new.id, overlap=timedelta(hours=1), expires_at=None)
    assert (await admin.api_key(OURS, new.id)).replaced_by == rotated.id
    assert (await admin.pause_api_key(OPERATOR, rotated.id)).paused_at is not None
    assert (await admin.resume_api_key(OPERATOR, rotated.id)).paused_at is None
    assert (await admin.revoke_api_key(OPERATOR, rotated.id)).revoked_at is not None
    with pytest.raises(InvalidFieldValue):
        await admin.create_api_key(OPERATOR, "org_c", name=None, scopes=None, expires_at=None)
    assert {entry.actor for entry in await store.audit.page(organization_id="org_a", limit=6)} == {"operator01"}


async def test_no_operators_key_is_made_over_http(admin: Administration, store: Store) -> None:
    made = await store.keys.create("org_operators", scopes=["admin"])
    with pytest.raises(InvalidFieldValue, match="made on the command line alone"):
        await admin.create_api_key(OPERATOR, "org_a", name=None, scopes=["images:write", "admin"], expires_at=None)
    with pytest.raises(InvalidFieldValue, match="made on the command line alone"):
        await admin.rotate_api_key(OPERATOR, made.id, overlap=timedelta(0), expires_at=None)
    assert [key.id for key in await store.keys.all()] == [made.id]
    assert (await admin.revoke_api_key(OPERATOR, made.id)).revoked_at is not None


async def test_usage_is_read_by_day(admin: Administration, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Day:
        def __init__(self, day: str, provider: str) -> None:
            self.day, self.provider = date.fromisoformat(day), provider

    days = [Day("2026-11-01", "a"), Day("2026-11-01", "b"), Day("2026-11-02", "a"), Day("2026-11-03", "a")]
    asked: list[str | None] = []

    async def by_day(organization_id: str | None) -> list[Day]:
        asked.append(organization_id)
        return days

    monkeypatch.setattr(store.usage, "by_day", by_day)

    async def read(caller: Caller = OURS, **wishes: object) -> tuple[list[Day], bool]:
        wanted: dict = {"organization_id": None, "since": None, "until": None, "after": None, "limit": 10, **wishes}
        page = await admin.usage(caller, **wanted)
        return list(page.items), page.more

    assert await read() == (days, False)
    assert await read(OPERATOR, organization_id="org_b") == (days, False)
    assert await read(OPERATOR) == (days, False)
    assert asked == ["org_a", "org_b", None]
    assert await read(since=date(2026, 11, 2)) == (days[2:], False)
    assert await read(until=date(2026, 11, 2)) == (days[:3], False)
    assert await read(limit=1, after=(date(2026, 11, 1), "a")) == ([days[1]], True)
    with pytest.raises(NotFound):
        await read(organization_id="org_b")


async def test_acts_are_for_operators_alone(admin: Administration) -> None:
    async def acts(caller: Caller, **wishes: object) -> list[str]:
        wanted: dict = {"organization_id": None, "since": None, "before": None, "limit": 10, **wishes}
        return [entry.target for entry in (await admin.audit(caller, **wanted)).items]

    assert await acts(OPERATOR) == ["org_b", "org_a"]
    assert await acts(OPERATOR, organization_id="org_a") == ["org_a"]
    assert await acts(OPERATOR, since=datetime(2999, 1, 1, tzinfo=UTC)) == []
    with pytest.raises(ScopeMissing):
        await acts(OURS)
    with pytest.raises(NotFound):
        await acts(OPERATOR, organization_id="org_c")


CHANGES: dict[str, Callable[[Administration, Caller], Awaitable[object]]] = {
    "create": lambda admin, caller: admin.create_organization(caller, organization_id="org_c", name=None),
    "change": lambda admin, caller: admin.change_organization(caller, "org_a", name="A", may_use_server_keys=None),
    "put": lambda admin, caller: admin.put_provider_key(caller, "org_a", "clipdrop", "sk"),
    "remove": lambda admin, caller: admin.remove_provider_key(caller, "org_a", "clipdrop"),
    "new key": lambda admin, caller: admin.create_api_key(caller, "org_a", name=None, scopes=None, expires_at=None),
    "rotate": lambda admin, caller: admin.rotate_api_key(caller, "0123456789", overlap=timedelta(0), expires_at=None),
    "pause": lambda admin, caller: admin.pause_api_key(caller, "0123456789"),
    "resume": lambda admin, caller: admin.resume_api_key(caller, "0123456789"),
    "revoke": lambda admin, caller: admin.revoke_api_key(caller, "0123456789"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("caller", [OURS, IMAGES])
async def test_changes_are_for_operators_alone(
    admin: Administration, store: Store, change: str, caller: Caller
) -> None:
    before = await store.audit.page()
    with pytest.raises(ScopeMissing) as refused:
        await CHANGES[change](admin, caller)
    assert refused.value.details == {"scope": "admin"}
    assert await store.audit.page() == before


async def test_reading_needs_its_scope(admin: Administration) -> None:
    for refused in (
        admin.organizations(IMAGES, after=None, limit=1),
        admin.organization(IMAGES, "org_a"),
        admin.api_key(IMAGES, "0123456789"),
        admin.provider_keys(IMAGES, "org_a"),
    ):
        with pytest.raises(ScopeMissing) as caught:
            await refused
        assert caught.value.details == {"scope": "usage:read"}
