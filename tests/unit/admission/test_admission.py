from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest

from uncrop.admission.admission import Admission
from uncrop.admission.rate_limits import RateLimiter
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.fair_queue import FairQueue
from uncrop.capacity.pixel_memory import PixelMemory
from uncrop.capacity.slots import Slots
from uncrop.errors import (
    OrganizationAccessDenied,
    RateLimitExceeded,
    ServerBusy,
    UsageLimitExceeded,
)
from uncrop.ledger.ledger import HeldPicture, Ledger
from uncrop.model import Caller, CallPlan, Frame, Grant, Job, PictureFacts, Plan, Rect
from uncrop.store.database import open_store

CALLER = Caller(organization_id="org_a", key_id="key")
RECT = Rect(x=0, y=0, width=8, height=8)
CALL = CallPlan(part=RECT, window=RECT, frame=Frame(width=8, height=8, photo=RECT, canvas=RECT))
FACTS = PictureFacts(provider="clipdrop", request_id="req_1", model="m-1", credits_consumed=Decimal(2))


def admission(books, *, slots: Slots | None = None, limit: int = 0) -> Admission:
    return Admission(
        capacity=Capacity(slots=slots or Slots(2, 2)),
        ledger=Ledger(books, default_pictures_per_day=limit),
        rates=RateLimiter(60),
    )


async def test_a_grant_holds_a_slot_and_what_it_may_cost(books, job: Job) -> None:
    gate = admission(books)

    async with gate.grant(job, CALLER) as granted:
        (hold_id,) = books.states
        assert granted.grant == Grant(caller=CALLER, hold_id=hold_id)
        assert gate.capacity.slots.running == 1
        assert books.states == {hold_id: "held"}
        await granted.capture(FACTS)
    assert gate.capacity.slots.running == 0
    assert books.states == {hold_id: "captured"}


async def test_a_hold_that_was_opened_before_is_used(books, job: Job) -> None:
    gate = admission(books)
    assert gate._ledger is not None
    before = await gate._ledger.hold(CALLER, job.provider)
    asked: list[object] = []

    async def take(*what: object) -> HeldPicture:
        asked.append(what)
        return before

    async with gate.grant(job, CALLER, take=take) as granted:
        assert granted.held is before
    assert asked == [(CALLER, job.provider, 1)]
    assert len(books.states) == 1


async def test_what_was_not_captured_is_released(books, job: Job) -> None:
    gate = admission(books)
    async with gate.grant(job, CALLER):
        pass

    assert list(books.states.values()) == ["released"]


async def test_an_error_releases_and_passes_through(books, job: Job) -> None:
    gate = admission(books)
    with pytest.raises(RuntimeError, match="the provider failed"):
        async with gate.grant(job, CALLER):
            raise RuntimeError("the provider failed")

    assert list(books.states.values()) == ["released"]
    assert gate.capacity.slots.running == 0


async def test_what_calls_have_cost_before_an_error_is_booked(books, job: Job) -> None:
    async def request() -> None:
        async with admission(books).grant(job, CALLER) as granted:
            assert granted.held is not None
            await granted.held.mark_sent()
            granted.held.note_cost(FACTS)
            raise RuntimeError("the second call failed")

    with pytest.raises(RuntimeError, match="the second call failed"):
        await request()

    assert list(books.states.values()) == ["released"]
    assert books.only.spent == {"credit_milli:clipdrop": 2000}


async def test_all_calls_of_a_plan_are_held(books, job: Job) -> None:
    two = replace(job, plan=Plan(calls=(CALL, CALL)))
    async with admission(books).grant(two, CALLER):
        assert books.only.new.calls == 2


async def test_an_error_after_the_capture_releases_nothing(books, job: Job) -> None:
    async def request() -> None:
        async with admission(books).grant(job, CALLER) as granted:
            await granted.capture(FACTS)
            raise RuntimeError("later")

    with pytest.raises(RuntimeError, match="later"):
        await request()

    assert list(books.states.values()) == ["captured"]


