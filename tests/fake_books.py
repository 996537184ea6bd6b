"""Books in memory, which can be slow and can fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from uncrop.errors import ServerBusy
from uncrop.ledger.postings import held
from uncrop.model.ledger import OPEN, PICTURE, Hold, Posting
from uncrop.model.policies import Refusal
from uncrop.store.books import Closing, Expired
from uncrop.store.new_holds import NewHold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from uncrop.store.books import Also, Decide


@dataclass
class Book:
    """One hold."""

    new: NewHold
    state: str = "held"
    sent: int = 0
    known: int = 0
    model: str | None = None
    postings: list[Posting] = field(default_factory=list)

    @property
    def hold(self) -> Hold:
        return Hold(
            id=self.new.id,
            organization_id=self.new.organization_id,
            key_id=self.new.key_id,
            provider=self.new.provider,
            model=self.model,
            state=self.state,
            calls_planned=self.new.calls,
            calls_sent=self.sent,
            calls_settled=self.known,
            created_at=datetime(2026, 11, 22, tzinfo=UTC),
            sent_at=None,
            settled_at=None,
        )

    @property
    def held(self) -> dict[str, int]:
        return dict(held(self.postings))

    @property
    def spent(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for posting in self.postings:
            found[posting.unit] += posting.amount * (posting.target == "spent")
        return dict(+found)


@dataclass
class FakeBooks:
    """Keeps holds as ``uncrop.store.books.Books`` does; every call takes ``steps`` turns of the event loop.

    Attributes
    ----------
    failing
        Names of methods that find the database unusable.
    refusal
        Returned for every hold, where it is set.
    """

    steps: int = 0
    failing: set[str] = field(default_factory=set)
    books: dict[str, Book] = field(default_factory=dict)
    refusal: Refusal | None = None

    @property
    def states(self) -> dict[str, str]:
        return {name: book.state for name, book in self.books.items()}

    @property
    def only(self) -> Book:
        (book,) = self.books.values()
        return book

    async def _work(self, name: str) -> None:
        await self._turns()
        if name in self.failing:
            raise ServerBusy(system_message="The database could not be used")

    async def _turns(self) -> None:
        for _ in range(self.steps):
            await asyncio.sleep(0)

    async def open(self, new: NewHold, *, also: Also | None = None) -> Refusal | None:
        await self._work("open")
        used = sum(book.state != "released" for book in self.books.values())
        if self.refusal is not None:
            return self.refusal
        most = new.default_pictures_per_day
        if most and used >= most:
            return Refusal(limit="pictures_per_day", scope="organization", most=most, used=used)
        if also is not None:
            await also(None)
        self.books[new.id] = Book(new, postings=list(new.postings))
        await self._turns()
        return None

    async def mark_sent(self, hold_id: str, *, known: int = 0, decide: Decide | None = None) -> bool:
        await self._work("mark_sent")
        book = self.books[hold_id]
        if book.state not in OPEN:
            return False
        if decide is not None:
            book.postings += decide(book.hold, tuple(book.postings))
            book.known = known
        book.sent += 1
        await self._turns()
        return True

    async def take_back(self, hold_id: str) -> bool:
        await self._work("take_back")
        if self.books[hold_id].state not in OPEN:
            return False
        self.books[hold_id].sent -= 1
        return True

    async def close(self, hold_id: str, closing: Closing, *, also: Also | None = None) -> bool:
        await self._work("close")
        book = self.books.get(hold_id)
        if book is None or book.state not in closing.after:
            return False
        book.postings += closing.decide(book.hold, tuple(book.postings))
        book.state, book.model = closing.state, closing.model or book.model
        book.known = book.sent if closing.known is None else closing.known
        if also is not None:
            await also(None)
        if book.state not in OPEN:
            assert not book.held, f"{book} holds something"
            assert book.spent.get(PICTURE, 0) == (book.state == "captured")
        return True

    async def expire(self, older_than: timedelta, decide: Decide, *, only: Sequence[str] | None = None) -> Expired:
        await self._work("expire")
        found = [book for book in self.books.values() if book.state == "held" and (only is None or book.new.id in only)]
        for book in found:
            doubtful = book.sent > book.known
            book.state = "unknown" if doubtful else "expired"
            if not doubtful:
                book.postings += decide(book.hold, tuple(book.postings))
        unknown = sum(book.state == "unknown" for book in found)
        return Expired(released=len(found) - unknown, unknown=unknown)
