"""Webhooks as they are asked for: what is refused, and what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from uncrop.errors import InvalidFieldValue, WebhookUrlForbidden
from uncrop.model.webhooks import JOB_EVENTS
from uncrop.store.database import open_store
from uncrop.webhooks.addresses import AddressRules
from uncrop.webhooks.endpoints import LONGEST_DESCRIPTION, MOST_WEBHOOKS, Endpoints
from uncrop.webhooks.signing import check_secret, new_secret

URL, PRIVATE = "https://hooks.example/", "https://private.example/"


@pytest.fixture
async def endpoints(sqlite_url: str) -> AsyncIterator[Endpoints]:
    async def resolve(host: str) -> Any:
        return (ip_address("10.0.0.1" if host == "private.example" else "93.184.215.14"),)

    async with open_store(sqlite_url, pepper=bytes(32), encryption_keys=["n" * 32]) as store:
        await store.organizations.create("org_a")
        yield Endpoints(webhooks=store.webhooks, rules=AddressRules(resolve=resolve))


async def test_a_webhook_is_told_of_everything_and_has_a_secret(endpoints: Endpoints) -> None:
    made = await endpoints.create("org_a", URL)
    assert (made.webhook.url, made.webhook.events, made.webhook.description) == (URL, JOB_EVENTS, None)
    assert check_secret(made.secret) not in repr(made)


async def test_what_is_asked_for_is_kept(endpoints: Endpoints) -> None:
    mine = new_secret()
    made = await endpoints.create(
        "org_a", URL, description="Shop", events=["job.failed", "job.done", "job.done"], secret=mine
    )
    assert (made.secret, made.webhook.description) == (mine, "Shop")
    assert made.webhook.events == ("job.done", "job.failed")
    changed = await endpoints.change(made.webhook.id, url=f"{URL}other", events=["job.unknown"], enabled=False)
    assert changed is not None
    assert (changed.url, changed.events, changed.enabled) == (f"{URL}other", ("job.unknown",), False)
    assert await endpoints.change("whk_0", description="x") is None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"description": "x" * (LONGEST_DESCRIPTION + 1)}, "description"),
        ({"description": "two\nlines"}, "description"),
        ({"events": []}, "events"),
        ({"events": ["job.done", "job.succeeded"]}, "events"),
        ({"events": ["job.done "]}, "events"),
        ({"secret": "whsec_short"}, "secret"),
    ],
)
async def test_what_is_malformed_is_refused(endpoints: Endpoints, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFieldValue) as raised:
        await endpoints.create("org_a", URL, **asked)
    assert raised.value.details is not None
    assert raised.value.details["field"] == field
    if field != "secret":
        made = (await endpoints.create("org_a", URL)).webhook
        with pytest.raises(InvalidFieldValue):
            await endpoints.change(made.id, **asked)
        assert await endpoints.webhooks.find(made.id) == made


async def test_no_private_address_is_kept(endpoints: Endpoints) -> None:
    with pytest.raises(WebhookUrlForbidden):
        await endpoints.create("org_a", PRIVATE)
    made = (await endpoints.create("org_a", URL)).webhook
    with pytest.raises(WebhookUrlForbidden):
        await endpoints.change(made.id, url=PRIVATE)
    assert await endpoints.webhooks.page() == (made,)


async def test_there_are_so_many(endpoints: Endpoints) -> None:
    for _ in range(MOST_WEBHOOKS):
        await endpoints.create("org_a", URL)
    with pytest.raises(InvalidFieldValue, match="as many as it may"):
        await endpoints.create("org_a", URL)


async def test_secrets_are_rotated_with_an_overlap(endpoints: Endpoints) -> None:
    made = await endpoints.create("org_a", URL)
    rotated = await endpoints.rotate(made.webhook.id, overlap=timedelta(days=30))
    assert rotated is not None
    assert rotated.secret != made.secret
    assert rotated.webhook.previous_secret_ends_at is not None
    mine = new_secret()
    again = await endpoints.rotate(made.webhook.id, overlap=timedelta(0), secret=mine)
    assert again is not None
    assert (again.secret, again.webhook.previous_secret_ends_at) == (mine, None)
    assert await endpoints.rotate("whk_0", overlap=timedelta(0)) is None
    for overlap in (timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with pytest.raises(InvalidFieldValue, match="between 0 and 30 days"):
            await endpoints.rotate(made.webhook.id, overlap=overlap)
    with pytest.raises(InvalidFieldValue, match="secret must be"):
        await endpoints.rotate(made.webhook.id, overlap=timedelta(0), secret="mine")
