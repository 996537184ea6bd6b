"""What one picture's calls have done to the world: whether anything was sent that somebody will be billed for."""

from __future__ import annotations

import anyio


class Commitment:
    """Shared between whoever sends a picture's calls and whoever waits for the picture.

    Work may be stopped for nothing until ``commit``. From then on a provider may have received a billed call, so the
    work is left to finish and is booked.
    """

    def __init__(self, *, abandoned: bool = False) -> None:
        self._sent = 0
        self._abandoned = abandoned
        self._branches: list[Commitment] = []

    def branch(self) -> Commitment:
        """Return one for a part of the work, such as one of several pictures, that may be stopped by itself.

        The whole is sent when any part is, and who abandons it abandons every part.
        """
        branch = Commitment(abandoned=self._abandoned)
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

    def commit(self) -> None:
        """Mark the moment from which the provider may have received a billed call.

        Raises
        ------
        asyncio.CancelledError
            When the one who asked has left and nothing was sent before: then nothing is sent now.
        """
        self.check()
        self._sent += 1

    def take_back(self) -> None:
        """Say that the last call was refused before anything was made, so that nobody will be billed for it."""
        self._sent -= 1

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
