"""Callers who were known a moment ago: enough to refuse them, never to let them in."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from uncrop.model import Caller

KEPT_S = 5.0
MOST_KEPT = 10_000  # credentials


class RecentCallers:
    """Who sent which credentials, for a few seconds.

    A key may have been paused or revoked meanwhile, so this lets nobody in. It says whose request is refused where all
    places are taken, without a look at the database, which is what a crowd would wait for.

    Parameters
    ----------
    clock
        Seconds since any fixed moment, never set back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)  # credentials are not kept as they are
        self._callers: dict[bytes, tuple[float, Caller]] = {}

    def note(self, keys: Sequence[str], caller: Caller) -> None:
        """Note whom these credentials have let in now."""
        if len(self._callers) >= MOST_KEPT:
            self._callers.clear()
        self._callers[self._name(keys)] = (self._clock(), caller)

    def find(self, keys: Sequence[str]) -> Caller | None:
        """Return whom these credentials let in during the last seconds."""
        noted_at, caller = self._callers.get(self._name(keys), (0.0, None))
        return caller if self._clock() - noted_at <= KEPT_S else None

    def _name(self, keys: Sequence[str]) -> bytes:
        return hashlib.blake2b("\n".join(keys).encode(errors="backslashreplace"), key=self._secret).digest()
