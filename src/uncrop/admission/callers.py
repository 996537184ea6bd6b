"""Who asks: from the credentials of a request to a caller."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from uncrop.errors import (
    ApiKeyDeactivated,
    ApiKeyExpired,
    ApiKeyPaused,
    AuthenticationError,
    AuthenticationRequired,
    InvalidApiKey,
    ScopeMissing,
)
from uncrop.model import Caller, ProviderKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from uncrop.model import Scope
    from uncrop.store.api_key import ApiKey, KeyState

_SIXTH, _MACHINES_BITS = 6, 64
_REFUSALS: Mapping[KeyState, type[AuthenticationError]] = {
    "paused": ApiKeyPaused,
    "expired": ApiKeyExpired,
    "revoked": ApiKeyDeactivated,
}


def check_scope(caller: Caller, *sufficient: Scope) -> None:
    """Refuse a key that has none of the scopes of which one is needed.

    Raises
    ------
    ScopeMissing
        ``details.scope`` names the first of them.
    """
    if caller.scopes.isdisjoint(sufficient):
        raise ScopeMissing(details={"scope": sufficient[0]})


def network_of(address: str) -> str:
    """Return by what an address is counted: of IPv6, the network of 64 bits, since one machine has all of it."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if known.version == _SIXTH:
        return str(ipaddress.ip_network((known, _MACHINES_BITS), strict=False))
    return str(known)


class KnownKeys(Protocol):
    """What is asked of the store: ``uncrop.store.keys.ApiKeys`` answers."""

    async def verify(self, text: str) -> ApiKey | None:
        """Return the key, in whatever state, or ``None``."""

    async def note_use(self, key: ApiKey) -> None:
        """Note that the key was used."""

    async def find(self, key_id: str) -> ApiKey | None:
        """Return the key of this id, in whatever state, or ``None``."""


class KnownProviderKeys(Protocol):
    """What is asked of the store: ``uncrop.store.provider_keys.ProviderKeys`` answers."""

    async def of(self, organization_id: str) -> dict[str, str | None]:
        """Return an organization's keys by provider; ``None`` for one that cannot be decrypted."""


class Authenticator:
    """Knows callers by their keys.

    Parameters
    ----------
    keys
        The keys that are known.
    provider_keys
        Organizations' own keys of providers; ``None`` where none are kept.
    clock
        The present moment, aware.
    """

    def __init__(
        self,
        keys: KnownKeys,
        provider_keys: KnownProviderKeys | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._provider_keys = provider_keys
        self._clock = clock

    async def authenticate(self, candidates: Sequence[str]) -> Caller:
        """Return who sent these credentials; one valid key among several is enough.

        Parameters
        ----------
        candidates
            The texts sent, in the order in which they count; empty ones are as if absent.

        Raises
        ------
        AuthenticationRequired
            There is no candidate.
        InvalidApiKey, ApiKeyExpired, ApiKeyPaused, ApiKeyDeactivated
            No candidate is valid; the error is the first one's.
        """
        refusals: list[AuthenticationError] = []
        # The same key sent twice is looked up once.
        for text in dict.fromkeys(filter(None, candidates)):
            key = await self._keys.verify(text)
            refusal = self._refusal(key)
            if key is not None and refusal is None:
                await self._keys.note_use(key)
                return await self._caller(key)
            refusals.append(refusal or InvalidApiKey())
        raise refusals[0] if refusals else AuthenticationRequired()

    async def caller_of(self, key_id: str) -> Caller:
        """Return who has a key, for work that was asked for while it was valid.

        Raises
        ------
        InvalidApiKey
            There is no such key any more.
        """
        key = await self._keys.find(key_id)
        if key is None:
            raise InvalidApiKey
        return await self._caller(key)

    async def _caller(self, key: ApiKey) -> Caller:
        own = {}
        if key.has_provider_keys and self._provider_keys is not None:
            own = await self._provider_keys.of(key.organization_id)
        return Caller(
            organization_id=key.organization_id,
            key_id=key.id,
            scopes=key.scopes,
            provider_keys=ProviderKeys(own=own, may_use_servers=key.may_use_server_keys),
            policy=key.organization_policy,
            key_policy=key.policy,
        )

    def _refusal(self, key: ApiKey | None) -> AuthenticationError | None:
        if key is None:
            return InvalidApiKey()
        refusal = _REFUSALS.get(key.state(self._clock()))
        return None if refusal is None else refusal()
