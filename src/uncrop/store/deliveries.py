"""Messages to webhooks: a row per message, written in the transaction that ends its job.

::

    waiting ──▶ delivered     it was taken
       │  ▲
       ▼  │  a redelivery
     failed                   it was not, however often it was sent

A message has one entry in the queue at a time that does anything: that of its ``round``. Whoever was killed while it
sent is run again by the queue under the same round, so that a message may be sent twice and is never lost.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from uncrop.model.webhooks import Attempt, Delivery, DeliveryFailure, DisabledReason
from uncrop.store.jobs import job_of
from uncrop.store.tables import jobs, webhook_attempts, webhook_deliveries, webhooks
from uncrop.store.transactions import execute
from uncrop.store.webhooks import note_act, webhook_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.model.jobs import BackgroundJob
    from uncrop.model.webhooks import DeliveryState
    from uncrop.store.jobs import Also
    from uncrop.store.transactions import Transactions
    from uncrop.store.webhooks import Webhooks

    Adding: TypeAlias = Callable[[str, str, int, float], Also]
    """What adds a message to the queue within a transaction: by its id, its webhook's, its round, and seconds before
    which it is not sent."""

SERVER = "server"
"""Who disables a webhook that takes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A message that is to be sent now.

    Attributes
    ----------
    at
        The present moment.
    url, enabled
        Of its webhook.
    secrets
        What it is signed with, the present secret first; none where it cannot be decrypted.
    """

    delivery: Delivery
    at: datetime
    url: str
    enabled: bool
    payload: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What came of sending a message once; ``attempted`` is false where nothing was done."""

    status: int | None = None
    failure: DeliveryFailure | None = None
    duration_ms: int = 0
    attempted: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """What becomes of a message.

    Attributes
    ----------
    state
        ``waiting``: it is sent again after ``wait_s`` seconds.
    disable
        Whether its webhook is disabled, and why; for ``failing`` only if it took nothing since the message was written.
    """

    state: DeliveryState
    wait_s: float = 0
    disable: DisabledReason | None = None


