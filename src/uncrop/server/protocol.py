"""uvicorn's HTTP/1.1 protocol, with the bounds that it lacks: heads, slow clients, and answers to broken framing."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from uncrop.errors import ServerBusy, UncropError
from uncrop.server.errors import MEDIA_TYPE, error_body, error_headers
from uncrop.server.exchange import ARRIVED, LEFT, Exchange
from uncrop.server.heads import OLD, fault_of, waits_for_continue
from uncrop.server.http_errors import HeadersTooLarge, MalformedRequest, MethodNotAllowed, RequestTimeout
from uncrop.server.middleware import SAFE_HEADERS

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_log = structlog.stdlib.get_logger("uncrop.server")
_REQUEST_LINE = re.compile(rb"(?:\r?\n)*[A-Za-z0-9!#$%&'*+.^_`|~-]+ [!-~]+ HTTP/1\.[01]\r?\n")
_METHODS = "GET, HEAD, POST"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Refused(Exception):
    """Carries a refusal out of the parser, which turns every exception into one of its own."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    Attributes
    ----------
    head_bytes, head_lines
        How long a request's line and headers may be together, and how many headers.
    head_s
        Seconds in which the head must arrive, counted from the connection's start or from its first byte.
    linger_s
        Seconds for which the rest of a body is read and thrown away after an early answer. Closing at once would reset
        the connection, and the client would lose the answer.
    padding_bytes
        Bytes of chunked framing that may arrive without a byte of body.
    write_stall_s, write_bytes
        A client that takes fewer than ``write_bytes`` of its answer in ``write_stall_s`` seconds is dropped.
    write_rate, write_grace_s
        So is one that, after ``write_grace_s`` seconds, has not taken ``write_rate`` bytes for each further second.
    most_connections
        Beyond so many, the connection that has been idle for longest is closed for each new one. Where none is idle,
        the new one is refused.
    first_probe_s, probe_s, longest_probe_s
        Seconds until a client that has stopped sending is first asked whether it is still there, and from there to the
        second time; each further pause is twice as long, up to the longest.
    unsent_bytes
        How much of an answer the kernel takes beyond what is on its way to the client. By itself it takes up to 4 MB,
        which no budget counts, and of which nobody knows whether the client takes it.
    """

    head_bytes = 32_768
    head_lines = 100
    head_s = 10.0
    linger_s = 30.0
    padding_bytes = 16_384
    write_stall_s = 60.0
    write_bytes = 32_768
    write_rate = 16_384
    write_grace_s = 60.0
    unsent_bytes = 131_072
    most_connections = 900
    first_probe_s = 1.0
    probe_s = 0.1
    longest_probe_s = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left: asyncio.Future[None] = self.loop.create_future()
        self._in_head = True
        self._head_parsed = 0
        self._head_received = 0
        self._lines = 0
        self._latest: bytes | memoryview = b""
        self._wants_upgrade = False
        self._upgrade_ends_at: int | None = None
        self._padding = 0
        self._begun = False
        self._deaf = False
        self._refusal: UncropError | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._probe_timer: asyncio.TimerHandle | None = None
        self.idle_since = self.loop.time()
        self._written = 0
        self._taken_at_look = 0
        self._watch_begun = (0.0, 0)

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        # Writing is paused until the kernel has taken everything: whoever writes knows then that nothing is left here.
        transport.set_write_buffer_limits(high=0)
        _set_up_connection(transport, self.unsent_bytes)
        if len(self.connections) > self.most_connections and not self._make_room():
            self._answer(ServerBusy(system_message="Too many connections are open"))
            return
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers, and tell the requests that are worked on."""
        self._left.set_result(None)
        timers = (self._head_timer, self._write_timer, self._linger_timer, self._probe_timer)
        for timer in (*timers, self.timeout_keep_alive_task):
            _cancel(timer)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Go on with a request that has arrived whole; without one, the end of sending is the end of the connection.

        A client that has only stopped sending still gets its answer. One that has closed looks the same, until
        something is sent to it: so an interim response is, which every client of HTTP/1.1 ignores. HTTP/1.0 has none,
        and there the end of sending is taken for leaving.
        """
        if not self._is_working() or self.cycle.scope["http_version"] == OLD:
            return False
        self.cycle.keep_alive = False
        self._probe_timer = self.loop.call_later(self.first_probe_s, self._probe, self.probe_s)
        return True

    def _probe(self, pause_s: float) -> None:
        """Send something that a client which is still there ignores, and that the kernel of another one refuses."""
        if not self._is_working() or self.cycle.response_started:
            return
        # While an earlier answer is being sent, that will find out.
        if not self.pipeline:
            self.transport.write(_CONTINUE)
        self._probe_timer = self.loop.call_later(pause_s, self._probe, min(2 * pause_s, self.longest_probe_s))

    def _is_working(self) -> bool:
        """Tell whether the latest request has arrived whole and is not answered yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and refuse what grows without getting anywhere."""
        if self._deaf:
            return
        was_in_head = self._in_head
        padding = self._padding = self._padding + len(data)
        self._feed(data)
        self._check_progress(data, was_in_head=was_in_head, padding=padding)

    def _feed(self, data: bytes | memoryview) -> None:
        """Feed the parser, and feed it each head that asks for another protocol a second time, without that wish.

        Behind such a head the parser expects the other protocol: it would skip the body, and take what comes later
        for a request of its own. No other protocol is spoken here, and then the wish is to be ignored (RFC 9110, 7.8).
        """
        while not self._deaf:
            self._latest = data
            super().data_received(data)  # type: ignore[arg-type]
            self._latest = b""
            if self._upgrade_ends_at is None:
                return
            data, self._upgrade_ends_at = memoryview(data)[self._upgrade_ends_at :], None
            head, self._wants_upgrade = self._head_without_upgrade(), False
            self.parser = httptools.HttpRequestParser(self)
            # As uvicorn does: a request that follows one with `Connection: close` takes no answer away.
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            arrived = self._arrived
            super().data_received(head)
            self._arrived = arrived

    def _head_without_upgrade(self) -> bytes:
        line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = (b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade")
        return b"\r\n".join((line, *kept, b"\r\n"))

    def _check_progress(self, data: bytes, *, was_in_head: bool, padding: int) -> None:
        if self._deaf:
            return
        if self._idles():
            # uvicorn has just stopped its timer for idle connections; blank lines begin no message.
            self._start_head_timer()
        if was_in_head and self._in_head:
            # The parser hands a header over when it is whole; what it holds back until then is counted here.
            self._head_received += len(data)
            if self._head_received > self.head_bytes:
                self._answer(HeadersTooLarge())
        elif not self._in_head and self.cycle.more_body and padding == self._padding > self.padding_bytes:
            self._answer(MalformedRequest(system_message="chunked framing without a body"))

    @property
    def _arrived(self) -> float:
        return cast("dict[str, float]", self.scope)[ARRIVED]

    @_arrived.setter
    def _arrived(self, moment: float) -> None:
        cast("dict[str, float]", self.scope)[ARRIVED] = moment

    # --- the parser's callbacks ---

    def on_message_begin(self) -> None:
        """Start counting a head."""
        super().on_message_begin()
        self._arrived = time.monotonic()
        cast("dict[str, object]", self.scope)[LEFT] = self._left
        self._in_head = self._begun = True
        self._head_parsed = self._head_received = self._lines = 0
        if self._head_timer is None:
            self._start_head_timer()

    def on_url(self, url: bytes) -> None:
        """Count the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; trailers, which come after the head was acted on, are ignored."""
        if not self._in_head:
            return
        self._lines += 1
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check what the parser does not, and start the request."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._wants_upgrade = True
            return
        version = self.parser.get_http_version()
        if (fault := fault_of(version, self.headers)) is not None:
            self._refuse(fault)
        self.expect_100_continue = waits_for_continue(version, self.headers)
        self._in_head = self._begun = False
        self._padding = 0
        self._stop_head_timer()
        super().on_headers_complete()
        # The request's task has not run yet, so that it only ever knows this transport.
        self.cycle.transport = _LingeringTransport(self.transport, self, self.cycle)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Note that the body gets on."""
        self._padding = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request, but for a head that the parser will see again."""
        if not self._wants_upgrade:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Note where the head ends that asks for another protocol; called while the parser's exception is handled."""
        if self._wants_upgrade:
            self._upgrade_ends_at = sys.exception().args[0]  # type: ignore[union-attr]
        else:
            self._answer(MalformedRequest())

    # --- refusals ---

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or a callback, refused; called while the parser's exception is being handled."""
        self._answer(self._refusal or self._parsers_refusal(msg))

    def _parsers_refusal(self, msg: str) -> UncropError:
        # The parser knows the registered methods alone, and calls nonsense, too, a method that it does not know. It is
        # a method when the rest of the line is that of a request.
        if isinstance(sys.exception(), httptools.HttpParserInvalidMethodError) and _REQUEST_LINE.match(self._latest):
            return MethodNotAllowed()
        return MalformedRequest(system_message=msg)

    def _count(self, size: int) -> None:
        self._head_parsed += size
        if self._head_parsed > self.head_bytes or self._lines > self.head_lines:
            self._refuse(HeadersTooLarge(details={"max_bytes": self.head_bytes, "max_headers": self.head_lines}))

    def _refuse(self, refusal: UncropError) -> None:
        self._refusal = refusal
        raise _Refused

    def _answer(self, refusal: UncropError) -> None:
        """Send the refusal, and hear no more on this connection."""
        self._deaf = True
        self._stop_head_timer()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                # An earlier request is whole and being worked on: its answer goes out, then the connection closes.
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self.transport.write(_refusal_message(refusal, self.server_state.default_headers))
        self.linger()

    def linger(self) -> None:
        """Say that nothing more will be sent, and give the client a moment to take it."""
        self._deaf = True
        if self.transport.is_closing():
            return
        try:
            if self.transport.can_write_eof():
                self.transport.write_eof()
        except (OSError, RuntimeError):
            # The client has gone, which nobody had noticed before.
            self.transport.abort()
            return
        self.flow.resume_reading()
        self._linger_timer = self.loop.call_later(self.linger_s, self.transport.close)

    def shutdown(self) -> None:
        """End the connection when the server stops, at once if it only lingers."""
        if self._linger_timer is None:
            super().shutdown()
        else:
            self.transport.close()

    # --- too many clients ---

    def _make_room(self) -> bool:
        """Close the connection that has been idle for longest; ``False`` if there is none."""
        others = [each for each in self.connections if isinstance(each, BoundedProtocol) and each is not self]
        idle = [each for each in others if each.is_idle()]
        if idle:
            min(idle, key=lambda each: each.idle_since).transport.abort()
        return bool(idle)

    def is_idle(self) -> bool:
        """Tell whether nobody would miss this connection: no request has begun, or all has been said."""
        cycle: RequestResponseCycle | None = self.cycle
        answered = cycle is None or cycle.response_complete
        return self._linger_timer is not None or (answered and not self._begun and not self.flow.write_paused)

    # --- slow clients ---

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s, self._head_is_late)

    def _idles(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        between = not self._in_head and cycle is not None and cycle.response_complete and not cycle.more_body
        return between and self.timeout_keep_alive_task is None and self._head_timer is None

    def _stop_head_timer(self) -> None:
        _cancel(self._head_timer)
        self._head_timer = None

    def _head_is_late(self) -> None:
        if self._begun:
            self._answer(RequestTimeout("The request headers did not arrive in time"))
        else:
            self.transport.close()

    def note_written(self, size: int) -> None:
        """Count bytes of an answer that were handed to the transport."""
        self._written += size

    def pause_writing(self) -> None:
        """Watch whether the client takes its answer, to the answer's end."""
        super().pause_writing()
        if self._write_timer is None:
            self._watch_begun = (self.loop.time(), self._taken())
            self._watch_writing()

    def resume_writing(self) -> None:
        """Stop watching if that was the end of the answer."""
        super().resume_writing()
        self._stop_watching_if_done()

    def on_response_complete(self) -> None:
        """Stop watching if the client has taken all of it already."""
        self.idle_since = self.loop.time()
        self._stop_watching_if_done()
        super().on_response_complete()

    def _stop_watching_if_done(self) -> None:
        if not self.flow.write_paused and self.cycle is not None and self.cycle.response_complete:
            _cancel(self._write_timer)
            self._write_timer = None

    def _taken(self) -> int:
        return self._written - self.transport.get_write_buffer_size()

    def _watch_writing(self) -> None:
        self._taken_at_look = self._taken()
        self._write_timer = self.loop.call_later(self.write_stall_s, self._check_writing)

    def _check_writing(self) -> None:
        begun, taken_at_begin = self._watch_begun
        demanded = self.write_rate * (self.loop.time() - begun - self.write_grace_s)
        stalls = self._taken() - self._taken_at_look < self.write_bytes
        if self.flow.write_paused and (stalls or self._taken() - taken_at_begin < demanded):
            self.transport.abort()
        else:
            self._watch_writing()


class _LingeringTransport:
    """What a request's task writes to: counts what is written, and closes gently when the client is still sending."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol, cycle: RequestResponseCycle) -> None:
        self._transport = transport
        self._protocol = protocol
        self._cycle = cycle

    def write(self, data: bytes) -> None:
        self._protocol.note_written(len(data))
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._cycle.more_body and not self._transport.is_closing():
            self._protocol.linger()
        else:
            self._transport.close()


def _set_up_connection(transport: asyncio.Transport, unsent_bytes: int) -> None:
    """Bound what the kernel holds back, and send what is written at once.

    An answer is written in two pieces, head and body. By default the second waits until the client's kernel has
    acknowledged the first, which on a connection that is used again takes 40 ms. asyncio turns that off only for
    sockets that were made with TCP's number, and those that are accepted inherit the listener's.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, unsent_bytes)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _refusal_message(refusal: UncropError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    exchange = Exchange()
    _log.warning("connection refused", outcome=refusal.code, status=refusal.status, trace_id=exchange.trace_id)
    body = error_body(refusal, trace_id=exchange.trace_id, now=datetime.now(UTC))
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "X-Request-Id": exchange.request_id,
        **error_headers(refusal),
        **SAFE_HEADERS,
    }
    if isinstance(refusal, MethodNotAllowed):
        # The address has not been looked at, so these are the methods of all.
        headers["Allow"] = _METHODS
    lines = [*default_headers, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
    head = b"".join(b"%s: %s\r\n" % line for line in lines)
    return STATUS_LINE[HTTPStatus(refusal.status)] + head + b"\r\n" + body
