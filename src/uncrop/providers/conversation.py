"""What a provider says and hears: a conversation, without any I/O of its own.

A provider is a generator. It yields what is to be done next, is resumed with what came of it, and returns the pixels::

    def converse(self, task):
        answer = yield Call(...)      # an HTTP request; resumed with its answer, whatever its status
        yield Wait(2)                 # resumed with None
        picture = yield Unpack(...)   # a file; resumed with its pixels, which are decoded elsewhere
        return Fill(...)

Sockets, retries, deadlines and addresses are the transport's (``uncrop.providers.transport``), once for all providers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from uncrop.errors import InvalidRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.engine import Extension
    from uncrop.model import Fill, ImageHeader, OpenedFile, Pixels, Quality, Sides

# "submit" may be billed and is never sent twice. "repeat" (an upload, a poll) changes nothing when it is sent again.
# "download" fetches a file from an address that an answer named, and carries no credential.
CallKind: TypeAlias = Literal["submit", "repeat", "download"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One field of a multipart form; with a ``filename`` it is a file."""

    name: str
    value: bytes | str = field(repr=False)
    filename: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """A body as it is."""

    data: bytes = field(repr=False)
    media_type: str


Body: TypeAlias = "tuple[Part, ...] | Raw | None"
"""A multipart form, bytes of another type, or nothing."""


def json_body(value: object) -> Raw:
    """Return a body of JSON."""
    return Raw(data=json.dumps(value, separators=(",", ":")).encode(), media_type="application/json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request to a provider.

    Attributes
    ----------
    kind
        Whether it may be sent again, and where it may go.
    holds_picture
        Its answer may hold the picture: before it is unpacked, the work waits for its turn.
    on_cancel
        Sent when the work is ended while this call is on its way, or has run out of time.
    progress
        Sent beside this call until its answer is there, where somebody watches the progress.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold the key
    body: Body = field(default=None, repr=False)
    kind: CallKind = "submit"
    holds_picture: bool = True
    on_cancel: Cancelling | None = None
    progress: ProgressPoll | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A pause before the next call.

    Attributes
    ----------
    seconds
        How long; never beyond the picture's deadline.
    fraction, step
        How far the provider says that it is, 0..1, and what it does; for whoever watches the progress.
    on_cancel
        Sent when the work is ended during the pause, or the time has run out.
    """

    seconds: float
    fraction: float | None = None
    step: str = "waiting"
    on_cancel: Cancelling | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressPoll:
    """A call that asks how far another one is; an answer that does not tell, or none at all, does no harm.

    Attributes
    ----------
    call
        What is sent; it changes nothing.
    read
        Reads of its answer how far the work is, 0..1; ``None`` where that is not told.
    step
        What the provider does, for whoever watches the progress.
    every_s
        Seconds before each time.
    """

    call: Call
    read: Callable[[Answer], float | None]
    step: str
    every_s: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Extend:
    """Work for the local engine; resumed with its ``Extension``."""

    photo: Pixels = field(repr=False)
    sides: Sides
    seed: int
    quality: Quality
    confidence_map: bool = False
    is_variation: bool = False  # the same photo is extended for other seeds too


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpack:
    """A provider's picture to decode; resumed with ``Unpacked``, or with the error of a file that is no whole picture.

    Attributes
    ----------
    file
        The picture's file, opened.
    photo
        The photo's header: the picture is converted into its colour space.
    """

    file: OpenedFile = field(repr=False)
    photo: ImageHeader = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpacked:
    """A decoded picture.

    Attributes
    ----------
    colours
        (rows, columns, 3).
    alpha
        (rows, columns); ``None`` where there is none.
    """

    colours: NDArray[np.uint8] = field(repr=False)
    alpha: NDArray[np.uint8] | None = field(repr=False, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer, whole; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


Cancelling: TypeAlias = Call | Callable[[], Generator[Call, Answer, None]]
"""How a provider is told to end the work: one call, or several, of which each depends on the last one's answer."""
Step: TypeAlias = Call | Wait | Extend | Unpack
Examination: TypeAlias = Generator[Call, Answer, "tuple[str, ...]"]
"""Looks whether a provider has all that it needs; returns a line for each thing that is missing."""
Conversation: TypeAlias = "Generator[Step, object, Fill]"
"""Yields steps; is resumed with ``Answer``, ``None``, ``Extension`` or ``Unpacked``."""


def ask(call: Call) -> Generator[Step, object, Answer]:
    """Yield a call and return its answer: ``answer = yield from ask(call)``."""
    return cast("Answer", (yield call))


def compute(work: Extend) -> Generator[Step, object, Extension]:
    """Yield work for the engine and return what it made: ``made = yield from compute(work)``."""
    return cast("Extension", (yield work))


def unpack(file: OpenedFile, photo: ImageHeader) -> Generator[Step, object, Unpacked]:
    """Yield a picture to decode and return its pixels: ``picture = yield from unpack(file, photo)``.

    Raises
    ------
    InvalidImage
        It is no whole picture.
    """
    reply = yield Unpack(file=file, photo=photo)
    if isinstance(reply, InvalidRequest):
        raise reply
    return cast("Unpacked", reply)
