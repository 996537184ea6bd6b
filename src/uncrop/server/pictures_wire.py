"""Several pictures in one answer, and one as JSON where the client asks for it."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from uncrop.server.sending import PiecewiseResponse
from uncrop.server.wire import clean, file_json, picture_headers, plain, report_of, to_json, to_response, warnings_text
from uncrop.service.quote import refusal_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from uncrop.model import UncropResult
    from uncrop.service.pictures import MadePicture, MadePictures

JSON = "application/json"
_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


def to_pictures_response(made: MadePictures, accept: str) -> PiecewiseResponse:
    """Return one picture as its file, several as JSON.

    Parameters
    ----------
    made
        What became of the request.
    accept
        The request's header of that name: one that prefers JSON to a picture gets JSON for one picture too.
    """
    results = [picture.result for picture in made.pictures]
    alone = made.asked == 1
    if alone and (results[0].confidence_map is not None or not prefers_json(accept, results[0].media_type)):
        return to_response(results[0])
    headers = picture_headers(results[0]) if alone else _headers_of_many(results)
    return PiecewiseResponse(b"".join(_body(made)), media_type=JSON, headers=headers)


def prefers_json(accept: str, media_type: str) -> bool:
    """Tell whether an ``Accept`` header (RFC 9110, 12.5.1) wants JSON more than a media type.

    A client that takes anything, or says nothing, gets the picture.
    """
    return _quality(accept, JSON) > _quality(accept, media_type)


def _quality(accept: str, media_type: str) -> float:
    """Return the quality that the most exact range of the header gives to a media type; 0 where none fits."""
    ranges = {"*/*": 1, f"{media_type.partition('/')[0]}/*": 2, media_type: 3}
    found = (0, 0.0)
    for entry in accept.lower().split(","):
        named, *parameters = (part.strip() for part in entry.split(";"))
        if named in ranges:
            weights = [match[1] for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
            found = max(found, (ranges[named], float(weights[0]) if weights else 1.0))
    return found[1]


def _headers_of_many(results: Sequence[UncropResult]) -> dict[str, str]:
    """Return the headers that hold for all pictures together; the times are those of the one that took longest."""
    slowest = max(results, key=lambda result: sum(stage.milliseconds for stage in result.stages))
    headers = {
        "X-Provider": ", ".join(dict.fromkeys(clean(result.facts.provider) for result in results)),
        "X-Provider-Request-Id": ", ".join(clean(result.facts.request_id) for result in results),
        "Server-Timing": picture_headers(slowest)["Server-Timing"],
    }
    warnings = dict.fromkeys(warning for result in results for warning in result.warnings)
    return {**headers, "X-Warnings": warnings_text(warnings)} if warnings else headers


def _body(made: MadePictures) -> Iterator[bytes]:
    # Put together by hand: looking for what base64 never holds would take a large picture three times as long.
    yield b'{"success":true,"complete":%s,"images":[' % (b"false" if made.failures else b"true")
    for number, picture in enumerate(made.pictures):
        yield b"," if number else b""
        yield from _picture(picture)
    yield b'],"failures":'
    yield to_json([refusal_json(error) for error in made.failures])
    yield b"}"


def _picture(picture: MadePicture) -> Iterator[bytes]:
    result = picture.result
    extent: dict[str, object] = {"width": result.width, "height": result.height}
    credits_consumed = result.facts.credits_consumed
    known = {
        "media_type": result.media_type,
        **extent,
        **report_of(result),
        "credits_consumed": None if credits_consumed is None else plain(credits_consumed),
        "tried": [asdict(attempt) for attempt in picture.tried],
    }
    *start, end = file_json(known, result.image)
    yield from start
    if result.confidence_map is not None:
        yield b'","confidence_map":'
        yield from file_json({"media_type": "image/png", **extent}, result.confidence_map)
        yield b"}"
    else:
        yield end
