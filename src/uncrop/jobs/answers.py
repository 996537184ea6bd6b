"""The answer that a job's caller would have had at once, kept as one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from uncrop.errors import InternalError, SettingsError, UncropError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uncrop.service.pictures import MadePictures

_LENGTH_BYTES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer of the API.

    Attributes
    ----------
    media_type, headers, body
        As they are sent; the headers without those that every answer has.
    """

    media_type: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


Render: TypeAlias = "Callable[[MadePictures, str], Answer]"
"""Writes pictures as the API answers with them, for an ``Accept`` header."""


def pack(answer: Answer) -> bytes:
    """Return an answer as one file: the length of its head, the head as JSON, the body."""
    head = json.dumps({"media_type": answer.media_type, "headers": dict(answer.headers)}).encode()
    return len(head).to_bytes(_LENGTH_BYTES, "big") + head + answer.body


def unpack(data: bytes) -> Answer:
    """Return the answer that ``pack`` wrote."""
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
    head = json.loads(data[_LENGTH_BYTES:end])
    return Answer(media_type=head["media_type"], headers=head["headers"], body=data[end:])


def error_to_text(error: UncropError) -> str:
    """Write an error down; of a fault of our own only that there was one."""
    if isinstance(error, InternalError):
        error = InternalError()
    said = {
        "code": error.code,
        "status": error.status,
        "message": error.message,
        "system_message": error.system_message,
        "details": error.details,
    }
    return json.dumps(said, default=str, separators=(",", ":"))


def error_from_text(text: str) -> UncropError:
    """Return the error that ``error_to_text`` wrote down; one that this version does not know is a fault of our own."""
    said: dict[str, Any] = json.loads(text)
    kind = next((kind for kind in _kinds(UncropError) if kind.code == said["code"]), InternalError)
    return kind(said["message"], details=said["details"], system_message=said["system_message"])


def _kinds(kind: type[UncropError]) -> Iterator[type[UncropError]]:
    """Yield the errors that are raised, which are those without kinds of their own."""
    kinds = kind.__subclasses__()
    for each in kinds:
        yield from _kinds(each)
    if not kinds and kind is not SettingsError:
        yield kind
