"""The Python client of the HTTP API.

>>> from uncrop.client import Client
>>> with Client("http://127.0.0.1:8000", api_key=key, organization_id="org_shop") as client:  # doctest: +SKIP
...     picture = client.extend("photo.jpg", left=256, right=256)
...     open("wide.jpg", "wb").write(picture.image)

It sends each call once: whether a call that broke off was billed only the server's log can tell.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx2

from uncrop._version import __version__
from uncrop.model import Options, Sides, form_values

if TYPE_CHECKING:
    import os
    from types import TracebackType

    File = bytes | str | os.PathLike[str]

__all__ = ["ApiError", "Client", "ExtendedPicture"]

ROUTE = "/api/v1/images/uncrop"


class ApiError(Exception):
    """The server refused, or its answer was none of its own.

    Attributes
    ----------
    status, code, message, details, trace_id
        As in the error's body; ``code`` is "UNEXPECTED_ANSWER" where something between here and there answered.
    retry_after
        Seconds after which the same request may succeed, where the server says so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        details: Mapping[str, Any] | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        self.status = status
        self.code = code
        self.details = dict(details or {})
        self.trace_id = trace_id
        self.retry_after = retry_after
        super().__init__(f"{message} ({status} {code}, trace {trace_id})")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtendedPicture:
    """A picture and what the server says about it; ``None`` where it says nothing.

    Attributes
    ----------
    provider_calls
        How many calls that may be billed the picture took.
    confidence, advice
        ``local``: how far the whole can be trusted, 0..1, and how many pixels of each side.
    confidence_map
        A grey PNG of the picture's size that says it of every pixel, where it was asked for.
    """

    image: bytes = field(repr=False)
    media_type: str
    provider: str
    provider_request_id: str
    request_id: str
    seed: int | None
    confidence: float | None
    credits_consumed: str | None
    advice: Sides | None = None
    provider_calls: int | None = None
    confidence_map: bytes | None = field(default=None, repr=False)


class Client:
    """Calls one server with one key.

    Parameters
    ----------
    base_url
        The server's address, without the route.
    api_key, organization_id
        The key, and the organization it belongs to.
    timeout_s
        Seconds without a byte after which a call is given up; a picture may take minutes.
    transport
        For tests: what sends.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        organization_id: str,
        timeout_s: float = 200,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._organization_id = organization_id
        self._http = httpx2.Client(
            base_url=base_url,
            headers={"X-API-Key": api_key, "User-Agent": f"uncrop-client/{__version__}"},
            timeout=httpx2.Timeout(timeout_s, connect=10),
            transport=transport,
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def extend(
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
            The files' bytes, or their paths.
        options
            ``seed``, ``quality``, ``aspect_ratio`` and others: see ``uncrop.Options``.

        Raises
        ------
        ApiError
            The server refused, and nothing was counted; or its answer is none of its own.
        httpx2.TransportError
            No whole answer came.
        OSError
            A file cannot be read.
        """
        sides = {"extend_left": left, "extend_right": right, "extend_up": up, "extend_down": down}
        fields = {"provider": provider, "organization_id": self._organization_id}
        fields |= {name: str(value) for name, value in sides.items() if value}
        # False is as if absent; formats are written small on the wire, as true is.
        sent = {name: value for name, value in form_values(options).items() if value is not False}
        small = {"confidence_map", "output_format"}
        fields |= {name: str(value).lower() if name in small else str(value) for name, value in sent.items()}
        files = {"image_file": ("image", _read(image))}
        if mask is not None:
            files["mask_file"] = ("mask.png", _read(mask))
        response = self._http.post(ROUTE, data=fields, files=files)
        if response.status_code != httpx2.codes.OK:
            raise _error(response)
        return _picture(response)


def _read(file: File) -> bytes:
    return file if isinstance(file, bytes) else Path(file).read_bytes()


def _picture(response: httpx2.Response) -> ExtendedPicture:
    headers = response.headers
    seed, confidence, calls = (headers.get(name) for name in ("x-seed", "x-confidence", "x-provider-calls"))
    image, media_type, confidence_map = response.content, headers.get("content-type", ""), None
    if media_type == "application/json":
        image, media_type, confidence_map = _picture_and_map(response)
    return ExtendedPicture(
        image=image,
        media_type=media_type,
        provider=headers.get("x-provider", ""),
        provider_request_id=headers.get("x-provider-request-id", ""),
        request_id=headers.get("x-request-id", ""),
        seed=None if seed is None else int(seed),
        confidence=None if confidence is None else float(confidence),
        credits_consumed=headers.get("x-provider-credits-consumed"),
        provider_calls=None if calls is None else int(calls),
        advice=_advice(headers.get("x-advice", "")),
        confidence_map=confidence_map,
    )


def _picture_and_map(response: httpx2.Response) -> tuple[bytes, str, bytes]:
    try:
        body = response.json()
        image, confidence_map = (b64decode(body[name]["base64"], validate=True) for name in ("image", "confidence_map"))
        return image, str(body["image"]["media_type"]), confidence_map
    except (ValueError, KeyError, TypeError) as error:
        raise _unexpected(response) from error


def _advice(header: str) -> Sides | None:
    known = dict(re.findall(r"\b(left|right|up|down)=(\d+)", header))
    return Sides(**{side: int(pixels) for side, pixels in known.items()}) if known else None


def _unexpected(response: httpx2.Response) -> ApiError:
    message = "The answer is not the server's own"
    return ApiError(message, status=response.status_code, code="UNEXPECTED_ANSWER")


def _error(response: httpx2.Response) -> ApiError:
    wait = response.headers.get("retry-after", "")
    try:
        error = response.json()["error"]
        return ApiError(
            error["message"],
            status=response.status_code,
            code=error["code"],
            details=error.get("details"),
            trace_id=error.get("trace_id"),
            retry_after=float(wait) if wait.isdecimal() else None,
        )
    except (ValueError, KeyError, TypeError):
        return _unexpected(response)
