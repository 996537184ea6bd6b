"""What the server answers, typed."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from uncrop.client.errors import unexpected
from uncrop.model import Sides

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import httpx2

    Original = Literal["exact", "recompressed", "resampled"]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


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
    canvas
        The canvas, and where the photo lies on it: ``WxH+X+Y``.
    original
        How the photo's own pixels stand in the picture.
    repaint_difference
        By how many levels of 256, in the mean, the provider had repainted the photo before it was put back.
    detail
        What was done about a provider's picture that had to be enlarged, such as ``redrawn; factor=3.1``.
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
    canvas: str | None = None
    original: Original | None = None
    repaint_difference: float | None = None
    detail: str | None = None
    warnings: tuple[str, ...] = ()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file."""
        Path(path).write_bytes(self.image)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why one of several pictures was not made: as in the error's own answer."""

    code: str
    message: str
    status: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtendedPictures:
    """The pictures that were made of several, and why others were not."""

    pictures: tuple[ExtendedPicture, ...]
    failures: tuple[Failure, ...] = ()


def picture_of(response: httpx2.Response) -> ExtendedPicture:
    """Read one picture, with or without a map."""
    headers = response.headers
    image, media_type, confidence_map = response.content, headers.get("content-type", ""), None
    if media_type == "application/json":
        image, media_type, confidence_map = _picture_and_map(response)
    told = ("seed", "confidence", "repaint-difference", "provider-calls")
    seed, confidence, difference, calls = (headers.get(f"x-{name}") for name in told)
    return ExtendedPicture(
        image=image,
        media_type=media_type,
        provider=headers.get("x-provider", ""),
        provider_request_id=headers.get("x-provider-request-id", ""),
        request_id=headers.get("x-request-id", ""),
        seed=None if seed is None else int(seed),
        confidence=None if confidence is None else float(confidence),
        credits_consumed=headers.get("x-provider-credits-consumed"),
        advice=_advice(headers.get("x-advice", "")),
        provider_calls=None if calls is None else int(calls),
        confidence_map=confidence_map,
        canvas=headers.get("x-canvas"),
        original=cast("Original | None", headers.get("x-original")),
        repaint_difference=None if difference is None else float(difference),
        detail=headers.get("x-detail"),
        warnings=tuple(re.sub(r"\\(.)", r"\1", text) for text in _QUOTED.findall(headers.get("x-warnings", ""))),
    )


def pictures_of(response: httpx2.Response) -> ExtendedPictures:
    """Read several pictures."""
    request_id = response.headers.get("x-request-id", "")
    try:
        body = response.json()
        return ExtendedPictures(
            pictures=tuple(_of_json(image, request_id) for image in body["images"]),
            failures=tuple(Failure(**failure) for failure in body["failures"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise unexpected(response) from error


def quotes_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """Read one quote, or several, as a list."""
    told = _json_of(response)
    return told if isinstance(told, list) else [told]


def providers_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """Read the list of the providers."""
    told: list[dict[str, Any]] = _json_of(response)["providers"]
    return told


def _json_of(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise unexpected(response) from error


def _of_json(image: Mapping[str, Any], request_id: str) -> ExtendedPicture:
    confidence_map, advice = image.get("confidence_map"), image["advice"]
    same = (
        *("media_type", "provider", "provider_request_id", "provider_calls", "seed", "confidence"),
        *("credits_consumed", "canvas"),
    )
    return ExtendedPicture(
        image=b64decode(image["base64"], validate=True),
        request_id=request_id,
        advice=None if advice is None else Sides(**advice),
        confidence_map=None if confidence_map is None else b64decode(confidence_map["base64"], validate=True),
        original=image["original"],
        repaint_difference=image["repaint_difference"],
        detail=image.get("detail"),
        warnings=tuple(image["warnings"]),
        **{name: image[name] for name in same},
    )


def _picture_and_map(response: httpx2.Response) -> tuple[bytes, str, bytes]:
    try:
        body = response.json()
        image, confidence_map = (b64decode(body[name]["base64"], validate=True) for name in ("image", "confidence_map"))
        return image, str(body["image"]["media_type"]), confidence_map
    except (ValueError, KeyError, TypeError) as error:
        raise unexpected(response) from error


def _advice(header: str) -> Sides | None:
    known = dict(re.findall(r"\b(left|right|up|down)=(\d+)", header))
    return Sides(**{side: int(pixels) for side, pixels in known.items()}) if known else None
