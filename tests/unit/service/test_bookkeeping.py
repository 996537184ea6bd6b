"""Limits and the ledger: operators decide, the others look at what is their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import bookkeeping
import uncrop.service.bookkeeping
from uncrop.errors import InvalidFieldValue, NotFound, ScopeMissing
from uncrop.model import Caller, Policy
from uncrop.model.ledger import Hold
from uncrop.providers.registry import load_rows
from uncrop.service.administration import Administration, Place
from uncrop.service.bookkeeping import Bookkeeping
from uncrop.store.books import Closing
from uncrop.store.database import Store, open_store

OPERATOR = Caller(organization_id="org_operators", key_id="operator01", scopes=frozenset({"admin"}))
OURS = Caller(organization_id="org_a", key_id="ours000001", scopes=frozenset({"images:write", "usage:read"}))
IMAGES = Caller(organization_id="org_a", key_id="images0001", scopes=frozenset({"images:write"}))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'uncrop.db'}", pepper=bytes(32)) as opened:
        for organization in ("org_a", "org_b"):
            await opened.organizations.create(organization)
            assert await bookkeeping.hold(opened, organization, organization=organization) is None
        assert await bookkeeping.doubt(opened, "org_a")
        yield opened


@pytest.fixture
def books(store: Store) -> Bookkeeping:
    return Bookkeeping(administration=Administration(store=store, rows=load_rows(())))


async def test_limits_of_an_organization(books: Bookkeeping, store: Store) -> None:
    assert await books.organization_limits(OURS, "org_a") == Policy()
    changes = {"requests_per_minute": 7, "providers": ("local", "clipdrop")}
    changed = await books.limit_organization(OPERATOR, "org_a", changes)
    assert changed == Policy(requests_per_minute=7, providers=("local", "clipdrop"))
    assert await books.organization_limits(OURS, "org_a") == changed
    again = await books.limit_organization(OPERATOR, "org_a", {"requests_per_minute": None})
    assert again == Policy(providers=("local", "clipdrop"))
    last, *_ = await store.audit.page()
    assert (last.actor, last.action, last.changes) == (
        "operator01",
        "organization.limit",
        {"requests_per_minute": (7, None)},
    )
    for caller, organization in ((OURS, "org_b"), (OPERATOR, "org_c")):
        with pytest.raises(NotFound):
            await books.organization_limits(caller, organization)
    with pytest.raises(NotFound):
        await books.limit_organization(OPERATOR, "org_c", {})
    for wrong in ({"providers": ("nobody",)}, {"pictures_per_day": 10**12}):
        with pytest.raises(InvalidFieldValue):
            await books.limit_organization(OPERATOR, "org_a", wrong)


async def test_limits_of_a_key(books: Bookkeeping, store: Store) -> None:
    own, other = await store.keys.create("org_a"), await store.keys.create("org_b")
    changed = await books.limit_key(OPERATOR, own.id, {"usd_micro_per_month": 12_500_000})
    assert changed == await books.key_limits(OURS, own.id) == Policy(usd_micro_per_month=12_500_000)
    for caller, key_id in ((OURS, other.id), (OPERATOR, "0123456789")):
        with pytest.raises(NotFound):
            await books.key_limits(caller, key_id)
    with pytest.raises(NotFound):
        await books.limit_key(OPERATOR, "0123456789", {})


async def test_pictures_are_seen_by_whose_they_are(books: Bookkeeping) -> None:
    async def ids(caller: Caller, **wishes: object) -> list[str]:
        wanted: dict = {"organization_id": None, "states": (), "after": None, "limit": 10, **wishes}
        return [hold.id for hold in (await books.pictures(caller, **wanted)).items]

    assert await ids(OURS) == ["use_org_a"]
    assert sorted(await ids(OPERATOR)) == ["use_org_a", "use_org_b"]
    assert await ids(OPERATOR, organization_id="org_b") == ["use_org_b"]
    assert await ids(OPERATOR, states=("unknown",)) == ["use_org_a"]
    first = await books.pictures(OPERATOR, organization_id=None, states=(), after=None, limit=1)
    assert first.more
    place = Place(first.items[0].created_at, first.items[0].id)
    rest = await ids(OPERATOR, after=place)
    assert sorted([first.items[0].id, *rest]) == ["use_org_a", "use_org_b"]
    with pytest.raises(NotFound):
        await ids(OURS, organization_id="org_b")


async def test_one_picture_with_its_postings(books: Bookkeeping) -> None:
    hold, postings = await books.picture(OURS, "use_org_a")
    assert (hold.state, [posting.unit for posting in postings]) == ("unknown", ["picture"])
    for caller, hold_id in ((OURS, "use_org_b"), (OURS, "nobody"), (OPERATOR, "nobody"), (OPERATOR, "\0")):
        with pytest.raises(NotFound):
            await books.picture(caller, hold_id)


async def test_a_picture_in_doubt_is_settled_once_and_noted(books: Bookkeeping, store: Store) -> None:
    hold, postings = await books.settle(OPERATOR, "use_org_a", charged=True)
    assert hold.state == "captured"
    assert postings[-1].kind == "settle"
    last, *_ = await store.audit.page()
    assert (last.actor, last.action, last.organization_id, last.target, last.changes) == (
        *("operator01", "ledger.settle", "org_a", "use_org_a"),
        {"state": ("unknown", "captured")},
    )
    with pytest.raises(InvalidFieldValue):
        await books.settle(OPERATOR, "use_org_a", charged=False)
    with pytest.raises(NotFound):
        await books.settle(OPERATOR, "nobody", charged=False)
    assert (await store.audit.page())[0] == last
    assert await store.books.verify() == ()


async def test_pictures_that_have_been_in_doubt_for_long_are_settled_together(
    books: Bookkeeping, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def settle(organization_id: str | None = None, seconds: int = 0) -> tuple[list[str], int]:
        since = timedelta(seconds=seconds)
        ended, left = await books.settle_all(OPERATOR, charged=False, older_than=since, organization_id=organization_id)
        assert {each.state for each in ended} <= {"released"}
        return [each.id for each in ended], left

    monkeypatch.setattr(uncrop.service.bookkeeping, "MOST_SETTLED", 2)
    for number in range(3):
        await bookkeeping.hold(store, f"more_{number}", organization="org_b")
        await bookkeeping.doubt(store, f"more_{number}")
    assert await settle(seconds=10**9) == ([], 0)
    assert await settle("org_a") == (["use_org_a"], 0)
    with pytest.raises(NotFound):
        await settle("org_c")
    first, left = await settle()
    assert (len(first), left) == (2, 1)
    someone_else = store.books.settle

    async def too_late(hold_id: str, closing: Closing, *, actor: str) -> Hold:
        await someone_else(hold_id, closing, actor="somebody")
        return await someone_else(hold_id, closing, actor=actor)

    monkeypatch.setattr(store.books, "settle", too_late)
    assert await settle() == ([], 0)
    assert [each.actor for each in await store.audit.page()][:3] == ["somebody", "operator01", "operator01"]
    assert await store.books.verify() == ()


async def test_what_a_picture_cost_is_corrected_once_it_has_ended(books: Bookkeeping, store: Store) -> None:
    with pytest.raises(InvalidFieldValue):
        await books.adjust(OPERATOR, "use_org_a", reason="a refund", usd=Decimal(1))
    await books.settle(OPERATOR, "use_org_a", charged=True)
    hold, postings = await books.adjust(OPERATOR, "use_org_a", reason="a refund", usd=Decimal("0.25"))
    assert (hold.state, postings[-1].kind, postings[-1].unit, postings[-1].amount) == (
        *("captured", "adjust", "usd_micro"),
        250_000,
    )
    last, *_ = await store.audit.page()
    assert (last.actor, last.action, last.changes["reason"]) == ("operator01", "ledger.adjust", (None, "a refund"))
    _, postings = await books.adjust(OPERATOR, "use_org_a", reason="the bill", credits_=Decimal("1.5"))
    assert postings[-1].amount == 1500
    for wrong in ({"usd": Decimal("0.25")}, {"usd": Decimal(10**30)}):
        with pytest.raises(InvalidFieldValue):
            await books.adjust(OPERATOR, "use_org_a", reason="a refund", **wrong)
    with pytest.raises(NotFound):
        await books.adjust(OPERATOR, "nobody", reason="a refund", usd=Decimal(1))
    assert await store.books.verify() == ()


@pytest.mark.parametrize("caller", [OURS, IMAGES])
async def test_decisions_are_for_operators_alone(books: Bookkeeping, caller: Caller) -> None:
    for refused in (
        books.limit_organization(caller, "org_a", {"pictures_per_day": 0}),
        books.limit_key(caller, "0123456789", {}),
        books.settle(caller, "use_org_a", charged=False),
        books.settle_all(caller, charged=False, older_than=timedelta(0), organization_id=None),
        books.adjust(caller, "use_org_a", reason="a refund", usd=Decimal(1)),
    ):
        with pytest.raises(ScopeMissing) as caught:
            await refused
        assert caught.value.details == {"scope": "admin"}


async def test_reading_needs_its_scope(books: Bookkeeping) -> None:
    for refused in (
        books.organization_limits(IMAGES, "org_a"),
        books.key_limits(IMAGES, "0123456789"),
        books.pictures(IMAGES, organization_id=None, states=(), after=None, limit=1),
        books.picture(IMAGES, "use_org_a"),
    ):
        with pytest.raises(ScopeMissing):
            await refused
