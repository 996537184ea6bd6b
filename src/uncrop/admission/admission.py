"""Admission: the one way from a legal job to the permission to work on it, and back on every path."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from uncrop.capacity.fair_queue import NOBODY
from uncrop.capacity.pixel_memory import pixel_bytes
from uncrop.errors import OrganizationAccessDenied, ServerBusy
from uncrop.model import Grant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from uncrop.admission.rate_limits import RateLimiter
    from uncrop.admission.usage_limits import UsageLimits
    from uncrop.capacity.capacity import Capacity
    from uncrop.model import Caller, Job, PictureFacts, ProviderFacts, UncropRequest


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
        Who, and which reservation.
    """

    def __init__(self, grant: Grant, usage: UsageLimits | None) -> None:
        self.grant = grant
        self._usage = usage
        self._captured = False
        self._spent: PictureFacts | None = None

    def note(self, facts: PictureFacts) -> None:
        """Note what the picture's calls have cost so far, for the case that it is never made whole."""
        self._spent = facts

    async def capture(self, facts: PictureFacts) -> None:
        """Book the picture: it was made, and this is what the provider says about it. Once; later calls do nothing."""
        if self._captured or self._usage is None or self.grant.reservation_id is None:
            return
        # Set first: told to stop while booking, the booking is seen through, and must not be followed by a release.
        self._captured = True
        await self._usage.capture(self.grant.reservation_id, facts)

    async def release(self) -> None:
        """Give the reservation back unless the picture was booked; what its calls have cost all the same is booked."""
        if self._captured or self._usage is None or self.grant.reservation_id is None:
            return
        await self._usage.release(self.grant.reservation_id, self._spent)


class Admission:
    """Decides who may work on what now.

    Parameters
    ----------
    capacity
        How many at once, and how many bytes of pixels.
    usage
        Usage limits; ``None`` where nobody is billed.
    rates
        Rate limits; ``None`` where nobody is limited.
    """

    def __init__(
        self,
        *,
        capacity: Capacity,
        usage: UsageLimits | None = None,
        rates: RateLimiter | None = None,
    ) -> None:
        self.capacity = capacity
        self._usage = usage
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
    async def grant(self, job: Job, caller: Caller, *, admit_by: float = math.inf) -> AsyncIterator[Granted]:
        """Hold a slot, memory and a reservation for the job; all are given back however the context is left.

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

        Raises
        ------
        OrganizationAccessDenied
            The request names an organization that is not the caller's.
        ServerBusy
            All slots and all places to wait are taken, the turn did not come in time, or the database cannot be used.
        UsageLimitExceeded
            The organization has had its pictures for today.
        """
        self.check(job, caller)
        async with AsyncExitStack() as stack:
            with anyio.CancelScope(deadline=admit_by) as waiting:
                await self._hold_capacity(stack, job, caller.organization_id or NOBODY)
            if waiting.cancelled_caught:
                raise ServerBusy(system_message="The request's turn did not come in time")
            granted = await self._reserve(job, caller)
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
        if self._usage is not None:
            await self._usage.drain()

    async def _reserve(self, job: Job, caller: Caller) -> Granted:
        if self._usage is None or caller.organization_id is None:
            return Granted(Grant(caller=caller), None)
        reservation_id = await self._usage.reserve(
            organization_id=caller.organization_id, key_id=caller.key_id, provider=job.provider.name
        )
        return Granted(Grant(caller=caller, reservation_id=reservation_id), self._usage)
