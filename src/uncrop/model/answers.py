"""A finished answer, as it is sent and as it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a request was answered with: its status, the headers that are its own, and its body.

    Attributes
    ----------
    headers
        Names and values, the media type among them; not those that every answer has.
    replayed
        Whether it was kept from an earlier request.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    replayed: bool = False
