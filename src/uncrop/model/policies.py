"""Policies: how much an organization, or one of its keys, may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_LIMIT: Final = 0


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
