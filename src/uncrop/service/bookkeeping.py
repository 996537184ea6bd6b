"""Limits and the ledger over HTTP: operators decide, the others look at what is their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uncrop.errors import InvalidFieldValue, NotFound
from uncrop.ledger.settling import corrected, in_doubt_since, settled
from uncrop.service.administration import page_of
from uncrop.store.database import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from decimal import Decimal

    from uncrop.model import Caller, Policy
    from uncrop.model.ledger import Hold, HoldState, Posting
    from uncrop.service.administration import Administration, Page, Place
    from uncrop.store.database import Store

# So many are settled by one request, which may else take longer than its client waits.
MOST_SETTLED = 100
HOLD_ID = re.compile(r"[0-9A-Za-z_-]{1,36}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bookkeeping:
    """What is limited, held and booked.

    Every method takes who asks first, and raises ``ScopeMissing`` where that key may not be used for it, and
    ``NotFound`` for what is not there or another organization's.

    Attributes
    ----------
    administration
        Knows what there is, and who may see it.
    """

    administration: Administration

    @property
    def _store(self) -> Store:
        return self.administration.store

    # --- limits

    async def organization_limits(self, caller: Caller, organization_id: str) -> Policy:
        """Return an organization's own limits."""
        await self.administration.organization(caller, organization_id)
        return await self._store.policies.of_organization(organization_id)

    async def limit_organization(self, caller: Caller, organization_id: str, changes: Mapping[str, Any]) -> Policy:
        """Change some of an organization's limits, by the names of ``Policy``.

        Raises
        ------
        InvalidFieldValue
            A limit is negative or absurd, or a provider is not known.
        """
        self._check(caller, changes)
        await self.administration.organization(caller, organization_id)
        actor = caller.key_id or ""
        return await self._store.policies.change_organization(organization_id, actor=actor, **changes)

    async def key_limits(self, caller: Caller, key_id: str) -> Policy:
        """Return a key's own limits, which count beside its organization's."""
        await self.administration.api_key(caller, key_id)
        return await self._store.policies.of_key(key_id)

    async def limit_key(self, caller: Caller, key_id: str, changes: Mapping[str, Any]) -> Policy:
        """Change some of a key's limits; as of an organization."""
        self._check(caller, changes)
        await self.administration.api_key(caller, key_id)
        return await self._store.policies.change_key(key_id, actor=caller.key_id or "", **changes)

    def _check(self, caller: Caller, changes: Mapping[str, Any]) -> None:
        self.administration.check_operator(caller)
        known = self.administration.rows
        if unknown := [name for name in changes.get("providers") or () if name not in known]:
            raise InvalidFieldValue(
                f"Unknown provider; allowed are {', '.join(known)}",
                details={"providers": [name[:64] for name in unknown], "allowed": list(known)},
            )

    # --- the ledger

    async def pictures(
        self,
        caller: Caller,
        *,
        organization_id: str | None,
        states: Sequence[HoldState],
        after: Place | None,
        limit: int,
    ) -> Page[Hold]:
        """Return pictures in the ledger, the latest first: of one organization, or of all that the caller may see."""
        whose = await self.administration.existing(caller, organization_id)
        return page_of(await self._store.books.holds(whose, states=states, after=after, most=limit + 1), limit)

    async def picture(self, caller: Caller, hold_id: str) -> tuple[Hold, tuple[Posting, ...]]:
        """Return one picture in the ledger, with all that was posted to it."""
        whose = await self.administration.existing(caller, None)
        found = await self._store.books.find(hold_id, organization_id=whose) if HOLD_ID.fullmatch(hold_id) else None
        if found is None:
            raise NotFound
        return found, await self._store.books.postings(hold_id)

    async def settle(self, caller: Caller, hold_id: str, *, charged: bool) -> tuple[Hold, tuple[Posting, ...]]:
        """Say what became of a picture whose outcome is not known.

        Raises
        ------
        InvalidFieldValue
            It is known.
        """
        self.administration.check_operator(caller)
        await self.picture(caller, hold_id)
        await self._store.books.settle(hold_id, settled(charged=charged), actor=caller.key_id or "")
        return await self.picture(caller, hold_id)

    async def settle_all(
        self, caller: Caller, *, charged: bool, older_than: timedelta, organization_id: str | None
    ) -> tuple[tuple[Hold, ...], int]:
        """Say of pictures in doubt, the oldest first, what became of them; return them, and how many are left.

        Parameters
        ----------
        older_than
            Of those alone whose last call was sent so long ago.
        organization_id
            Of this organization alone; else of all.
        """
        self.administration.check_operator(caller)
        whose = await self.administration.existing(caller, organization_id)
        names = await in_doubt_since(self._store.books, utc_now() - older_than, whose)
        ended = []
        for name in names[:MOST_SETTLED]:
            try:
                ended.append(await self._store.books.settle(name, settled(charged=charged), actor=caller.key_id or ""))
            except InvalidFieldValue:
                continue  # somebody else has settled it meanwhile
        return tuple(ended), len(names[MOST_SETTLED:])

    async def adjust(
        self, caller: Caller, hold_id: str, *, reason: str, usd: Decimal | None = None, credits_: Decimal | None = None
    ) -> tuple[Hold, tuple[Posting, ...]]:
        """Correct what a picture that has ended cost in all, in one of the two units.

        Raises
        ------
        InvalidFieldValue
            It has not ended, the cost is absurd, or it is what is booked already.
        """
        self.administration.check_operator(caller)
        hold, _ = await self.picture(caller, hold_id)
        decide = corrected(hold.provider, usd=usd, credits_=credits_)
        await self._store.books.adjust(hold_id, decide, reason=reason, actor=caller.key_id or "")
        return await self.picture(caller, hold_id)
