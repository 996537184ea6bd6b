"""Two organizations with keys of every kind on one real server, and what can be asked of its administration."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import sqlalchemy as sa

import bookkeeping
from fixtures_server import ORGANIZATION, Real, real
from uncrop.store.tables import metadata
from uncrop.store.transactions import begin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS, THEIRS, NOBODYS = ORGANIZATION, "org_theirs", "org_nobodys"
PROVIDER_KEY = "sk-canary-of-theirs-0123456789"
# What differs from answer to answer in any case.
OF_THE_MOMENT = {"trace_id", "timestamp"}
HEADERS_OF_THE_MOMENT = {"x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset", "date"}


@dataclass(kw_only=True)
class Tenants:
    """A server with two organizations.

    Attributes
    ----------
    keys
        By name: ``ours`` and ``theirs`` with the scopes of a new key, ``operator``, ``images`` and ``usage`` of ours
        with one scope each, and ``revoked``, ``expired``, ``paused`` and ``deleted`` of ours.
    ids
        Of the keys, by the same names.
    """

    house: Real
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=60))

    def add(self, called: str, organization: str, **options: Any) -> None:
        new = self.house.new_key(organization, **options)
        self.keys[called], self.ids[called] = new.key, new.id

    def do(self, work: Any) -> Any:
        return self.house.server.do(work)

    @property
    def store(self) -> Any:
        return self.house.server.service.store

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx2.Response:
        """Send a request; ``body`` goes along as JSON."""
        body = options.pop("body", None)
        headers = {} if key is None else {"X-API-Key": key}
        if body is not None:
            headers["Content-Type"] = "application/json"
            options["content"] = json.dumps(body)
        return self.client.request(
            method, self.house.url + path, headers={**headers, **options.pop("headers", {})}, **options
        )

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Return all that the database holds, but for the moments at which keys were used."""

        async def read() -> dict[str, list[tuple[object, ...]]]:
            found = {}
            async with begin(self.store._transactions._engine, writes=False) as connection:
                for table in metadata.sorted_tables:
                    columns = [column for column in table.c if column.name != "last_used_at"]
                    found[table.name] = [tuple(row) for row in (await connection.execute(sa.select(*columns))).all()]
            return found

        rows: dict[str, list[tuple[object, ...]]] = self.do(read())
        return rows


def fingerprint(response: httpx2.Response) -> tuple[int, dict[str, str], object]:
    """Return all of an answer that may not tell what belongs to others from what is not there."""
    headers = {name: value for name, value in response.headers.items() if name not in HEADERS_OF_THE_MOMENT}
    body = response.json()
    if "error" in body:
        body["error"] = {name: value for name, value in body["error"].items() if name not in OF_THE_MOMENT}
    return response.status_code, headers, body


@contextmanager
def open_tenants(folder: Path, *, jobs: bool = False, **settings: Any) -> Iterator[Tenants]:
    """Serve two organizations; ``jobs``: their jobs and webhooks too."""
    values = {"rate_limit_per_minute": 1_000_000, "encryption_key": "e" * 40, **settings}
    with real(folder, settings=values, key=False, jobs=jobs) as house:
        tenants = Tenants(house=house)
        tenants.add("ours", OURS, name="ours")
        tenants.add("theirs", THEIRS, name="theirs")
        tenants.add("operator", "org_operators", scopes=["admin"])
        tenants.add("images", OURS, scopes=["images:write"])
        tenants.add("usage", OURS, scopes=["usage:read"])
        tenants.add("revoked", OURS)
        tenants.add("paused", OURS)
        tenants.add("expired", OURS, expires_at=datetime(2999, 1, 1, tzinfo=UTC))
        tenants.do(tenants.store.keys.revoke(tenants.ids["revoked"]))
        tenants.do(tenants.store.keys.pause(tenants.ids["paused"]))
        tenants.do(tenants.store.keys.rotate(tenants.ids["expired"]))
        for organization in (OURS, THEIRS):
            tenants.do(tenants.store.provider_keys.put(organization, "clipdrop", PROVIDER_KEY))
        for name, organization in (("ours", OURS), ("theirs", THEIRS)):
            tenants.do(bookkeeping.hold(tenants.store, name, organization=organization))
            tenants.do(bookkeeping.doubt(tenants.store, name))
        with tenants.client:
            yield tenants


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Two organizations for a whole module, which changes nothing of theirs."""
    with open_tenants(tmp_path_factory.mktemp("tenants")) as opened:
        yield opened
