from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.errors import ServerBusy
from uncrop.model.jobs import BackgroundJob, NewJob
from uncrop.store.jobs import Ending

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.database import Store

KEEP = timedelta(hours=24)


class Added(list[str]):
    """Notes what was done in the same transaction."""

    def noting(self, what: str = "added", error: Exception | None = None) -> Any:
        async def also(_connection: AsyncConnection) -> None:
            self.append(what)
            if error is not None:
                raise error

        return also


@pytest.fixture
async def key_id(store: Store) -> str:
    return (await store.keys.create("org_a")).id


async def submit(store: Store, key_id: str, number: int = 1, **changes: Any) -> BackgroundJob:
    values = {"organization_id": "org_a", "key_id": key_id, "provider": "local", "request": "{}"}
    new = NewJob(**{"id": f"job_{number:032x}", **values, **changes})
    job, is_new = await store.jobs.submit(new, most_open=100, also=Added().noting())
    assert is_new
    return job


async def test_a_job_is_written_down_with_all_that_was_said(store: Store, key_id: str) -> None:
    new = NewJob(
        id="job_1",
        organization_id="org_a",
        key_id=key_id,
        provider="local",
        request='{"a":1}',
        accept="image/png",
        idempotency_key="k",
        fingerprint=b"f" * 32,
    )
    added = Added()
    job, is_new = await store.jobs.submit(new, most_open=1, also=added.noting())
    assert (is_new, added) == (True, ["added"])
    assert (job.state, job.attempt, job.deaths, job.calls_sent, job.is_open) == ("queued", 0, 0, 0, True)
    assert (job.request, job.accept, job.fingerprint) == ('{"a":1}', "image/png", b"f" * 32)
    assert await store.jobs.find("org_a", "job_1") == await store.jobs.look_up("job_1") == job
    assert await store.jobs.named("org_a", "k") == job
    assert await store.jobs.find("org_b", "job_1") is None
    assert await store.jobs.named("org_b", "k") is None


async def test_the_same_key_is_the_same_job(store: Store, key_id: str) -> None:
    first = await submit(store, key_id, idempotency_key="k", fingerprint=b"1" * 32)
    added = Added()
    values = {"organization_id": "org_a", "key_id": key_id, "provider": "local", "request": "{}"}
    again = NewJob(id="job_2", **values, idempotency_key="k", fingerprint=b"2" * 32)
    assert await store.jobs.submit(again, most_open=1, also=added.noting()) == (first, False)
    assert added == []
    assert await store.jobs.look_up("job_2") is None


async def test_what_fails_beside_it_undoes_it(store: Store, key_id: str) -> None:
    with pytest.raises(ZeroDivisionError):
        await store.jobs.submit(
            NewJob(id="job_1", organization_id="org_a", key_id=key_id, provider="local", request="{}"),
            most_open=1,
            also=Added().noting(error=ZeroDivisionError()),
        )
    assert await store.jobs.look_up("job_1") is None


async def test_an_organization_has_so_many_open_jobs_and_no_more(store: Store, key_id: str) -> None:
    await store.keys.create("org_b")
    new = NewJob(id="job_2", organization_id="org_a", key_id=key_id, provider="local", request="{}")
    job = await submit(store, key_id)
    with pytest.raises(ServerBusy) as refused:
        await store.jobs.submit(new, most_open=1, also=Added().noting())
    assert refused.value.details == {"max_open_jobs": 1}
    assert refused.value.retry_after == 5
    assert await store.jobs.look_up("job_2") is None
    await store.jobs.end(job.id, 0, Ending(state="done"), keep=KEEP)
    assert (await store.jobs.submit(new, most_open=1, also=Added().noting()))[1]


async def test_pages_are_newest_first_and_of_one_organization(store: Store, key_id: str) -> None:
    other = (await store.keys.create("org_b")).id
    for number in range(1, 6):
        await submit(store, key_id, number)
    await submit(store, other, 9, organization_id="org_b")
    await store.jobs.end(f"job_{3:032x}", 0, Ending(state="failed", error="{}"), keep=KEEP)

    async def numbers(**wanted: Any) -> list[int]:
        return [int(job.id[4:], 16) for job in await store.jobs.page("org_a", **wanted)]

    assert await numbers(most=2) == [5, 4]
    assert await numbers(most=9, before=f"job_{4:032x}") == [3, 2, 1]
    assert await numbers(most=9, state="failed") == [3]
    assert [job.organization_id for job in await store.jobs.page(None, most=2)] == ["org_b", "org_a"]


