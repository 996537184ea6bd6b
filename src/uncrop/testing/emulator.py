"""What every emulator is: a real HTTP server on loopback with a log of calls and a script of endings.

The provider's own behaviour is one method, ``answer``. Everything is the standard library's, so that an emulator shares
no code with the client that it tests.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Self

from uncrop.testing.multipart import MalformedForm, ReceivedPart, read_form
from uncrop.testing.outcomes import Outcome

if TYPE_CHECKING:
    from types import TracebackType

# How often a held answer looks whether its server is closing.
POLL_S = 0.02
AS_REAL = Outcome()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """Answer in JSON."""
    return Reply(
        status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json", **headers}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedCall:
    """One call as it came.

    Attributes
    ----------
    parts
        Of a multipart form; empty when the body is none, and then ``malformed`` says why.
    body
        The bytes of any other body; empty for a form.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    parts: tuple[ReceivedPart, ...] = ()
    malformed: str | None = None
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Mapping[str, Any] | None:
        """The body's JSON object; ``None`` when the body is anything else."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None

    @property
    def fields(self) -> Mapping[str, str]:
        """The text fields; of several of one name the last."""
        return {part.name: part.text for part in self.parts if part.filename is None}

    @property
    def files(self) -> Mapping[str, ReceivedPart]:
        """The files; of several of one name the last."""
        return {part.name: part for part in self.parts if part.filename is not None}


class Refusal(Exception):
    """The provider refuses; raised by an emulator's checks."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        super().__init__(message)


class Emulator(ABC):
    """A provider's double. A context manager: ``with SomeEmulator() as running: running.url``.

    Parameters
    ----------
    api_key
        The only key that is accepted; any, when absent.
    host, port
        Where to listen; port 0 takes a free one.

    Attributes
    ----------
    calls
        Every call that came, in order, refused ones included.
    keeps_calls
        Whether calls are kept there.
    """

    # The command line turns this off: it may run for days, and each call holds its files.
    keeps_calls = True
    # Where several programs speak nearly the same: what ``dialect`` may be when one is made.
    dialects: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, api_key: str | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.api_key = api_key
        self.calls: list[ReceivedCall] = []
        self._script: deque[Outcome] = deque()
        self._arrival = threading.Condition()
        self._closing = threading.Event()
        self._failures: list[BaseException] = []
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), name="emulator", daemon=True)

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hang up every connection and stop; a fault of the emulator itself is raised here."""
        self._server.shutdown()
        self._thread.join()
        self._closing.set()
        self._server.hang_up()
        self._server.server_close()
        if self._failures and error is None:
            raise self._failures[0]

    @property
    def origin(self) -> str:
        """``http://host:port``."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def submits(self) -> list[ReceivedCall]:
        """The calls that ask for a picture, and cost money where the provider bills."""
        return [call for call in self.calls if call.method == "POST"]

    @property
    def url(self) -> str:
        """What a client takes for its base address."""
        return self.origin

    def script(self, *outcomes: Outcome) -> None:
        """Let the next calls end like this, one after the other; after the last, calls are answered truly again."""
        self._script.extend(outcomes)

    def wait_for_calls(self, count: int, timeout_s: float = 30) -> None:
        """Wait until so many calls have come in all.

        Raises
        ------
        TimeoutError
        """
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.calls) >= count, timeout_s):
                raise TimeoutError(f"{len(self.calls)} of {count} calls came within {timeout_s} s")

    @abstractmethod
    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Answer as the provider does, with the picture changed as ``outcome`` says.

        Raises
        ------
        Refusal
        """

    @abstractmethod
    def word(self, refusal: Refusal) -> Reply:
        """Put a refusal into the provider's words."""

    def receive(self, call: ReceivedCall) -> tuple[Outcome, Reply]:
        """Log a call and decide how it ends."""
        with self._arrival:
            if self.keeps_calls:
                self.calls.append(call)
            outcome = self._script.popleft() if self._script else AS_REAL
            self._arrival.notify_all()
        return outcome, self._reply(call, outcome)

    def _reply(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        if outcome.status is None:
            try:
                reply = self.answer(call, outcome)
            except Refusal as refusal:
                reply = self.word(refusal)
        else:
            reply = self.word(Refusal(outcome.status, "scripted"))
        body = reply.body if outcome.body is None else outcome.body
        # Names of headers are alike in any case: a scripted one stands in place of the emulator's own.
        headers = {name.lower(): value for name, value in {**reply.headers, **outcome.headers}.items()}
        return Reply(status=reply.status, body=body, headers=headers)

    def wait(self, event: threading.Event) -> None:
        """Wait for an event.

        Raises
        ------
        ConnectionAbortedError
            The emulator is closing.
        """
        while not event.wait(POLL_S):
            if self._closing.is_set():
                raise ConnectionAbortedError

    def note_failure(self, error: BaseException) -> None:
        """Keep a fault of the emulator itself for ``__exit__``."""
        self._failures.append(error)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # they are joined when the server closes
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], emulator: Emulator) -> None:
        self.emulator = emulator
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in tuple(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was faster
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        import sys

        error = sys.exception()
        if error is not None and not isinstance(error, OSError):  # a client that hung up is no fault
            self.emulator.note_failure(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Take a call."""
        self._take()

    def do_GET(self) -> None:
        """Take a poll, a download, or a call of the wrong kind."""
        self._take()

    def do_DELETE(self) -> None:
        """Take a call that ends a job."""
        self._take()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _take(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # nobody makes, bills or answers what came by half
            raise ConnectionAbortedError
        parts: tuple[ReceivedPart, ...] = ()
        malformed = None
        try:
            parts = read_form(headers.get("content-type", ""), body)
        except MalformedForm as error:
            malformed = str(error)
        call = ReceivedCall(
            method=self.command,
            path=self.path,
            headers=headers,
            parts=parts,
            malformed=malformed,
            body=b"" if malformed is None else body,
        )
        outcome, reply = self.server.emulator.receive(call)
        if outcome.wait_for is not None:
            self.server.emulator.wait(outcome.wait_for)
        if outcome.raw is None:
            self._send(reply, outcome)
        else:
            self.wfile.write(outcome.raw)
            self._hang_up(outcome)

    def _send(self, reply: Reply, outcome: Outcome) -> None:
        self.send_response_only(reply.status)
        headers = {"date": self.date_time_string(), "content-length": str(len(reply.body)), **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        body = reply.body if outcome.cut_after is None else reply.body[: outcome.cut_after]
        if outcome.drip_s:
            self._drip(body, outcome.drip_s)
        else:
            self.wfile.write(body)
        if outcome.cut_after is not None:
            self._hang_up(outcome)

    def _drip(self, body: bytes, seconds: float) -> None:
        for position in range(len(body)):
            self.wfile.write(body[position : position + 1])
            time.sleep(seconds)

    def _hang_up(self, outcome: Outcome) -> None:
        self.close_connection = True
        if outcome.reset:
            # Closing with a linger time of zero makes the kernel send a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
