"""The books: holds and what is posted to them, one transaction a step.

A hold is opened before the first call, marked before each call that may be billed, and closed once::

    held ──▶ captured   the picture was made
     │  └──▶ released   it was not, and it is known what its calls cost
     ├─────▶ expired    nobody ended it, and nothing had been sent
     └─────▶ unknown ──▶ captured, released   a call was sent, and what became of it was told later

What is posted is worked out by functions that are passed in (``uncrop.ledger.postings``), from what the entries say.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from uncrop.errors import InvalidFieldValue
from uncrop.model.claims import CLAIM_DIGITS
from uncrop.model.jobs import JOB_PREFIX, OPEN_STATES
from uncrop.model.ledger import CAPTURABLE, OPEN, Hold, HoldState, Posting
from uncrop.model.policies import Policies, Refusal, other_refusal
from uncrop.store.audit import COMMAND_LINE, Act, noting
from uncrop.store.entries import hold_of, locked_hold, locked_with_postings, post, postings_of
from uncrop.store.new_holds import NewHold, limits_of, refusal_of
from uncrop.store.policies import OtherPoliciesError, SeenPolicies, ask_policies, policies_in, read_policies
from uncrop.store.prepared import Ask, Prepared, Script
from uncrop.store.scripts import within
from uncrop.store.tables import holds, jobs
from uncrop.store.transactions import execute
from uncrop.store.verification import discrepancies

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from uncrop.store.transactions import Transactions

Also: TypeAlias = Callable[[AsyncConnection], Coroutine[Any, Any, None]]
"""Work that is done in the same transaction; what it raises rolls everything back."""
Part: TypeAlias = Callable[[], Script[None]]
"""The same, as a part of a script. Called again where the script is run again."""
Decide: TypeAlias = Callable[[Hold, Sequence[Posting]], Sequence[Posting]]
"""Works out what is posted to a hold, from what was posted so far."""

_MAX_MODEL = 200  # characters, as the table has it
_BATCH = 100  # holds that are expired in one transaction


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """How a hold ends, or goes on in doubt.

    Attributes
    ----------
    state
        What it becomes.
    decide
        What is posted.
    known
        Of how many calls it is known what they cost; ``None``: of all that were sent.
    model
        The model that made the picture.
    after
        From which states it may be closed so.
    """

    state: HoldState
    decide: Decide
    known: int | None = None
    model: str | None = None
    after: tuple[HoldState, ...] = CAPTURABLE


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """What was found abandoned: how many holds were given back, and of how many the outcome is not known."""

    released: int = 0
    unknown: int = 0


_MARK = Prepared(
    sa.update(holds)
    .where(holds.c.id == sa.bindparam("hold"), sa.or_(*(holds.c.state == state for state in OPEN)))
    .values(calls_sent=holds.c.calls_sent + sa.bindparam("by"), sent_at=sa.bindparam("at"))
)
_INSERT = Prepared(sa.insert(holds))
# A job may wait for its turn for longer than any picture is worked on. Its holds end with it.
_OF_OPEN_JOB = (
    sa.exists()
    .where(jobs.c.id == sa.literal(JOB_PREFIX) + sa.func.substr(holds.c.id, 1, CLAIM_DIGITS))
    .where(sa.or_(*(jobs.c.state == state for state in OPEN_STATES)))
    .correlate(holds)
)


class Books:
    """The books in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock
        self._seen = SeenPolicies()

    async def open(self, new: NewHold, *, also: Part | None = None) -> Refusal | None:
        """Hold what a picture may take, unless a limit is in the way: pictures, then money, then the provider.

        Looking and holding are one statement, so that no number of concurrent calls can exceed a limit. What the limits
        are is guessed from the last time, so that reading them and holding by them go together; where they turn out to
        be others, nothing is kept and it is done again.

        Parameters
        ----------
        new
            What to hold.
        also
            Done in the same transaction, once nothing is in the way.
        """
        whose = new.organization_id, new.key_id

        def script(guess: Policies | None) -> Script[Policies]:
            policies = yield from self._opening(new, _Refused, guess)
            if also is not None:
                yield from also()
            return policies

        try:
            found = await self._transactions.write_script(partial(script, self._seen.guess(*whose)))
        except OtherPoliciesError:
            self._seen.forget(*whose)
            return await self.open(new, also=also)
        except _Refused as refused:
            return refused.refusal
        self._seen.remember(*whose, found)
        return None

    def opening(self, new: NewHold, refuse: Callable[[Refusal], Exception]) -> Also:
        """Return what opens a hold within a transaction; it raises what ``refuse`` returns where a limit forbids it."""
        return lambda connection: self._opening_within(connection, new, refuse)

    async def _opening_within(
        self, connection: AsyncConnection, new: NewHold, refuse: Callable[[Refusal], Exception]
    ) -> None:
        await within(connection, self._opening(new, refuse, None))

    def _opening(
        self, new: NewHold, refuse: Callable[[Refusal], Exception], guess: Policies | None
    ) -> Script[Policies]:
        hold = Hold(
            id=new.id,
            organization_id=new.organization_id,
            key_id=new.key_id,
            provider=new.provider,
            model=None,
            state="held",
            calls_planned=new.calls,
            calls_sent=0,
            calls_settled=0,
            created_at=self._clock().astimezone(UTC),
            sent_at=None,
            settled_at=None,
        )
        # Where nothing is posted, nothing is waited for that would tell whether the guess is right.
        if guess is None or not new.postings:
            policies = yield from read_policies(new.organization_id, new.key_id)
        else:
            policies, told = guess, (yield ask_policies(new.organization_id, new.key_id, later=True))
        limits = limits_of(policies, new)
        yield Ask(_INSERT, _row(hold), later=True)
        refused = yield from post(hold, new.postings, now=hold.created_at, limits=limits)
        if policies is guess and policies_in(told) != guess:
            raise OtherPoliciesError
        if refused:
            raise refuse((yield from refusal_of(hold, refused)))
        if (refusal := other_refusal(policies, new.provider, knows_money=new.knows_money)) is not None:
            raise refuse(refusal)
        return policies

    async def write(self, works: Sequence[Also]) -> None:
        """Do several things in one transaction, one after the other."""

        async def work(connection: AsyncConnection) -> None:
            for each in works:
                await each(connection)

        await self._transactions.write(work)

    async def having(self, hold_ids: Sequence[str]) -> tuple[Hold, ...]:
        """Return those of these holds that there are."""
        found = await self._transactions.read(execute(sa.select(holds).where(holds.c.id.in_(hold_ids))))
        return tuple(hold_of(row) for row in found.mappings())

    def closing(self, hold_ids: Sequence[str], closings: Mapping[str, Closing], otherwise: Decide) -> Also:
        """Return what ends those of these holds that have not ended, within a transaction.

        Parameters
        ----------
        hold_ids
            Which ones; there need not be any.
        closings
            How some of them end.
        otherwise
            What is posted to the others that are held, to give back; one of which a call was sent is left in doubt.
        """
        those = sa.select(*holds.c).where(holds.c.id.in_(hold_ids), holds.c.state.in_(CAPTURABLE))
        still = those.order_by(holds.c.id).with_for_update()

        async def work(connection: AsyncConnection) -> None:
            now = self._clock()
            for row in (await connection.execute(still)).mappings().all():
                hold = hold_of(row)
                if hold.id in closings:
                    await within(connection, _close_locked(hold, closings[hold.id], now))
                elif hold.state == "held":
                    await within(connection, _close_locked(hold, _unfinished(hold, otherwise, "released"), now))

        return work

    async def mark_sent(self, hold_id: str, *, known: int = 0, decide: Decide | None = None) -> bool:
        """Note that one more call is sent now; false when the hold was closed meanwhile, so that it may not be.

        Parameters
        ----------
        known
            Of how many calls before it is known what they cost.
        decide
            What is posted for those; ``None`` where there are none.
        """
        return await self._mark(hold_id, 1, known, decide)

    async def take_back(self, hold_id: str) -> bool:
        """Note that the call that was marked last was not sent, or was refused before anything was made."""
        return await self._mark(hold_id, -1, 0, None)

    async def close(self, hold_id: str, closing: Closing, *, also: Part | None = None) -> bool:
        """End a hold, or leave it in doubt; false when it was ended before, or never made.

        Parameters
        ----------
        also
            Done in the same transaction, if it is ended now.
        """
        now = self._clock()

        def script() -> Script[bool]:
            hold, so_far = yield from locked_with_postings(hold_id)
            if hold is None or hold.state not in closing.after:
                return False
            yield from _close(hold, so_far, closing, now)
            if also is not None:
                yield from also()
            return True

        return await self._transactions.write_script(script)

    async def expire(self, older_than: timedelta, decide: Decide, *, only: Sequence[str] | None = None) -> Expired:
        """Close what nobody has ended: given back where nothing was sent, else in doubt.

        Parameters
        ----------
        older_than
            For how long a picture is worked on at most.
        decide
            What is posted to give back.
        only
            The ids of these holds alone; by default all.
        """
        now = self._clock()
        horizon = now - older_than
        stale = _stale(horizon, only)

        def script() -> Script[Expired]:
            found = [hold_of(row) for row in (yield Ask(stale, {})).rows]
            for hold in found:
                yield from _close_locked(hold, _unfinished(hold, decide, "expired"), now)
            unknown = sum(hold.in_doubt > 0 for hold in found)
            return Expired(released=len(found) - unknown, unknown=unknown)

        released = unknown = 0
        while True:
            found = await self._transactions.write_script(script)
            released, unknown = released + found.released, unknown + found.unknown
            if found.released + found.unknown < _BATCH:
                return Expired(released=released, unknown=unknown)

    async def settle(self, hold_id: str, closing: Closing, *, actor: str = COMMAND_LINE) -> Hold:
        """End a hold whose outcome was not known, as a person says; ``actor`` is who, for the audit log.

        Raises
        ------
        InvalidFieldValue
            There is no such hold, or its outcome is known.
        """

        def noted() -> Script[None]:
            hold = yield from locked_hold(hold_id)
            act = Act(
                actor=actor,
                action="ledger.settle",
                target=hold_id,
                organization_id=None if hold is None else hold.organization_id,
                changes={"state": ("unknown", closing.state)},
            )
            yield from noting(act, at=self._clock())

        if not await self.close(hold_id, replace(closing, after=("unknown",)), also=noted):
            raise InvalidFieldValue(
                "There is no picture of that id whose outcome is unknown", details={"id": hold_id[:100]}
            )
        return await self.hold(hold_id)

    async def adjust(
        self, hold_id: str, decide: Decide, *, reason: str, actor: str = COMMAND_LINE
    ) -> tuple[Posting, ...]:
        """Post a correction to a hold that has ended, note who made it and why, and return what was posted.

        Raises
        ------
        InvalidFieldValue
            There is no such hold, it has not ended, or there is nothing to correct.
        """

        def script() -> Script[tuple[Posting, ...]]:
            hold, so_far = yield from locked_with_postings(hold_id)
            if hold is None or hold.state in OPEN:
                raise InvalidFieldValue("There is no picture of that id that has ended", details={"id": hold_id[:100]})
            postings = tuple(decide(hold, so_far))
            if not postings:
                raise InvalidFieldValue("That is what is booked already", details={"id": hold_id[:100]})
            yield from post(hold, postings, now=self._clock())
            moved = ", ".join(f"{each.amount} {each.unit} from {each.source} to {each.target}" for each in postings)
            changes = {"moved": (None, moved), "reason": (None, reason)}
            act = Act(
                actor=actor,
                action="ledger.adjust",
                target=hold_id,
                organization_id=hold.organization_id,
                changes=changes,
            )
            yield from noting(act, at=self._clock())
            return postings

        return await self._transactions.write_script(script)

    async def hold(self, hold_id: str) -> Hold:
        """Return a hold.

        Raises
        ------
        InvalidFieldValue
            There is none of that id.
        """
        found = await self._transactions.read(execute(sa.select(holds).where(holds.c.id == hold_id)))
        row = found.mappings().one_or_none()
        if row is None:
            raise InvalidFieldValue("There is no picture of that id in the ledger", details={"id": hold_id[:100]})
        return hold_of(row)

    async def find(self, hold_id: str, *, organization_id: str | None = None) -> Hold | None:
        """Return a hold, or ``None``; another organization's is as if absent where one is named."""
        query = sa.select(holds).where(holds.c.id == hold_id)
        if organization_id is not None:
            query = query.where(holds.c.organization_id == organization_id)
        row = (await self._transactions.read(execute(query))).mappings().one_or_none()
        return None if row is None else hold_of(row)

    async def postings(self, hold_id: str) -> tuple[Posting, ...]:
        """Return what was posted to a hold, in the order in which it was."""
        return await self._transactions.read_script(partial(postings_of, hold_id))

    async def holds(
        self,
        organization_id: str | None = None,
        *,
        states: Sequence[HoldState] = (),
        after: tuple[datetime, str] | None = None,
        most: int = 1000,
    ) -> tuple[Hold, ...]:
        """Return holds, the latest first.

        Parameters
        ----------
        organization_id
            Of this organization alone; else of all.
        states
            In these states alone; else in any.
        after
            Only those behind the one of this age and id.
        most
            How many at most.
        """
        query = sa.select(holds).order_by(holds.c.created_at.desc(), holds.c.id).limit(most)
        if organization_id is not None:
            query = query.where(holds.c.organization_id == organization_id)
        if states:
            query = query.where(holds.c.state.in_(states))
        if after is not None:
            moment = sa.literal(after[0], holds.c.created_at.type)
            later = sa.and_(holds.c.created_at == moment, holds.c.id > after[1])
            query = query.where(sa.or_(holds.c.created_at < moment, later))
        found = await self._transactions.read(execute(query))
        return tuple(hold_of(row) for row in found.mappings())

    async def verify(self) -> tuple[str, ...]:
        """Recompute everything, and return a line for each thing on which the books do not agree with themselves."""
        return await self._transactions.snapshot(discrepancies)

    async def _mark(self, hold_id: str, by: int, known: int, decide: Decide | None) -> bool:
        now = self._clock()

        def script() -> Script[bool]:
            if decide is not None:
                hold, so_far = yield from locked_with_postings(hold_id)
                if hold is None or hold.state not in OPEN:
                    return False
                yield from post(hold, decide(hold, so_far), now=now)
                yield Ask(_KNOWN, {"hold": hold_id, "known": known}, later=True)
            # Where it changes nothing, there is nothing to undo.
            marked = yield Ask(_MARK, {"hold": hold_id, "by": by, "at": now}, last=True)
            return marked.changed == 1

        return await self._transactions.write_script(script)


