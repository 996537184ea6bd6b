"""What goes between the server and the processes that decode for it.

A job is one packet on a socket, with four descriptors: the memory with what is to be decoded, the memory for pixels,
and two sockets, for the decoder's reply and for how it ended. What the server tells is pickled; nothing that comes back
is: a broken decoder may do whatever its file wants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from uncrop.errors import ImageTooLarge, InvalidImage, InvalidMask, InvalidRequest, UnsupportedImageFormat

Work: TypeAlias = Literal["photo", "mask", "answer", "coefficients"]
MAX_JOB = 1024  # bytes
MAX_REPLY = 8192  # bytes
MAX_TEXT, MAX_DETAILS = 500, 10
DONE, DONE_WITH_ALPHA = b"done", b"done with alpha"
OUT_OF_MEMORY = b"out of memory"
# What decoding may say about a file.
REFUSALS: Mapping[str, type[InvalidRequest]] = {
    error.__name__: error for error in (ImageTooLarge, InvalidImage, InvalidMask, UnsupportedImageFormat)
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one picture may take.

    Attributes
    ----------
    address_space
        Bytes; in a job, on top of what the process has when it begins.
    cpu_s
        Seconds of processor time.
    wall_s
        Seconds after which the process is ended, whatever it does.
    """

    address_space: int
    cpu_s: int
    wall_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One picture to decode.

    Attributes
    ----------
    work
        What is to be made of it.
    told
        Bytes of what was pickled, at the beginning of the first memory; the file follows.
    size
        Bytes of the file.
    room
        Bytes of the second memory.
    limits
        What it may take.
    """

    work: Work
    told: int
    size: int
    room: int
    limits: Limits

    def to_bytes(self) -> bytes:
        """Return the packet."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, packet: bytes) -> Job:
        """Read the packet that ``to_bytes`` made."""
        values = json.loads(packet)
        return cls(**{**values, "limits": Limits(**values["limits"])})


def refusal_to_bytes(error: InvalidRequest) -> bytes:
    """Return the reply of a decoder that refuses its file."""
    text = json.dumps(
        {
            "kind": type(error).__name__,
            "message": error.message,
            "system_message": error.system_message,
            "details": error.details or {},
        }
    )
    return text.encode()


def read_refusal(reply: bytes) -> InvalidRequest | None:
    """Return what a decoder says about its file; ``None`` where it is nothing that a decoder says.

    Only kinds of errors that are known come back, with short texts and plain values.
    """
    try:
        values = json.loads(reply)
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    error = REFUSALS.get(str(values.get("kind")))
    if error is None:
        return None
    return error(
        str(values.get("message"))[:MAX_TEXT],
        system_message=str(values.get("system_message"))[:MAX_TEXT],
        details=_plain(values.get("details")),
    )


def _plain(details: object) -> dict[str, Any]:
    if not isinstance(details, dict):
        return {}
    values = list(details.items())[:MAX_DETAILS]
    return {
        str(name)[:MAX_TEXT]: value if isinstance(value, bool | int | float) else str(value)[:MAX_TEXT]
        for name, value in values
    }
