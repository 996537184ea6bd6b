"""Usage limits: at most N pictures a UTC day and organization, reserved before the work and settled after it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import structlog

from uncrop.errors import UncropError, UsageLimitExceeded
from uncrop.store.bookings import Bookings
from uncrop.store.usage import to_millicredits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from uncrop.model import PictureFacts
    from uncrop.store.usage import ReservationOutcome, Spent

log = structlog.get_logger(__name__)


class Ledger(Protocol):
    """What is asked of the store: ``uncrop.store.usage.Usage`` answers."""

    async def reserve(
        self, reservation_id: str, *, organization_id: str, key_id: str | None, provider: str, default_limit: int = 0
    ) -> ReservationOutcome:
        """Reserve one picture if the limit of today allows it."""

    async def capture(self, reservation_id: str, **spent: Unpack[Spent]) -> bool:
        """Settle: the picture was made."""

    async def release(self, reservation_id: str, **spent: Unpack[Spent]) -> bool:
        """Settle: no picture was made; this is what its calls have cost all the same."""


class UsageLimits:
    """Reserves and settles pictures, whatever happens to the request in between.

    Parameters
    ----------
    ledger
        Where usage is kept.
    default_daily_limit
        Pictures a UTC day of organizations without a limit of their own; 0: no limit.
    clock
        The present moment, aware.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        default_daily_limit: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._default_daily_limit = default_daily_limit
        self._clock = clock
        self._bookings = Bookings()

    async def reserve(self, *, organization_id: str, key_id: str | None, provider: str) -> str:
        """Reserve one picture and return the reservation's id.

        Raises
        ------
        UsageLimitExceeded
            The organization has had its pictures for today; ``retry_after`` reaches to midnight UTC.
        ServerBusy
            The database cannot be used.
        """
        reservation_id = uuid.uuid4().hex
        reserving = self._ledger.reserve(
            reservation_id,
            organization_id=organization_id,
            key_id=key_id,
            provider=provider,
            default_limit=self._default_daily_limit,
        )
        # Told to stop while the database is at work, we do not know whether it reserved: give it back to be sure.
        outcome = await self._bookings.see_through(reserving, undo=lambda: self._ledger.release(reservation_id))
        if not outcome.reserved:
            raise UsageLimitExceeded(
                details={"limit": outcome.limit, "used": outcome.used, "window": "UTC day"},
                retry_after=_seconds_to_midnight(self._clock()),
            )
        return reservation_id

    async def capture(self, reservation_id: str, facts: PictureFacts) -> None:
        """Settle: the picture was made, and this is what the provider says about it.

        A picture that is made is not withheld because it cannot be booked: that failure is logged, with what should
        have been booked, and the reservation goes on counting.
        """
        booked = _booked(facts)
        settling = self._ledger.capture(reservation_id, **booked)
        await self._bookings.see_through(_settled(settling, reservation_id, booked))

    async def release(self, reservation_id: str, spent: PictureFacts | None = None) -> None:
        """Settle: no picture was made, and this is what its calls have cost all the same.

        A failure is logged; why there is no picture matters more to the caller.
        """
        booked: Spent = {} if spent is None else _booked(spent)
        settling = self._ledger.release(reservation_id, **booked)
        await self._bookings.see_through(_settled(settling, reservation_id, booked))

    async def drain(self) -> None:
        """Wait until all that was begun is booked; call it before the store is closed."""
        await self._bookings.drain()


def _booked(facts: PictureFacts) -> Spent:
    return {
        "model": facts.model,
        "millicredits": to_millicredits(facts.credits_consumed),
        "input_tokens": 0 if facts.usage is None else facts.usage.input_tokens,
        "output_tokens": 0 if facts.usage is None else facts.usage.output_tokens,
    }


async def _settled(settling: Coroutine[Any, Any, bool], reservation_id: str, booked: Spent) -> None:
    try:
        settled = await settling
    except UncropError as error:
        log.error("usage not booked", reservation_id=reservation_id, exc_info=error, **booked)  # noqa: TRY400
        return
    if not settled:
        log.error("usage was settled before", reservation_id=reservation_id, **booked)


def _seconds_to_midnight(now: datetime) -> float:
    today = now.astimezone(UTC)
    midnight = datetime.combine(today.date() + timedelta(days=1), time.min, tzinfo=UTC)
    return (midnight - today).total_seconds()
