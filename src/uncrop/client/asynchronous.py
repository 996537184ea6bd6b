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
from uncrop.client.retries import Retries
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
        How often a call is sent again that provably began nothing.
    transport, sleep
        For tests: what sends, and what waits.

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
        **options: Unpack[Options],
    ) -> ExtendedPicture:
        """Extend one image; the fields are those of the HTTP API.

        Parameters
        ----------
        image, mask
            The files' bytes, their paths, or open files.
        provider
            Who makes the pixels; ``auto``: the first that can.
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
        return picture_of(await self._post(ROUTE, form))

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
        **options: Unpack[Options],
    ) -> ExtendedPictures:
        """Make several pictures of one image, 2 to 4, each with a seed of its own where the provider takes one.

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
        return pictures_of(await self._post(ROUTE, form))

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

    async def _post(self, route: str, form: Form) -> httpx2.Response:
        return await self._send("POST", route, data=form.fields, files=form.files)

    async def _send(self, method: str, route: str, **content: Any) -> httpx2.Response:
        """Send a call, again where it provably began nothing, until it is answered with 200."""
        tried, waited = 0, 0.0
        while True:
            tried += 1
            try:
                return await self._once(method, route, content)
            except ApiError as error:
                wait = self._retries.wait_after(error, tried=tried, waited=waited)
                if wait is None:
                    raise
            await self._sleep(wait)
            waited += wait

    async def _once(self, method: str, route: str, content: dict[str, Any]) -> httpx2.Response:
        try:
            return checked(await self._http.request(method, route, **content))
        except httpx2.TransportError as error:
            raise no_answer(error) from error