_KNOWN = Prepared(
    sa.update(holds).where(holds.c.id == sa.bindparam("hold")).values(calls_settled=sa.bindparam("known"))
)
_CLOSE = Prepared(
    sa.update(holds)
    .where(holds.c.id == sa.bindparam("hold"))
    .values(
        state=sa.bindparam("new_state"),
        calls_settled=sa.bindparam("known"),
        settled_at=sa.bindparam("at"),
        model=sa.func.coalesce(sa.bindparam("made_by"), holds.c.model),
    )
)


def _stale(horizon: datetime, only: Sequence[str] | None) -> Prepared:
    """Return the statement that finds, and locks, some of the holds that are as old."""
    old = holds.c.created_at < horizon
    if only is not None:
        old = sa.or_(sa.false(), *(holds.c.id == each for each in only)) & (holds.c.created_at <= horizon)
    return Prepared(
        sa.select(*holds.c)
        .where(holds.c.state == "held", old, ~_OF_OPEN_JOB)
        .order_by(holds.c.created_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


def _nothing(_hold: Hold, _postings: Sequence[Posting]) -> tuple[Posting, ...]:
    return ()


def _unfinished(hold: Hold, decide: Decide, state: HoldState) -> Closing:
    """Return how a hold ends that nobody has ended: given back where nothing was sent, else in doubt."""
    if hold.in_doubt > 0:
        return Closing(state="unknown", decide=_nothing, known=hold.calls_settled)
    return Closing(state=state, decide=decide, known=hold.calls_settled)


def _close_locked(hold: Hold, closing: Closing, now: datetime) -> Script[None]:
    """Close a hold that is locked."""
    yield from _close(hold, (yield from postings_of(hold.id)), closing, now)


def _close(hold: Hold, so_far: Sequence[Posting], closing: Closing, now: datetime) -> Script[None]:
    """Close a hold that is locked, to which so much was posted."""
    postings = closing.decide(hold, so_far)
    is_open = closing.state in OPEN
    known = hold.calls_sent if closing.known is None else min(closing.known, hold.calls_sent)
    values = {
        "hold": hold.id,
        "new_state": closing.state,
        "known": known,
        "at": None if is_open else now,
        "made_by": closing.model and closing.model[:_MAX_MODEL],
    }
    yield Ask(_CLOSE, values, later=True)
    yield from post(hold, postings, now=now)


def _row(hold: Hold) -> dict[str, object]:
    return {column.name: getattr(hold, column.name) for column in holds.c if column is not holds.c.day} | {
        "day": hold.created_at.date()
    }
