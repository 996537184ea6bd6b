from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from uncrop.errors import InvalidFieldValue
from uncrop.model import MAX_ORGANIZATION_ID, ORGANIZATION_ID
from uncrop.store.database import Store
from uncrop.store.organizations import Organization, Organizations, new_organization_id

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def test_an_organization_is_made_once(store: Store, clock) -> None:
    made = await store.organizations.ensure("org_123abc", name="Lighthouse")
    clock.advance(days=1)

    assert made == Organization(id="org_123abc", name="Lighthouse", created_at=NOON)
    assert await store.organizations.ensure("org_123abc", name="Another") == made
    assert await store.organizations.get("org_123abc") == made


async def test_one_that_must_be_new_is_made_once_and_all_are_listed(store: Store, clock) -> None:
    assert await store.organizations.all() == ()
    made = await store.organizations.create("org_b", name="Lighthouse")
    clock.advance(days=1)
    with pytest.raises(InvalidFieldValue, match="There is such an organization already") as caught:
        await store.organizations.create("org_b", name="Another")
    assert caught.value.details == {"organization_id": "org_b"}
    other = await store.organizations.ensure("org_a")
    assert await store.organizations.all() == (made, other)


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines"])
async def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(InvalidFieldValue, match="A name has 1 to 200 characters"):
        await Organizations(None, lambda: NOON).create("org_a", name=name)  # type: ignore[arg-type]


async def test_many_may_want_it_at_once(store: Store) -> None:
    made = await asyncio.gather(*(store.organizations.ensure("org_a") for _ in range(16)))

    assert len(set(made)) == 1


@pytest.mark.parametrize("organization_id", ["", "123", "org_", "org_" + "a" * 65, "org_a/b"])
async def test_a_malformed_id_is_refused(organization_id: str) -> None:
    # There is no database behind these: a query would fail.
    organizations = Organizations(None, lambda: NOON)  # type: ignore[arg-type]
    for method in (organizations.ensure, organizations.get, organizations.create):
        with pytest.raises(InvalidFieldValue) as caught:
            await method(organization_id)
        assert caught.value.message == "An organization id is org_ followed by 1 to 64 letters, digits, _ or -"
        assert caught.value.details == {"organization_id": organization_id}


async def test_the_longest_id_fits(store: Store) -> None:
    longest = "org_" + "a" * 64
    await store.keys.create(longest)
    assert (await store.organizations.get(longest)).id == longest


def test_the_columns_have_the_width_of_the_rule() -> None:
    assert ORGANIZATION_ID.fullmatch("org_" + "a" * (MAX_ORGANIZATION_ID - 4))
    assert not ORGANIZATION_ID.fullmatch("org_" + "a" * (MAX_ORGANIZATION_ID - 3))


async def test_an_unknown_organization_is_told(store: Store) -> None:
    with pytest.raises(InvalidFieldValue, match="There is no such organization") as caught:
        await store.organizations.get("org_b")
    assert caught.value.details == {"organization_id": "org_b"}

    with pytest.raises(InvalidFieldValue, match="There is no such organization"):
        await store.policies.change_organization("org_b", pictures_per_day=1)


def test_ids_are_drawn() -> None:
    drawn = {new_organization_id() for _ in range(100)}

    assert len(drawn) == 100
    assert all(len(organization_id) == 16 and organization_id.startswith("org_") for organization_id in drawn)