class Deliveries:
    """Messages in the database.

    Parameters
    ----------
    webhooks
        Knows their secrets.
    clock
        The present moment, aware.
    """

    def __init__(self, transactions: Transactions, webhooks: Webhooks, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._webhooks = webhooks
        self._clock = clock

    def announcing(self, job_id: str, *, payload: Callable[[BackgroundJob], str], adding: Adding) -> Also:
        """Return what writes the messages about a job and adds them to the queue, in the transaction that ends it."""

        async def also(connection: AsyncConnection) -> None:
            job = job_of((await connection.execute(sa.select(jobs).where(jobs.c.id == job_id))).one())
            theirs = (webhooks.c.organization_id == job.organization_id, webhooks.c.disabled_at.is_(None))
            # Kept from being deleted until the message refers to them.
            query = sa.select(webhooks.c.id, webhooks.c.events).where(*theirs, webhooks.c.deleted_at.is_(None))
            found = (await connection.execute(query.with_for_update(read=True, key_share=True))).all()
            event = f"job.{job.state}"
            for row in found:
                if event in row.events.split():
                    await self._write(connection, job, row.id, payload(job), adding)

        return also

    async def take(self, delivery_id: str, round_number: int) -> Due | None:
        """Return a message that waits in this round; ``None`` where it does not any more."""
        query = sa.select(webhook_deliveries).where(*_waiting(delivery_id, round_number))
        row = (await self._transactions.read(execute(query))).one_or_none()
        if row is None:
            return None
        receiver = sa.select(webhooks).where(webhooks.c.id == row.webhook_id)
        its = (await self._transactions.read(execute(receiver))).one()
        return Due(
            delivery=_delivery(row),
            at=self._clock(),
            url=its.url,
            enabled=its.disabled_at is None and its.deleted_at is None,
            payload=row.payload,
            secrets=self._webhooks.secrets_of(its),
        )

    async def record(
        self, due: Due, sent: Sent, after: Next, *, keep: timedelta, adding: Adding
    ) -> DisabledReason | Literal[False] | None:
        """Write down what came of sending a message, and what becomes of it.

        Parameters
        ----------
        keep
            For how long one that has ended is kept.
        adding
            Adds it to the queue again, in the same transaction.

        Returns
        -------
        str or False or None
            Why its webhook was disabled, if it was; ``False``: it does not wait in this round any more, and nothing was
            written.
        """
        now, delivery = self._clock(), due.delivery
        ends = after.state != "waiting"
        values: dict[str, Any] = {
            "state": after.state,
            "attempts": webhook_deliveries.c.attempts + int(sent.attempted),
            "tries": webhook_deliveries.c.tries + int(sent.attempted),
            "round": delivery.round if ends else delivery.round + 1,
            "failure": sent.failure,
            "next_attempt_at": None if ends else now + timedelta(seconds=after.wait_s),
            "ended_at": now if ends else None,
            "expires_at": now + keep if ends else None,
        }
        change = sa.update(webhook_deliveries).where(*_waiting(delivery.id, delivery.round)).values(values)

        async def work(connection: AsyncConnection) -> DisabledReason | Literal[False] | None:
            if (await connection.execute(change)).rowcount != 1:
                return False
            if sent.attempted:
                await connection.execute(sa.insert(webhook_attempts).values(_attempt_row(due, sent)))
            if not ends:
                await adding(delivery.id, delivery.webhook_id, delivery.round + 1, after.wait_s)(connection)
            return await self._note_on_webhook(connection, delivery, sent, after.disable, now)

        return await self._transactions.write(work)

    async def hand_back(self, delivery: Delivery, *, wait_s: float, adding: Adding) -> None:
        """Leave a message of which nothing is known to whoever works next."""
        values = {"round": delivery.round + 1, "next_attempt_at": self._clock() + timedelta(seconds=wait_s)}
        change = sa.update(webhook_deliveries).where(*_waiting(delivery.id, delivery.round)).values(values)

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(change)).rowcount == 1:
                await adding(delivery.id, delivery.webhook_id, delivery.round + 1, wait_s)(connection)

        await self._transactions.write(work)

    async def overdue(self, *, by: timedelta, most: int) -> tuple[Delivery, ...]:
        """Return messages that should have been sent long ago, so that the queue may have lost them."""
        its = webhook_deliveries.c
        query = sa.select(webhook_deliveries).where(its.next_attempt_at < self._clock() - by).order_by(its.id)
        return tuple(_delivery(row) for row in (await self._transactions.read(execute(query.limit(most)))).all())

    async def redeliver(self, delivery_id: str, *, adding: Adding) -> Delivery | None:
        """Send a message anew, with all its repeats, whatever became of it; ``None`` where there is none."""
        values = {
            "state": "waiting",
            "tries": 0,
            "round": webhook_deliveries.c.round + 1,
            "failure": None,
            "next_attempt_at": self._clock(),
            "ended_at": None,
            "expires_at": None,
        }
        its = webhook_deliveries.c.id == delivery_id
        there = sa.exists().where(webhooks.c.id == webhook_deliveries.c.webhook_id, webhooks.c.deleted_at.is_(None))
        change = sa.update(webhook_deliveries).where(its, there).values(values).returning(webhook_deliveries)

        async def work(connection: AsyncConnection) -> Delivery | None:
            row = (await connection.execute(change)).one_or_none()
            if row is None:
                return None
            await adding(row.id, row.webhook_id, row.round, 0)(connection)
            return _delivery(row)

        return await self._transactions.write(work)

    async def page(
        self, webhook_id: str, *, most: int, before: str | None = None, state: DeliveryState | None = None
    ) -> tuple[Delivery, ...]:
        """Return the messages to a webhook, newest first: those older than the one of the id ``before``."""
        query = sa.select(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id)
        query = query.order_by(webhook_deliveries.c.id.desc()).limit(most)
        if before is not None:
            query = query.where(webhook_deliveries.c.id < before)
        if state is not None:
            query = query.where(webhook_deliveries.c.state == state)
        return tuple(_delivery(row) for row in (await self._transactions.read(execute(query))).all())

    async def find(self, delivery_id: str) -> Delivery | None:
        """Return a message, if its webhook is there."""
        there = sa.exists().where(webhooks.c.id == webhook_deliveries.c.webhook_id, webhooks.c.deleted_at.is_(None))
        query = sa.select(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id, there)
        row = (await self._transactions.read(execute(query))).one_or_none()
        return None if row is None else _delivery(row)

    async def attempts(self, delivery_id: str) -> tuple[Attempt, ...]:
        """Return each time that a message was sent, in their order."""
        query = sa.select(webhook_attempts).where(webhook_attempts.c.delivery_id == delivery_id)
        rows = (await self._transactions.read(execute(query.order_by(webhook_attempts.c.number)))).all()
        return tuple(Attempt(**{name: getattr(row, name) for name in Attempt.__dataclass_fields__}) for row in rows)

    async def expired(self, *, most: int) -> tuple[Delivery, ...]:
        """Return messages whose time is over."""
        query = sa.select(webhook_deliveries).where(webhook_deliveries.c.expires_at < self._clock())
        query = query.order_by(webhook_deliveries.c.expires_at).limit(most)
        return tuple(_delivery(row) for row in (await self._transactions.read(execute(query))).all())

    async def forget(self, delivery_ids: tuple[str, ...]) -> None:
        """Delete all that is kept of messages whose time is over."""

        async def work(connection: AsyncConnection) -> None:
            # Not what was begun anew meanwhile.
            its = (webhook_deliveries.c.id.in_(delivery_ids), webhook_deliveries.c.expires_at.is_not(None))
            query = sa.select(webhook_deliveries.c.id).where(*its).with_for_update()
            found = (await connection.execute(query)).scalars().all()
            await connection.execute(sa.delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(found)))
            await connection.execute(sa.delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(found)))

        await self._transactions.write(work)

    async def _write(
        self, connection: AsyncConnection, job: BackgroundJob, webhook_id: str, payload: str, adding: Adding
    ) -> None:
        now, delivery_id = self._clock(), new_delivery_id()
        row = {
            "id": delivery_id,
            "webhook_id": webhook_id,
            "organization_id": job.organization_id,
            "job_id": job.id,
            "event": f"job.{job.state}",
            "payload": payload,
            "state": "waiting",
            "attempts": 0,
            "tries": 0,
            "round": 0,
            "created_at": now,
            "next_attempt_at": now,
        }
        await connection.execute(sa.insert(webhook_deliveries).values(row))
        await adding(delivery_id, webhook_id, 0, 0)(connection)

    async def _note_on_webhook(
        self,
        connection: AsyncConnection,
        delivery: Delivery,
        sent: Sent,
        disable: DisabledReason | None,
        now: datetime,
    ) -> DisabledReason | None:
        its = sa.update(webhooks).where(webhooks.c.id == delivery.webhook_id)
        if sent.failure is None:
            await connection.execute(its.values(delivered_at=now, failing_since=None))
            return None
        if sent.attempted:
            await connection.execute(its.values(failing_since=sa.func.coalesce(webhooks.c.failing_since, now)))
        if disable is None:
            return None
        disabling = its.where(webhooks.c.disabled_at.is_(None))
        if disable == "failing":
            took = webhooks.c.delivered_at
            disabling = disabling.where(sa.or_(took.is_(None), took < delivery.created_at))
        values = {"disabled_at": now, "disabled_reason": disable}
        row = (await connection.execute(disabling.values(values).returning(webhooks))).one_or_none()
        if row is None:
            return None
        changes = {"disabled_reason": (None, disable)}
        await note_act(connection, webhook_of(row), "webhook.disable", changes, actor=SERVER, at=now)
        return disable


def new_delivery_id() -> str:
    """Return an id; later ones are greater, by the millisecond."""
    return f"msg_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def _waiting(delivery_id: str, round_number: int) -> tuple[sa.ColumnElement[bool], ...]:
    its = webhook_deliveries.c
    return its.id == delivery_id, its.round == round_number, its.state == "waiting"


def _attempt_row(due: Due, sent: Sent) -> dict[str, Any]:
    return {
        "delivery_id": due.delivery.id,
        "number": due.delivery.attempts + 1,
        "at": due.at,
        "status": sent.status,
        "failure": sent.failure,
        "duration_ms": sent.duration_ms,
    }


def _delivery(row: Any) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__dataclass_fields__})
