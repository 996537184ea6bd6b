"""The ledger: holds before a call, notes that it is sent, and books what it cost, whatever happens in between."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from uncrop.errors import ServerBusy, UncropError
from uncrop.ledger import postings
from uncrop.ledger.prices import cost_of_call, knows_money, price_of_call
from uncrop.ledger.refusals import refused
from uncrop.model.ledger import CallOutcome
from uncrop.store.bookings import Bookings
from uncrop.store.books import Closing
from uncrop.store.new_holds import NewHold

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from uncrop.model import Caller, PictureFacts, ProviderFacts
    from uncrop.model.ledger import Hold, Posting
    from uncrop.model.policies import Refusal
    from uncrop.store.books import Also, Decide, Expired, Part

log = structlog.stdlib.get_logger("uncrop.ledger")


class OpenBooks(Protocol):
    """What is asked of the store: ``uncrop.store.books.Books`` answers."""

    async def open(self, new: NewHold, *, also: Part | None = None) -> Refusal | None:
        """Hold what a picture may take, unless a limit is in the way."""

    async def mark_sent(self, hold_id: str, *, known: int = 0, decide: Decide | None = None) -> bool:
        """Note that one more call is sent now."""

    async def take_back(self, hold_id: str) -> bool:
        """Note that the call that was marked last was not sent, or was refused before anything was made."""

    async def close(self, hold_id: str, closing: Closing, *, also: Part | None = None) -> bool:
        """End a hold, or leave it in doubt."""

    def opening(self, new: NewHold, refuse: Callable[[Refusal], Exception]) -> Also:
        """Return what opens a hold within a transaction."""

    def closing(self, hold_ids: Sequence[str], closings: Mapping[str, Closing], otherwise: Decide) -> Also:
        """Return what ends holds within a transaction."""

    async def write(self, works: Sequence[Also]) -> None:
        """Do several things in one transaction."""

    async def having(self, hold_ids: Sequence[str]) -> tuple[Hold, ...]:
        """Return those of these holds that there are."""

    async def expire(self, older_than: timedelta, decide: Decide, *, only: Sequence[str] | None = None) -> Expired:
        """Close what nobody has ended."""


class Ledger:
    """Holds, books and gives back.

    Parameters
    ----------
    books
        Where it is written.
    default_pictures_per_day
        Of organizations without a limit of their own, by the UTC day; 0: no limit.
    clock
        The present moment, aware.
    """

    def __init__(
        self,
        books: OpenBooks,
        *,
        default_pictures_per_day: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._books = books
        self._default_pictures_per_day = default_pictures_per_day
        self._clock = clock
        self._bookings = Bookings()

    async def hold(
        self,
        caller: Caller,
        facts: ProviderFacts,
        *,
        calls: int = 1,
        also: Part | None = None,
        hold_id: str | None = None,
    ) -> HeldPicture:
        """Hold one picture and what all calls of its plan are expected to cost.

        Parameters
        ----------
        caller
            Who asks; has an organization.
        facts
            The provider's row, as it is configured.
        calls
            How many billed calls the plan has.
        also
            Awaited with the connection in the same transaction, once no limit is in the way; what it raises undoes the
            hold.
        hold_id
            The id of the hold, where whoever asks has to find it again; by default a new one.

        Raises
        ------
        UsageLimitExceeded
            The organization or its key has had its pictures of the day or its money of the month; ``retry_after``
            reaches to the end of that time.
        ProviderNotConfigured
            There is a limit of money, and what the provider costs is not known.
        ProviderNotAllowed
            The organization or its key may not ask this provider.
        ServerBusy
            The database cannot be used.
        """
        new = self._new_hold(hold_id or uuid.uuid4().hex, caller, facts, calls)
        # Told to stop while the database is at work, we do not know whether it holds: give it back to be sure.
        undo = partial(self._books.close, new.id, _given_back(()))
        refusal = await self._bookings.see_through(self._books.open(new, also=also), undo=undo)
        if refusal is not None:
            raise refused(refusal, facts, self._clock())
        return HeldPicture(new.id, facts, self._books, self._bookings)

    def holding(self, caller: Caller, facts: ProviderFacts, *, calls: int, hold_id: str) -> Also:
        """Return what holds a picture within a transaction, and raises as ``hold`` does."""
        new = self._new_hold(hold_id, caller, facts, calls)
        return self._books.opening(new, lambda refusal: refused(refusal, facts, self._clock()))

    def closing(self, hold_ids: Sequence[str], closings: Mapping[str, Closing]) -> Also:
        """Return what ends those of these holds that are held, within a transaction.

        Parameters
        ----------
        hold_ids
            Which ones; there need not be any.
        closings
            How some of them end. The others are given back; one of which a call was sent is left in doubt.
        """
        return self._books.closing(hold_ids, closings, lambda _hold, so_far: postings.give_back(so_far, "release"))

    async def write(self, works: Sequence[Also]) -> None:
        """Do several things in one transaction, told to stop or not.

        Raises
        ------
        ServerBusy
            The database cannot be used.
        """
        await self._bookings.see_through(self._books.write(works))

    async def having(self, hold_ids: Sequence[str]) -> tuple[Hold, ...]:
        """Return those of these holds that there are.

        Raises
        ------
        ServerBusy
            The database cannot be used.
        """
        return await self._books.having(hold_ids)

    def noted(self, hold_id: str, facts: ProviderFacts) -> NotedPicture:
        """Return the picture of a hold that is there, of which no call was sent."""
        return NotedPicture(hold_id, facts, self._books, self._bookings)

    def _new_hold(self, hold_id: str, caller: Caller, facts: ProviderFacts, calls: int) -> NewHold:
        calls = calls if facts.bills else 0
        return NewHold(
            id=hold_id,
            organization_id=caller.organization_id or "",
            key_id=caller.key_id,
            provider=facts.name,
            calls=calls,
            postings=postings.hold(price_of_call(facts), calls),
            default_pictures_per_day=self._default_pictures_per_day,
            knows_money=knows_money(facts),
        )

    async def expire(self, older_than: timedelta, *, only: Sequence[str] | None = None) -> Expired:
        """Give back what a process that died has left held, and list in doubt what it had sent.

        Parameters
        ----------
        older_than
            For how long a picture is worked on at most.
        only
            The ids of these holds alone; by default all.

        Raises
        ------
        ServerBusy
            The database cannot be used.
        """

        def decide(_hold: Hold, so_far: Sequence[Posting]) -> Sequence[Posting]:
            return postings.give_back(so_far, "expire")

        found = await self._books.expire(older_than, decide, only=only)
        if found.released or found.unknown:
            log.warning("abandoned pictures were found", given_back=found.released, unknown=found.unknown)
        return found

    async def drain(self) -> None:
        """Wait until all that was begun is booked; call it before the store is closed."""
        await self._bookings.drain()


class HeldPicture:
    """What is held for one picture, from before its first call to its end.

    Attributes
    ----------
    id
        The hold's.
    """

    def __init__(self, hold_id: str, facts: ProviderFacts, books: OpenBooks, bookings: Bookings) -> None:
        self.id = hold_id
        self._facts = facts
        self._books = books
        self._bookings = bookings
        self._sent = 0
        self._outcomes: list[CallOutcome] = []
        self._noted = 0
        self._closed = False

    @property
    def in_doubt(self) -> bool:
        """Whether a call was sent and it is not known whether it is billed."""
        return self._sent > len(self._outcomes)

    async def mark_sent(self) -> None:
        """Write that the next call is sent, and what the ones before it have cost; only then may it be.

        Raises
        ------
        ServerBusy
            It could not be written, or the hold was given back meanwhile: nothing may be sent.
        """
        outcomes = tuple(self._outcomes)
        decide = None if self._noted == len(outcomes) else _deciding(postings.capture_calls, outcomes)
        marking = self._books.mark_sent(self.id, known=len(outcomes), decide=decide)
        # Cut off in between, nothing is sent; what is written says otherwise until it is taken back.
        if not await self._bookings.see_through(marking, undo=partial(self._books.take_back, self.id)):
            raise ServerBusy(system_message="What was held for the picture was given back before its call was sent")
        self._sent, self._noted = self._sent + 1, len(outcomes)

    async def take_back(self) -> None:
        """Write that the last call was not sent, or was refused before anything was made; a failure is logged."""
        self._sent -= 1
        await self._logged(self._books.take_back(self.id), "a call was not taken back")

    def note_cost(self, said: PictureFacts) -> None:
        """Note that the last call made what it should, and what the provider says about it."""
        self._outcomes.append(CallOutcome(amounts=cost_of_call(self._facts, said)))

    def note_failure(self, *, charged: bool) -> None:
        """Note that the last call made nothing, and whether it is billed all the same."""
        self._outcomes.append(CallOutcome(amounts=price_of_call(self._facts) if charged else ()))

    async def finish(self, model: str | None = None, *, also: Part | None = None) -> None:
        """Book the picture: it was made. Once; later calls do nothing.

        A picture that is made is not withheld because it cannot be booked: that failure is logged, with what should
        have been booked, and the hold stays.
        """
        if self._closed:
            return
        # Set first: told to stop while booking, the booking is seen through, and must not be followed by a release.
        self._closed = True
        outcomes = tuple(self._outcomes)
        # What is in doubt when a picture is there has cost what such a call costs.
        missing = (CallOutcome(amounts=price_of_call(self._facts)),) * (self._sent - len(outcomes))
        closing = Closing(state="captured", decide=_deciding(postings.finish, (*outcomes, *missing)), model=model)
        await self._close(closing, also)

    async def give_back(self) -> None:
        """Give back what is held, unless the picture was booked; what its calls have cost all the same is booked.

        While it is not known whether a call that was sent is billed, what it may cost stays held.
        """
        if self._closed:
            return
        self._closed = True
        outcomes, sent = tuple(self._outcomes), self._sent
        if not self.in_doubt:
            await self._close(_given_back(outcomes), None)
            return

        def doubt(hold: Hold, so_far: Sequence[Posting]) -> Sequence[Posting]:
            return postings.doubt(so_far, outcomes, planned=hold.calls_planned, sent=sent)

        await self._close(Closing(state="unknown", decide=doubt, known=len(outcomes)), None)
        log.warning("it is not known whether a call is billed", hold_id=self.id, provider=self._facts.name)

    async def _close(self, closing: Closing, also: Part | None) -> None:
        await self._logged(self._books.close(self.id, closing, also=also), "usage not booked")

    async def _logged(self, writing: Coroutine[Any, Any, bool], failure: str) -> None:
        await self._bookings.see_through(self._written(writing, failure))

    async def _written(self, writing: Coroutine[Any, Any, bool], failure: str) -> None:
        costs = {amount.unit: amount.value for outcome in self._outcomes for amount in outcome.amounts}
        try:
            written = await writing
        except UncropError as error:
            log.error(failure, hold_id=self.id, sent=self._sent, costs=costs, exc_info=error)  # noqa: TRY400
            return
        if not written:
            log.error("usage was settled before", hold_id=self.id, sent=self._sent, costs=costs)


class NotedPicture(HeldPicture):
    """What is held for a picture whose end is only noted here; it is written together with that of something else.

    Attributes
    ----------
    closing
        How the hold ends; ``None`` as long as the picture is worked on.
    """

    closing: Closing | None = None

    async def _close(self, closing: Closing, _also: Part | None) -> None:
        self.closing = closing


def _deciding(
    decide: Callable[[Sequence[Posting], Sequence[CallOutcome]], Sequence[Posting]], outcomes: Sequence[CallOutcome]
) -> Decide:
    return lambda _hold, so_far: decide(so_far, outcomes)


def _given_back(outcomes: Sequence[CallOutcome]) -> Closing:
    return Closing(state="released", decide=_deciding(partial(postings.fail, kind="release"), outcomes))
