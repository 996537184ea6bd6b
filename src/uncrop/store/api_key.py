"""What may be known about an API key: everything but its secret."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from uncrop.errors import InvalidFieldValue
from uncrop.model import DEFAULT_SCOPES, SCOPES, Scope
from uncrop.model.policies import UNLIMITED, Policy
from uncrop.store.policies import policy_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from uncrop.store.prepared import Row

KEY_PREFIX = "uncrop_"
SECRET_COLUMNS = frozenset({"digest", "pepper"})

KeyState: TypeAlias = Literal["active", "paused", "expired", "revoked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """What may be known about a key: everything but its secret."""

    id: str
    organization_id: str
    name: str | None
    created_at: datetime
    expires_at: datetime | None
    paused_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    replaced_by: str | None = None
    # Of its organization; known of a key that was verified.
    may_use_server_keys: bool = True
    has_provider_keys: bool = False
    organization_policy: Policy = field(default=UNLIMITED, compare=False)
    policy: Policy = UNLIMITED  # of the key itself

    @property
    def prefix(self) -> str:
        """The part of the key that may be shown, to recognise it by."""
        return KEY_PREFIX + self.id

    def state(self, now: datetime) -> KeyState:
        """Return whether the key can be used; the state that is hardest to leave wins."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.paused_at is None else "paused"


_PLAIN = tuple(each.name for each in fields(ApiKey) if each.name not in {"scopes", "policy", "organization_policy"})


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """A key at the only moment at which its text is known."""

    id: str
    organization_id: str
    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PepperUse:
    """How many keys that may still be used are hashed under one pepper, and when one of them last was used."""

    pepper_id: str
    present: bool
    keys: int
    last_used_at: datetime | None


def scopes_text(scopes: Collection[str]) -> str:
    """Return scopes as they are stored and shown, in their own order.

    Raises
    ------
    InvalidFieldValue
        There is none, or one that is not known.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidFieldValue(
            f"A key has at least one of the scopes {', '.join(SCOPES)}",
            details={"scopes": [scope[:40] for scope in unknown], "allowed": list(SCOPES)},
        )
    return " ".join(scope for scope in SCOPES if scope in scopes)


def scopes_of(texts: Collection[str] | None) -> frozenset[Scope]:
    """Return scopes from texts of any origin; those of a new key where there is none.

    Raises
    ------
    InvalidFieldValue
        One is not known.
    """
    return DEFAULT_SCOPES if texts is None else cast("frozenset[Scope]", frozenset(scopes_text(texts).split(" ")))


def key_of(row: Row) -> ApiKey:
    """Return what may be known of a row of the table."""
    known = {name: row[name] for name in _PLAIN if name in row}
    return ApiKey(**known, scopes=scopes_of(row["scopes"].split(" ")), policy=policy_of(row))


def verified_key_of(row: Row) -> ApiKey:
    """Return what may be known of a row that tells of the organization too."""
    return replace(key_of(row), organization_policy=policy_of(row, "organization_"))
