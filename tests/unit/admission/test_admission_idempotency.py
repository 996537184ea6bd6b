"""Requests under keys: found again, claimed once, freed where nothing was paid; on SQLite, with objects in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.admission import idempotency as module
from uncrop.admission.idempotency import Claim, Idempotency, check_key
from uncrop.admission.upkeep import open_upkeep
from uncrop.errors import (
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyMismatch,
    IdempotencyOutcomeUnknown,
    ResultNotKept,
    ServerBusy,
    UncropError,
)
from uncrop.ledger.ledger import HeldPicture, Ledger
from uncrop.model import Answer, Caller, ProviderFacts
from uncrop.providers.registry import load_rows
from uncrop.store.database import Store, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CALLER = Caller(organization_id="org_a")
ASKED, OTHER = b"\1" * 32, b"\2" * 32
ANSWER = Answer(status=200, headers=(("content-type", "image/png"), ("x-seed", "7")), body=b"a picture")
FACTS: ProviderFacts = load_rows(())["clipdrop"]


@dataclass
class MemoryObjects:
    """Keeps objects in memory; fails when told to, and takes its time when told to."""

    stored: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    failing: bool = False
    slow: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def _work(self) -> None:
        if self.failing:
            raise ServerBusy
        if self.slow:
            await asyncio.Event().wait()

    async def put(self, owner: str, data: bytes) -> str:
        await self._work()
        name = f"{data.hex()}.{owner}"
        self.stored[name] = data, self.now()
        return name

    async def get(self, name: str) -> bytes | None:
        await self._work()
        return self.stored[name][0] if name in self.stored else None

    async def delete(self, name: str) -> None:
        await self._work()
        self.stored.pop(name, None)

    async def older_than(self, moment: datetime) -> list[str]:
        await self._work()
        return [name for name, (_, written) in self.stored.items() if written < moment]


class Failing:
    """Passes everything on, but for the methods that are named in ``methods``."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.methods: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in self.methods:

            async def fail(*_: object, **__: object) -> None:
                raise ServerBusy from ValueError("the database is away")

            return fail
        return getattr(self._inner, name)


@dataclass
class House:
    """What a process has."""

    store: Store
    rows: Failing
    objects: MemoryObjects
    ledger: Ledger
    idempotency: Idempotency
    room: list[int] = field(default_factory=list)

    async def begin(self, key: str = "k", asked: bytes = ASKED) -> Claim | Answer:
        return await self.idempotency.begin(CALLER, key, asked, make_room=self.room.append)

    async def claim(self, key: str = "k", asked: bytes = ASKED) -> Claim:
        found = await self.begin(key, asked)
        assert isinstance(found, Claim)
        return found

    async def hold(self, claim: Claim) -> HeldPicture:
        return await self.ledger.hold(CALLER, FACTS, also=claim.also, hold_id=claim.next_hold_id())

    async def answered(self, key: str = "k", answer: Answer = ANSWER) -> Claim:
        """Carry a request out to its end."""
        claim = await self.claim(key)
        held = await self.hold(claim)
        await held.finish(also=await self.idempotency.put(claim, answer))
        self.idempotency.forget(claim)
        return claim

    def other_process(self, **options: Any) -> House:
        """Return what another process has on the same database and the same objects."""
        idempotency = Idempotency(self.rows, self.objects, self.ledger, **options)
        return House(self.store, self.rows, self.objects, self.ledger, idempotency)


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def house(tmp_path: Path, clock: Clock) -> AsyncIterator[House]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}", pepper=bytes(32), clock=clock) as store:
        await store.organizations.ensure("org_a")
        rows, objects, ledger = (
            Failing(store.keyed_requests),
            MemoryObjects(now=clock),
            Ledger(store.books, clock=clock),
        )
        house = House(store, rows, objects, ledger, Idempotency(rows, objects, ledger))
        yield house
        await house.idempotency.drain()
        await ledger.drain()


@pytest.mark.parametrize("sent", [["a"], ["a" * 255], [" ~"]])
def test_a_key(sent: list[str]) -> None:
    assert check_key(sent) == sent[0]


def test_no_key() -> None:
    assert check_key([]) is None


@pytest.mark.parametrize("sent", [[""], ["a" * 256], ["\x7f"], ["a\n"], ["é"], ["a", "b"], ["a", "a"]])
def test_what_is_no_key(sent: list[str]) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        check_key(sent)


async def test_an_answer_comes_back_as_it_was(house: House) -> None:
    claim = await house.answered()
    assert claim.answer == ANSWER
    again = await house.begin()
    assert isinstance(again, Answer)
    assert (again.status, again.headers, again.body, again.replayed) == (200, ANSWER.headers, b"a picture", True)
    assert house.room == [len(ANSWER.body)]
    with pytest.raises(IdempotencyMismatch):
        await house.begin(asked=OTHER)