async def test_one_attempt_at_a_time_may_change_it(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    first = await store.jobs.begin(job.id)
    assert first is not None
    assert (first.state, first.attempt, first.deaths) == ("running", 1, 1)
    # Its worker froze; another began it.
    second = await store.jobs.begin(job.id)
    assert second is not None
    assert (second.attempt, second.deaths) == (2, 2)
    assert not await store.jobs.mark_sent(job.id, 1)
    assert await store.jobs.tell(job.id, 1, stage="provider", fraction=0.5) is None
    assert not await store.jobs.end(job.id, 1, Ending(state="done", result_bytes=1), keep=KEEP)
    assert await store.jobs.mark_sent(job.id, 2)
    assert await store.jobs.end(job.id, 2, Ending(state="done", result_bytes=7), keep=KEEP)
    assert not await store.jobs.end(job.id, 2, Ending(state="failed"), keep=KEEP)
    ended = await store.jobs.look_up(job.id)
    assert ended is not None
    assert (ended.state, ended.result_bytes, ended.calls_sent, ended.is_open) == ("done", 7, 1, False)
    assert await store.jobs.begin(job.id) is None


async def test_what_may_have_been_sent_is_not_begun_again(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    await store.jobs.begin(job.id)
    assert await store.jobs.mark_sent(job.id, 1)
    assert await store.jobs.mark_sent(job.id, 1)
    assert await store.jobs.begin(job.id) is None
    await store.jobs.take_back(job.id, 1)
    assert await store.jobs.begin(job.id) is None
    await store.jobs.take_back(job.id, 1)
    await store.jobs.take_back(job.id, 1)  # nothing is left to take back
    again = await store.jobs.begin(job.id)
    assert again is not None
    assert (again.attempt, again.calls_sent) == (2, 0)


async def test_progress_is_told_and_forgotten_with_the_attempt(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    await store.jobs.begin(job.id)
    assert await store.jobs.tell(job.id, 1, stage="provider", fraction=0.25) is False
    told = await store.jobs.look_up(job.id)
    assert told is not None
    assert (told.stage, told.fraction) == ("provider", 0.25)
    assert await store.jobs.tell(job.id, 1, stage="intake", fraction=None) is False
    again = await store.jobs.begin(job.id)
    assert again is not None
    assert (again.stage, again.fraction) == (None, None)


async def test_a_job_that_waits_is_cancelled_at_once(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    added = Added()
    cancelled = await store.jobs.cancel("org_a", job.id, keep=KEEP, also=added.noting())
    assert cancelled is not None
    assert (cancelled.state, added) == ("cancelled", ["added"])
    assert await store.jobs.begin(job.id) is None
    assert await store.jobs.cancel("org_b", job.id, keep=KEEP) is None
    other = await submit(store, key_id, 2)
    assert (await store.jobs.cancel("org_a", other.id, keep=KEEP)) is not None


async def test_a_running_job_is_asked_to_end_and_may_send_nothing_from_then_on(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    await store.jobs.begin(job.id)
    asked = await store.jobs.cancel("org_a", job.id, keep=KEEP)
    assert asked is not None
    assert (asked.state, asked.cancel_requested_at is not None) == ("running", True)
    assert await store.jobs.tell(job.id, 1, stage="admission", fraction=None) is True
    assert not await store.jobs.mark_sent(job.id, 1)
    assert await store.jobs.begin(job.id) is None


async def test_a_job_that_has_sent_a_call_may_send_its_others_when_it_is_cancelled(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    await store.jobs.begin(job.id)
    await store.jobs.mark_sent(job.id, 1)
    await store.jobs.cancel("org_a", job.id, keep=KEEP)
    assert await store.jobs.mark_sent(job.id, 1)


async def test_a_job_is_handed_back_with_a_number_that_no_attempt_had(store: Store, key_id: str) -> None:
    job = await submit(store, key_id)
    added = Added()
    begun = await store.jobs.begin(job.id)
    assert begun is not None
    await store.jobs.hand_back(begun, begun=True, again=lambda number: added.noting(f"round {number}"))
    await store.jobs.hand_back(begun, begun=True, again=lambda number: added.noting(f"round {number}"))
    waiting = await store.jobs.look_up(job.id)
    assert waiting is not None
    assert (waiting.state, waiting.attempt, waiting.deaths, added) == ("queued", 2, 0, ["round 2"])
    await store.jobs.hand_back(waiting, begun=False, again=lambda number: added.noting(f"round {number}"))
    assert added == ["round 2", "round 3"]
    again = await store.jobs.begin(job.id)
    assert again is not None
    assert (again.attempt, again.deaths) == (4, 1)
    await store.jobs.mark_sent(job.id, 4)
    await store.jobs.hand_back(again, begun=True, again=lambda number: added.noting(f"round {number}"))
    assert added == ["round 2", "round 3"]


async def test_results_expire(store: Store, key_id: str, clock: Any) -> None:
    job = await submit(store, key_id)
    added = Added()
    await store.jobs.end(job.id, 0, Ending(state="done", result_bytes=3), keep=KEEP, also=added.noting("ended"))
    assert added == ["ended"]
    clock.advance(hours=24)
    assert await store.jobs.expired(most=10) == ()
    clock.advance(seconds=1)
    assert [found.id for found in await store.jobs.expired(most=10)] == [job.id]
    await store.jobs.expire((job.id,))
    assert await store.jobs.expired(most=10) == ()
    gone = await store.jobs.look_up(job.id)
    assert gone is not None
    assert (gone.state, gone.result_bytes, gone.expires_at) == ("done", None, None)