async def test_a_failing_release_does_not_hide_the_error(books, job: Job) -> None:
    gate = admission(books)
    books.failing = {"close"}
    with pytest.raises(RuntimeError, match="the provider failed"):
        async with gate.grant(job, CALLER):
            raise RuntimeError("the provider failed")

    assert gate.capacity.slots.running == 0


async def test_capturing_twice_books_once(books, job: Job) -> None:
    async with admission(books).grant(job, CALLER) as granted:
        await granted.capture(FACTS)
        await granted.capture(FACTS)

    assert books.only.spent == {"picture": 1}
    assert books.only.model == "m-1"


async def test_a_capture_that_fails_is_not_followed_by_a_release(books, job: Job) -> None:
    books.failing = {"close"}
    async with admission(books).grant(job, CALLER) as granted:
        await granted.capture(FACTS)

    assert list(books.states.values()) == ["held"]


@pytest.mark.parametrize("caller", [Caller(organization_id="org_b", key_id="key"), Caller(organization_id="org_A")])
async def test_another_organization_is_denied_before_anything_is_held(books, job: Job, caller: Caller) -> None:
    gate = admission(books)
    with pytest.raises(OrganizationAccessDenied) as caught:
        async with gate.grant(job, caller):
            pytest.fail("admitted")
    assert caught.value.status == 403
    assert (books.states, gate.capacity.slots.running) == ({}, 0)


async def test_a_caller_with_an_organization_must_name_it(books, anonymous_job: Job) -> None:
    with pytest.raises(OrganizationAccessDenied):
        async with admission(books).grant(anonymous_job, CALLER):
            pytest.fail("admitted")


async def test_the_providers_own_limit_is_counted_by_organization(books, limited_job: Job, job: Job) -> None:
    gate = admission(books)
    await gate.count(limited_job.provider, CALLER)
    with pytest.raises(RateLimitExceeded) as caught:
        await gate.count(limited_job.provider, CALLER)
    assert caught.value.details == {"limit": 1, "window_seconds": 60, "provider": "clipdrop"}
    assert caught.value.state is not None
    assert (caught.value.state.limit, caught.value.state.remaining) == (1, 0)
    await gate.count(limited_job.provider, Caller(organization_id="org_b"))
    await gate.count(job.provider, CALLER)


async def test_a_grant_does_not_count_what_was_counted_before(books, limited_job: Job) -> None:
    gate = admission(books)
    await gate.count(limited_job.provider, CALLER)
    for _ in range(2):
        async with gate.grant(limited_job, CALLER):
            pass


async def test_a_full_server_reserves_nothing(books, job: Job) -> None:
    gate = admission(books, slots=Slots(1, 0))
    async with gate.grant(job, CALLER):
        with pytest.raises(ServerBusy):
            async with gate.grant(job, CALLER):
                pytest.fail("admitted")
        assert len(books.states) == 1
    assert gate.capacity.slots.running == 0


async def test_a_turn_that_does_not_come_in_time_is_a_busy_server(books, job: Job) -> None:
    gate = admission(books, slots=Slots(1, 5))
    async with gate.grant(job, CALLER):
        with pytest.raises(ServerBusy) as caught:
            async with gate.grant(job, CALLER, admit_by=anyio.current_time()):
                pytest.fail("admitted")
        assert (gate.capacity.slots.running, gate.capacity.slots.waiting) == (1, 0)
    assert (caught.value.retry_after, caught.value.system_message) == (5, "The request's turn did not come in time")
    assert len(books.states) == 1
    assert gate.capacity.slots.running == 0


async def test_the_deadline_is_for_waiting_and_not_for_the_work(books, job: Job) -> None:
    gate = admission(books)
    async with gate.grant(job, CALLER, admit_by=anyio.current_time() + 0.01) as granted:
        await anyio.sleep(0.02)
        await granted.capture(FACTS)
    assert list(books.states.values()) == ["captured"]


