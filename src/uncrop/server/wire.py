"""Between HTTP and the service: headers to credentials, form to request, result to response."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue, ValidationError
from uncrop.model import Sides, UncropRequest
from uncrop.server.fields import (
    CANVAS,
    EXTENT,
    FIELDS,
    FILES,
    FORMATS,
    IS_NO_TEXT,
    IS_REQUIRED,
    NUMBERS,
    PROSE,
    REQUIRED,
    SIDES,
    SWITCHES,
)
from uncrop.server.sending import PiecewiseResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from starlette.datastructures import Headers

    from uncrop.errors import RateLimitState
    from uncrop.model import ImageFormat, StageTime, UncropResult
    from uncrop.server.form import FormItem

_SWITCHED = {"": False, "false": False, "true": True}

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
# More than any field takes. A longer number stays a whole number, but its digits are neither counted out nor told: it
# stands as 10**18, which every JSON reader gets back exactly.
_MOST_DIGITS = 18
_UNSAFE_IN_HEADERS = re.compile(r"[^\x21-\x7e]")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")
_LONGEST_HEADER = 200
_MOST_CREDENTIALS = 8


# --- credentials -----------------------------------------------------------------------------------------------------


def credentials(headers: Headers) -> tuple[str, ...]:
    """Return the keys that were sent, in the order in which they count.

    The first of each of the three headers, then the second of each, and so on. The first eight different ones are
    looked at, so that one request cannot make the server try a list of keys.
    """
    bearers = [_bearer(value) for value in headers.getlist("authorization")]
    forms = [_different(values) for values in (headers.getlist("x-api-key"), headers.getlist("api-key"), bearers)]
    in_turn = (key for turn in zip_longest(*forms, fillvalue="") for key in turn)
    return _different(in_turn)[:_MOST_CREDENTIALS]


def _different(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for value in values if (key := value.strip())))


def _bearer(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token if scheme.lower() == "bearer" else ""


# --- the form --------------------------------------------------------------------------------------------------------


def to_request(form: Iterable[FormItem]) -> UncropRequest:
    """Read the form's fields; unknown ones are ignored, empty texts are as if absent, and so are spaces around them.

    A field of ours that is sent twice is refused: which of the two is meant is for the caller to say.

    Raises
    ------
    ValidationError
        ``details.fields`` names everything at once that is missing, doubled, no whole number, neither true nor
        false, or of the wrong kind, and says which.
    """
    return make_request(read_fields(form, known=FIELDS, required=REQUIRED))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """The fields that were sent, by their kind and name; empty ones are left out."""

    texts: Mapping[str, str]
    numbers: Mapping[str, int]
    files: Mapping[str, bytes]


def read_fields(form: Iterable[FormItem], *, known: Iterable[str], required: Sequence[str]) -> Fields:
    """Read the ``known`` fields of a form.

    Raises
    ------
    ValidationError
        As ``to_request``; the fields are named in the order of ``known``.
    """
    known = list(known)
    sent = [(name, _trimmed(name, value)) for name, value in form if name in known]
    problems = dict(_problems(sent, required))
    if problems:
        named = {name: problems[name] for name in known if name in problems}
        raise ValidationError(
            "; ".join(f"{name} {problem}" for name, problem in named.items()), details={"fields": named}
        )
    texts = {name: value for name, value in sent if isinstance(value, str) and value}
    numbers = (*NUMBERS, *EXTENT)
    return Fields(
        texts=texts,
        numbers={name: _whole_number(digits) for name in numbers if (digits := texts.get(name))},
        files={name: value for name, value in sent if isinstance(value, bytes)},
    )


def _trimmed(name: str, value: str | bytes) -> str | bytes:
    return value if isinstance(value, bytes) or name in PROSE else value.strip()


def make_request(fields: Fields) -> UncropRequest:
    """Return the request that the fields make; the image is empty where none was sent."""
    texts, numbers, files = fields.texts, fields.numbers, fields.files
    return UncropRequest(
        provider=texts["provider"],
        organization_id=texts["organization_id"],
        image=files.get("image_file", b""),
        mask=files.get("mask_file"),
        sides=Sides(**{side: numbers.get(name, 0) for side, name in SIDES.items()}),
        seed=numbers.get("seed"),
        prompt=texts.get("prompt"),
        negative_prompt=texts.get("negative_prompt"),
        size=texts.get("size"),
        quality=texts.get("quality"),
        answer_format=_format(texts.get("output_format")),
        aspect_ratio=texts.get("aspect_ratio"),
        anchor=texts.get("anchor"),
        output_size=texts.get("output_size"),
        **{name: numbers.get(name) for name in CANVAS},
        max_calls=numbers.get("max_calls"),
        detail=texts.get("detail"),
        variations=numbers.get("variations"),
        confidence_map=_SWITCHED[_switch(texts.get("confidence_map", ""))],
    )


def _format(name: str | None) -> ImageFormat | None:
    if name is not None and name not in FORMATS:
        raise InvalidFieldValue(
            f"output_format must be one of {', '.join(FORMATS)}",
            details={"field": "output_format", "allowed": list(FORMATS)},
        )
    return None if name is None else FORMATS[name]


def _problems(sent: list[FormItem], required: Sequence[str]) -> Iterator[tuple[str, str]]:
    counts = Counter(name for name, _ in sent)
    for name, value in sent:
        if isinstance(value, bytes) and name not in FILES:
            yield name, IS_NO_TEXT
        elif isinstance(value, str) and name in FILES and value:
            yield name, "must be a file"
        elif isinstance(value, str) and name in {*NUMBERS, *EXTENT} and not _is_number_or_empty(value):
            yield name, "must be a whole number"
        elif isinstance(value, str) and name in SWITCHES and _switch(value) not in _SWITCHED:
            yield name, "must be true or false"
        elif counts[name] > 1:
            yield name, "must be sent once"
    present = {name for name, value in sent if isinstance(value, bytes) or value}
    for name in required:
        if name not in present:
            yield name, IS_REQUIRED


def _is_number_or_empty(value: str) -> bool:
    return not value or _WHOLE_NUMBER.fullmatch(value) is not None


def _switch(value: str) -> str:
    # Python's clients write True, JavaScript's write true.
    return value.lower()


def _whole_number(digits: str) -> int:
    magnitude = digits.lstrip("+-0")
    value = int(magnitude or "0") if len(magnitude) <= _MOST_DIGITS else 10**_MOST_DIGITS
    return -value if digits.startswith("-") else value


# --- the response ----------------------------------------------------------------------------------------------------


def to_response(result: UncropResult) -> PiecewiseResponse:
    """Return the picture, with what is known about it in the headers; with a map, both as JSON."""
    headers = picture_headers(result)
    if result.confidence_map is None:
        return PiecewiseResponse(result.image, media_type=result.media_type, headers=headers)
    return PiecewiseResponse(
        _picture_and_map(result, result.confidence_map), media_type="application/json", headers=headers
    )


def picture_headers(result: UncropResult) -> dict[str, str]:
    """Return what is known about a picture, as headers."""
    facts = result.facts
    headers = {
        "X-Provider": clean(facts.provider),
        "X-Provider-Request-Id": clean(facts.request_id),
        "Server-Timing": server_timing(result.stages),
    }
    if facts.credits_consumed is not None:
        headers["X-Provider-Credits-Consumed"] = clean(plain(facts.credits_consumed))
    if result.seed is not None:
        headers["X-Seed"] = str(result.seed)
    if facts.confidence is not None:
        headers["X-Confidence"] = f"{facts.confidence:.3f}"
    if facts.advice is not None:
        headers["X-Advice"] = ", ".join(f"{side}={pixels}" for side, pixels in asdict(facts.advice).items())
    if result.placement is not None:
        headers["X-Canvas"] = result.placement.to_text()
    if result.original is not None:
        headers["X-Original"] = result.original
    if result.repaint_difference is not None:
        headers["X-Repaint-Difference"] = f"{result.repaint_difference:.2f}"
    if result.detail is not None:
        headers["X-Detail"] = result.detail.to_text()
    if result.provider_calls is not None:
        headers["X-Provider-Calls"] = str(result.provider_calls)
    if result.warnings:
        headers["X-Warnings"] = warnings_text(result.warnings)
    return headers


def warnings_text(warnings: Iterable[str]) -> str:
    """Return warnings as a list of strings of RFC 9651."""
    return ", ".join(f'"{_quoted(warning)}"' for warning in warnings)


def _quoted(text: str) -> str:
    # A string of RFC 9651 holds printable ASCII, with quotes and backslashes escaped.
    return re.sub(r'(["\\])', r"\\\1", _NOT_PRINTABLE.sub("?", text))


def report_of(result: UncropResult) -> dict[str, object]:
    """Return what is known about a picture, as JSON has it."""
    facts = result.facts
    return {
        "provider": facts.provider,
        "provider_request_id": facts.request_id,
        "provider_calls": result.provider_calls,
        "seed": result.seed,
        "confidence": facts.confidence,
        "advice": None if facts.advice is None else asdict(facts.advice),
        "warnings": list(result.warnings),
        "canvas": None if result.placement is None else result.placement.to_text(),
        "original": result.original,
        "repaint_difference": result.repaint_difference,
        "detail": None if result.detail is None else result.detail.to_text(),
        "stages": [asdict(stage) for stage in result.stages],
    }


def _picture_and_map(result: UncropResult, confidence_map: bytes) -> bytes:
    extent = {"width": result.width, "height": result.height}
    # Put together by hand: looking for what base64 never holds would take a large picture three times as long.
    pieces = (
        *(b'{"success":true,"image":', *file_json({"media_type": result.media_type, **extent}, result.image)),
        *(b',"confidence_map":', *file_json({"media_type": "image/png", **extent}, confidence_map)),
        *(b',"report":', to_json(report_of(result)), b"}"),
    )
    return b"".join(pieces)


def file_json(known: Mapping[str, object], data: bytes) -> tuple[bytes, ...]:
    """Return the pieces of a JSON object that has what is known about a file, and the file itself as ``base64``."""
    return to_json(known).removesuffix(b"}"), b',"base64":"', b64encode(data), b'"}'


def to_json(value: object) -> bytes:
    """Write a value without any space."""
    return json.dumps(value, separators=(",", ":")).encode()


def rate_headers(state: RateLimitState) -> dict[str, str]:
    """Return where the organization stands, as headers."""
    return {
        "X-RateLimit-Limit": str(state.limit),
        "X-RateLimit-Remaining": str(state.remaining),
        "X-RateLimit-Reset": str(state.reset),
    }


def server_timing(stages: Iterable[StageTime]) -> str:
    """Return the stages as a ``Server-Timing`` value, in milliseconds."""
    return ", ".join(f"{stage.name};dur={stage.milliseconds:.1f}" for stage in stages)


def plain(number: Decimal) -> str:
    """Write a number without exponent and without zeros at its end: 1, not 1.0."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def clean(value: str) -> str:
    """Return a provider's word as a header can carry it."""
    # A provider's own words must not be able to break the header block.
    return _UNSAFE_IN_HEADERS.sub("", value)[:_LONGEST_HEADER]
