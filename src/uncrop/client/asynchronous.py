"""The asynchronous client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx2

from uncrop.client.answers import picture_of, pictures_of, providers_of, quotes_of
from uncrop.client.errors import ApiError, checked, no_answer
from uncrop.client.forms import (
    PROVIDERS_ROUTE,
    QUOTE_ROUTE,
    ROUTE,
    access_of,
    picture_form,
    quote_form,
    variations_form,
)
from uncrop.client.jobs import AsyncJobs
from uncrop.client.retries import DOCUMENT_ROUTE, Attempts, Retries, new_key
from uncrop.client.webhooks import AsyncWebhooks
from uncrop.model import Sides

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from uncrop.client.answers import ExtendedPicture, ExtendedPictures
    from uncrop.client.forms import File, Form
    from uncrop.model import Options


class AsyncClient:
    """Calls one server with one key, in an event loop.

    Parameters
    ----------
    base_url, api_key, organization_id
        The server's address without the route, the key, and the organization it belongs to; by default
        ``UNCROP_URL``, ``UNCROP_KEY`` and ``UNCROP_ORGANIZATION``.
    timeout_s
        Seconds without a byte after which a call is given up; a picture may take minutes.
    retries
        How often a call is sent again.
    transport, sleep
        For tests: what sends, and what waits.

    Attributes
    ----------
    jobs
        Pictures that the server makes in the background.
    webhooks
        Servers of the organization that are told of their ends.

    Raises
    ------
    ValueError
        Something is neither passed nor set.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        organization_id: str | None = None,
        timeout_s: float = 200,
        retries: Retries | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._access = access_of(base_url, api_key, organization_id)
        self._http = httpx2.AsyncClient(**self._access.client_options(timeout_s), transport=transport)
        self._retries = retries or Retries()
        self._sleep = sleep
        self.jobs = AsyncJobs(self._access, self._send, sleep=sleep)
        self.webhooks = AsyncWebhooks(self._send)

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def extend(
        self,
        image: File,
        *,
        provider: str = "local",
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        mask: File | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> ExtendedPicture:
        """Extend one image; the fields are those of the HTTP API.

        Parameters
        ----------
        image, mask
            The files' bytes, their paths, or open files.
        provider
            Who makes the pixels; ``auto``: the first that can.
        idempotency_key
            By which the server carries the request out once, however often it is sent; by default a new one a call.
        options
            ``seed``, ``quality``, ``aspect_ratio`` and others: see ``uncrop.Options``.

        Raises
        ------
        ApiError
            One of its kinds: the server refused, and nothing was counted; its answer is none of its own; or none came.
        OSError
            A file cannot be read.
        """
        sides = Sides(left=left, right=right, up=up, down=down)
        form = picture_form(self._access, image, provider, sides, mask, options)
        return picture_of(await self._post(ROUTE, form, idempotency_key or new_key()))

    async def variations(
        self,
        image: File,
        number: int,
        *,
        provider: str = "local",
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        mask: File | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> ExtendedPictures:
        """Make several pictures of one image, 2 to 4, each with a seed of its own where the provider takes one.

        Parameters
        ----------
        idempotency_key
            By which the server carries the request out once, however often it is sent; by default a new one a call.

        Raises
        ------
        ApiError
            As ``extend``, where not one was made.
        ValueError
            The number is another.
        OSError
            A file cannot be read.
        """
        sides = Sides(left=left, right=right, up=up, down=down)
        form = variations_form(self._access, image, number, provider, sides, mask, options)
        return pictures_of(await self._post(ROUTE, form, idempotency_key or new_key()))

    async def quote(
        self,
        image: File | tuple[int, int],
        *,
        provider: str = "all",
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        mask: File | None = None,
        **options: Unpack[Options],
    ) -> list[dict[str, Any]]:
        """Ask what a picture would take; nobody is called.

        Parameters
        ----------
        image
            As for ``extend``; or the upright photo's width and height.
        provider
            A name, ``all``, or ``auto`` for those that would be asked in turn.

        Returns
        -------
        list
            A quote of each, as the HTTP API tells it.

        Raises
        ------
        ApiError
        OSError
            A file cannot be read.
        """
        sides = Sides(left=left, right=right, up=up, down=down)
        form = quote_form(self._access, image, provider, sides, mask, options)
        return quotes_of(await self._post(QUOTE_ROUTE, form))

    async def providers(self) -> list[dict[str, Any]]:
        """List the providers, as the HTTP API tells them.

        Raises
        ------
        ApiError
        """
        return providers_of(await self._send("GET", PROVIDERS_ROUTE))

    async def _post(self, route: str, form: Form, key: str | None = None) -> httpx2.Response:
        return await self._send("POST", route, key, data=form.fields, files=form.files)

    async def _send(self, method: str, route: str, key: str | None = None, **content: Any) -> httpx2.Response:
        """Send a call until it is answered with 200; again where it provably began nothing, or has a key."""
        attempts = Attempts(self._retries, key)
        while True:
            try:
                if attempts.in_doubt is not None:
                    attempts.check_known(await self._once("GET", DOCUMENT_ROUTE, {}))
                return checked(await self._once(method, route, {**content, "headers": attempts.headers}))
            except ApiError as error:
                wait = attempts.wait_after(error)
                if wait is None:
                    raise
            await self._sleep(wait)

    async def _once(self, method: str, route: str, content: dict[str, Any]) -> httpx2.Response:
        try:
            return await self._http.request(method, route, **content)
        except httpx2.TransportError as error:
            raise no_answer(error) from error
