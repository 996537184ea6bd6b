"""Answers that wait to be unpacked.

A picture's pixels take ten times the room of its file. Answers wait as files, therefore, until those before them have
been finished and encoded.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator


class Unpacking:
    """Lets only so many answers be unpacked at once; first come, first served."""

    def __init__(self, places: int) -> None:
        self._limiter = anyio.CapacityLimiter(places)

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._limiter.borrowed_tokens

    @contextmanager
    def place(self) -> Iterator[UnpackPlace]:
        """Give a place to be taken later; it is given back at the end, if it was."""
        place = UnpackPlace(self._limiter)
        try:
            yield place
        finally:
            place.give_back()


class UnpackPlace:
    """One picture's place."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._taken = False

    async def take(self) -> None:
        """Wait for the place; once taken, it stays so."""
        if not self._taken:
            await self._limiter.acquire_on_behalf_of(self)
            self._taken = True

    def give_back(self) -> None:
        """Make room for the next one; does nothing for a place that was never taken."""
        if self._taken:
            self._limiter.release_on_behalf_of(self)
            self._taken = False
