"""Policies: how much an organization, or one of its keys, may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

NO_LIMIT: Final = 0

Limit: TypeAlias = Literal["pictures_per_day", "usd_per_month", "price", "providers"]
LimitScope: TypeAlias = Literal["organization", "key"]
"""Whose a limit is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The limits of an organization or of a key.

    ``None`` is the server's default for an organization, and nothing of its own for a key; ``NO_LIMIT`` is no limit.

    Attributes
    ----------
    requests_per_minute
        Requests in any 60 seconds.
    requests_at_once
        Requests that are worked on or wait for their turn, in one server process.
    pictures_per_day
        Pictures of a UTC day.
    usd_micro_per_month
        Money of a UTC month, in millionths of a US dollar.
    providers
        The providers that may be asked; ``None`` for all.
    """

    requests_per_minute: int | None = None
    requests_at_once: int | None = None
    pictures_per_day: int | None = None
    usd_micro_per_month: int | None = None
    providers: tuple[str, ...] | None = None

    def allows(self, provider: str) -> bool:
        """Tell whether a provider may be asked."""
        return self.providers is None or provider in self.providers


UNLIMITED: Final = Policy()


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """What a caller may do: its organization's policy, and its key's."""

    organization: Policy = UNLIMITED
    key: Policy = UNLIMITED

    def by_scope(self) -> tuple[tuple[LimitScope, Policy], ...]:
        """Return both with the names of whose they are."""
        return ("organization", self.organization), ("key", self.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why nothing was held: which limit, whose, what it is, and what was used of it before."""

    limit: Limit
    scope: LimitScope
    most: int = 0
    used: int = 0


def other_refusal(policies: Policies, provider: str, *, knows_money: bool) -> Refusal | None:
    """Tell of a limit that no amount can be in the way of: a price that is not known, or a provider not allowed."""
    for scope, policy in policies.by_scope():
        if policy.usd_micro_per_month and not knows_money:
            return Refusal(limit="price", scope=scope, most=policy.usd_micro_per_month)
    for scope, policy in policies.by_scope():
        if not policy.allows(provider):
            return Refusal(limit="providers", scope=scope)
    return None
