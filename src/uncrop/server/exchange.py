"""What is known about one request while it is answered: ids, who asked, what was done, what goes out."""

from __future__ import annotations

import re
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uncrop.errors import RateLimitExceeded
from uncrop.service.report import RunReport

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from uncrop.errors import UncropError

_KEY = "uncrop.exchange"
ARRIVED = "uncrop.arrived"
"""Where a request's scope says when its first byte arrived, on the clock of ``time.monotonic``."""
LEFT = "uncrop.left"
"""Where it has a future that is done when the client has closed the connection."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._:~-]{1,128}")
CLIENT_LEFT = "CLIENT_LEFT"
STOPPED = "STOPPED"
CLIENT_LEFT_STATUS = 499


@dataclass(kw_only=True, slots=True)
class Exchange:
    """Notes about one request, filled in by the stations that it passes, read by the log line and the headers.

    Attributes
    ----------
    trace_id
        UUID of this request, in the error body and on every line of the log.
    request_id
        The client's own id when it sent a sane one, else the trace id.
    outcome
        ``"OK"``, the code of the error that was answered, ``"CLIENT_LEFT"``, or ``"STOPPED"`` for what was cut off when
        the server stopped.
    run
        What the service knows about the picture and who asked.
    holds
        What is given back when the answer has left, or the request has ended in another way.
    reason, cause
        The error's technical text, and the kind of the foreign error behind it, for the log alone.
    """

    trace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    request_id: str = ""
    run: RunReport = field(default_factory=RunReport)
    holds: ExitStack = field(default_factory=ExitStack)
    outcome: str = "OK"
    reason: str | None = None
    cause: str | None = None
    status: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    body_unread: bool = False

    def __post_init__(self) -> None:
        self.request_id = self.request_id or self.trace_id

    @property
    def own_id(self) -> str:
        """The client's own id, by which it can ask for this request; empty where it sent none."""
        return "" if self.request_id == self.trace_id else self.request_id

    def fail(self, error: UncropError) -> None:
        """Note what the request ended with. Of what lies behind it only the kind: its text may hold anything.

        Of several limits, the one that refused is the one to tell.
        """
        self.outcome, self.reason = error.code, error.system_message
        self.cause = None if error.__cause__ is None else type(error.__cause__).__name__
        if isinstance(error, RateLimitExceeded) and error.state is not None:
            self.run.rate = error.state


def begin_exchange(scope: MutableMapping[str, Any]) -> Exchange:
    """Start the notes of a request."""
    sent: dict[bytes, bytes] = dict(scope["headers"])
    wished = sent.get(b"x-request-id", b"")
    return Exchange(
        request_id=wished.decode("ascii") if _SANE_ID.fullmatch(wished) else "",
        run=RunReport(
            arrived=scope.get(ARRIVED, time.monotonic()),
            address=(scope.get("client") or ("",))[0],
            left=scope.get(LEFT),
        ),
        body_unread=sent.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in sent,
    )


def attach(scope: MutableMapping[str, Any], exchange: Exchange) -> None:
    """Put the notes where ``exchange_of`` finds them."""
    scope[_KEY] = exchange


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """Return the notes of this request."""
    exchange = scope[_KEY]
    assert isinstance(exchange, Exchange)  # noqa: S101 (attach is the only writer)
    return exchange
