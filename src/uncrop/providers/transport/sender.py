"""The one place that sends.

A submit costs money and has no idempotency key, so a call that may have been received is never sent again by itself.
Only one that provably did not start, because no connection came about, is: twice at most. A poll or a download changes
nothing and is repeated by ``Patience``. What comes back is capped while it streams. Every call has a connection of its
own: bytes that follow an answer would be taken for the answer to the next call, which may be somebody else's.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urljoin, urlsplit

import anyio
import httpx2
import socksio

from uncrop._version import __version__
from uncrop.errors import ProviderError, ProviderFault, ProviderInvalidResponse, ProviderTimeout, SettingsError
from uncrop.providers.conversation import Answer, Raw
from uncrop.providers.refusal import retry_after
from uncrop.providers.transport.network import Network
from uncrop.telemetry.spans import UNTRACED

if TYPE_CHECKING:
    from types import TracebackType

    from uncrop.providers.commitment import Commitment
    from uncrop.providers.conversation import Body, Call, Part
    from uncrop.providers.transport.addresses import Addresses, Target
    from uncrop.telemetry.spans import Tracer

CONNECT_S = 5.0
WRITE_S = 30.0
WRITE_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3
BACKOFF_S = 0.1
MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REPEATED = httpx2.Timeout(30.0, connect=CONNECT_S, write=WRITE_S, pool=CONNECT_S)
DIRECT = Network()
_NOT_STARTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def open_client(network: Network = DIRECT) -> httpx2.AsyncClient:
    """Open the client that a server uses: no redirects, no cookies, as many connections as there can be slots.

    Nothing is read from the environment here: proxies and certificates are those of ``network``.

    Raises
    ------
    SettingsError
        Something is wrong with ``network``.
    """
    if network.problems:
        raise SettingsError([*network.problems])
    limits = httpx2.Limits(max_connections=1024, max_keepalive_connections=0)
    certificates = network.trusted()

    def through(address: str) -> httpx2.AsyncHTTPTransport:
        spoken_to = certificates if address.lower().startswith("https://") else None
        proxy = httpx2.Proxy(address, ssl_context=spoken_to)
        return httpx2.AsyncHTTPTransport(proxy=proxy, verify=certificates, limits=limits, trust_env=False)

    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=CONNECT_S, write=WRITE_S, pool=CONNECT_S),
        limits=limits,
        verify=certificates,
        mounts={pattern: None if to is None else through(to) for pattern, to in network.proxies.items()},
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # customers share this client: none are kept
        headers={"User-Agent": f"uncrop/{__version__}"},
    )


class Send(Protocol):
    """Sends one call and returns its answer, whatever its status; ``Sender`` is the real one."""

    async def __call__(self, call: Call, addresses: Addresses, commitment: Commitment | None) -> Answer:
        """Send the call.

        Parameters
        ----------
        call
            What to send.
        addresses
            Where it may go.
        commitment
            Told before a submit's first byte goes out; ``None`` where nothing is billed.

        Raises
        ------
        ProviderFault
            When no whole answer came.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How often what can be repeated is repeated, and how long is waited in between.

    Attributes
    ----------
    attempts
        Of one poll or download, in a row, before its failure counts.
    first_s, most_s
        The first wait and the longest; it doubles in between, and up to as much is added at random. What the provider
        asks for in ``Retry-After`` comes first.
    """

    attempts: int = 6
    first_s: float = 0.5
    most_s: float = 8.0
    statuses: frozenset[int] = frozenset({408, 425, 429, 500, 502, 503, 504})

    def wait(self, failures: int, answer: Answer | None) -> float:
        """Return the seconds to wait after so many failures in a row."""
        asked = None if answer is None else retry_after(answer.headers)
        if asked is not None:
            return asked
        wait: float = min(self.first_s * 2.0 ** (failures - 1), self.most_s)
        return wait * (1 + random.random())  # noqa: S311 - no secret


class Sender:
    """Sends calls over one shared client, which it opens with the first call and closes when left.

    Parameters
    ----------
    client
        Opens the client.
    max_answer_bytes
        An answer beyond this, counted after decompression, is refused.
    backoff_s
        First wait before another attempt to connect; it doubles, and up to as much is added at random.
    patience
        For polls and downloads.
    sleep
        Waits for so many seconds.
    tracer
        Told of everything that is sent.
    """

    def __init__(
        self,
        *,
        client: Callable[[], httpx2.AsyncClient] = open_client,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        backoff_s: float = BACKOFF_S,
        patience: Patience = Patience(),
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._open_client = client
        self._max_answer_bytes = max_answer_bytes
        self._backoff_s = backoff_s
        self._patience = patience
        self._sleep = sleep
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Promise to close what will be opened."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client, if one was opened."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def __call__(self, call: Call, addresses: Addresses, commitment: Commitment | None) -> Answer:
        """Send one call; an answer of any status is returned.

        Raises
        ------
        ProviderError
            No connection came about, or it was lost.
        ProviderInvalidResponse
            The address is not one to go to, or what came was not HTTP, ended early, or was too large.
        ProviderTimeout
            A part of the exchange took too long by itself.
        asyncio.CancelledError
            The one who asked left before anything was sent.
        """
        target = await addresses.target(call)
        if call.kind == "submit":
            with _converted():
                return await self._send_until_started(call, target, commitment)
        answer = await self._repeat(call, target)
        for _ in range(MAX_REDIRECTS):
            location = answer.headers.get("location")
            if call.kind != "download" or answer.status not in REDIRECTS or location is None:
                break
            url = _moved(call.url, location)
            if url is None:
                break
            call = replace(call, url=url)
            answer = await self._repeat(call, await addresses.target(call))
        return answer

    async def _send_until_started(self, call: Call, target: Target, commitment: Commitment | None) -> Answer:
        failures = 0
        while True:
            if commitment is not None:
                commitment.check()
            started = Started()
            try:
                return await self._send(call, target, started, commitment)
            except _NOT_STARTED:
                failures += 1
                if started.yes or failures == ATTEMPTS:
                    raise
            jitter = random.random()  # noqa: S311 - no secret
            await self._sleep(self._backoff_s * (2 ** (failures - 1) + jitter))

    async def _repeat(self, call: Call, target: Target) -> Answer:
        failures = 0
        while True:
            answer: Answer | None = None
            try:
                with _converted():
                    answer = await self._send(call, target, Started(), None)
            except ProviderFault as error:
                failures += 1
                # What is too much stays so; what broke off may come whole.
                is_final = isinstance(error, ProviderInvalidResponse) and error.__cause__ is None
                if is_final or failures == self._patience.attempts:
                    raise
            else:
                failures += 1
                if answer.status not in self._patience.statuses or failures == self._patience.attempts:
                    return answer
            await self._sleep(self._patience.wait(failures, answer))

    async def _send(self, call: Call, target: Target, started: Started, commitment: Commitment | None) -> Answer:
        # The path stays out: it may name a customer's job.
        known = {"http.request.method": call.method, "server.address": urlsplit(call.url).hostname or ""}
        with self._tracer.span(f"{call.method} {call.kind}", known, kind="client") as span:
            answer = await self._exchange(call, target, started, commitment)
            span.note({"http.response.status_code": answer.status, "http.response.body.size": len(answer.body)})
            return answer

    async def _exchange(self, call: Call, target: Target, started: Started, commitment: Commitment | None) -> Answer:
        if self._client is None:
            self._client = self._open_client()

        opened: list[Any] = []

        async def note(event: str, info: Any) -> None:
            if event.endswith("connect_tcp.complete"):
                opened.append(info["return_value"])
            # The connection stands and the first byte is about to go out: the point of no return. What a proxy is asked
            # before, to connect, does not reach the provider.
            to_proxy = getattr(info.get("request"), "method", None) == b"CONNECT"
            if event.endswith("send_request_headers.started") and not to_proxy:
                if commitment is not None and not started.yes:
                    await commitment.commit()
                started.yes = True

        headers, data = encode_body(call)
        extensions: dict[str, Any] = {"trace": note}
        headers["Connection"] = "close"
        if target.host is not None:
            headers["Host"] = target.host
            extensions["sni_hostname"] = target.host
        request = self._client.build_request(
            call.method,
            target.url,
            headers=headers,
            content=_pieces(data) if data else None,
            extensions=extensions,
            # A submit may be silent until its picture is made; whatever can be repeated may not.
            timeout=httpx2.USE_CLIENT_DEFAULT if call.kind == "submit" else REPEATED,
        )
        try:
            response = await self._client.send(request, stream=True)
        except BaseException:
            # The client closes what it had begun to speak with, but not what a proxy, or the server, did not let it.
            if not started.yes:
                for stream in opened:
                    await stream.aclose()
            raise
        async with aclosing(response):
            body = await self._read(response)
        return Answer(status=response.status_code, headers=dict(response.headers), body=body)

    async def _read(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise ProviderInvalidResponse(
                    system_message=f"The provider's answer exceeds {self._max_answer_bytes} bytes"
                )
        return bytes(body)


def _moved(url: str, location: str) -> str | None:
    """Return where a download goes on; ``None`` for another host, since an answer to a download leads nowhere else."""
    try:
        moved = urljoin(url, location)
        return moved if urlsplit(moved).hostname == urlsplit(url).hostname else None
    except ValueError:
        return None


class Started:
    """Whether a call's first byte went out."""

    def __init__(self) -> None:
        self.yes = False