@pytest.mark.parametrize("part", ["memory", "engine"])
async def test_whoever_waits_for_memory_or_the_engine_is_refused_in_time_too(books, job: Job, part: str) -> None:
    local = replace(job, provider=replace(job.provider, computes_here=True))
    parts = {"memory": PixelMemory(10), "engine": FairQueue(1)}
    gate = Admission(capacity=Capacity(slots=Slots(9, 0), **{part: parts[part]}), ledger=Ledger(books))
    async with gate.grant(local, CALLER):
        with pytest.raises(ServerBusy):
            async with gate.grant(local, CALLER, admit_by=anyio.current_time()):
                pytest.fail("admitted")
        assert gate.capacity.slots.running == 1
    assert (gate.capacity.slots.running, parts[part].held) == (0, 0)


async def test_an_organization_that_floods_the_engine_leaves_the_next_turn_to_another(books, job: Job) -> None:
    """Of those who have a slot, only so many hold memory as the engine can work for."""
    local = replace(job, provider=replace(job.provider, computes_here=True))
    engine, memory = FairQueue(2), PixelMemory(10**6)
    gate = Admission(capacity=Capacity(slots=Slots(16, 64), memory=memory, engine=engine), ledger=Ledger(books))
    admitted: list[str] = []
    leave = {name: asyncio.Semaphore(0) for name in ("a", "b")}

    async def work(name: str, wanted: Job) -> None:
        caller = Caller(organization_id=wanted.request.organization_id, key_id="key")
        async with gate.grant(wanted, caller):
            admitted.append(name)
            await leave[name].acquire()

    tasks = [asyncio.ensure_future(work("a", local)) for _ in range(40)]
    await anyio.wait_all_tasks_blocked()
    assert (admitted, gate.capacity.slots.running, memory.held) == (["a", "a"], 14, 2 * 16 * 16 * 3)
    other = replace(local, request=replace(job.request, organization_id="org_b"))
    remote = replace(job, request=replace(job.request, organization_id="org_b"))
    tasks += [asyncio.ensure_future(work("b", other)), asyncio.ensure_future(work("b", remote))]
    await anyio.wait_all_tasks_blocked()
    assert admitted == ["a", "a", "b"]  # what a provider elsewhere makes need not wait for the engine
    leave["a"].release()
    await anyio.wait_all_tasks_blocked()
    assert admitted == ["a", "a", "b", "b"]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await gate.drain()
    assert (gate.capacity.slots.running, engine.held, memory.held) == (0, 0, 0)


async def test_a_closed_admission_refuses_who_waits_and_lets_who_works_finish(books, job: Job) -> None:
    gate = admission(books, slots=Slots(1, 5))
    async with gate.grant(job, CALLER) as granted:
        waiting = asyncio.ensure_future(gate.grant(job, CALLER).__aenter__())
        await anyio.wait_all_tasks_blocked()
        gate.capacity.close(ServerBusy)
        with pytest.raises(ServerBusy):
            await waiting
        await granted.capture(FACTS)
    assert list(books.states.values()) == ["captured"]


async def test_a_reached_limit_gives_the_slot_back(books, job: Job) -> None:
    gate = admission(books, limit=1)
    async with gate.grant(job, CALLER) as granted:
        await granted.capture(FACTS)
    with pytest.raises(UsageLimitExceeded):
        async with gate.grant(job, CALLER):
            pytest.fail("admitted")
    assert gate.capacity.slots.running == 0


async def test_without_database_nobody_is_admitted(books, job: Job) -> None:
    books.failing = {"open"}
    gate = admission(books)
    with pytest.raises(ServerBusy):
        async with gate.grant(job, CALLER):
            pytest.fail("admitted")
    assert gate.capacity.slots.running == 0


@pytest.mark.parametrize("caller", [Caller(), CALLER])
async def test_slots_alone_will_do(limited_job: Job, caller: Caller) -> None:
    gate = Admission(capacity=Capacity(slots=Slots(1, 0)))
    for _ in range(2):
        await gate.count(limited_job.provider, caller)
        async with gate.grant(limited_job, caller) as granted:
            assert granted.grant == Grant(caller=caller, hold_id=None)
            assert gate.capacity.slots.running == 1
            await granted.capture(FACTS)
    await gate.drain()
    assert gate.capacity.slots.running == 0


