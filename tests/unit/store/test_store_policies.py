"""Limits that are guessed from the last time, and read again all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bookkeeping import hold
from uncrop.model.policies import Policies, Refusal
from uncrop.store import policies
from uncrop.store.new_holds import NewHold
from uncrop.store.policies import SeenPolicies

if TYPE_CHECKING:
    import pytest

    from uncrop.store.database import Store


async def test_limits_that_were_changed_count_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they were at the last picture, which is remembered of so many and no more."""
    monkeypatch.setattr(policies, "MOST_SEEN", 1)
    for name in ("org_a", "org_b"):
        await store.organizations.ensure(name)
    assert await hold(store, 1, limit=1, organization="org_b") is None
    assert await hold(store, 2, limit=2) is None
    await store.policies.change_organization("org_a", pictures_per_day=1)
    refused = Refusal(limit="pictures_per_day", scope="organization", most=1, used=1)
    assert await hold(store, 3, limit=2) == await hold(store, 4, limit=2) == refused
    await store.policies.change_organization("org_a", pictures_per_day=3)
    assert await hold(store, 5, limit=2) is None
    await store.policies.change_organization("org_a", providers=("local",))
    assert await hold(store, 6) == Refusal(limit="providers", scope="organization")
    assert await store.books.verify() == ()


async def test_where_nothing_is_posted_limits_are_read_all_the_same(store: Store) -> None:
    await store.organizations.ensure("org_a")
    new = NewHold(id="use_1", organization_id="org_a", key_id=None, provider="clipdrop", calls=0, postings=())
    assert await store.books.open(new) is None
    await store.policies.change_organization("org_a", providers=("local",))
    assert await store.books.open(replace(new, id="use_2")) == Refusal(limit="providers", scope="organization")


def test_of_so_many_it_is_remembered_and_of_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "MOST_SEEN", 2)
    seen, none = SeenPolicies(), Policies()
    for name in ("a", "b"):
        seen.remember(name, None, none)
    assert [seen.guess(name, None) for name in ("a", "b", "c")] == [none, none, None]
    seen.remember("c", "k", none)
    assert [seen.guess("a", None), seen.guess("c", "k"), seen.guess("c", None)] == [None, none, None]
    seen.forget("c", "k")
    seen.forget("c", "k")
    assert seen.guess("c", "k") is None