@contextmanager
def _converted() -> Iterator[None]:
    """Turn the client's errors into ours, once, at the border."""
    try:
        yield
    except (TimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
        raise ProviderTimeout(system_message="The provider did not answer within the deadline") from error
    except _NOT_STARTED as error:
        raise ProviderError(system_message="No connection to the provider came about") from error
    except (httpx2.ProxyError, socksio.ProtocolError) as error:
        raise ProviderError(system_message="The proxy made no connection to the provider") from error
    except (httpx2.RemoteProtocolError, httpx2.DecodingError) as error:
        raise ProviderInvalidResponse(system_message="The provider's answer broke off or is not HTTP") from error
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise ProviderError(system_message="The connection to the provider was lost") from error


def encode_body(call: Call) -> tuple[dict[str, str], bytes]:
    """Return a call's headers and body as they go out; a download goes out without any header of its own."""
    body: Body = call.body
    headers = {} if call.kind == "download" else dict(call.headers)
    if body is None:
        return headers, b""
    if isinstance(body, Raw):
        return {**headers, "Content-Type": body.media_type, "Content-Length": str(len(body.data))}, body.data
    form = httpx2.Request(
        call.method,
        call.url,
        headers=headers,
        data={part.name: part.value for part in body if part.filename is None},
        files=[(part.name, _file(part)) for part in body if part.filename is not None],
    )
    return dict(form.headers), form.read()


def _file(part: Part) -> tuple[str | None, bytes | str, str | None]:
    return part.filename, part.value, part.media_type


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    # Each piece has a time limit of its own, so a slow line is no dead one; the form's own pieces would be so small
    # that a photo took dozens of writes.
    for start in range(0, len(body), WRITE_BYTES):
        yield body[start : start + WRITE_BYTES]