async def test_room_is_made_before_an_answer_is_read(house: House) -> None:
    await house.answered()
    house.objects.failing = True

    def refuse(_bytes: int) -> None:
        raise ServerBusy("no room")

    with pytest.raises(ServerBusy, match="no room"):
        await house.idempotency.begin(CALLER, "k", ASKED, make_room=refuse)


async def test_what_this_process_works_on_is_refused_without_a_look(house: House) -> None:
    claim = await house.claim()
    house.rows.methods = {"look"}
    with pytest.raises(IdempotencyInProgress) as refused:
        await house.begin()
    assert refused.value.retry_after == 1
    with pytest.raises(IdempotencyMismatch):
        await house.begin(asked=OTHER)
    house.rows.methods = set()
    house.idempotency.forget(claim)
    house.idempotency.forget(claim)
    await house.claim()
    assert await house.store.books.holds() == ()


async def test_of_two_that_look_at_once_one_goes_on(house: House) -> None:
    results = await asyncio.gather(*(house.begin() for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, Claim) for each in results) == 1
    assert sum(isinstance(each, IdempotencyInProgress) for each in results) == 4


async def test_who_is_forgotten_takes_nobody_along(house: House) -> None:
    first = await house.claim()
    house.idempotency.forget(first)
    second = await house.claim()
    house.idempotency.forget(first)
    with pytest.raises(IdempotencyInProgress):
        await house.begin()
    house.idempotency.forget(second)


async def test_of_two_processes_one_holds(house: House) -> None:
    other = house.other_process()
    mine, theirs = await house.claim(), await other.claim()
    different = await house.other_process().claim(asked=OTHER)
    await house.hold(mine)
    with pytest.raises(IdempotencyInProgress):
        await other.hold(theirs)
    with pytest.raises(IdempotencyMismatch):
        await house.hold(different)
    with pytest.raises(IdempotencyInProgress):
        await house.other_process().begin()
    assert len(await house.store.books.holds()) == 1


async def test_who_comes_to_hold_after_the_answer_is_told_to_ask_again(house: House) -> None:
    other = house.other_process()
    theirs = await other.claim()
    await house.answered()
    with pytest.raises(IdempotencyInProgress):
        await other.hold(theirs)


async def test_a_dead_process_that_sent_nothing_is_replaced(house: House, clock: Clock) -> None:
    dead, other = await house.claim(), house.other_process()
    held = await house.hold(dead)
    clock.advance(seconds=29)
    with pytest.raises(IdempotencyInProgress):
        await other.begin()
    clock.advance(seconds=1)
    claim = await other.claim(asked=OTHER)
    await other.hold(claim)
    with pytest.raises(ServerBusy):
        await held.mark_sent()
    assert {hold.id: hold.state for hold in await house.store.books.holds()} == {
        f"{dead.id}.0": "expired",
        f"{claim.id}.0": "held",
    }


async def test_a_dead_process_that_had_sent_is_not(house: House, clock: Clock) -> None:
    held = await house.hold(await house.claim())
    await held.mark_sent()
    clock.advance(seconds=30)
    with pytest.raises(IdempotencyOutcomeUnknown):
        await house.other_process().begin()
    # It was only slow: what it made counts, and is found.
    held.note_failure(charged=False)
    await held.finish(also=house.store.keyed_requests.answer(held.id.partition(".")[0], await kept(house)))
    assert isinstance(await house.other_process().begin(), Answer)


async def kept(house: House) -> Any:
    return await house.idempotency._put(Claim(organization_id="", key="", fingerprint=b"", also=None), ANSWER)


async def test_a_lease_is_renewed_for_what_was_begun(house: House, clock: Clock) -> None:
    await house.idempotency.renew()
    await house.claim("not begun")
    await house.hold(await house.claim())
    for _ in range(5):
        clock.advance(seconds=20)
        await house.idempotency.renew()
    with pytest.raises(IdempotencyInProgress):
        await house.other_process().begin()


async def test_a_server_that_is_alone_takes_those_before_it_to_be_dead(house: House) -> None:
    held = await house.hold(await house.claim())
    other = house.other_process()
    await other.idempotency.begin_alone()
    await other.claim(asked=OTHER)
    with pytest.raises(ServerBusy):
        await held.mark_sent()


async def test_an_end_without_a_payment_frees_the_key(house: House) -> None:
    claim = await house.claim()
    await (await house.hold(claim)).give_back()
    assert await house.idempotency.end(claim) == "free"
    house.idempotency.forget(claim)
    await house.claim(asked=OTHER)


