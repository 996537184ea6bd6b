"""Requests under a key: many at once on several servers, and servers that are killed in the middle of their work."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_server import ORGANIZATION, PATH, PROVIDER_KEY
from forked_servers import Forks, Place, forks
from uncrop.store.database import open_store
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from fixtures_redis import RedisServer
    from fixtures_torture import Cases
    from forked_servers import Forked
    from uncrop.store.database import Store

FIELDS = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "8"}
PHOTO = photo_jpeg(64, 48)
PEPPER = "a pepper for tests that is long enough"

# From the moment at which a request is accepted to the one at which its answer is on its way.
PLACES = [
    Place(function=function, when=when)
    for function in (
        "uncrop.service.service:Service.extend",
        "uncrop.server.routes:read_form",
        "uncrop.server.keyed:fingerprint_of",
        "uncrop.store.keyed_requests:KeyedRequests.look",
        "uncrop.uncropper:parse",
        "uncrop.store.books:Books.open",
        "uncrop.store.keyed_requests:_inserted",
        "uncrop.uncropper:_open",
        "uncrop.store.books:Books.mark_sent",
        "uncrop.providers.transport.sender:Sender.__call__",
        "uncrop.uncropper:finish",
        "uncrop.uncropper:_encode",
        "uncrop.server.keyed:to_pictures_response",
        "uncrop.objects.objects:Objects._put",
        "uncrop.objects.objects:_synchronize",
        "uncrop.store.books:Books.close",
        "uncrop.store.books:_close",
        "uncrop.admission.idempotency:Idempotency.forget",
        "uncrop.server.routes:from_answer",
    )
    for when in ("before", "after")
]


@pytest.fixture(scope="module")
def forked(kernels: Path) -> Iterator[Forks]:
    with forks(kernels) as opened:
        yield opened


def settings(folder: Path, emulator: ClipdropEmulator, **more: Any) -> dict[str, Any]:
    values = {
        "data_dir": str(folder),
        "clipdrop_api_key": PROVIDER_KEY,
        "clipdrop_base_url": emulator.url,
        "rate_limit_per_minute": 10_000_000,
        "key_pepper": PEPPER,
    }
    return {**values, **more}


@asynccontextmanager
async def books(values: dict[str, Any]) -> AsyncIterator[Store]:
    """Open the servers' database beside them, or after them."""
    url = values.get("database_url") or f"sqlite+aiosqlite:///{values['data_dir']}/uncrop.db"
    async with open_store(url, pepper=PEPPER.encode()) as store:
        yield store


def post(server: Forked, api_key: str, key: str) -> httpx2.Response:
    headers = {"X-API-Key": api_key, "Idempotency-Key": key}
    with httpx2.Client(trust_env=False, timeout=60) as client:
        return client.post(server.url + PATH, headers=headers, data=FIELDS, files={"image_file": PHOTO})


def code_of(response: httpx2.Response) -> str:
    return "OK" if response.status_code == 200 else str(response.json()["error"]["code"])


# --- killed servers --------------------------------------------------------------------------------------------------


def test_a_server_killed_anywhere_makes_one_picture_or_says_that_it_is_in_doubt(
    tmp_path: Path, forked: Forks, kernels: Path, cases: Cases
) -> None:
    """The emulator lives in this process, so that its log outlives the servers."""
    places = PLACES * 27 if cases.full else cases.some(PLACES, 10)
    (tmp_path / "kernels").symlink_to(kernels)
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        values = settings(tmp_path, emulator)
        first = forked.start(values, organization=ORGANIZATION)
        assert first.key is not None
        first.end()
        ends: list[tuple[Place, str]] = []
        for place in places:
            key, calls = uuid.uuid4().hex, len(emulator.calls)
            ends.append((place, _kill_and_come_back(forked, values, place, first.key, key)))
            assert len(emulator.calls) - calls <= 1, f"{place}: {ends[-1][1]}"
        told = [end for _, end in ends]
        asyncio.run(_check_books(values, told))
        # Both ends have to occur, or nothing was tried.
        assert {*told} == {"OK", "IDEMPOTENCY_OUTCOME_UNKNOWN"}, [f"{place}: {end}" for place, end in ends]
    cases.ran(len(places))


def _kill_and_come_back(forked: Forks, values: dict[str, Any], place: Place, api_key: str, key: str) -> str:
    doomed = forked.start(values, place=place)
    with pytest.raises(httpx2.TransportError):
        post(doomed, api_key, key)
    doomed.end(9)
    server = forked.start(values)
    answers = [post(server, api_key, key) for _ in range(2)]
    server.end()
    assert code_of(answers[0]) == code_of(answers[1]), place
    if code_of(answers[0]) == "OK":
        assert answers[0].content == answers[1].content
        assert answers[1].headers["idempotent-replayed"] == "true"
    return code_of(answers[0])


async def _check_books(values: dict[str, Any], told: list[str]) -> None:
    """Compare what was told with what is booked: a picture for each answer, one in doubt for each that is unknown."""
    async with books(values) as store:
        assert await store.books.verify() == ()
        states = [hold.state for hold in await store.books.holds(most=10_000)]
        assert states.count("captured") == told.count("OK")
        assert states.count("unknown") == told.count("IDEMPOTENCY_OUTCOME_UNKNOWN")
        assert "held" not in states


# --- many at once ----------------------------------------------------------------------------------------------------


def test_fifty_at_once_on_two_servers_are_one(
    tmp_path: Path, forked: Forks, kernels: Path, postgres_url: str, redis_server: RedisServer, cases: Cases
) -> None:
    (tmp_path / "kernels").symlink_to(kernels)
    rounds, at_once = cases.number(5, 200), 50
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        values = settings(tmp_path, emulator, database_url=postgres_url, redis_url=redis_server.url)
        first = forked.start(values, organization=ORGANIZATION)
        assert first.key is not None
        servers = [first, forked.start(values)]
        asyncio.run(_race(servers, first.key, rounds, at_once))
        for server in servers:
            server.end()
        assert len(emulator.calls) == rounds
        asyncio.run(_check_race(values, rounds))
    cases.ran(rounds * at_once)


async def _race(servers: list[Forked], api_key: str, rounds: int, at_once: int) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=60, limits=httpx2.Limits(max_connections=None)) as client:
        for number in range(rounds):
            headers = {"X-API-Key": api_key, "Idempotency-Key": f"round {number}"}

            async def ask(place: int, headers: dict[str, str] = headers) -> httpx2.Response:
                url = servers[place % len(servers)].url + PATH
                return await client.post(url, headers=headers, data=FIELDS, files={"image_file": PHOTO})

            answers = await asyncio.gather(*map(ask, range(at_once)))
            codes = [code_of(answer) for answer in answers]
            assert {*codes} <= {"OK", "IDEMPOTENCY_IN_PROGRESS"}, codes
            assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 409)
            pictures = {answer.content for answer in answers if answer.status_code == 200}
            assert len(pictures) == 1
            assert (
                sum("idempotent-replayed" not in answer.headers for answer in answers if answer.status_code == 200) == 1
            )
            again = await ask(number)
            assert (again.content, again.headers["idempotent-replayed"]) == (*pictures, "true")


async def _check_race(values: dict[str, Any], rounds: int) -> None:
    async with books(values) as store:
        assert await store.books.verify() == ()
        assert [hold.state for hold in await store.books.holds(most=10_000)] == ["captured"] * rounds
