"""What goes between a server and its link to a Ray cluster: pickled, each with its length before it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, TypeAlias

from uncrop.errors import UncropError

Work: TypeAlias = Literal["extend", "prepare", "describe"]
LENGTH_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Work for a node.

    Attributes
    ----------
    work
        What is to be done: a function of ``node.py``.
    arguments
        What it takes, by name; also pixels.
    cpus
        Processors of a node that are set aside for it.
    memory
        Bytes of a node's memory that are set aside for it.
    node
        The id of the node that must do it; ``None``: Ray chooses.
    seconds_left
        In which it must be done, from when a node begins: no moment, since each machine has a clock of its own.
    number
        By which replies name it.
    """

    work: Work
    arguments: Mapping[str, Any] = field(repr=False)
    cpus: int
    memory: int
    node: str | None = None
    seconds_left: float = 0
    number: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """Nobody waits any more for an order."""

    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A machine of the cluster.

    Attributes
    ----------
    id, name
        Ray's id of it, and its host's name.
    cpus
        Processors that it offers.
    memory
        Bytes that it offers.
    """

    id: str
    name: str
    cpus: float
    memory: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected:
    """The cluster answers: told at first, and again every few seconds for as long as it does.

    Attributes
    ----------
    nodes
        Those that live.
    """

    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A node has begun an order."""

    number: int
    node: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """How far an order is."""

    number: int
    fraction: float
    step: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """An order was carried out.

    Attributes
    ----------
    value
        What the work returned.
    """

    number: int
    value: Any = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """An order was not carried out.

    Attributes
    ----------
    error
        Why, for whoever asked.
    reason
        Why, in Ray's words; for the log alone.
    """

    number: int
    error: UncropError
    reason: str = ""


Reply: TypeAlias = Connected | Begun | Told | Done | Failed


def to_frame(message: Order | Cancel | Reply) -> bytes:
    """Return the bytes of a message: its length, then what was pickled."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def read_message(stream: BinaryIO) -> Any:
    """Read one message; ``None`` where the stream has ended."""
    head = stream.read(LENGTH_BYTES)
    content = stream.read(int.from_bytes(head, "big"))
    if len(head) < LENGTH_BYTES or len(content) < int.from_bytes(head, "big"):
        return None
    return pickle.loads(content)  # noqa: S301 - from our own process
