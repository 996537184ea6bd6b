"""A log of calls that notes everything, in order, and can refuse to mark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import PictureFacts


@dataclass
class NotingLog:
    """Notes what is told.

    Attributes
    ----------
    told
        ``sent``, ``taken back``, ``made``, ``billed`` and ``not billed``, in order.
    costs
        What was said about each call that made something.
    failure
        Raised when a call is marked.
    noticing
        Called at each, with what is told.
    """

    told: list[str] = field(default_factory=list)
    costs: list[PictureFacts] = field(default_factory=list)
    failure: BaseException | None = None
    noticing: Callable[[str], object] = str

    def _note(self, what: str) -> None:
        self.told.append(what)
        self.noticing(what)

    async def mark_sent(self) -> None:
        if self.failure is not None:
            raise self.failure
        self._note("sent")

    async def take_back(self) -> None:
        self._note("taken back")

    def note_cost(self, said: PictureFacts) -> None:
        self.costs.append(said)
        self._note("made")

    def note_failure(self, *, charged: bool) -> None:
        self._note("billed" if charged else "not billed")
