"""What is done with organizations and keys over HTTP: operators do it for all, the others look at what is their own.

What belongs to another organization is answered in the same words as what is not there, so that nobody can find out by
asking which organizations and keys there are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from uncrop.admission.callers import check_scope
from uncrop.errors import InvalidFieldValue, NotFound
from uncrop.model import ORGANIZATION_ID, SCOPES
from uncrop.providers.registry import check_takes_key
from uncrop.store.api_key import scopes_of
from uncrop.store.organizations import new_organization_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, timedelta

    from uncrop.model import Caller, ProviderFacts
    from uncrop.store.api_key import ApiKey, NewKey
    from uncrop.store.audit import AuditEntry
    from uncrop.store.database import Store
    from uncrop.store.organizations import Organization
    from uncrop.store.provider_keys import ProviderKeyEntry
    from uncrop.store.usage import DayOfUsage

T = TypeVar("T")
KEY_ID = re.compile(r"[0-9A-Za-z]{10}", re.ASCII)
ON_THE_COMMAND_LINE = "Keys with the scope admin are made on the command line alone"


class Place(NamedTuple):
    """Where a page of a list that is ordered by age begins: behind this one."""

    created_at: datetime
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and whether there is more of it."""

    items: Sequence[T]
    more: bool


def page_of(found: Sequence[T], limit: int) -> Page[T]:
    """Return the page of what was found when one more than ``limit`` was asked for."""
    return Page(items=found[:limit], more=len(found) > limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Administration:
    """Everything that can be done over HTTP beside making pictures.

    Every method takes who asks first, and raises ``ScopeMissing`` where that key may not be used for it, and
    ``NotFound`` for what is not there or another organization's.

    Attributes
    ----------
    store
        Holds it all.
    rows
        The rows of all providers.
    """

    store: Store
    rows: Mapping[str, ProviderFacts]

    def check_operator(self, caller: Caller) -> None:
        """Refuse whoever may change nothing."""
        check_scope(caller, "admin")

    # --- organizations

    async def organizations(self, caller: Caller, *, after: Place | None, limit: int) -> Page[Organization]:
        """Return organizations, oldest first: all for an operator, else the caller's own."""
        own = _whose(caller, None)
        return page_of(await self.store.organizations.page(after=after, limit=limit + 1, organization_id=own), limit)

    async def organization(self, caller: Caller, organization_id: str) -> Organization:
        """Return one organization."""
        _whose(caller, organization_id)
        found = await self.store.organizations.find(organization_id)
        if found is None:
            raise NotFound
        return found

    async def create_organization(
        self, caller: Caller, *, organization_id: str | None, name: str | None
    ) -> Organization:
        """Make an organization, of an id that is drawn if there is none.

        Raises
        ------
        InvalidFieldValue
            The id or the name is malformed, or the id is taken.
        """
        self.check_operator(caller)
        return await self.store.organizations.create(
            organization_id or new_organization_id(), name=name, actor=_actor(caller)
        )

    async def change_organization(
        self, caller: Caller, organization_id: str, *, name: str | None, may_use_server_keys: bool | None
    ) -> Organization:
        """Change what is given.

        Raises
        ------
        InvalidFieldValue
            The name is malformed.
        """
        self.check_operator(caller)
        await self.organization(caller, organization_id)
        return await self.store.organizations.change(
            organization_id, name=name, may_use_server_keys=may_use_server_keys, actor=_actor(caller)
        )

    # --- organizations' own keys of providers

    async def provider_keys(self, caller: Caller, organization_id: str) -> tuple[ProviderKeyEntry, ...]:
        """Return what may be told of an organization's own keys."""
        await self.organization(caller, organization_id)
        return await self.store.provider_keys.all(organization_id)

    async def put_provider_key(
        self, caller: Caller, organization_id: str, provider: str, key: str
    ) -> tuple[ProviderKeyEntry, ...]:
        """Keep a key of a provider, and return what may be told of all of that organization.

        Raises
        ------
        EncryptionNotConfigured
            The server has nothing to encrypt it with.
        InvalidFieldValue
            No header can carry the key, or the provider is called without one.
        """
        self.check_operator(caller)
        await self.organization(caller, organization_id)
        check_takes_key(provider, self.rows)
        await self.store.provider_keys.put(organization_id, provider, key, actor=_actor(caller))
        return await self.provider_keys(caller, organization_id)

    async def remove_provider_key(
        self, caller: Caller, organization_id: str, provider: str
    ) -> tuple[ProviderKeyEntry, ...]:
        """Forget a key of a provider, and return what may be told of the others."""
        self.check_operator(caller)
        await self.organization(caller, organization_id)
        if provider not in self.rows:
            raise NotFound
        if not await self.store.provider_keys.remove(organization_id, provider, actor=_actor(caller)):
            raise NotFound
        return await self.provider_keys(caller, organization_id)

    # --- API keys

    async def api_keys(
        self, caller: Caller, *, organization_id: str | None, after: Place | None, limit: int
    ) -> Page[ApiKey]:
        """Return keys, oldest first: of one organization, or of all that the caller may see."""
        whose = await self.existing(caller, organization_id)
        return page_of(await self.store.keys.page(organization_id=whose, after=after, limit=limit + 1), limit)

    async def api_key(self, caller: Caller, key_id: str) -> ApiKey:
        """Return one key."""
        whose = _whose(caller, None)
        # Asked for in one statement, so that the time does not tell whether there is such a key of others.
        found = await self.store.keys.find(key_id, organization_id=whose) if KEY_ID.fullmatch(key_id) else None
        if found is None:
            raise NotFound
        return found

    async def create_api_key(
        self,
        caller: Caller,
        organization_id: str,
        *,
        name: str | None,
        scopes: Collection[str] | None,
        expires_at: datetime | None,
    ) -> NewKey:
        """Make a key for an organization that is there.

        Raises
        ------
        InvalidFieldValue
            The organization is not there, a scope is not known or ``admin``, or something else is malformed.
        """
        self.check_operator(caller)
        wanted = scopes_of(scopes)
        _check_not_admin(wanted)
        await self.store.organizations.get(organization_id)
        return await self.store.keys.create(
            organization_id, name=name, scopes=wanted, expires_at=expires_at, actor=_actor(caller)
        )

    async def rotate_api_key(
        self, caller: Caller, key_id: str, *, overlap: timedelta, expires_at: datetime | None
    ) -> NewKey:
        """Make a key in the place of another.

        Raises
        ------
        InvalidFieldValue
            The key has the scope ``admin``, does not work any more, or was rotated before; or the overlap or the expiry
            cannot be.
        """
        self.check_operator(caller)
        _check_not_admin((await self.api_key(caller, key_id)).scopes)
        return await self.store.keys.rotate(key_id, overlap=overlap, expires_at=expires_at, actor=_actor(caller))

    async def pause_api_key(self, caller: Caller, key_id: str) -> ApiKey:
        """Refuse a key until it is resumed.

        Raises
        ------
        InvalidFieldValue
            It is revoked.
        """
        self.check_operator(caller)
        await self.api_key(caller, key_id)
        return await self.store.keys.pause(key_id, actor=_actor(caller))

    async def resume_api_key(self, caller: Caller, key_id: str) -> ApiKey:
        """Take a paused key again; errors as in ``pause_api_key``."""
        self.check_operator(caller)
        await self.api_key(caller, key_id)
        return await self.store.keys.resume(key_id, actor=_actor(caller))

    async def revoke_api_key(self, caller: Caller, key_id: str) -> ApiKey:
        """Refuse a key for good."""
        self.check_operator(caller)
        await self.api_key(caller, key_id)
        return await self.store.keys.revoke(key_id, actor=_actor(caller))

    # --- the books

    async def usage(
        self,
        caller: Caller,
        *,
        organization_id: str | None,
        since: date | None,
        until: date | None,
        after: tuple[date, str] | None,
        limit: int,
    ) -> Page[DayOfUsage]:
        """Return what was spent by day and provider, oldest first: of one organization, or of all that one may see."""
        whose = await self.existing(caller, organization_id)
        days = [
            day
            for day in await self.store.usage.by_day(whose)
            if (since is None or day.day >= since)
            and (until is None or day.day <= until)
            and (after is None or (day.day, day.provider) > after)
        ]
        return page_of(days[: limit + 1], limit)

    async def audit(
        self,
        caller: Caller,
        *,
        organization_id: str | None,
        since: datetime | None,
        before: int | None,
        limit: int,
    ) -> Page[AuditEntry]:
        """Return what was done, newest first; for operators alone."""
        self.check_operator(caller)
        whose = await self.existing(caller, organization_id)
        found = await self.store.audit.page(organization_id=whose, since=since, before=before, limit=limit + 1)
        return page_of(found, limit)

    async def existing(self, caller: Caller, organization_id: str | None) -> str | None:
        """Return whose things are listed: those of an organization that is there, or of all."""
        whose = _whose(caller, organization_id)
        if organization_id is not None:
            await self.organization(caller, organization_id)
        return whose


def _actor(caller: Caller) -> str:
    return caller.key_id or ""


def _whose(caller: Caller, organization_id: str | None) -> str | None:
    """Return the organization that is looked at; ``None``, for operators alone, for all.

    Raises
    ------
    NotFound
        It is not the caller's, or there can be none of this id.
    ScopeMissing
    """
    check_scope(caller, "usage:read", "admin")
    if organization_id is None:
        return None if caller.is_operator else caller.organization_id
    if not (caller.is_operator or caller.organization_id == organization_id):
        raise NotFound
    if not ORGANIZATION_ID.fullmatch(organization_id):
        raise NotFound
    return organization_id


def _check_not_admin(scopes: Collection[str]) -> None:
    """Refuse to make another operator's key: one that became known could keep itself alive for ever.

    Raises
    ------
    InvalidFieldValue
    """
    if "admin" in scopes:
        allowed = [scope for scope in SCOPES if scope != "admin"]
        raise InvalidFieldValue(ON_THE_COMMAND_LINE, details={"scopes": ["admin"], "allowed": allowed})
