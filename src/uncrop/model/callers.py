"""Who asks, and what that caller's key may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from uncrop.model.policies import UNLIMITED, Policy

Scope: TypeAlias = Literal["images:write", "usage:read", "admin"]
"""What a key may be used for: to make pictures, to read what its organization has and spent, to administer all."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT_SCOPES: frozenset[Scope] = frozenset({"images:write", "usage:read"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderKeys:
    """With whose keys a caller's pictures are made.

    Attributes
    ----------
    own
        The organization's own keys by provider; ``None`` for one that cannot be decrypted.
    may_use_servers
        Whether the server's own key is used for a provider of which the organization has none.
    """

    own: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    may_use_servers: bool = True


SERVERS = ProviderKeys()
"""The server's own keys alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks. Both ids are ``None`` on the command line and in Python, where nobody is billed.

    ``policy`` and ``key_policy`` are the limits of the organization and of the key, as they were when the caller came.
    """

    organization_id: str | None = None
    key_id: str | None = None
    # A set has no order of its own, so that its text would be another one in each process.
    scopes: frozenset[Scope] = field(default_factory=lambda: DEFAULT_SCOPES, repr=False)
    provider_keys: ProviderKeys = SERVERS
    policy: Policy = field(default=UNLIMITED, compare=False)
    key_policy: Policy = field(default=UNLIMITED, compare=False)

    @property
    def is_operator(self) -> bool:
        """Whether the key is for whoever runs the server, so that all organizations are open to it."""
        return "admin" in self.scopes