async def test_callers_without_organization_are_neither_limited_nor_billed(
    books, limited_job: Job, anonymous_job
) -> None:
    gate = admission(books, limit=1)
    for job in (limited_job, limited_job, anonymous_job):
        await gate.count(job.provider, Caller())
        async with gate.grant(job, Caller()) as granted:
            await granted.capture(FACTS)
    assert books.states == {}


@pytest.mark.parametrize("steps", range(30))
async def test_a_request_stopped_after_any_number_of_steps_leaks_nothing(books, job: Job, steps: int) -> None:
    books.steps = 2
    gate = admission(books, slots=Slots(2, 4))
    captured: list[str | None] = []

    async def request() -> None:
        async with gate.grant(job, CALLER) as granted:
            await asyncio.sleep(0)
            captured.append(granted.grant.hold_id)
            await granted.capture(FACTS)

    requests = [asyncio.ensure_future(request()) for _ in range(4)]
    for _ in range(steps):
        await asyncio.sleep(0)
    for number in (0, 3):
        requests[number].cancel()
    await asyncio.wait(requests)
    await gate.drain()

    assert (gate.capacity.slots.running, gate.capacity.slots.waiting) == (0, 0)
    assert {name for name, state in books.states.items() if state == "captured"} == set(captured)
    assert "held" not in books.states.values()


async def test_a_cancel_scope_releases_too(books, job: Job) -> None:
    books.steps = 3
    gate = admission(books)
    with anyio.CancelScope() as scope:
        async with gate.grant(job, CALLER):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert gate.capacity.slots.running == 0
    await gate.drain()
    assert list(books.states.values()) == ["released"]


async def test_64_requests_at_once_get_exactly_their_pictures(database_url: str, job: Job) -> None:
    async with open_store(database_url, pepper=bytes(32)) as store:
        new = await store.keys.create("org_a")
        gate = Admission(capacity=Capacity(slots=Slots(8, 64)), ledger=Ledger(store.books, default_pictures_per_day=14))
        caller = Caller(organization_id="org_a", key_id=new.id)
        made = 0

        async def request(number: int) -> None:
            nonlocal made
            with suppress(UsageLimitExceeded):
                async with gate.grant(job, caller) as granted:
                    await asyncio.sleep(0)
                    await granted.capture(FACTS)
                    made += 1

        await asyncio.gather(*(request(number) for number in range(64)))
        (day,) = await store.usage.by_day("org_a")

    assert made == day.pictures == 14
    assert (day.failed, day.open) == (0, 0)


async def test_requests_stopped_in_the_middle_of_the_database_leak_nothing(database_url: str, job: Job) -> None:
    async with open_store(database_url, pepper=bytes(32)) as store:
        new = await store.keys.create("org_a")
        gate = Admission(capacity=Capacity(slots=Slots(2, 4)), ledger=Ledger(store.books))
        caller = Caller(organization_id="org_a", key_id=new.id)
        captured = 0

        async def request() -> None:
            nonlocal captured
            async with gate.grant(job, caller) as granted:
                captured += 1
                await granted.capture(FACTS)

        for steps in range(0, 60, 2):
            requests = [asyncio.ensure_future(request()) for _ in range(3)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for stopped in requests:
                stopped.cancel()
            await asyncio.wait(requests)
        await gate.drain()
        days = await store.usage.by_day()

    assert (gate.capacity.slots.running, gate.capacity.slots.waiting) == (0, 0)
    assert sum(day.open for day in days) == 0
    assert sum(day.pictures for day in days) == captured


def test_it_can_be_imported_without_the_servers_packages() -> None:
    program = (
        "import sys\n"
        "for name in ('sqlalchemy', 'alembic', 'aiosqlite', 'limits', 'starlette'): sys.modules[name] = None\n"
        "from uncrop.admission.admission import Admission\n"
        "from uncrop.capacity.capacity import Capacity\n"
        "from uncrop.capacity.slots import Slots\n"
        "print(Admission(capacity=Capacity(slots=Slots(1, 0))).capacity.slots.running)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("0\n", "")
