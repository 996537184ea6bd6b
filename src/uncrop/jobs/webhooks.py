"""The webhooks of callers: made, changed, looked at, and their messages sent anew.

What belongs to another organization is answered in the same words as what is not there. Operators reach all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.admission.callers import check_scope
from uncrop.errors import InvalidFieldValue, NotFound
from uncrop.model.webhooks import DELIVERY_STATES
from uncrop.service.administration import Page, page_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from uncrop.model import Caller
    from uncrop.model.webhooks import Attempt, Delivery, DeliveryState, Webhook
    from uncrop.store.database import Store
    from uncrop.store.deliveries import Adding
    from uncrop.webhooks.endpoints import Endpoints, SecretTold

WEBHOOK_ID = re.compile(r"whk_[0-9a-f]{20}", re.ASCII)
DELIVERY_ID = re.compile(r"msg_[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedDelivery:
    """A message, and each time that it was sent."""

    delivery: Delivery
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CallersWebhooks:
    """What fronts call. Every method takes who asks first, and raises ``ScopeMissing`` where the key may not be used.

    Attributes
    ----------
    store
        Keeps them.
    endpoints
        Makes and changes them.
    adding
        Adds messages to the queue.
    """

    store: Store
    endpoints: Endpoints
    adding: Adding

    def check(self, caller: Caller) -> None:
        """Refuse whose key may not be used for it: it takes one that may make pictures, or an operator's."""
        check_scope(caller, "images:write", "admin")

    async def page(
        self, caller: Caller, *, organization_id: str | None, after: str | None, limit: int
    ) -> Page[Webhook]:
        """Return webhooks, oldest first: of one organization, or of all that the caller may see.

        Raises
        ------
        NotFound
            The organization is not the caller's.
        """
        whose = self._whose(caller, organization_id)
        found = await self.store.webhooks.page(organization_id=whose, after=after, limit=limit + 1)
        return page_of(found, limit)

    async def find(self, caller: Caller, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises
        ------
        NotFound
        """
        whose = self._whose(caller, None)
        known = WEBHOOK_ID.fullmatch(webhook_id)
        found = await self.store.webhooks.find(webhook_id, organization_id=whose) if known else None
        if found is None:
            raise NotFound("There is no such webhook")
        return found

    async def create(
        self,
        caller: Caller,
        *,
        organization_id: str | None,
        url: str,
        description: str | None,
        events: Sequence[str] | None,
        secret: str | None,
    ) -> SecretTold:
        """Make a webhook; of the caller's own organization, unless an operator names another.

        Raises
        ------
        NotFound
            The organization is not the caller's.
        UncropError
            As ``Endpoints.create``.
        """
        self._whose(caller, organization_id)
        return await self.endpoints.create(
            organization_id or caller.organization_id or "",
            url,
            description=description,
            events=events,
            secret=secret,
            actor=caller.key_id or "",
        )

    async def change(
        self,
        caller: Caller,
        webhook_id: str,
        *,
        url: str | None,
        description: str | None,
        events: Sequence[str] | None,
        enabled: bool | None,
    ) -> Webhook:
        """Change what is given; errors as for ``create``."""
        await self.find(caller, webhook_id)
        changed = await self.endpoints.change(
            webhook_id, url=url, description=description, events=events, enabled=enabled, actor=caller.key_id or ""
        )
        return _there(changed)

    async def rotate(self, caller: Caller, webhook_id: str, *, overlap: timedelta, secret: str | None) -> SecretTold:
        """Sign with another secret; errors as for ``create``."""
        await self.find(caller, webhook_id)
        rotated = await self.endpoints.rotate(webhook_id, overlap=overlap, secret=secret, actor=caller.key_id or "")
        if rotated is None:
            raise NotFound("There is no such webhook")
        return rotated

    async def delete(self, caller: Caller, webhook_id: str) -> Webhook:
        """Delete a webhook with what is kept of its messages, and return it as it was."""
        found = await self.find(caller, webhook_id)
        await self.store.webhooks.delete(webhook_id, actor=caller.key_id or "")
        return found

    async def deliveries(
        self, caller: Caller, webhook_id: str, *, before: str | None, state: str | None, limit: int
    ) -> Page[Delivery]:
        """Return the messages to a webhook, newest first.

        Raises
        ------
        NotFound
        InvalidFieldValue
            There is no such state.
        """
        await self.find(caller, webhook_id)
        found = await self.store.deliveries.page(webhook_id, most=limit + 1, before=before, state=_state(state))
        return page_of(found, limit)

    async def delivery(self, caller: Caller, webhook_id: str, delivery_id: str) -> LoggedDelivery:
        """Return a message, and each time that it was sent.

        Raises
        ------
        NotFound
        """
        await self.find(caller, webhook_id)
        found = await self.store.deliveries.find(delivery_id) if DELIVERY_ID.fullmatch(delivery_id) else None
        if found is None or found.webhook_id != webhook_id:
            raise NotFound("There is no such message")
        return LoggedDelivery(delivery=found, attempts=await self.store.deliveries.attempts(delivery_id))

    async def redeliver(self, caller: Caller, webhook_id: str, delivery_id: str) -> LoggedDelivery:
        """Send a message anew under its id, whatever became of it.

        Raises
        ------
        NotFound
        InvalidFieldValue
            The webhook is disabled.
        """
        before = await self.delivery(caller, webhook_id, delivery_id)
        if not (await self.find(caller, webhook_id)).enabled:
            raise InvalidFieldValue("The webhook is disabled; enable it first", details={"webhook_id": webhook_id})
        again = await self.store.deliveries.redeliver(delivery_id, adding=self.adding)
        if again is None:
            raise NotFound("There is no such message")
        return LoggedDelivery(delivery=again, attempts=before.attempts)

    def _whose(self, caller: Caller, organization_id: str | None) -> str | None:
        """Return whose things are looked at; ``None``, for operators alone, for those of all."""
        self.check(caller)
        if caller.is_operator:
            return organization_id
        if organization_id not in {None, caller.organization_id}:
            raise NotFound
        return caller.organization_id


def _there(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise NotFound("There is no such webhook")
    return webhook


def _state(text: str | None) -> DeliveryState | None:
    if text is None:
        return None
    for state in DELIVERY_STATES:
        if state == text:
            return state
    raise InvalidFieldValue(
        f"state must be one of {', '.join(DELIVERY_STATES)}",
        details={"field": "state", "allowed": list(DELIVERY_STATES)},
    )
