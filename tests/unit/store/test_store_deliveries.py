"""Messages to webhooks, on either database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.errors import ServerBusy
from uncrop.model.jobs import BackgroundJob, NewJob
from uncrop.model.webhooks import JOB_EVENTS, Attempt, Delivery, Webhook
from uncrop.store.database import Store, open_store
from uncrop.store.deliveries import Due, Next, Sent
from uncrop.store.jobs import Ending
from uncrop.store.webhooks import NewWebhook, WebhookChanges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.jobs import Also

KEEP = timedelta(hours=24)
SECRET = "whsec_0123456789"
TOOK, NOT_TAKEN = Sent(status=204, duration_ms=12), Sent(status=500, failure="status", duration_ms=7)
DELIVERED, AGAIN, GIVEN_UP = Next(state="delivered"), Next(state="waiting", wait_s=5), Next(state="failed")


class Queue(list[tuple[str, str, int, float]]):
    """Notes what is added to it."""

    error: Exception | None = None

    def adding(self, delivery_id: str, webhook_id: str, round_number: int, wait_s: float) -> Also:
        async def also(_connection: AsyncConnection) -> None:
            if self.error is not None:
                raise self.error
            self.append((delivery_id, webhook_id, round_number, wait_s))

        return also


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
async def keeper(database_url: str, clock: Any, pepper: bytes) -> AsyncIterator[Store]:
    async with open_store(database_url, pepper=pepper, clock=clock, encryption_keys=["n" * 32]) as opened:
        await opened.organizations.create("org_a")
        await opened.organizations.create("org_b")
        yield opened


async def make(store: Store, organization: str = "org_a", events: Any = JOB_EVENTS) -> Webhook:
    url = "https://hooks.example/"
    new = NewWebhook(organization_id=organization, url=url, description=None, events=events, secret=SECRET)
    return await store.webhooks.create(new, most=10)


def payload(job: BackgroundJob) -> str:
    return f"{job.id} is {job.state}"


async def end_job(store: Store, queue: Queue, number: int = 1, state: Any = "done", organization: str = "org_a") -> str:
    """Submit, begin and end a job, and announce it; return its id."""
    job_id = f"job_{number:032x}"
    new = NewJob(id=job_id, organization_id=organization, key_id=None, provider="local", request="{}")
    await store.jobs.submit(new, most_open=100, also=nothing)
    begun = await store.jobs.begin(job_id)
    assert begun is not None
    also = store.deliveries.announcing(job_id, payload=payload, adding=queue.adding)
    assert await store.jobs.end(job_id, begun.attempt, Ending(state=state), keep=KEEP, also=also)
    return job_id


async def nothing(_connection: AsyncConnection) -> None:
    pass


async def due_in(store: Store, queue: Queue) -> Due:
    """Take what was added last."""
    delivery_id, _, round_number, _ = queue[-1]
    due = await store.deliveries.take(delivery_id, round_number)
    assert due is not None
    return due


async def record(store: Store, queue: Queue, sent: Sent, after: Next) -> Any:
    return await store.deliveries.record(await due_in(store, queue), sent, after, keep=KEEP, adding=queue.adding)


async def delivery(store: Store, queue: Queue) -> Delivery:
    found = await store.deliveries.find(queue[-1][0])
    assert found is not None
    return found


async def test_a_message_is_written_with_the_end_of_its_job(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    job_id = await end_job(keeper, queue)
    (added,) = queue
    assert added[1:] == (webhook.id, 0, 0)
    due = await due_in(keeper, queue)
    assert (due.payload, due.url, due.enabled, due.at) == (f"{job_id} is done", webhook.url, True, clock.now)
    assert due.secrets == (SECRET,)
    assert SECRET not in repr(due)
    assert due.delivery == Delivery(
        id=added[0],
        webhook_id=webhook.id,
        organization_id="org_a",
        job_id=job_id,
        event="job.done",
        state="waiting",
        attempts=0,
        tries=0,
        round=0,
        failure=None,
        created_at=clock.now,
        next_attempt_at=clock.now,
        ended_at=None,
    )
    assert await keeper.deliveries.page(webhook.id, most=10) == (due.delivery,)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "unknown"])
async def test_those_are_told_who_want_to_be(keeper: Store, queue: Queue, state: str) -> None:
    wanting = [await make(keeper, events=(f"job.{state}",)), await make(keeper)]
    await make(keeper, events=tuple(event for event in JOB_EVENTS if event != f"job.{state}"))
    await make(keeper, "org_b")
    off, gone = await make(keeper), await make(keeper)
    await keeper.webhooks.change(off.id, WebhookChanges(enabled=False))
    await keeper.webhooks.delete(gone.id)
    await end_job(keeper, queue, state=state)
    assert {webhook_id for _, webhook_id, _, _ in queue} == {webhook.id for webhook in wanting}


async def test_a_job_that_is_cancelled_while_it_waits_is_told_of(keeper: Store, queue: Queue) -> None:
    await make(keeper)
    new = NewJob(id="job_1", organization_id="org_a", key_id=None, provider="local", request="{}")
    await keeper.jobs.submit(new, most_open=1, also=nothing)
    also = keeper.deliveries.announcing("job_1", payload=payload, adding=queue.adding)
    for _ in range(2):
        await keeper.jobs.cancel("org_a", "job_1", keep=KEEP, also=also)
    assert len(queue) == 1
    assert (await due_in(keeper, queue)).payload == "job_1 is cancelled"


async def test_job_and_message_are_written_together_or_not_at_all(keeper: Store, queue: Queue) -> None:
    webhook = await make(keeper)
    queue.error = ServerBusy()
    with pytest.raises(ServerBusy):
        await end_job(keeper, queue)
    job = await keeper.jobs.look_up(f"job_{1:032x}")
    assert job is not None
    assert job.state == "running"
    assert await keeper.deliveries.page(webhook.id, most=10) == ()


async def test_a_message_that_is_taken(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    clock.advance(seconds=3)
    assert await record(keeper, queue, TOOK, DELIVERED) is None

    told = await delivery(keeper, queue)
    assert (told.state, told.attempts, told.tries, told.failure) == ("delivered", 1, 1, None)
    assert (told.next_attempt_at, told.ended_at) == (None, clock.now)
    assert await keeper.deliveries.attempts(told.id) == (
        Attempt(number=1, at=clock.now, status=204, failure=None, duration_ms=12),
    )
    found = await keeper.webhooks.find(webhook.id)
    assert found is not None
    assert (found.delivered_at, found.failing_since) == (clock.now, None)
    assert await keeper.deliveries.take(told.id, 0) is None


async def test_a_message_that_is_not_taken_is_sent_again(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    first = clock.now
    assert await record(keeper, queue, NOT_TAKEN, AGAIN) is None
    clock.advance(seconds=5)
    lost = Sent(failure="connection", duration_ms=1)
    assert await record(keeper, queue, lost, Next(state="waiting", wait_s=300)) is None

    assert [entry[1:] for entry in queue] == [(webhook.id, 0, 0), (webhook.id, 1, 5), (webhook.id, 2, 300)]
    told = await delivery(keeper, queue)
    assert (told.state, told.attempts, told.tries, told.round, told.failure) == ("waiting", 2, 2, 2, "connection")
    assert told.next_attempt_at == clock.now + timedelta(seconds=300)
    assert [(each.number, each.status, each.failure) for each in await keeper.deliveries.attempts(told.id)] == [
        (1, 500, "status"),
        (2, None, "connection"),
    ]
    found = await keeper.webhooks.find(webhook.id)
    assert found is not None
    assert (found.failing_since, found.enabled) == (first, True)
    await record(keeper, queue, TOOK, DELIVERED)
    found = await keeper.webhooks.find(webhook.id)
    assert found is not None
    assert (found.failing_since, found.delivered_at) == (None, clock.now)


async def test_an_entry_of_an_earlier_round_does_nothing(keeper: Store, queue: Queue) -> None:
    await make(keeper)
    await end_job(keeper, queue)
    late = await due_in(keeper, queue)
    await record(keeper, queue, NOT_TAKEN, AGAIN)
    assert await keeper.deliveries.take(late.delivery.id, 0) is None
    assert await keeper.deliveries.record(late, TOOK, DELIVERED, keep=KEEP, adding=queue.adding) is False
    await keeper.deliveries.hand_back(late.delivery, wait_s=1, adding=queue.adding)
    assert len(queue) == 2
    assert (await delivery(keeper, queue)).state == "waiting"


async def test_one_that_was_not_seen_to_its_end_is_handed_back(keeper: Store, queue: Queue) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    await keeper.deliveries.hand_back((await due_in(keeper, queue)).delivery, wait_s=5, adding=queue.adding)
    assert queue[-1][1:] == (webhook.id, 1, 5)
    due = await due_in(keeper, queue)
    assert (due.delivery.round, due.delivery.attempts, due.delivery.tries) == (1, 0, 0)
    assert due.delivery.next_attempt_at == due.at + timedelta(seconds=5)


async def test_what_should_have_been_sent_long_ago_is_found(keeper: Store, queue: Queue, clock: Any) -> None:
    await make(keeper)
    for number in range(3):
        await end_job(keeper, queue, number)
    await record(keeper, queue, TOOK, DELIVERED)
    clock.advance(hours=1)
    assert await keeper.deliveries.overdue(by=timedelta(hours=1), most=9) == ()
    clock.advance(seconds=1)
    lost = await keeper.deliveries.overdue(by=timedelta(hours=1), most=9)
    assert [each.id for each in lost] == sorted(entry[0] for entry in queue[:2])
    assert await keeper.deliveries.overdue(by=timedelta(hours=1), most=1) == lost[:1]
    await keeper.deliveries.hand_back(lost[0], wait_s=0, adding=queue.adding)
    assert await keeper.deliveries.overdue(by=timedelta(hours=1), most=9) == lost[1:]


async def test_a_receiver_that_is_gone_is_disabled(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    gone = Sent(status=410, failure="gone", duration_ms=1)
    assert await record(keeper, queue, gone, Next(state="failed", disable="gone")) == "gone"
    found = await keeper.webhooks.find(webhook.id)
    assert found is not None
    assert (found.enabled, found.disabled_at, found.disabled_reason) == (False, clock.now, "gone")
    entry = (await keeper.audit.page(organization_id="org_a"))[0]
    assert (entry.actor, entry.action, entry.target) == ("server", "webhook.disable", webhook.id)
    assert entry.changes == {"disabled_reason": (None, "gone")}


async def test_one_that_took_something_meanwhile_is_not_disabled(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    first = await due_in(keeper, queue)
    clock.advance(hours=1)
    await end_job(keeper, queue, 2)
    last = Next(state="failed", disable="failing")
    await record(keeper, queue, TOOK, DELIVERED)
    assert await keeper.deliveries.record(first, NOT_TAKEN, last, keep=KEEP, adding=queue.adding) is None

    clock.advance(hours=1)
    await end_job(keeper, queue, 3)
    assert await record(keeper, queue, NOT_TAKEN, last) == "failing"
    await keeper.webhooks.change(webhook.id, WebhookChanges(enabled=False))
    clock.advance(hours=1)
    await keeper.webhooks.change(webhook.id, WebhookChanges(enabled=True))
    await end_job(keeper, queue, 4)
    await keeper.webhooks.change(webhook.id, WebhookChanges(enabled=False))
    assert await record(keeper, queue, NOT_TAKEN, last) is None  # it was, and by whom is not forgotten
    found = await keeper.webhooks.find(webhook.id)
    assert found is not None
    assert found.disabled_reason == "by_hand"


async def test_what_was_not_tried_is_no_attempt(keeper: Store, queue: Queue) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    await keeper.webhooks.change(webhook.id, WebhookChanges(enabled=False))
    due = await due_in(keeper, queue)
    assert not due.enabled
    await record(keeper, queue, Sent(failure="disabled", attempted=False), GIVEN_UP)
    told = await delivery(keeper, queue)
    assert (told.state, told.failure, told.attempts) == ("failed", "disabled", 0)
    assert await keeper.deliveries.attempts(told.id) == ()
    found = await keeper.webhooks.find(webhook.id)
    assert found is not None
    assert found.failing_since is None


@pytest.mark.parametrize("ended", [TOOK, NOT_TAKEN, None])
async def test_a_redelivery_keeps_id_and_log(keeper: Store, queue: Queue, ended: Sent | None, clock: Any) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    first = await due_in(keeper, queue)
    if ended is not None:
        await record(keeper, queue, ended, DELIVERED if ended.failure is None else GIVEN_UP)
    clock.advance(hours=2)
    again = await keeper.deliveries.redeliver(first.delivery.id, adding=queue.adding)
    assert again is not None
    assert (again.id, again.state, again.tries, again.round) == (first.delivery.id, "waiting", 0, 1)
    assert (again.next_attempt_at, again.ended_at) == (clock.now, None)
    assert queue[-1] == (first.delivery.id, webhook.id, 1, 0)
    assert await keeper.deliveries.take(first.delivery.id, 0) is None  # the entry that was there before
    await record(keeper, queue, TOOK, DELIVERED)
    told = await delivery(keeper, queue)
    assert (told.state, told.tries, told.attempts) == ("delivered", 1, 1 if ended is None else 2)
    assert [each.number for each in await keeper.deliveries.attempts(told.id)] == list(range(1, told.attempts + 1))


async def test_what_belongs_to_a_deleted_webhook_is_not_sent(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    await end_job(keeper, queue)
    due = await due_in(keeper, queue)
    await keeper.webhooks.delete(webhook.id)
    assert await keeper.deliveries.take(due.delivery.id, 0) is None
    assert await keeper.deliveries.record(due, TOOK, DELIVERED, keep=KEEP, adding=queue.adding) is False
    assert await keeper.deliveries.find(due.delivery.id) is None
    assert await keeper.deliveries.redeliver(due.delivery.id, adding=queue.adding) is None
    await keeper.webhooks.purge()
    clock.advance(seconds=1)
    (expired,) = await keeper.deliveries.expired(most=10)
    assert (expired.id, expired.state, expired.failure) == (due.delivery.id, "failed", "disabled")
    await keeper.deliveries.forget((expired.id,))
    await keeper.webhooks.purge()
    assert await keeper.deliveries.expired(most=10) == ()


async def test_pages_and_what_is_kept(keeper: Store, queue: Queue, clock: Any) -> None:
    webhook = await make(keeper)
    for number in range(3):
        await end_job(keeper, queue, number)
    first, second, third = sorted(entry[0] for entry in queue)
    newest = await keeper.deliveries.page(webhook.id, most=2)
    assert [each.id for each in newest] == [third, second]
    assert [each.id for each in await keeper.deliveries.page(webhook.id, most=2, before=second)] == [first]
    for entry, (sent, after) in zip(list(queue), [(TOOK, DELIVERED), (NOT_TAKEN, GIVEN_UP)], strict=False):
        due = await keeper.deliveries.take(entry[0], 0)
        assert due is not None
        await keeper.deliveries.record(due, sent, after, keep=KEEP, adding=queue.adding)
    waiting = await keeper.deliveries.page(webhook.id, most=5, state="waiting")
    assert [each.id for each in waiting] == [queue[2][0]]

    clock.advance(hours=24)
    assert await keeper.deliveries.expired(most=10) == ()
    clock.advance(seconds=1)
    ended = await keeper.deliveries.expired(most=10)
    assert {each.id for each in ended} == {queue[0][0], queue[1][0]}
    assert len(await keeper.deliveries.expired(most=1)) == 1
    await keeper.deliveries.redeliver(queue[0][0], adding=queue.adding)
    await keeper.deliveries.forget(tuple(each.id for each in ended))
    assert {each.id for each in await keeper.deliveries.page(webhook.id, most=9)} == {queue[0][0], queue[2][0]}
    assert await keeper.deliveries.attempts(queue[1][0]) == ()
    assert len(await keeper.deliveries.attempts(queue[0][0])) == 1
