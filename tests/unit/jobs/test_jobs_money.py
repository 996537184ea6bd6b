"""What is held for jobs: from the transaction that submits them to the one that ends them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fixtures_server import picture
from uncrop.errors import (
    ContentRejected,
    ProviderRateLimited,
    ProviderUnavailable,
    ServerBusy,
    UsageLimitExceeded,
)
from uncrop.ledger.ledger import Ledger
from uncrop.model.jobs import job_hold_id
from uncrop.providers.registry import load_rows
from uncrop.service.pictures import MadePicture, MadePictures
from uncrop.store import tables
from uncrop.store.transactions import execute
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from conftest import Api
    from job_bench import Bench
    from uncrop.model import Caller, UncropRequest
    from uncrop.model.ledger import Hold
    from uncrop.service.pictures import Work
    from uncrop.store.database import Store

    OpenApi = Callable[..., AbstractAsyncContextManager[Api]]

PHOTO = photo_png(64, 48)
ROWS = load_rows(())
MADE = MadePictures(pictures=(MadePicture(result=picture()),))
PAID = {"provider": "clipdrop"}


@pytest.fixture(autouse=True)
def _clipdrop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "key")


async def holds(store: Store) -> list[Hold]:
    return sorted(await store.books.holds(), key=lambda hold: hold.id)


async def states(store: Store) -> list[tuple[str, str]]:
    return [(hold.provider, hold.state) for hold in await holds(store)]


async def agrees(store: Store) -> bool:
    return await store.books.verify() == ()


async def makes(request: UncropRequest, work: Work) -> MadePictures:
    """Make one picture by one billed call, as the flow does."""
    held = await taken(work)
    calls = work.commitment.branch(held)
    await calls.commit()
    calls.note_cost(MADE.pictures[0].result.facts)
    await held.finish("a model")
    await held.give_back()
    return MADE


async def taken(work: Work, provider: str = "clipdrop", *, number: int = 0) -> Any:
    assert work.holds is not None
    return await work.holds.take(number, work.caller, ROWS[provider], 1)


async def submit(bench: Bench, *, provider: str = "clipdrop", pictures: int = 1) -> str:
    """Write a job down with what is held for it."""
    job_id = await bench.submit(provider=provider)
    caller = await bench.caller_of(bench.key_id)
    for number in range(pictures):
        hold_id = job_hold_id(job_id, number)
        await bench.ledger.write([bench.ledger.holding(caller, ROWS[provider], calls=1, hold_id=hold_id)])
    return job_id


# --- submission ------------------------------------------------------------------------------------------------------


class Waiting:
    """Makes nothing until it is told to."""

    def __init__(self, api: Api) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        api.uncropper.run = self.run  # type: ignore[method-assign]

    async def run(self, request: UncropRequest, caller: Caller, *, once: Any, **options: Any) -> Any:
        self.begun.set()
        await self.go_on.wait()
        held = await once.take(caller, ROWS[request.provider], 1)
        await held.finish()
        return picture()


async def test_what_a_job_may_cost_is_held_when_it_is_submitted(open_api: OpenApi, database_url: str) -> None:
    async with open_api(database_url) as api:
        waiting = Waiting(api)
        job = (await api.submit(PHOTO, variations="2", **PAID)).json()
        store = api.service.store
        held = await holds(store)
        assert [(each.id, each.state, each.calls_planned) for each in held] == [
            (job_hold_id(job["id"], number), "held", 1) for number in range(2)
        ]
        assert held[0].key_id == (await store.jobs.look_up(job["id"])).key_id  # type: ignore[union-attr]
        waiting.go_on.set()
        assert (await api.ended(job["id"]))["state"] == "done"
        assert await states(store) == [("clipdrop", "captured")] * 2
        assert await agrees(store)


async def test_what_no_limit_allows_is_refused_and_nothing_is_kept(open_api: OpenApi, database_url: str) -> None:
    async with open_api(database_url, usage_limit_per_day=2) as api:
        waiting = Waiting(api)
        await api.submit(PHOTO, **PAID)
        refused = await api.submit(PHOTO, variations="2", **PAID)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "USAGE_LIMIT_EXCEEDED")
        assert "retry-after" in refused.headers
        store = api.service.store
        assert await states(store) == [("clipdrop", "held")]
        assert len((await api.get()).json()["jobs"]) == 1
        table = "workflow_status" if "sqlite" in database_url else "dbos.workflow_status"
        queued = await store._transactions.read(lambda c: c.execute(sa.text(f"SELECT count(*) FROM {table}")))
        assert queued.scalar_one() == 1
        waiting.go_on.set()


async def test_many_at_once_do_not_exceed_a_limit(open_api: OpenApi, postgres_url: str) -> None:
    async with open_api(postgres_url, usage_limit_per_day=3) as api:
        waiting = Waiting(api)
        answers = await asyncio.gather(*(api.submit(PHOTO, seed=str(number), **PAID) for number in range(8)))
        assert Counter(answer.status_code for answer in answers) == {202: 3, 429: 5}
        waiting.go_on.set()


async def test_the_same_submission_again_holds_nothing_more(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url) as api:
        waiting = Waiting(api)
        for _ in range(2):
            await api.submit(PHOTO, headers={"Idempotency-Key": "k"}, **PAID)
        assert len(await holds(api.service.store)) == 1
        waiting.go_on.set()


@pytest.mark.parametrize("begun", [False, True])
async def test_a_cancelled_job_gives_back(open_api: OpenApi, sqlite_url: str, begun: bool) -> None:
    async with open_api(sqlite_url, jobs_at_once=1) as api:
        waiting = Waiting(api)
        first, second = [(await api.submit(PHOTO, **PAID)).json()["id"] for _ in range(2)]
        await waiting.begun.wait()
        ended, other = (first, second) if begun else (second, first)
        await api.http.delete(f"/api/v1/jobs/{ended}", headers={"X-API-Key": api.key})
        assert (await api.ended(ended))["state"] == "cancelled"
        found = {hold.id: hold.state for hold in await holds(api.service.store)}
        assert found[job_hold_id(ended, 0)] == "released"
        waiting.go_on.set()
        assert (await api.ended(other))["state"] == "done"
        assert await agrees(api.service.store)


async def test_for_auto_the_first_that_the_caller_may_use_is_held_for(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url, auto_providers="clipdrop,local") as api:
        api.uncropper.action = None
        store = api.service.store
        first = (await api.submit(PHOTO, provider="auto")).json()
        await api.ended(first["id"])
        await store.policies.change_organization("org_a", providers=("local",))
        second = (await api.submit(PHOTO, provider="auto")).json()
        await api.ended(second["id"])
        assert [hold.provider for hold in await holds(store)] == ["clipdrop", "local"]
        await store.policies.change_organization("org_a", providers=("openai",))
        refused = await api.submit(PHOTO, provider="auto")
        assert (refused.status_code, refused.json()["error"]["details"]["provider"]) == (403, "clipdrop")


async def test_a_provider_that_is_given_a_pause_is_held_for_all_the_same(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url, auto_providers="clipdrop,local") as api:
        waiting = Waiting(api)
        breaker = api.service.registry.get("clipdrop").breaker
        assert breaker is not None
        for _ in range(20):
            with pytest.raises(ProviderUnavailable), breaker.watch():
                raise ProviderUnavailable
        await api.submit(PHOTO, **PAID)
        await api.submit(PHOTO, provider="auto")
        assert await states(api.service.store) == [("clipdrop", "held"), ("local", "held")]
        waiting.go_on.set()


# --- the worker ------------------------------------------------------------------------------------------------------


async def test_a_picture_is_booked_in_the_transaction_that_ends_its_job(bench: Bench) -> None:
    async def looked(request: UncropRequest, work: Work) -> MadePictures:
        made = await makes(request, work)
        before.extend(await states(bench.store))
        return made

    before: list[tuple[str, str]] = []
    bench.pictures.action = looked
    job_id = await submit(bench)
    await bench.worker().run(job_id)
    assert before == [("clipdrop", "held")]
    (hold,) = await holds(bench.store)
    assert (hold.state, hold.model, hold.calls_sent, hold.id) == ("captured", "a model", 1, job_hold_id(job_id, 0))
    assert await agrees(bench.store)


async def test_a_job_of_an_earlier_version_is_held_for_when_it_is_made(bench: Bench) -> None:
    bench.pictures.action = makes
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert await states(bench.store) == [("clipdrop", "captured")]


async def test_another_provider_is_held_for_in_the_place_of_the_first(bench: Bench) -> None:
    async def by_another(request: UncropRequest, work: Work) -> MadePictures:
        for provider in ("clipdrop", "local", "local", "clipdrop"):
            held = await taken(work, provider)
            await held.give_back()
        return await makes(request, work)

    bench.pictures.action = by_another
    job_id = await submit(bench)
    await bench.worker().run(job_id)
    assert Counter(await states(bench.store)) == {
        ("clipdrop", "released"): 1,
        ("local", "released"): 1,
        ("clipdrop", "captured"): 1,
    }
    assert await agrees(bench.store)


async def test_where_a_limit_is_in_the_way_of_another_provider_the_first_stays_held_until_the_end(
    bench: Bench,
) -> None:
    async def by_another(_request: UncropRequest, work: Work) -> MadePictures:
        with pytest.raises(UsageLimitExceeded):
            await taken(work, "local", number=1)
        seen.extend(await states(bench.store))
        raise ContentRejected

    seen: list[tuple[str, str]] = []
    bench.pictures.action = by_another
    job_id = await submit(bench)
    await bench.worker(ledger=Ledger(bench.store.books, default_pictures_per_day=1)).run(job_id)
    assert seen == [("clipdrop", "held")]
    assert await states(bench.store) == [("clipdrop", "released")]


async def test_a_try_that_is_repeated_uses_the_same_hold(bench: Bench) -> None:
    async def refused_once(request: UncropRequest, work: Work) -> MadePictures:
        if len(bench.pictures.requests) > 1:
            return await makes(request, work)
        held = await taken(work)
        calls = work.commitment.branch(held)
        await calls.commit()
        await calls.take_back()
        calls.note_failure(charged=False)
        await held.give_back()
        raise ProviderRateLimited

    bench.pictures.action = refused_once
    await bench.worker().run(await submit(bench))
    (hold,) = await holds(bench.store)
    assert (hold.state, hold.calls_sent) == ("captured", 1)


@pytest.mark.parametrize("sent", [False, True])
async def test_a_worker_that_dies_leaves_what_is_held_to_the_next_or_in_doubt(bench: Bench, sent: bool) -> None:
    job_id = await submit(bench)
    begun = await bench.store.jobs.begin(job_id)
    assert begun is not None
    if sent:
        await bench.store.jobs.mark_sent(job_id, 1)
        await bench.store.books.mark_sent(job_hold_id(job_id, 0))
    bench.pictures.action = makes
    await bench.worker().run(job_id)
    (hold,) = await holds(bench.store)
    assert (hold.state, (await bench.job(job_id)).state) == (("unknown", "unknown") if sent else ("captured", "done"))
    assert await agrees(bench.store)


async def test_a_job_that_is_given_up_gives_back(bench: Bench) -> None:
    job_id = await submit(bench)
    for _ in range(2):
        await bench.store.jobs.begin(job_id)
    await bench.worker().run(job_id)
    assert await states(bench.store) == [("clipdrop", "released")]


async def test_of_several_pictures_each_is_booked_by_itself(bench: Bench) -> None:
    async def one_of_two(_request: UncropRequest, work: Work) -> MadePictures:
        made, failed = [await taken(work, number=number) for number in range(2)]
        for held in (made, failed):
            calls = work.commitment.branch(held)
            await calls.commit()
            calls.note_failure(charged=False) if held is failed else calls.note_cost(MADE.pictures[0].result.facts)
        await made.finish()
        await failed.give_back()
        return MadePictures(pictures=MADE.pictures, failures=(ContentRejected(),))

    bench.pictures.action = one_of_two
    await bench.worker().run(await submit(bench, pictures=2))
    assert await states(bench.store) == [("clipdrop", "captured"), ("clipdrop", "released")]


async def test_a_call_in_doubt_stays_held(bench: Bench) -> None:
    async def lost(_request: UncropRequest, work: Work) -> MadePictures:
        held = await taken(work)
        await work.commitment.branch(held).commit()
        await held.give_back()
        raise ProviderRateLimited

    bench.pictures.action = lost
    await bench.worker().run(await submit(bench))
    assert await states(bench.store) == [("clipdrop", "unknown")]


async def test_a_picture_that_is_not_kept_and_cost_nothing_is_given_back(bench: Bench) -> None:
    async def made(_request: UncropRequest, work: Work) -> MadePictures:
        held = await taken(work, "local")
        await held.finish()
        raise ZeroDivisionError

    bench.pictures.action = made
    await bench.worker().run(await submit(bench, provider="local"))
    assert await states(bench.store) == [("local", "released")]


async def test_a_worker_that_was_given_up_for_dead_opens_and_ends_no_hold(bench: Bench) -> None:
    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        held = await taken(work)
        await bench.store.jobs.begin(job_id)  # it froze; another process began the job
        with pytest.raises(ServerBusy):
            await taken(work, "local")
        await held.finish()
        return MADE

    bench.pictures.action = work
    job_id = await submit(bench)
    await bench.worker(tell_every_s=300).run(job_id)
    assert await states(bench.store) == [("clipdrop", "held")]


async def test_what_is_handed_back_stays_held(bench: Bench) -> None:
    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        held = await taken(work)
        bench.stopping = True
        await held.give_back()
        raise ServerBusy

    bench.pictures.action = work
    job_id = await submit(bench)
    await bench.worker(tell_every_s=300).run(job_id)
    assert (await bench.job(job_id)).state == "queued"
    assert await states(bench.store) == [("clipdrop", "held")]


async def test_the_sweep_leaves_the_holds_of_open_jobs_alone(bench: Bench) -> None:
    job_id = await submit(bench)
    caller = await bench.caller_of(bench.key_id)
    await bench.ledger.hold(caller, ROWS["clipdrop"])
    found = await bench.ledger.expire(timedelta(seconds=-1))
    assert (found.released, found.unknown) == (1, 0)
    assert (await bench.store.books.hold(job_hold_id(job_id, 0))).state == "held"
    await bench.store.jobs.cancel("org_a", job_id, keep=timedelta(hours=1))
    assert (await bench.ledger.expire(timedelta(seconds=-1))).released == 1


async def test_a_hold_that_was_swept_away_meanwhile_is_booked_all_the_same(bench: Bench) -> None:
    async def swept(_request: UncropRequest, work: Work) -> MadePictures:
        held = await taken(work, "local")
        # As a server of an earlier version does, which knows nothing of the holds of jobs.
        expired = sa.update(tables.holds).values(state="expired", settled_at=datetime.now(UTC))
        await bench.store._transactions.write(execute(expired))
        await held.finish()
        return MADE

    bench.pictures.action = swept
    await bench.worker().run(await submit(bench, provider="local"))
    assert await states(bench.store) == [("local", "captured")]


async def test_another_is_held_for_in_the_place_of_one_that_was_swept_away_before(bench: Bench) -> None:
    bench.pictures.action = makes
    job_id = await submit(bench)
    expired = sa.update(tables.holds).values(state="expired", settled_at=datetime.now(UTC))
    await bench.store._transactions.write(execute(expired))
    await bench.worker().run(job_id)
    assert Counter(await states(bench.store)) == {("clipdrop", "expired"): 1, ("clipdrop", "captured"): 1}
