"""Queries of lists: which part of them is wanted. What is not known is refused, as a slip would show everything."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue
from uncrop.server.json_bodies import moment_of, wrong_fields
from uncrop.service.administration import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.datastructures import QueryParams

DEFAULT_LIMIT, MOST = 50, 200
LONGEST_CURSOR = 400
_MOST_ID = 2**63 - 1


class Query:
    """The parameters of a query, each at most once.

    Parameters
    ----------
    sent
        What was sent.
    known
        The names that this list knows beside ``limit`` and ``cursor``.

    Raises
    ------
    ValidationError
        A name is not known, or stands there twice.
    """

    def __init__(self, sent: QueryParams, known: Collection[str] = ()) -> None:
        counted = Counter(name for name, _ in sent.multi_items())
        unknown = {name[:100]: "is not known" for name in counted if name not in {"limit", "cursor", *known}}
        twice = {name: "stands there twice" for name, times in counted.items() if times > 1 and name not in unknown}
        if unknown or twice:
            raise wrong_fields({**unknown, **twice})
        self._sent = sent

    def text(self, name: str) -> str | None:
        """Return a parameter as it was sent."""
        return self._sent.get(name)

    @property
    def limit(self) -> int:
        """How many entries are wanted at most.

        Raises
        ------
        InvalidFieldValue
        """
        text = self._sent.get("limit", str(DEFAULT_LIMIT))
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
            raise InvalidFieldValue(f"limit must be a whole number from 1 to {MOST}", details={"field": "limit"})
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """Return a moment; a day is its beginning, in UTC.

        Raises
        ------
        ValidationError
        """
        return moment_of(self._sent.get(name), name)

    def day(self, name: str) -> date | None:
        """Return a day.

        Raises
        ------
        ValidationError
        """
        text = self._sent.get(name)
        try:
            return None if text is None else date.fromisoformat(text)
        except ValueError as error:
            raise wrong_fields({name: "must be a day, as 2027-01-31"}) from error

    def place(self) -> Place | None:
        """Return where a list that is ordered by age goes on."""
        position = self._position(2)
        return None if position is None else Place(_moment(position[0]), position[1])

    def day_and_provider(self) -> tuple[date, str] | None:
        """Return where a list of days goes on."""
        position = self._position(2)
        try:
            return None if position is None else (date.fromisoformat(position[0]), position[1])
        except ValueError as error:
            raise _no_cursor() from error

    def id(self) -> str | None:
        """Return behind which id a list that is ordered by ids goes on."""
        position = self._position(1)
        return None if position is None else position[0]

    def number(self) -> int | None:
        """Return where a list of numbered entries goes on."""
        position = self._position(1)
        if position is None:
            return None
        if not (position[0].isascii() and position[0].isdigit() and int(position[0]) <= _MOST_ID):
            raise _no_cursor()
        return int(position[0])

    def _position(self, parts: int) -> list[str] | None:
        """Return what a cursor holds.

        Raises
        ------
        InvalidFieldValue
            It is none of ours.
        """
        cursor = self._sent.get("cursor")
        if cursor is None:
            return None
        try:
            if len(cursor) > LONGEST_CURSOR:
                raise _no_cursor()
            position = json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=="))
        except (ValueError, RecursionError) as error:
            raise _no_cursor() from error
        texts = (
            isinstance(position, list) and len(position) == parts and all(isinstance(each, str) for each in position)
        )
        # PostgreSQL has no text with a zero character in it.
        if not texts or any(not each.isprintable() for each in position):
            raise _no_cursor()
        return [str(each) for each in position]


def cursor_of(position: Sequence[str]) -> str:
    """Return the text by which a list goes on behind a position; it tells no more than the page before it did."""
    return urlsafe_b64encode(json.dumps(list(position), separators=(",", ":")).encode()).rstrip(b"=").decode()


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _no_cursor() from error


def _no_cursor() -> InvalidFieldValue:
    return InvalidFieldValue("cursor must be the next_cursor of a page before", details={"field": "cursor"})
