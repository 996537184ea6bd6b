"""Who asks: from the credentials of a request to a caller."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from uncrop.errors import (
    ApiKeyDeactivated,
    ApiKeyExpired,
    ApiKeyPaused,
    AuthenticationError,
    AuthenticationRequired,
    InvalidApiKey,
)
from uncrop.model import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from uncrop.store.keys import ApiKey, KeyState

_REFUSALS: Mapping[KeyState, type[AuthenticationError]] = {
    "paused": ApiKeyPaused,
    "expired": ApiKeyExpired,
    "revoked": ApiKeyDeactivated,
}


class KnownKeys(Protocol):
    """What is asked of the store: ``uncrop.store.keys.ApiKeys`` answers."""

    async def verify(self, text: str) -> ApiKey | None:
        """Return the key, in whatever state, or ``None``."""

    async def note_use(self, key: ApiKey) -> None:
        """Note that the key was used."""


class Authenticator:
    """Knows callers by their keys.

    Parameters
    ----------
    keys
        The keys that are known.
    clock
        The present moment, aware.
    """

    def __init__(self, keys: KnownKeys, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keys = keys
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
                return Caller(organization_id=key.organization_id, key_id=key.id)
            refusals.append(refusal or InvalidApiKey())
        raise refusals[0] if refusals else AuthenticationRequired()

    def _refusal(self, key: ApiKey | None) -> AuthenticationError | None:
        if key is None:
            return InvalidApiKey()
        refusal = _REFUSALS.get(key.state(self._clock()))
        return None if refusal is None else refusal()
