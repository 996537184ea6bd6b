"""What is done with webhooks, whoever does it: what is asked for is checked, and then kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue
from uncrop.model.webhooks import JOB_EVENTS
from uncrop.store.audit import COMMAND_LINE
from uncrop.store.webhooks import NewWebhook, WebhookChanges
from uncrop.webhooks.signing import check_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model.webhooks import JobEvent, Webhook
    from uncrop.store.webhooks import Webhooks
    from uncrop.webhooks.addresses import AddressRules

MOST_WEBHOOKS = 10  # of an organization
LONGEST_DESCRIPTION = 200
LONGEST_OVERLAP = timedelta(days=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretTold:
    """A webhook with its secret, at the only moment at which that is told."""

    webhook: Webhook
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """Webhooks, made and changed.

    Attributes
    ----------
    webhooks
        Keeps them.
    rules
        Where messages may be sent.
    """

    webhooks: Webhooks
    rules: AddressRules

    async def create(
        self,
        organization_id: str,
        url: str,
        *,
        description: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
        actor: str = COMMAND_LINE,
    ) -> SecretTold:
        """Make a webhook of an organization that is there.

        Parameters
        ----------
        events
            Of what it is told; of all when absent.
        secret
            What its messages are signed with; one is drawn if absent.

        Raises
        ------
        WebhookUrlForbidden
        EncryptionNotConfigured
        InvalidFieldValue
            Something else is malformed, or the organization has as many as it may.
        """
        chosen = new_secret() if secret is None else check_secret(secret)
        new = NewWebhook(
            organization_id=organization_id,
            url=url,
            description=_described(description),
            events=JOB_EVENTS if events is None else _events(events),
            secret=chosen,
        )
        await self.rules.check(url)
        made = await self.webhooks.create(new, most=MOST_WEBHOOKS, actor=actor)
        return SecretTold(webhook=made, secret=chosen)

    async def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        description: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
        actor: str = COMMAND_LINE,
    ) -> Webhook | None:
        """Change what is given; ``None`` where there is no such webhook. Errors as in ``create``."""
        changes = WebhookChanges(
            url=url,
            description=_described(description),
            events=None if events is None else _events(events),
            enabled=enabled,
        )
        if url is not None:
            await self.rules.check(url)
        return await self.webhooks.change(webhook_id, changes, actor=actor)

    async def rotate(
        self, webhook_id: str, *, overlap: timedelta, secret: str | None = None, actor: str = COMMAND_LINE
    ) -> SecretTold | None:
        """Sign with another secret, and for some time with the present one too.

        Raises
        ------
        EncryptionNotConfigured
        InvalidFieldValue
            The secret is none, or the time is too long.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            said = f"The overlap must be between 0 and {LONGEST_OVERLAP.days} days"
            raise InvalidFieldValue(said, details={"max_seconds": int(LONGEST_OVERLAP.total_seconds())})
        chosen = new_secret() if secret is None else check_secret(secret)
        rotated = await self.webhooks.rotate(webhook_id, chosen, overlap=overlap, actor=actor)
        return None if rotated is None else SecretTold(webhook=rotated, secret=chosen)


def _described(text: str | None) -> str | None:
    if text is not None and not (len(text) <= LONGEST_DESCRIPTION and text.isprintable()):
        said = f"description must be at most {LONGEST_DESCRIPTION} characters on one line"
        raise InvalidFieldValue(said, details={"field": "description"})
    return text


def _events(names: Sequence[str]) -> tuple[JobEvent, ...]:
    chosen = tuple(event for event in JOB_EVENTS if event in names)
    if not chosen or len(chosen) < len(set(names)):
        said = f"events must be some of {', '.join(JOB_EVENTS)}"
        raise InvalidFieldValue(said, details={"field": "events", "allowed": list(JOB_EVENTS)})
    return chosen
