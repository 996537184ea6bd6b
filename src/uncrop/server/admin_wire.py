"""What is told about organizations, keys, usage and acts: the fields that are named here, and no others."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import JSONResponse

from uncrop.model import SCOPES
from uncrop.server.queries import cursor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from uncrop.service.administration import Page
    from uncrop.store.api_key import ApiKey, NewKey
    from uncrop.store.audit import AuditEntry
    from uncrop.store.organizations import Organization
    from uncrop.store.provider_keys import ProviderKeyEntry
    from uncrop.store.usage import DayOfUsage

Json = dict[str, Any]
T = TypeVar("T")


def organization_json(organization: Organization) -> Json:
    """Return an organization."""
    return {
        "id": organization.id,
        "name": organization.name,
        "may_use_server_keys": organization.may_use_server_keys,
        "created_at": told(organization.created_at),
    }


def api_key_json(key: ApiKey, now: datetime) -> Json:
    """Return a key, without what proves it."""
    return {
        "id": key.id,
        "organization_id": key.organization_id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": [scope for scope in SCOPES if scope in key.scopes],
        "state": key.state(now),
        "created_at": told(key.created_at),
        "expires_at": None if key.expires_at is None else told(key.expires_at),
        "last_used_at": None if key.last_used_at is None else told(key.last_used_at),
        "replaced_by": key.replaced_by,
    }


def new_key_json(new: NewKey) -> Json:
    """Return a key at the only moment at which it is known."""
    return {"id": new.id, "organization_id": new.organization_id, "key": new.key}


def provider_key_json(entry: ProviderKeyEntry) -> Json:
    """Return what may be told of a provider's key."""
    return {
        "provider": entry.provider,
        "last4": entry.last4,
        "created_at": told(entry.created_at),
        "usable": entry.usable,
    }


def list_response(entries: Sequence[T], tell: Callable[[T], Json]) -> JSONResponse:
    """Return the answer with a whole list."""
    return JSONResponse({"data": [tell(entry) for entry in entries], "next_cursor": None})


def page_response(page: Page[T], tell: Callable[[T], Json], position: Callable[[T], Sequence[str]]) -> JSONResponse:
    """Return the answer with a page, and with the cursor of the next one where there is more."""
    following = cursor_of(position(page.items[-1])) if page.more else None
    return JSONResponse({"data": [tell(item) for item in page.items], "next_cursor": following})


def by_age(item: Organization | ApiKey) -> tuple[str, str]:
    """Return where an item stands in a list that is ordered by age."""
    return item.created_at.isoformat(), item.id


def by_day(day: DayOfUsage) -> tuple[str, str]:
    """Return where a day stands in its list."""
    return day.day.isoformat(), day.provider


def by_number(entry: AuditEntry) -> tuple[str]:
    """Return where an entry stands in its list."""
    return (str(entry.id),)


def told(moment: datetime) -> str:
    """Return a moment as it is told."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
