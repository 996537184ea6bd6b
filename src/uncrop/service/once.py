"""A request that came with a key: carried out once, and answered in the same way whenever it is sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from uncrop.errors import CallerError, UncropError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from uncrop.admission.idempotency import Claim, Idempotency
    from uncrop.model import Answer, UncropRequest
    from uncrop.providers.commitment import Commitment
    from uncrop.service.pictures import MadePictures
    from uncrop.store.books import Part

Keep: TypeAlias = "Callable[[MadePictures], Awaitable[Part | None]]"
"""Told the pictures before they are booked; what it returns is done in the transaction that books."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeatable:
    """What a front says of a request that its caller may send again.

    Attributes
    ----------
    key
        By which the caller knows it.
    fingerprint
        SHA-256 of what is asked, so that another request under the same key is noticed.
    render, render_error
        Return the answer to what became of it.
    make_room
        Told how many bytes an answer has before it is read; may refuse.
    """

    key: str
    fingerprint: bytes
    render: Callable[[MadePictures], Answer]
    render_error: Callable[[UncropError], Answer]
    make_room: Callable[[int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a front has read: the request, and, where it came with a key, how it is answered."""

    request: UncropRequest
    repeatable: Repeatable | None = None


class Once:
    """One request under a key, while it is carried out.

    Attributes
    ----------
    claim
        To its key.
    answer
        The one that the caller gets, once it is made.
    """

    def __init__(self, idempotency: Idempotency, claim: Claim, repeatable: Repeatable) -> None:
        self.claim = claim
        self.answer: Answer | None = None
        self._idempotency = idempotency
        self._repeatable = repeatable

    async def keep(self, made: MadePictures) -> Part | None:
        """Keep the answer to a request whose only picture is made, before it is booked."""
        self.answer = self._repeatable.render(made)
        return await self._idempotency.put(self.claim, self.answer)

    async def carried_out(self, made: MadePictures) -> None:
        """Keep the answer, where that was not done with the booking."""
        if self.answer is None:
            self.answer = self._repeatable.render(made)
        if self.claim.answer is None:
            await self._idempotency.note(self.claim, self.answer)
        if self.claim.answer is None:
            await self._idempotency.end(self.claim)

    async def failed(self, error: UncropError | None, *, sent: bool) -> None:
        """Free the key where nothing was made or paid; else, where it is known how it ended, keep the error's answer.

        An error that says something about the request is kept too once a provider has seen it: it would say the same
        again.

        Parameters
        ----------
        error
            ``None`` for work that was ended.
        sent
            Whether a call that may be billed has reached a provider.
        """
        if not self.claim.began:
            return
        final = sent and isinstance(error, CallerError) and not error.retryable
        standing = await self._idempotency.end(self.claim, keep=final)
        if error is not None and (standing == "lost" or (final and standing == "free")):
            self.answer = self._repeatable.render_error(error)
            await self._idempotency.note(self.claim, self.answer)
            if self.claim.answer is None and standing == "free":
                await self._idempotency.end(self.claim)

    async def see_through(self, work: Coroutine[Any, Any, MadePictures], commitment: Commitment) -> Answer:
        """Do the work and return its answer; no other request of this process has the key until that is kept."""
        try:
            made = await work
            await self.carried_out(made)
        except BaseException as error:
            await self.failed(error if isinstance(error, UncropError) else None, sent=commitment.sent)
            if self.answer is None or not isinstance(error, UncropError):
                raise
        finally:
            self._idempotency.forget(self.claim)
        assert self.answer is not None  # noqa: S101 (made above, or what failed was raised)
        return self.answer
