"""The quote in the OpenAPI document: its form, and what it is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop.server.fields import EXTENT, REQUIRED
from uncrop.server.openapi_form import form_schema
from uncrop.server.openapi_picture import whole_object
from uncrop.service.quote import ALL, AUTO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model import ProviderFacts

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_OF_PROVIDERS = frozenset({"enum", "minimum", "maximum", "maxLength"})
_COUNT: Json = {"type": "integer", "minimum": 0}


def quote_form_schema(rows: Sequence[ProviderFacts]) -> Json:
    """Return the schema of the form: the picture's own, with an extent that may stand in place of the image."""
    form = form_schema(rows)
    fields = dict(form["properties"])
    for name in {field.name for row in rows for field in row.fields}:
        # What no provider takes is no wrong form here: each quote says so.
        fields[name] = {keyword: value for keyword, value in fields[name].items() if keyword not in _OF_PROVIDERS}
    fields["provider"] = {
        **fields["provider"],
        "enum": [*fields["provider"]["enum"], ALL],
        "description": f"Who would make the pixels; `{ALL}` for a list of the quotes of all, `{AUTO}` for a list of "
        "those that would be asked, in turn.",
    }
    for name, what in zip(EXTENT, ("width", "height"), strict=True):
        other = next(other for other in EXTENT if other != name)
        fields[name] = {
            "type": "integer",
            "minimum": 1,
            "description": f"In place of `image_file`, with `{other}`: the upright photo's {what}. The photo then "
            "counts as a JPEG of 8 bits a channel.",
        }
    return {**form, "required": [name for name in REQUIRED if name != "image_file"], "properties": fields}


def quote_responses() -> Json:
    """Return the response with the quote of one provider, or with a list of all."""
    one = {"$ref": "#/components/schemas/Quote"}
    headers = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    return {
        "200": {
            "description": f"The quote; a list of quotes for the providers `{ALL}` and `{AUTO}`.",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
            "content": {"application/json": {"schema": {"anyOf": [one, {"type": "array", "items": one}]}}},
        }
    }


def quote_schemas() -> Json:
    """Return the schemas of a quote and of its parts."""
    return {"Quote": _quote(), "QuoteRefusal": _refusal(), "QuotePrice": _price()}


def _quote() -> Json:
    return whole_object(
        {
            "provider": _TEXT,
            "possible": {"type": "boolean", "description": "Whether the provider can make the picture now."},
            "refusal": {
                "description": "With what the picture's own request would be refused.",
                "anyOf": [{"$ref": "#/components/schemas/QuoteRefusal"}, {"type": "null"}],
            },
            "canvas": {**_TEXT, "description": "The canvas, and where the photo lies on it: `WxH+X+Y`."},
            "output_size": {**_TEXT, "description": "The finished picture's size: `WxH`."},
            "calls": {"type": ["integer", "null"], "minimum": 1, "description": "Calls that it takes."},
            "bills": {"type": "boolean", "description": "Whether a call may cost money."},
            "price": {
                "description": "What it costs, as far as it is known.",
                "anyOf": [{"$ref": "#/components/schemas/QuotePrice"}, {"type": "null"}],
            },
            "expected_seconds": {
                "type": ["number", "null"],
                "minimum": 0,
                "description": "The median of this provider's last pictures on this server, without the wait for a "
                "turn; null before the first.",
            },
            "memory_bytes": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "The most that a process of this server takes for one picture; null where it is made "
                "elsewhere.",
            },
        }
    )


def _refusal() -> Json:
    always: Json = {
        "code": {**_TEXT, "description": "As in the error's own answer."},
        "message": {**_TEXT, "description": "One sentence for people."},
        "status": {**_COUNT, "description": "The HTTP status of the error's own answer."},
    }
    details: Json = {"type": "object", "description": "Facts that a program can act on."}
    return {**whole_object(always), "properties": {**always, "details": details}}


def _price() -> Json:
    return whole_object(
        {
            "amount": {**_TEXT, "description": "A decimal number: of one `per`."},
            "unit": {**_TEXT, "description": "A currency, or `credit`."},
            "per": {**_TEXT, "description": "What is counted, for example `picture`."},
            "total": {"type": ["string", "null"], "description": "Of all calls, where each is counted as one."},
            "date": {**_TEXT, "description": "Since when it is known."},
            "source": _TEXT,
        }
    )
