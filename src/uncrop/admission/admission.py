"""Admission: the one way from a legal job to the permission to work on it, and back on every path."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import anyio

from uncrop.capacity.fair_queue import NOBODY
from uncrop.capacity.pixel_memory import pixel_bytes
from uncrop.errors import OrganizationAccessDenied, ServerBusy
from uncrop.model import Grant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from uncrop.admission.idempotency import Claim
    from uncrop.admission.rate_limits import RateLimiter
    from uncrop.capacity.capacity import Capacity
    from uncrop.ledger.ledger import HeldPicture, Ledger
    from uncrop.model import Caller, Job, PictureFacts, ProviderFacts, UncropRequest
    from uncrop.store.books import Part

Take: TypeAlias = "Callable[[Caller, ProviderFacts, int], Awaitable[HeldPicture]]"
"""Returns what was held before for a picture by this provider, in so many calls."""


def check_organization(request: UncropRequest, caller: Caller) -> None:
    """Refuse a request that names an organization which is not the caller's.

    Raises
    ------
    OrganizationAccessDenied
    """
    if caller.organization_id is not None and request.organization_id != caller.organization_id:
        raise OrganizationAccessDenied


class Granted:
    """Permission to work on one job, for as long as the context that gave it lasts.

    Attributes
    ----------
    grant
        Who, and which hold.
    held
        Where it is written that calls are sent, and what they cost; ``None`` where nobody is billed.
    """

    def __init__(self, caller: Caller, held: HeldPicture | None) -> None:
        self.grant = Grant(caller=caller, hold_id=None if held is None else held.id)
        self.held = held

    async def capture(self, facts: PictureFacts, also: Part | None = None) -> None:
        """Book the picture: it was made, and this is what the provider says about it. Once; later calls do nothing.

        ``also`` is done in the same transaction.
        """
        if self.held is not None:
            await self.held.finish(facts.model, also=also)

    async def release(self) -> None:
        """Give back what is held unless the picture was booked; what its calls have cost all the same is booked."""
        if self.held is not None:
            await self.held.give_back()


class Admission:
    """Decides who may work on what now.

    Parameters
    ----------
    capacity
        How many at once, and how many bytes of pixels.
    ledger
        Where pictures and money are held and booked; ``None`` where nobody is billed.
    rates
        Rate limits; ``None`` where nobody is limited.
    """

    def __init__(
        self,
        *,
        capacity: Capacity,
        ledger: Ledger | None = None,
        rates: RateLimiter | None = None,
    ) -> None:
        self.capacity = capacity
        self._ledger = ledger
        self._rates = rates

    async def count(self, facts: ProviderFacts, caller: Caller) -> None:
        """Count a request to a provider that has a limit of its own, whatever becomes of the request.

        Raises
        ------
        RateLimitExceeded
            The caller's organization has reached that limit.
        """
        per_minute = facts.requests_per_minute
        if self._rates is not None and caller.organization_id is not None and per_minute is not None:
            await self._rates.hit_provider(caller.organization_id, facts.name, per_minute)

    def check(self, job: Job, caller: Caller) -> None:
        """Refuse another organization's request, and a picture that can never be made, before anything is held.

        Raises
        ------
        ImageTooLarge
            It needs more memory than there is.
        OrganizationAccessDenied
            The request names an organization that is not the caller's.
        """
        check_organization(job.request, caller)
        memory = self.capacity.memory
        if memory is not None and memory.refuses:  # what a picture needs is not worked out for nothing
            memory.check(pixel_bytes(job))

    @asynccontextmanager
    async def grant(
        self,
        job: Job,
        caller: Caller,
        *,
        admit_by: float = math.inf,
        claim: Claim | None = None,
        take: Take | None = None,
    ) -> AsyncIterator[Granted]:
        """Hold a slot, memory, and what the picture may cost; all are given back however the context is left.

        Whatever was not captured when the context is left is released. Callers without an organization, on the command
        line and in Python, need a slot alone.

        Parameters
        ----------
        job
            What is to be worked on.
        caller
            Who asks.
        admit_by
            When to stop waiting, on the clock of ``anyio.current_time``.
        claim
            To the request's key, which is claimed together with the hold; ``None`` for one without a key.
        take
            Returns the hold, where it was opened before.

        Raises
        ------
        IdempotencyInProgress, IdempotencyMismatch, IdempotencyOutcomeUnknown, ResultNotKept
            Another request has the key.
        OrganizationAccessDenied
            The request names an organization that is not the caller's.
        ServerBusy
            All slots and all places to wait are taken, the turn did not come in time, or the database cannot be used.
        UsageLimitExceeded
            The organization or its key has had its pictures for today, or its money for this month.
        ProviderNotAllowed, ProviderNotConfigured
            It may not use this provider; it has a limit of money, and the provider's price is not known.
        """
        self.check(job, caller)
        async with AsyncExitStack() as stack:
            with anyio.CancelScope(deadline=admit_by) as waiting:
                await self._hold_capacity(stack, job, caller.organization_id or NOBODY)
            if waiting.cancelled_caught:
                raise ServerBusy(system_message="The request's turn did not come in time")
            granted = await self._hold(job, caller, claim, take)
            try:
                yield granted
            finally:
                await granted.release()

    async def _hold_capacity(self, stack: AsyncExitStack, job: Job, owner: str) -> None:
        """Take all that the job needs, in an order in which nothing scarce is held while a scarcer one is waited for.

        Slots bound how many wait; of those who have one, only so many take memory as the engine can work for.
        """
        capacity = self.capacity
        await stack.enter_async_context(capacity.slots.hold(owner))
        if capacity.engine is not None and job.provider.computes_here:
            await stack.enter_async_context(capacity.engine.hold(owner, 1))
        if capacity.memory is not None:
            await stack.enter_async_context(capacity.memory.hold(pixel_bytes(job), owner))

    async def drain(self) -> None:
        """Wait until all that was begun is booked; call it before the store is closed."""
        if self._ledger is not None:
            await self._ledger.drain()

    async def _hold(self, job: Job, caller: Caller, claim: Claim | None, take: Take | None) -> Granted:
        if self._ledger is None or caller.organization_id is None:
            return Granted(caller, None)
        calls = 1 if job.plan is None else len(job.plan.calls)
        if take is not None:
            return Granted(caller, await take(caller, job.provider, calls))
        also, hold_id = (None, None) if claim is None else (claim.also, claim.next_hold_id())
        held = await self._ledger.hold(caller, job.provider, calls=calls, also=also, hold_id=hold_id)
        return Granted(caller, held)
