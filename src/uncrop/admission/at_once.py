"""How many requests of an organization, and with a key, are worked on or wait at once, in this process."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from uncrop.errors import RateLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from uncrop.model import Caller

T = TypeVar("T")
RETRY_AFTER_S = 1.0  # a request ends whenever it does


class RequestsAtOnce:
    """Counts the requests of those callers that have such a limit."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def take(self, caller: Caller) -> Iterator[PlaceAtOnce]:
        """Count a request until the block ends, and until work that goes on without its caller does.

        Raises
        ------
        RateLimitExceeded
            The organization, or the key, has as many requests as it may have at once.
        """
        limits = (
            ("organization", caller.organization_id or "", caller.policy.requests_at_once),
            ("key", caller.key_id or "", caller.key_policy.requests_at_once),
        )
        names = []
        for scope, owner, most in limits:
            if not most:
                continue
            if self._counts[scope, owner] >= most:
                raise RateLimitExceeded(
                    f"The {scope} has as many requests as it may have at once",
                    details={"limit": most, "running": self._counts[scope, owner], "scope": scope},
                    retry_after=RETRY_AFTER_S,
                )
            names.append((scope, owner))
        place = PlaceAtOnce(self._counts, tuple(names))
        place.hold()
        try:
            yield place
        finally:
            place.let_go()


class PlaceAtOnce:
    """One request that is counted for as long as anybody holds it."""

    def __init__(self, counts: Counter[tuple[str, str]], names: tuple[tuple[str, str], ...]) -> None:
        self._counts = counts
        self._names = names
        self._holders = 0

    def hold(self) -> None:
        """Count it, if it is not counted yet."""
        self._holders += 1
        if self._holders == 1:
            self._counts.update(self._names)

    def let_go(self) -> None:
        """Count it no longer, if nobody else holds it."""
        self._holders -= 1
        if not self._holders:
            self._counts.subtract(self._names)
            for name in self._names:
                if not self._counts[name]:
                    del self._counts[name]

    async def held_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work, and count the request until it is done."""
        self.hold()
        try:
            return await work
        finally:
            self.let_go()