async def test_an_answer_that_cannot_be_kept(house: House) -> None:
    claim = await house.claim()
    held = await house.hold(claim)
    house.objects.failing = True
    assert await house.idempotency.put(claim, ANSWER) is None
    await held.finish()
    await house.idempotency.note(claim, ANSWER)
    assert claim.answer is None
    assert await house.idempotency.end(claim) == "lost"
    house.idempotency.forget(claim)
    with pytest.raises(ResultNotKept):
        await house.begin()


async def test_an_answer_can_be_noted_after_all_is_booked(house: House) -> None:
    claim = await house.claim()
    await (await house.hold(claim)).finish()
    await house.idempotency.note(claim, ANSWER)
    assert claim.answer == ANSWER
    house.idempotency.forget(claim)
    assert await house.begin() == replace(ANSWER, replayed=True)


async def test_a_store_that_hangs_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_S", 0.01)
    house.objects.slow = True
    assert await house.idempotency.put(await house.claim(), ANSWER) is None


async def test_an_answer_that_was_kept_and_is_gone(house: House) -> None:
    await house.answered()
    house.objects.stored.clear()
    with pytest.raises(ResultNotKept):
        await house.begin()


async def test_a_store_of_answers_that_is_away_is_told_to_come_back(house: House) -> None:
    await house.answered()
    house.objects.failing = True
    with pytest.raises(ServerBusy) as refused:
        await house.begin()
    assert refused.value.retry_after
    house.objects.failing = False
    assert isinstance(await house.begin(), Answer)


async def test_a_database_that_is_away_at_the_end(house: House, clock: Clock) -> None:
    claim = await house.claim()
    held = await house.hold(claim)
    house.rows.methods = {"note_answer", "end"}
    await held.finish()
    await house.idempotency.note(claim, ANSWER)
    assert claim.answer is None
    assert await house.idempotency.end(claim) == "running"
    house.rows.methods = set()
    house.idempotency.forget(claim)
    with pytest.raises(IdempotencyInProgress):
        await house.begin()
    clock.advance(seconds=30)
    with pytest.raises(ResultNotKept):
        await house.begin()


async def test_answers_are_deleted_after_a_day_with_their_objects(house: House, clock: Clock) -> None:
    await house.answered("a")
    clock.advance(hours=23)
    await house.answered("b", Answer(status=200, headers=(), body=b"another"))
    clock.advance(hours=1)
    assert await house.idempotency.purge() == 1
    assert [data for data, _ in house.objects.stored.values()] == [b"another"]
    await house.claim("a")
    assert isinstance(await house.begin("b"), Answer)


async def test_objects_that_nobody_has_are_deleted_once_they_are_old(
    house: House, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_A_TIME", 2)
    for owner in "1234":
        await house.objects.put(owner, b"left by the dead")
    await house.answered()
    clock.advance(hours=25)
    await house.objects.put("5", b"is being written")
    assert await house.idempotency.purge_strays(clock()) == 4
    assert sorted(data for data, _ in house.objects.stored.values()) == [b"a picture", b"is being written"]


# --- upkeep ----------------------------------------------------------------------------------------------------------


async def test_upkeep_does_what_is_due_and_survives_failures(house: House) -> None:
    woken: asyncio.Queue[float] = asyncio.Queue()
    turns: dict[float, asyncio.Event] = {}

    async def sleep(seconds: float) -> None:
        turn = turns[seconds] = asyncio.Event()
        await woken.put(seconds)
        await turn.wait()

    done: list[str] = []

    class Noting:
        lease = timedelta(seconds=30)

        async def renew(self) -> None:
            done.append("renew")
            raise ServerBusy

        async def purge(self) -> int:
            done.append("purge")
            return 0

        async def purge_strays(self, now: datetime) -> int:
            done.append(f"strays before {now:%Y}")
            return 0

    async with open_upkeep(Noting(), sleep=sleep, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)):
        periods = {await woken.get() for _ in range(3)}
        assert periods == {10.0, 300.0, 3600.0}
        for period in sorted(periods):
            turns[period].set()
            assert await woken.get() == period
        turns[10.0].set()
        await woken.get()
    assert done == ["renew", "purge", "strays before 2026", "renew"]


async def test_upkeep_of_its_own_accord(house: House) -> None:
    async with open_upkeep(house.idempotency):
        await asyncio.sleep(0)


def test_every_refusal_tells_what_to_do() -> None:
    kinds: list[type[UncropError]] = [IdempotencyOutcomeUnknown, ResultNotKept]
    assert all("use another key" in kind().message for kind in kinds)
