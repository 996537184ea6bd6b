"""What one picture's calls have done to the world: whether anything was sent that somebody will be billed for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model import PictureFacts


class CallLog(Protocol):
    """Where it is written that a billed call is sent, and what became of it: ``uncrop.ledger.ledger.HeldPicture``."""

    async def mark_sent(self) -> None:
        """Write that the next call is sent; what it raises keeps the call from being sent."""

    async def take_back(self) -> None:
        """Write that the call marked last was not sent, or was refused before anything was made."""

    def note_cost(self, said: PictureFacts) -> None:
        """Note what the provider says about the last call, which made what it should."""

    def note_failure(self, *, charged: bool) -> None:
        """Note that the last call made nothing, and whether it is billed all the same."""


class Commitment:
    """Shared between whoever sends a picture's calls and whoever waits for the picture.

    Work may be stopped for nothing until ``commit``. From then on a provider may have received a billed call, so the
    work is left to finish and is booked.

    Parameters
    ----------
    log
        Where each billed call is written down before it is sent; ``None`` where nobody is billed.
    above
        Where it is written down before that: the logs of the whole that this is a part of.
    """

    def __init__(self, *, abandoned: bool = False, log: CallLog | None = None, above: Sequence[CallLog] = ()) -> None:
        self._sent = 0
        self._abandoned = abandoned
        self._logs = (*above, *(() if log is None else (log,)))
        self._branches: list[Commitment] = []

    def branch(self, log: CallLog | None = None) -> Commitment:
        """Return one for a part of the work, such as one of several pictures, that may be stopped by itself.

        The whole is sent when any part is, and who abandons it abandons every part.
        """
        branch = Commitment(abandoned=self._abandoned, log=log, above=self._logs)
        self._branches.append(branch)
        return branch

    @property
    def sent(self) -> bool:
        """Whether a billed call may have reached its provider."""
        return self.billed_calls > 0

    @property
    def billed_calls(self) -> int:
        """How many billed calls may have reached their provider."""
        return self._sent + sum(branch.billed_calls for branch in self._branches)

    @property
    def abandoned(self) -> bool:
        """Whether the one who asked has left."""
        return self._abandoned

    async def commit(self) -> None:
        """Mark the moment from which the provider may have received a billed call; await it before the first byte.

        Raises
        ------
        asyncio.CancelledError
            When the one who asked has left and nothing was sent before: then nothing is sent now.
        ServerBusy
            The mark could not be written: nothing is sent.
        """
        self.check()
        # Counted first: who leaves while the mark is written does not end work of which the books say that it is sent.
        self._sent += 1
        marked: list[CallLog] = []
        try:
            for log in self._logs:
                await log.mark_sent()
                marked.append(log)
        except BaseException:
            self._sent -= 1
            for log in marked:
                await log.take_back()
            raise

    async def take_back(self) -> None:
        """Say that the last call was refused before anything was made, so that nobody will be billed for it."""
        self._sent -= 1
        for log in self._logs:
            await log.take_back()

    def note_cost(self, said: PictureFacts) -> None:
        """Say that the last call made what it should, and what the provider says about it."""
        for log in self._logs:
            log.note_cost(said)

    def note_failure(self, *, charged: bool) -> None:
        """Say that the last call made nothing, and whether it is billed all the same."""
        for log in self._logs:
            log.note_failure(charged=charged)

    def check(self) -> None:
        """End the work, as if cancelled, when the one who asked has left and nothing was sent yet.

        Raises
        ------
        asyncio.CancelledError
        """
        if self._abandoned and not self.sent:
            raise anyio.get_cancelled_exc_class()

    def check_next(self) -> None:
        """End the work, as if cancelled, before one more billed call when the one who asked has left.

        Raises
        ------
        asyncio.CancelledError
        """
        if self._abandoned:
            raise anyio.get_cancelled_exc_class()

    def abandon(self) -> bool:
        """Say that the one who asked has left; ``True`` when nothing was sent, so that the work can be cancelled."""
        self._abandoned = True
        for branch in self._branches:
            branch.abandon()
        return not self.sent
