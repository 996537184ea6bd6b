"""What becomes of messages: sent, repeated, given up, handed back; whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from uncrop.errors import ServerBusy
from uncrop.model.jobs import NewJob
from uncrop.model.webhooks import JOB_EVENTS, Delivery, Webhook
from uncrop.store.database import Store, open_store
from uncrop.store.deliveries import Sent
from uncrop.store.webhooks import NewWebhook, WebhookChanges
from uncrop.webhooks.deliverer import AFTER_STOP_S, GRACE_S, Deliverer, entries_of, entry_of
from uncrop.webhooks.payload import payload_of
from uncrop.webhooks.sending import Outcome
from uncrop.webhooks.signing import new_secret

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.jobs import Also

SECRET = new_secret()
TOOK = Outcome(sent=Sent(status=200, duration_ms=1))
NOT_TAKEN = Outcome(sent=Sent(status=500, failure="status", duration_ms=1))
GONE = Outcome(sent=Sent(status=410, failure="gone", duration_ms=1))


@dataclass
class Bench:
    """A deliverer with a real store, and a queue and a sender that do as they are told."""

    store: Store
    webhook: Webhook
    outcomes: list[Any] = field(default_factory=list)
    sent: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)
    queue: list[tuple[str, float]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    stopping: bool = False

    def deliverer(self, **changes: Any) -> Deliverer:
        values: dict[str, Any] = {
            "deliveries": self.store.deliveries,
            "send": self.send,
            "adding": self.adding,
            "keep": timedelta(hours=24),
            "stopping": lambda: self.stopping,
            "sleep": self.sleep,
            "draw": lambda: 0.5,
        }
        return Deliverer(**{**values, **changes})

    async def send(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        self.sent.append((url, headers, body))
        outcome = self.outcomes.pop(0) if self.outcomes else TOOK
        return outcome if isinstance(outcome, Outcome) else await outcome()

    def adding(self, delivery_id: str, _webhook_id: str, round_number: int, wait_s: float) -> Also:
        async def also(_connection: AsyncConnection) -> None:
            self.queue.append((entry_of(delivery_id, round_number), wait_s))

        return also

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def end_job(self) -> str:
        """End a job, and return the entry of the message about it."""
        job_id = f"job_{len(self.queue):032x}"
        new = NewJob(id=job_id, organization_id="org_a", key_id=None, provider="local", request="{}")
        await self.store.jobs.submit(new, most_open=100, also=nothing)
        also = self.store.deliveries.announcing(job_id, payload=payload_of, adding=self.adding)
        await self.store.jobs.cancel("org_a", job_id, keep=timedelta(1), also=also)
        return self.queue[-1][0]

    async def delivery(self) -> Delivery:
        found = await self.store.deliveries.find(self.queue[-1][0].partition(":")[0])
        assert found is not None
        return found


async def nothing(_connection: object) -> None:
    pass


@pytest.fixture
async def bench(sqlite_url: str) -> AsyncIterator[Bench]:
    async with open_store(sqlite_url, pepper=bytes(32), encryption_keys=["n" * 32]) as store:
        await store.organizations.create("org_a")
        url = "https://hooks.example/"
        new = NewWebhook(organization_id="org_a", url=url, description=None, events=JOB_EVENTS, secret=SECRET)
        yield Bench(store, await store.webhooks.create(new, most=1))


def test_entries_are_named_by_round() -> None:
    assert entries_of("msg_1", 2) == ("msg_1:0", "msg_1:1", "msg_1:2")


async def test_a_message_is_signed_and_sent(bench: Bench) -> None:
    entry = await bench.end_job()
    await bench.deliverer().run(entry)
    ((url, headers, body),) = bench.sent
    assert url == "https://hooks.example/"
    assert headers["webhook-id"] == entry.removesuffix(":0")
    assert Verifier(SECRET).verify(body, dict(headers))["type"] == "job.cancelled"
    told = await bench.delivery()
    assert (told.state, told.attempts) == ("delivered", 1)


async def test_repeats_have_the_same_id_and_body_and_another_moment(bench: Bench) -> None:
    await bench.end_job()
    bench.outcomes = [NOT_TAKEN, Outcome(sent=NOT_TAKEN.sent, asked_s=1000)]
    for _ in range(3):
        await bench.deliverer().run(bench.queue[-1][0])
    assert [wait for _, wait in bench.queue] == [0, 5, 1000]
    assert len({headers["webhook-id"] for _, headers, _ in bench.sent}) == 1
    assert len({body for _, _, body in bench.sent}) == 1
    assert (await bench.delivery()).state == "delivered"


async def test_after_the_last_try_a_webhook_that_took_nothing_is_disabled(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.end_job()
    bench.outcomes = [NOT_TAKEN] * 10
    for _ in range(10):
        await bench.deliverer().run(bench.queue[-1][0])
    told = await bench.delivery()
    assert (told.state, told.attempts, len(bench.queue)) == ("failed", 10, 10)
    found = await bench.store.webhooks.find(bench.webhook.id)
    assert found is not None
    assert found.disabled_reason == "failing"
    assert "a webhook was disabled" in caplog.text
    assert "hooks.example" not in caplog.text


async def test_one_that_is_gone_gets_nothing_more(bench: Bench) -> None:
    first, second = await bench.end_job(), await bench.end_job()
    bench.outcomes = [GONE]
    await bench.deliverer().run(first)
    await bench.deliverer().run(second)
    assert len(bench.sent) == 1
    told = await bench.delivery()
    assert (told.state, told.failure, told.attempts) == ("failed", "disabled", 0)
    found = await bench.store.webhooks.find(bench.webhook.id)
    assert found is not None
    assert found.disabled_reason == "gone"


async def test_what_cannot_be_signed_waits(bench: Bench, sqlite_url: str) -> None:
    entry = await bench.end_job()
    async with open_store(sqlite_url, pepper=bytes(32)) as store:
        await bench.deliverer(deliveries=store.deliveries).run(entry)
    told = await bench.delivery()
    assert (bench.sent, told.state, told.failure, told.attempts) == ([], "waiting", "secret", 1)
    await bench.deliverer().run(bench.queue[-1][0])
    assert (await bench.delivery()).state == "delivered"


async def test_both_secrets_sign_during_a_rotation(bench: Bench) -> None:
    other = new_secret()
    await bench.store.webhooks.rotate(bench.webhook.id, other, overlap=timedelta(hours=1))
    await bench.deliverer().run(await bench.end_job())
    ((_, headers, body),) = bench.sent
    for secret in (SECRET, other):
        assert Verifier(secret).verify(body, dict(headers))


async def test_entries_that_are_no_longer_due_do_nothing(bench: Bench) -> None:
    entry = await bench.end_job()
    await bench.deliverer().run(entry)
    await bench.deliverer().run(entry)
    await bench.deliverer().run("msg_0:0")
    assert len(bench.sent) == 1


async def test_a_late_answer_is_passed_over(bench: Bench) -> None:
    entry = await bench.end_job()

    async def frozen() -> Outcome:
        # Meanwhile somebody has it sent anew.
        await bench.store.deliveries.redeliver(entry.partition(":")[0], adding=bench.adding)
        return GONE

    bench.outcomes = [frozen]
    await bench.deliverer().run(entry)
    found = await bench.store.webhooks.find(bench.webhook.id)
    assert found is not None
    assert (found.enabled, (await bench.delivery()).state) == (True, "waiting")


async def test_while_the_database_is_away_it_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = await bench.end_job()
    record, failures = bench.store.deliveries.record, [ServerBusy(retry_after=3), ServerBusy()]

    async def sometimes(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return await record(*arguments, **options)

    monkeypatch.setattr(bench.store.deliveries, "record", sometimes)
    await bench.deliverer().run(entry)
    assert (bench.waits, (await bench.delivery()).state) == ([3, 5], "delivered")


async def test_who_stops_without_a_database_leaves_it_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = await bench.end_job()

    async def away(*_arguments: Any) -> None:
        bench.stopping = True
        raise ServerBusy

    monkeypatch.setattr(bench.store.deliveries, "take", away)
    await bench.deliverer().run(entry)
    assert (bench.waits, (await bench.delivery()).state) == ([], "waiting")


async def test_who_stops_hands_back_what_it_has_not_begun(bench: Bench) -> None:
    entry = await bench.end_job()
    bench.stopping = True
    await bench.deliverer().run(entry)
    assert (bench.sent, bench.queue[-1]) == ([], (f"{entry.removesuffix(':0')}:1", AFTER_STOP_S))


async def test_who_stops_does_not_wait_for_long(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.webhooks.deliverer.GRACE_S", 0)
    assert GRACE_S < 20
    entry = await bench.end_job()
    begun = asyncio.Event()

    async def never() -> Outcome:
        begun.set()
        await asyncio.Event().wait()
        return TOOK

    bench.outcomes = [never]
    deliverer = bench.deliverer()
    task = asyncio.create_task(deliverer.run(entry))
    await begun.wait()
    bench.stopping = True
    deliverer.stop()
    await deliverer.drain()
    await task
    told = await bench.delivery()
    assert (told.state, told.attempts, told.round) == ("waiting", 0, 1)
    bench.stopping = False
    await bench.deliverer().run(bench.queue[-1][0])
    assert (await bench.delivery()).state == "delivered"


async def test_disabled_by_hand_it_is_not_sent(bench: Bench) -> None:
    entry = await bench.end_job()
    await bench.store.webhooks.change(bench.webhook.id, WebhookChanges(enabled=False))
    await bench.deliverer().run(entry)
    assert (bench.sent, (await bench.delivery()).failure) == ([], "disabled")
