"""Webhooks that lead where they must not, receivers that answer as none should, and messages that outlive all of it."""

from __future__ import annotations

import heapq
import itertools
import random
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2
import pytest

from fixtures_server import Real, real
from uncrop.errors import WebhookUrlForbidden
from uncrop.model.jobs import NewJob
from uncrop.model.webhooks import JOB_EVENTS
from uncrop.store.database import Store, open_store
from uncrop.store.deliveries import Sent
from uncrop.store.webhooks import NewWebhook
from uncrop.webhooks.addresses import AddressRules, system_resolver
from uncrop.webhooks.deliverer import Deliverer, entry_of
from uncrop.webhooks.numbers import is_public, networks_of
from uncrop.webhooks.payload import payload_of
from uncrop.webhooks.schedule import JITTER, TRIES, WAITS_S
from uncrop.webhooks.sending import MessageSender, Outcome
from uncrop.webhooks.signing import new_secret
from webhook_addresses import forbidden_urls
from webhook_receivers import NO_CONTENT, answering, receiving

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fixtures_torture import Cases
    from uncrop.store.jobs import Also

PUBLIC, OTHER, PRIVATE, SIXTH = "93.184.215.14", "8.8.8.8", "127.0.0.1", "2606:4700:4700::1111"
HEADERS = {"webhook-id": "msg_1"}


@dataclass
class Connections(list[tuple[str, int]]):
    """Where connections were tried to; none comes about."""

    async def connect_tcp(self, _backend: Any, host: str, port: int, **_options: Any) -> Any:
        self.append((host, port))
        raise httpcore2.ConnectError


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    tried = Connections()

    async def connect_tcp(backend: Any, host: str, port: int, **options: Any) -> Any:
        return await tried.connect_tcp(backend, host, port, **options)

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect_tcp)
    return tried


class Resolver:
    """The system's, which answers one lookup after another as it is told, whether a name is text or bytes."""

    def __init__(self, *answers: str) -> None:
        self._answers = {}
        for name in ("hooks.example", b"hooks.example"):
            self._answers[name] = answers
        self.lookups = 0

    def __call__(self, host: Any, port: Any, *_arguments: Any, **_options: Any) -> list[Any]:
        answers = self._answers[host]
        answer = answers[min(self.lookups, len(answers) - 1)]
        self.lookups += 1
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        families = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (families[ip_address(each).version], socket.SOCK_STREAM, 6, "", (each, port or 0))
            for each in answer.split()
        ]


def sender(rules: AddressRules, **options: Any) -> MessageSender:
    # Which certificates are believed is of no interest here, and reading them takes time.
    return MessageSender(rules=rules, **{"certificates": lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **options})


# --- D1 --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    settings = {"encryption_key": "n" * 32, "rate_limit_per_minute": 1_000_000}
    with real(tmp_path_factory.mktemp("webhooks"), settings=settings, jobs=True) as opened:
        yield opened


def test_no_forbidden_address_is_kept(house: Real, cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _of_the_internet(socket.getaddrinfo))
    urls = cases.some(forbidden_urls(), 25)
    with httpx2.Client(base_url=house.url, headers={"X-API-Key": house.key}) as client:
        for url in urls:
            answer = client.post("/api/v1/webhooks", json={"url": url})
            told = (answer.status_code, answer.json()["error"]["code"])
            assert told in {(422, "WEBHOOK_URL_FORBIDDEN"), (422, "VALIDATION_ERROR")}, (url, answer.text)
            assert told[1] == "WEBHOOK_URL_FORBIDDEN" or len(url) > 2000, url
        assert client.get("/api/v1/webhooks").json()["data"] == []
    cases.ran(len(urls))


def _of_the_internet(original: Any) -> Any:
    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if port is not None:  # a client's connection, not a lookup of ours
            return original(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, 0))]

    return getaddrinfo


async def test_no_forbidden_address_is_sent_to(cases: Cases, connections: Connections) -> None:
    async def resolve(_host: str) -> Any:
        return (ip_address(PUBLIC),)

    urls = cases.some(forbidden_urls(), 120)
    for url in urls:
        outcome = await sender(AddressRules(resolve=resolve))(url, HEADERS, "{}")
        assert (outcome.sent.status, outcome.sent.failure) == (None, "address"), url
    assert connections == []
    cases.ran(len(urls))


