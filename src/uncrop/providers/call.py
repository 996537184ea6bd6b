"""The one place that sends.

An edit costs money and has no idempotency key, so a call that may have been received is never sent again by itself.
Only one that provably did not start, because no connection came about, is: twice at most. Everything stands under one
total deadline, and what comes back is capped while it streams.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self

import anyio
import httpx2

from uncrop._version import __version__
from uncrop.errors import ProviderError, ProviderInvalidResponse, ProviderTimeout
from uncrop.providers.base import Answer

if TYPE_CHECKING:
    from types import TracebackType

    from uncrop.providers.base import Call, Flight, Part

CONNECT_S = 5.0
WRITE_S = 30.0
WRITE_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3
BACKOFF_S = 0.1
_NOT_STARTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def open_client() -> httpx2.AsyncClient:
    """Open the client that a server uses: no redirects, no cookies, as many connections as there can be slots."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=CONNECT_S, write=WRITE_S, pool=CONNECT_S),
        limits=httpx2.Limits(max_connections=1024, max_keepalive_connections=20),
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # customers share this client: none are kept
        headers={"User-Agent": f"uncrop/{__version__}"},
    )


class Sender:
    """Sends calls over one shared client, which it opens with the first call and closes when left.

    Parameters
    ----------
    timeout_s
        Seconds for one call, from the first attempt to connect to the last byte received.
    client
        Opens the client.
    max_answer_bytes
        An answer beyond this, counted after decompression, is refused.
    backoff_s
        First wait before another attempt to connect; it doubles, and up to as much is added at random.
    sleep
        Waits for so many seconds.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        client: Callable[[], httpx2.AsyncClient] = open_client,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        backoff_s: float = BACKOFF_S,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._timeout_s = timeout_s
        self._open_client = client
        self._max_answer_bytes = max_answer_bytes
        self._backoff_s = backoff_s
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

    async def __call__(self, call: Call, flight: Flight) -> Answer:
        """Send one call; an answer of any status is returned.

        Raises
        ------
        ProviderError
            No connection came about, or it was lost.
        ProviderInvalidResponse
            What came was not HTTP, ended early, or was too large.
        ProviderTimeout
            The deadline passed.
        asyncio.CancelledError
            The one who asked left before anything was sent.
        """
        try:
            with anyio.fail_after(self._timeout_s):
                return await self._send_until_started(call, flight)
        except (TimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
            raise ProviderTimeout(system_message="The provider did not answer within the deadline") from error
        except _NOT_STARTED as error:
            raise ProviderError(system_message="No connection to the provider came about") from error
        except (httpx2.RemoteProtocolError, httpx2.DecodingError) as error:
            raise ProviderInvalidResponse(system_message="The provider's answer broke off or is not HTTP") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise ProviderError(system_message="The connection to the provider was lost") from error

    async def _send_until_started(self, call: Call, flight: Flight) -> Answer:
        failures = 0
        while True:
            flight.check()
            try:
                return await self._send(call, flight)
            except _NOT_STARTED:
                failures += 1
                if flight.sent or failures == ATTEMPTS:
                    raise
            jitter = random.random()  # noqa: S311 - no secret
            await self._sleep(self._backoff_s * (2 ** (failures - 1) + jitter))

    async def _send(self, call: Call, flight: Flight) -> Answer:
        if self._client is None:
            self._client = self._open_client()

        async def note(event: str, _info: Any) -> None:
            # The connection stands and the first byte is about to go out: the point of no return.
            if event.endswith("send_request_headers.started"):
                flight.commit()

        form = httpx2.Request(
            call.method,
            call.url,
            headers=dict(call.headers),
            data={part.name: part.value for part in call.parts if part.filename is None},
            files=[(part.name, _file(part)) for part in call.parts if part.filename is not None],
        )
        request = self._client.build_request(
            call.method, call.url, headers=form.headers, content=_pieces(form.read()), extensions={"trace": note}
        )
        response = await self._client.send(request, stream=True)
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


def _file(part: Part) -> tuple[str | None, bytes | str, str | None]:
    return part.filename, part.value, part.media_type


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    # Each piece has a time limit of its own, so a slow line is no dead one; the form's own pieces would be so small
    # that a photo took dozens of writes.
    for start in range(0, len(body), WRITE_BYTES):
        yield body[start : start + WRITE_BYTES]
