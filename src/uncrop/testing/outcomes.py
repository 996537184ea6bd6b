"""How an emulated call may end; ``Emulator.script`` takes these, one per call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One ending. As it stands, the call is answered as the real provider would.

    Attributes
    ----------
    status, body, headers
        Answer with these. Without a body the emulator words one as its provider does; ``headers`` come on top of its
        own.
    raw
        Send these bytes in place of an HTTP answer, and hang up.
    size
        Make a picture of this width and height in place of the right ones.
    another
        Make another picture than the one that was asked for, as a server does that mixes up its callers.
    corrupt
        Cut the picture's file off in its middle.
    wait_for
        Answer only when this event is set.
    cut_after
        Hang up after so many bytes of the body.
    reset
        Hang up with a TCP reset.
    drip_s
        Send one byte of the body at a time, with so many seconds between them.
    """

    status: int | None = None
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    size: tuple[int, int] | None = None
    another: bool = False
    corrupt: bool = False
    wait_for: threading.Event | None = None
    cut_after: int | None = None
    reset: bool = False
    drip_s: float = 0

    def spoil(self, picture: bytes) -> bytes:
        """Return a picture's file, cut off in its middle if it is to be corrupt."""
        return picture[: len(picture) // 2] if self.corrupt else picture


def as_real() -> Outcome:
    """Answer truly: in a script, the place of a call that is not meant."""
    return Outcome()


def answer_json(value: object, status: int = 200) -> Outcome:
    """Answer with this in JSON."""
    return Outcome(status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json"})


def refuse(status: int, body: bytes | None = None, **headers: str) -> Outcome:
    """Answer with an error; underscores in the names of headers stand for hyphens."""
    return Outcome(status=status, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def redirect(location: str, status: int = 302) -> Outcome:
    """Send the client elsewhere."""
    return Outcome(status=status, body=b"", headers={"location": location})


def html(status: int = 502) -> Outcome:
    """Answer as a proxy in between does, with a page."""
    page = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
    return Outcome(status=status, body=page, headers={"content-type": "text/html; charset=utf-8"})


def garbage() -> Outcome:
    """Answer something that is not HTTP."""
    return Outcome(raw=b"SSH-2.0-OpenSSH_9.2\r\n")


def hang_up(*, after: int = 0, reset: bool = False) -> Outcome:
    """End the connection after so many bytes of a good answer's body."""
    return Outcome(cut_after=after, reset=reset)


def hang_up_unanswered(*, reset: bool = False) -> Outcome:
    """End the connection in place of an answer."""
    return Outcome(raw=b"", reset=reset)


def hold(until: threading.Event) -> Outcome:
    """Give a good answer, but only when the event is set."""
    return Outcome(wait_for=until)


def drip(seconds: float) -> Outcome:
    """Give a good answer one byte at a time."""
    return Outcome(drip_s=seconds)


def oversize(size: int) -> Outcome:
    """Answer 200 with so many bytes of nothing."""
    return Outcome(status=200, body=bytes(size))


def wrong_size(width: int, height: int) -> Outcome:
    """Answer with a picture of another size."""
    return Outcome(size=(width, height))


def corrupt_picture() -> Outcome:
    """Answer with half a picture."""
    return Outcome(corrupt=True)


def another_picture() -> Outcome:
    """Answer with a picture of the right size that belongs to somebody else."""
    return Outcome(another=True)