# --- D2 --------------------------------------------------------------------------------------------------------------

FIRST = (PUBLIC, f"{PUBLIC} {OTHER}", f"{PUBLIC} {SIXTH}")
LATER = (
    PRIVATE,
    "10.0.0.1",
    f"{PUBLIC} {PRIVATE}",
    f"{PRIVATE} {PUBLIC}",
    f"{SIXTH} ::1",
    "::ffff:127.0.0.1",
    "169.254.169.254",
    "fe80::1%lo",
    "64:ff9b::7f00:1",
    "",
)


@pytest.mark.parametrize("first", FIRST)
async def test_what_a_name_stands_for_later_is_checked_again(
    first: str, cases: Cases, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    for later in LATER:
        resolver = Resolver(first, later, PRIVATE)
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        rules = AddressRules(resolve=system_resolver())
        await rules.check("https://hooks.example/")
        outcome = await sender(rules)("https://hooks.example/", HEADERS, "{}")
        assert outcome.sent.failure == "address", later
        assert resolver.lookups == 2
    assert connections == []
    cases.ran(len(LATER))


async def test_a_connection_goes_to_what_was_checked_for_it(
    cases: Cases, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [f"{PUBLIC} {OTHER}", OTHER, SIXTH, f"{SIXTH} {PUBLIC}"]
    for numbers in told:
        # After the lookup that is checked, the name stands for this machine.
        resolver = Resolver(numbers, PRIVATE)
        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        connections.clear()
        outcome = await sender(AddressRules(resolve=system_resolver()))("https://hooks.example/", HEADERS, "{}")
        assert outcome.sent.failure == "connection"
        assert connections == [(number, 443) for number in numbers.split()]
        assert all(is_public(ip_address(number)) for number, _ in connections)
        assert resolver.lookups == 1
    cases.ran(len(told))


async def test_what_was_private_at_first_is_not_kept(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in LATER:
        monkeypatch.setattr(socket, "getaddrinfo", Resolver(answer, PUBLIC))
        with pytest.raises(WebhookUrlForbidden):
            await AddressRules(resolve=system_resolver()).check("https://hooks.example/")
    cases.ran(len(LATER))


# --- D3 --------------------------------------------------------------------------------------------------------------


async def test_redirects_lead_nowhere(cases: Cases) -> None:
    rules = AddressRules(allowed=networks_of("127.0.0.0/8"), resolve=system_resolver())
    async with receiving(answering(NO_CONTENT)) as other:
        places = (other.url(), f"//127.0.0.1:{other.port}/", "/hook?a=b")
        for status, place in itertools.product((301, 302, 303, 307, 308), places):
            answer = f"HTTP/1.1 {status} x\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
            async with receiving(answering(answer)) as receiver:
                outcome = await sender(rules)(receiver.url(), HEADERS, "{}")
                assert (outcome.sent.status, outcome.sent.failure) == (status, "redirect")
                assert len(receiver.requests) == 1
        assert other.connections == 0
    cases.ran(5 * len(places))


# --- D6 --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ended here."""


@dataclass
class World:
    """Time that passes when nothing is left to do, a queue that survives every kill, and receivers of all kinds."""

    store: Store = field(init=False)
    draw: random.Random
    now: datetime = datetime(2026, 11, 27, 12, tzinfo=UTC)
    queue: list[tuple[datetime, int, str]] = field(default_factory=list)
    moments: dict[str, list[datetime]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    behaviours: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    _number: int = 0

    def adding(self, delivery_id: str, _webhook_id: str, round_number: int, wait_s: float) -> Also:
        async def also(_connection: AsyncConnection) -> None:
            self._number += 1
            due = self.now + timedelta(seconds=wait_s)
            heapq.heappush(self.queue, (due, self._number, entry_of(delivery_id, round_number)))

        return also

    async def send(self, url: str, headers: Mapping[str, str], _body: str) -> Outcome:
        """Answer as the receiver of this address does; sometimes the process ends before or after."""
        message = headers["webhook-id"]
        assert int(headers["webhook-timestamp"]) == int(self.now.timestamp())
        if self.draw.random() < 0.05:
            raise Killed
        self.moments.setdefault(message, []).append(self.now)
        outcome = self._answer(self.behaviours[url])
        if outcome.sent.failure is None:
            self.taken.add(message)
        if self.draw.random() < 0.05:
            raise Killed
        return outcome

    def _answer(self, behaviour: str) -> Outcome:
        chance = {"good": 1.0, "poor": 0.3, "dead": 0.0, "busy": 0.4, "gone": 0.0}[behaviour]
        if self.draw.random() < chance:
            return Outcome(sent=Sent(status=self.draw.choice([200, 202, 204])))
        if behaviour == "gone":
            return Outcome(sent=Sent(status=410, failure="gone"))
        if behaviour == "busy":
            return Outcome(sent=Sent(status=self.draw.choice([429, 503]), failure="status"), asked_s=900)
        status = self.draw.choice([None, 302, 404, 500, 502, 504])
        failure: Any = "timeout" if status is None else "redirect" if status == 302 else "status"
        return Outcome(sent=Sent(status=status, failure=failure))

    async def run(self) -> None:
        """Let time pass until the queue is empty; what was killed is run again from its beginning."""
        deliverer = Deliverer(
            deliveries=self.store.deliveries,
            send=self.send,
            adding=self.adding,
            keep=timedelta(days=30),
            stopping=lambda: False,
            draw=self.draw.random,
        )
        while self.queue:
            due, _, entry = heapq.heappop(self.queue)
            self.now = max(self.now, due)
            while True:
                try:
                    await deliverer.run(entry)
                    break
                except Killed:
                    self.kills += 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(random.Random(7))
    path = f"sqlite+aiosqlite:///{tmp_path}/uncrop.db"
    async with open_store(path, pepper=bytes(32), encryption_keys=["n" * 32], clock=lambda: made.now) as store:
        made.store = store
        yield made


async def test_every_message_is_taken_or_given_up_after_ten_tries(world: World, cases: Cases) -> None:
    webhooks = {}
    for behaviour in ("good", "poor", "dead", "busy", "gone"):
        organization, url = f"org_{behaviour}", f"https://{behaviour}.example/"
        await world.store.organizations.create(organization)
        new = NewWebhook(
            organization_id=organization, url=url, description=None, events=JOB_EVENTS, secret=new_secret()
        )
        webhooks[behaviour] = await world.store.webhooks.create(new, most=1)
        world.behaviours[url] = behaviour
    events = cases.number(15, 1000)
    for number in range(events):
        await _end_job(world, number, f"org_{list(webhooks)[number % len(webhooks)]}")
    await world.run()

    assert world.kills > events / 50, "nobody was killed"
    assert not world.queue
    for behaviour, webhook in webhooks.items():
        messages = await world.store.deliveries.page(webhook.id, most=events)
        assert len(messages) == events // len(webhooks)
        for message in messages:
            if message.state == "delivered":
                assert message.id in world.taken
            else:
                # Given up: after all tries, or because its webhook was disabled by another message.
                assert message.state == "failed"
                assert message.attempts == TRIES == 10 or message.failure in {"gone", "disabled"}, behaviour
            if behaviour == "poor":
                _check_waits(world.moments.get(message.id, []))
    reasons = {name: (await world.store.webhooks.find(each.id)).disabled_reason for name, each in webhooks.items()}  # type: ignore[union-attr]
    assert (reasons["good"], reasons["gone"], reasons["dead"]) == (None, "gone", "failing")
    assert reasons["busy"] is None
    cases.ran(events)


def _check_waits(moments: list[datetime]) -> None:
    """See whether a message was sent as the schedule says; a kill sends once more at the same moment."""
    distinct = sorted(set(moments))
    waits = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(distinct)]
    for wait, planned in zip(waits, WAITS_S, strict=False):
        assert planned * (1 - JITTER) - 1e-3 <= wait <= planned * (1 + JITTER) + 1e-3


async def _end_job(world: World, number: int, organization: str) -> None:
    async def nothing(_connection: object) -> None:
        pass

    job_id = f"job_{number:032x}"
    new = NewJob(id=job_id, organization_id=organization, key_id=None, provider="local", request="{}")
    await world.store.jobs.submit(new, most_open=10_000, also=nothing)
    also = world.store.deliveries.announcing(job_id, payload=payload_of, adding=world.adding)
    await world.store.jobs.cancel(organization, job_id, keep=timedelta(1), also=also)
