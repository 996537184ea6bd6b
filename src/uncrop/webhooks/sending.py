"""Sends one message once: to a number that was found to be permitted, in bounded time, reading bounded bytes.

Each message has a connection of its own, without proxies, redirects or cookies. A receiver is a stranger: whatever it
sends, at whatever pace, the attempt ends by its deadline and within its bytes, headers and everything before them
included.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import httpcore2

from uncrop._version import __version__
from uncrop.errors import WebhookUrlForbidden
from uncrop.providers.refusal import retry_after
from uncrop.store.deliveries import Sent
from uncrop.webhooks.addresses import read_url
from uncrop.webhooks.schedule import ASKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from uncrop.model.webhooks import DeliveryFailure
    from uncrop.webhooks.addresses import AddressRules, Place

ATTEMPT_S = 20.0
CONNECT_S = 5.0
MOST_BYTES = 64 * 1024
# Of a host's numbers; one that does not answer must not use up the time of the others.
NUMBERS_TRIED = 3
OK, REDIRECT, REFUSED = 200, 300, 400
GONE = 410


class _TooMuch(Exception):
    """The receiver has sent all that is read of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of sending a message, and for how many seconds its receiver asked for time."""

    sent: Sent
    asked_s: float | None = None


class Send(Protocol):
    """Sends one message; ``MessageSender`` is the real one."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """Send it, and return what came of it; raises nothing."""


@dataclass(kw_only=True)
class MessageSender:
    """Sends messages over the network.

    Attributes
    ----------
    rules
        Where they may go, asked anew for each connection.
    certificates
        Makes what is believed; called once, with the first message.
    attempt_s, most_bytes
        In which time an attempt ends, and how much of an answer is read.
    """

    rules: AddressRules
    certificates: Callable[[], ssl.SSLContext]
    attempt_s: float = ATTEMPT_S
    most_bytes: int = MOST_BYTES

    async def __call__(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """Send a message; see ``Send``."""
        begun = time.monotonic()
        answer = _Answer()
        failure: DeliveryFailure | None = None
        try:
            with anyio.fail_after(self.attempt_s):
                await self._exchange(read_url(url), headers, body.encode(), answer)
        except WebhookUrlForbidden:
            failure = "address"
        except (TimeoutError, httpcore2.TimeoutException):
            failure = "timeout"
        except httpcore2.ConnectError as error:
            failure = "tls" if _was_tls(error) else "connection"
        except (httpcore2.NetworkError, OSError):
            failure = "connection"
        except (httpcore2.ProtocolError, _TooMuch):
            failure = "protocol"
        # Once there is a status, what comes behind it and how it ends is of no interest.
        if answer.status is not None:
            failure = _failure_of(answer.status)
        took = round(1000 * (time.monotonic() - begun))
        asked = retry_after(answer.headers) if answer.status in ASKING else None
        return Outcome(sent=Sent(status=answer.status, failure=failure, duration_ms=took), asked_s=asked)

    async def _exchange(self, place: Place, headers: Mapping[str, str], body: bytes, answer: _Answer) -> None:
        sent = {
            "Host": place.authority,
            "Connection": "close",
            "User-Agent": f"uncrop/{__version__}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        backend = _Checked(place=place, rules=self.rules, left=_Left(self.most_bytes))
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._certificates if place.scheme == "https" else None,
            network_backend=backend,
            max_connections=1,
            max_keepalive_connections=0,
        )
        url = httpcore2.URL(
            scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=place.target.encode()
        )
        pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
        async with pool, pool.stream("POST", url, headers=pairs, content=body) as response:
            answer.status = response.status
            answer.headers = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
            async for _ in response.aiter_stream():
                pass

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return self.certificates()


@dataclass
class _Answer:
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _Left:
    """How many bytes may still be read."""

    bytes: int


@dataclass(frozen=True, kw_only=True)
class _Checked(httpcore2.AsyncNetworkBackend):
    """Connects to the very numbers that were found to be permitted: no name goes any further than this."""

    place: Place
    rules: AddressRules
    left: _Left

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the place's own
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - a part of the attempt's
        local_address: str | None = None,  # noqa: ARG002 - any
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - none
    ) -> httpcore2.AsyncNetworkStream:
        failed: Exception = httpcore2.ConnectError()
        for number in (await self.rules.numbers(self.place))[:NUMBERS_TRIED]:
            try:
                stream = httpcore2.AnyIOBackend().connect_tcp(str(number), port, timeout=CONNECT_S)
                return _Bounded(await stream, self.left)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


class _Bounded(httpcore2.AsyncNetworkStream):
    """A stream of which so many bytes are read and no more."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, left: _Left) -> None:
        self._stream = stream
        self._left = left

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as its base has it
        if not self._left.bytes:
            raise _TooMuch
        data = await self._stream.read(min(max_bytes, self._left.bytes), timeout)
        self._left.bytes -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as its base has it
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as its base has it
    ) -> httpcore2.AsyncNetworkStream:
        return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _was_tls(error: BaseException | None) -> bool:
    """Tell whether an error began as one of encryption."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _failure_of(status: int) -> DeliveryFailure | None:
    if OK <= status < REDIRECT:
        return None
    if REDIRECT <= status < REFUSED:
        return "redirect"
    return "gone" if status == GONE else "status"
