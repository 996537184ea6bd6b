"""The picture's half of the OpenAPI document: the file itself, or JSON with a map and a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop.model import MEDIA_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uncrop.model import ProviderFacts

Json = dict[str, Any]


_HEADERS = (
    *("X-Provider", "X-Provider-Request-Id", "X-Provider-Calls", "X-Provider-Credits-Consumed", "X-Seed"),
    *("X-Confidence", "X-Advice", "X-Canvas", "X-Original", "X-Repaint-Difference", "X-Detail", "X-Warnings"),
    *(
        "Server-Timing",
        "Idempotent-Replayed",
        "X-Request-Id",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ),
)


def picture_responses(rows: Iterable[ProviderFacts]) -> Json:
    """Return the responses with a picture, by status.

    The JSON stands under a range of media types, and a second range of statuses, which are never answered, says that
    bytes come. Generators that know one type a status would else read JSON out of every picture, or nothing at all:
    they take the first type that they know, which is JSON if it is named.
    """
    binary: Json = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    picture = {
        "description": f"The picture: {_formats(rows)}. JSON (`application/json`) where `confidence_map` or "
        "several `variations` were asked for, or `Accept` prefers it.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS},
        "content": {
            **{kind: {"schema": binary} for kind in MEDIA_TYPES.values()},
            "application/*": {
                "schema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in picture_schemas()]}
            },
        },
    }
    other = {
        "description": "No other success is answered. A program that knows one type for all of them reads bytes.",
        "content": {"application/octet-stream": {"schema": binary}},
    }
    return {"200": picture, "2XX": other}


def _formats(rows: Iterable[ProviderFacts]) -> str:
    own = "the photo's own format"
    return ", ".join(f"{row.answer_format or own} from `{row.name}`" for row in rows)


def picture_schemas() -> Json:
    """Return the schemas of pictures in JSON."""
    return {"PictureWithMap": _picture_with_map(), "PictureList": _picture_list()}


def _picture_list() -> Json:
    """Return the schema of several pictures, and of one that was asked for as JSON."""
    failure = {"code": {"type": "string"}, "message": {"type": "string"}, "status": {"type": "integer"}}
    return whole_object(
        {
            "success": {"type": "boolean", "const": True},
            "complete": {"type": "boolean", "description": "Whether all pictures that were asked for were made."},
            "images": {"type": "array", "minItems": 1, "items": _picture()},
            "failures": {
                "type": "array",
                "description": "Why others were not made: as in the error's own answer.",
                "items": {**whole_object(failure), "properties": {**failure, "details": {"type": "object"}}},
            },
        }
    )


def _picture() -> Json:
    """Return the schema of one picture in the list: the file, and what is known about it."""
    attempt = whole_object({name: {"type": "string"} for name in ("provider", "code", "message")})
    file = _file("", [*MEDIA_TYPES.values()])
    known = {
        **file["properties"],
        **_report()["properties"],
        "credits_consumed": {
            "type": ["string", "null"],
            "description": "As `X-Provider-Credits-Consumed`: a decimal number.",
        },
        "tried": {
            "type": "array",
            "items": attempt,
            "description": "With the provider `auto`: who was asked before, and why each did not make it.",
        },
    }
    confidence_map = _file("Where it was asked for: as in `PictureWithMap`.", ["image/png"])
    return {**whole_object(known), "properties": {**known, "confidence_map": confidence_map}}


def _picture_with_map() -> Json:
    """Return the schema of the answer to ``confidence_map=true``."""
    return whole_object(
        {
            "success": {"type": "boolean", "const": True},
            "image": _file("The picture, in the photo's own format.", [*MEDIA_TYPES.values()]),
            "confidence_map": _file(
                "A grey PNG of 8 bits and of the picture's size: 255 on the photo itself, elsewhere 255 times the "
                "confidence of a pixel.",
                ["image/png"],
            ),
            "report": _report(),
        }
    )


def _file(description: str, media_types: list[str]) -> Json:
    return {
        "description": description,
        **whole_object(
            {
                "media_type": {"type": "string", "enum": media_types},
                "width": {"type": "integer", "minimum": 1},
                "height": {"type": "integer", "minimum": 1},
                "base64": {"type": "string", "contentEncoding": "base64", "description": "The file."},
            }
        ),
    }


def _report() -> Json:
    sides: Json = {side: {"type": "integer", "minimum": 0} for side in ("left", "right", "up", "down")}
    stage = {"name": {"type": "string"}, "milliseconds": {"type": "number", "minimum": 0}}
    return whole_object(
        {
            "provider": {"type": "string", "description": "As `X-Provider`."},
            "provider_request_id": {"type": "string", "description": "As `X-Provider-Request-Id`."},
            "provider_calls": {"type": ["integer", "null"], "minimum": 0, "description": "As `X-Provider-Calls`."},
            "seed": {"type": ["integer", "null"], "description": "As `X-Seed`."},
            "confidence": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "The mean over all pixels that were made; 1 where none had to be.",
            },
            "advice": {
                "description": "As `X-Advice`; null where nothing had to be made.",
                "anyOf": [whole_object(sides), {"type": "null"}],
            },
            "warnings": {"type": "array", "items": {"type": "string"}},
            "canvas": {"type": ["string", "null"], "description": "As `X-Canvas`."},
            "original": {"enum": ["exact", "recompressed", "resampled", None], "description": "As `X-Original`."},
            "repaint_difference": {"type": ["number", "null"], "description": "As `X-Repaint-Difference`."},
            "detail": {"type": ["string", "null"], "description": "As `X-Detail`."},
            "stages": {"type": "array", "items": whole_object(stage), "description": "As `Server-Timing`."},
        }
    )


def whole_object(properties: Json) -> Json:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }
