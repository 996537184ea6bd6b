"""Group F of the trust plan: whatever happens in whatever order, the books agree with a simple model."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bookkeeping import hold
from fixtures_torture import Cases
from uncrop.errors import InvalidFieldValue
from uncrop.ledger import postings
from uncrop.ledger.settling import settled
from uncrop.model.ledger import PICTURE, USD, Amount, CallOutcome
from uncrop.store.books import Closing
from uncrop.store.database import Store, open_store
from uncrop.store.tables import balances
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NUMBERS = st.integers(0, 9)
HOLD = st.tuples(st.just("hold"), NUMBERS, st.integers(0, 9), st.integers(0, 3))
STEPS = st.one_of(
    HOLD,
    HOLD,
    HOLD,
    st.tuples(st.just("mark"), NUMBERS),
    st.tuples(st.just("capture"), NUMBERS, st.lists(st.integers(0, 12), max_size=3)),
    st.tuples(st.just("release"), NUMBERS, st.lists(st.integers(0, 12), max_size=3)),
    st.tuples(st.just("doubt"), NUMBERS),
    st.tuples(st.just("settle"), NUMBERS, st.booleans()),
    st.tuples(st.just("expire")),
    st.tuples(st.just("limit"), st.integers(0, 3), st.integers(0, 40)),
    st.tuples(st.just("clock"), st.integers(-40, 40)),
)
CRASHES = st.one_of(st.none(), st.none(), st.integers(0, 7))


class Crash(Exception):
    """The process dies here."""


@dataclass
class Modelled:
    """What one picture should have come to."""

    day: datetime
    price: int
    calls: int
    state: str = "held"
    sent: int = 0
    spent: int = 0
    in_doubt: int = 0

    @property
    def open(self) -> bool:
        return self.state in {"held", "unknown"}

    def close(self, state: str, costs: list[int]) -> None:
        self.state, self.spent, self.in_doubt = state, sum(costs), 0


@dataclass
class Model:
    """The books as a few numbers."""

    pictures: dict[int, Modelled] = field(default_factory=dict)
    most_pictures: int = 0
    most_usd: int = 0

    def used(self, unit: str, day: datetime) -> tuple[int, int]:
        """Return what is held and spent of the day's pictures, or of the month's money."""
        alike = "%Y-%m-%d" if unit == PICTURE else "%Y-%m"
        held = spent = 0
        for each in self.pictures.values():
            if each.day.strftime(alike) != day.strftime(alike):
                continue
            if unit == PICTURE:
                held, spent = held + each.open, spent + (each.state == "captured")
            else:
                still = each.price * each.calls if each.state == "held" else each.in_doubt
                held, spent = held + still, spent + each.spent
        return held, spent

    def refuses(self, price: int, calls: int, now: datetime) -> bool:
        pictures, usd = sum(self.used(PICTURE, now)), sum(self.used(USD, now))
        over = bool(self.most_pictures) and pictures + 1 > self.most_pictures
        return over or bool(self.most_usd and price * calls and usd + price * calls > self.most_usd)


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


class Run:
    """One sequence of steps, on a store and on the model."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock, self.model = store, clock, Model()
        self.crash_after: int | None = None
        transactions = store._transactions
        # On PostgreSQL the last statement goes with the commit: whoever dies behind it has changed everything.
        self.last_commits = transactions._engine.dialect.name == "postgresql"
        written = transactions.write_script
        transactions.write_script = lambda make: written(lambda: self._counted(make()))  # type: ignore[method-assign]

    def _counted(self, script: Any) -> Any:
        """Run a script, and die after so many of its statements."""
        ran = None
        while True:
            try:
                ask = script.send(ran)
            except StopIteration as end:
                return end.value
            ran = yield ask
            if self.crash_after is not None and not (ask.last and self.last_commits):
                self.crash_after -= 1
                if self.crash_after < 0:
                    raise Crash

    async def step(self, name: str, *arguments: Any, crash: int | None) -> None:
        """Do one step, which may die after so many statements and then has changed nothing."""
        self.crash_after = crash
        try:
            change = await getattr(self, name)(*arguments)
        except Crash:
            change = None
        finally:
            self.crash_after = None
        if change is not None:
            change()
        await self.check()

    async def hold(self, number: int, price: int, calls: int) -> Any:
        if number in self.model.pictures:
            return None
        per_call = [Amount(unit=USD, value=price)]
        refused = self.model.refuses(price, calls, self.clock.now)
        refusal = await hold(self.store, number, per_call=per_call, calls=calls)
        assert (refusal is not None) == refused
        if refused:
            return None
        made = Modelled(day=self.clock.now, price=price, calls=calls)
        return lambda: self.model.pictures.__setitem__(number, made)

    async def mark(self, number: int) -> Any:
        picture = self.model.pictures.get(number)
        may = await self.store.books.mark_sent(f"use_{number}")
        assert may == (picture is not None and picture.open)
        return (lambda: setattr(picture, "sent", picture.sent + 1)) if may and picture else None

    async def capture(self, number: int, costs: list[int]) -> Any:
        return await self._close(number, "captured", costs)

    async def release(self, number: int, costs: list[int]) -> Any:
        return await self._close(number, "released", costs)

    async def _close(self, number: int, state: str, costs: list[int]) -> Any:
        picture = self.model.pictures.get(number)
        outcomes = [CallOutcome(amounts=(Amount(unit=USD, value=cost),)) for cost in costs]

        def decide(_hold: object, so_far: Any) -> Any:
            if state == "captured":
                return postings.finish(so_far, outcomes)
            return postings.fail(so_far, outcomes, "release")

        closed = await self.store.books.close(f"use_{number}", Closing(state=state, decide=decide))
        assert closed == (picture is not None and (picture.open or picture.state == "expired"))
        return (lambda: picture.close(state, costs)) if closed and picture else None

    async def doubt(self, number: int) -> Any:
        """Leave a picture in doubt of which one call was sent and nothing is known."""
        picture = self.model.pictures.get(number)
        if picture is None or picture.state != "held" or picture.sent:
            return None
        crash, self.crash_after = self.crash_after, None
        await self.store.books.mark_sent(f"use_{number}")
        picture.sent += 1
        self.crash_after = crash
        closed = await self._doubted(number)
        assert closed

        def change() -> None:
            picture.state, picture.in_doubt = "unknown", picture.price * min(1, picture.calls)

        return change

    async def _doubted(self, number: int) -> bool:
        def decide(found: Any, so_far: Any) -> Any:
            return postings.doubt(so_far, (), planned=found.calls_planned, sent=1)

        return await self.store.books.close(f"use_{number}", Closing(state="unknown", decide=decide, known=0))

    async def settle(self, number: int, charged: bool) -> Any:
        picture = self.model.pictures.get(number)
        try:
            await self.store.books.settle(f"use_{number}", settled(charged=charged))
        except InvalidFieldValue:
            assert picture is None or picture.state != "unknown"
            return None
        assert picture is not None
        assert picture.state == "unknown"
        return lambda: picture.close("captured" if charged else "released", [picture.in_doubt] if charged else [])

    async def expire(self) -> Any:
        horizon = timedelta(hours=2)
        await self.store.books.expire(horizon, lambda _hold, so_far: postings.give_back(so_far, "expire"))
        stale = [each for each in self.model.pictures.values() if each.state == "held"]
        stale = [each for each in stale if each.day < self.clock.now - horizon]

        def change() -> None:
            for each in stale:
                if each.sent:
                    each.state, each.in_doubt = "unknown", each.price * each.calls
                else:
                    each.close("expired", [])

        return change

    async def limit(self, pictures: int, usd: int) -> Any:
        await self.store.policies.change_organization("org_a", pictures_per_day=pictures, usd_micro_per_month=usd)
        self.crash_after = None

        def change() -> None:
            self.model.most_pictures, self.model.most_usd = pictures, usd

        return change

    async def clock_(self, hours: int) -> Any:
        self.clock.now += timedelta(hours=hours)

    async def check(self) -> None:
        """Compare every balance and every state with the model."""
        assert {each.id: each.state for each in await self.store.books.holds()} == {
            f"use_{number}": each.state for number, each in self.model.pictures.items()
        }
        told: Counter[tuple[str, str, str]] = Counter()
        async with begin(self.store._transactions._engine, writes=False) as connection:
            for row in (await connection.execute(sa.select(balances))).all():
                told["held", row.unit, row.period] += row.held
                told["spent", row.unit, row.period] += row.spent
        expected: Counter[tuple[str, str, str]] = Counter()
        for each in self.model.pictures.values():
            for unit, period in ((PICTURE, f"{each.day:%Y-%m-%d}"), (USD, f"{each.day:%Y-%m}")):
                expected["held", unit, period], expected["spent", unit, period] = self.model.used(unit, each.day)
        assert +told == +expected
        assert await self.store.books.verify() == ()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_whatever_happens_the_books_agree_with_the_model(
    request: pytest.FixtureRequest, database: str, cases: Cases
) -> None:
    """Steps in any order, clocks and limits that jump, and transactions that die after any statement."""
    url = "sqlite+aiosqlite:///:memory:" if database == "sqlite" else request.getfixturevalue("postgres_url")
    number = cases.number(4 if database == "sqlite" else 2, 5000 if database == "sqlite" else 500)
    steps = st.lists(st.tuples(STEPS, CRASHES), min_size=20, max_size=50)

    # Without looking for the shortest sequence that fails, which would take many more.
    @settings(
        max_examples=number,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    @given(steps)
    def agree(sequence: list[tuple[tuple[Any, ...], int | None]]) -> None:
        async def run() -> None:
            clock = Clock()
            async with open_store(url, pepper=bytes(32), clock=clock) as store:
                await _emptied(store)
                run = Run(store, clock)
                for number in range(3):
                    await run.step("hold", number, number, 2, crash=None)
                for (name, *arguments), crash in sequence:
                    await run.step("clock_" if name == "clock" else name, *arguments, crash=crash)

        asyncio.run(run())

    agree()
    cases.ran(number)


async def _emptied(store: Store) -> None:
    """Leave nothing of the sequence before; the entries' trigger is gone for as long as that takes."""
    engine = store._transactions._engine
    if engine.dialect.name == "postgresql":
        async with begin(engine, writes=True) as connection:
            await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for table in ("entries", "balances", "holds", "organizations"):
                await connection.exec_driver_sql(f"DELETE FROM {table}")
    await store.organizations.ensure("org_a")
