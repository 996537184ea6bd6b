"""The list of providers in the OpenAPI document: what ``ProviderEntry.to_json`` of the service tells."""

from __future__ import annotations

from typing import Any, get_args

from uncrop.model import ImageFormat
from uncrop.model.provider_facts import GeometryKind

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}


def provider_schemas() -> Json:
    """Return the schemas of the list, of an entry, and of its parts."""
    return {
        "ProviderList": _object({"providers": {"type": "array", "items": _reference("Provider")}}),
        "Provider": _provider(),
        "ProviderField": _field(),
        "ProviderGeometry": _geometry(),
        "ProviderPrice": _price(),
        "ProviderUpload": _object(
            {
                "formats": {"type": "array", "items": _image_format()},
                "max_bytes": {**_COUNT, "description": "The longest file."},
            }
        ),
    }


def _provider() -> Json:
    return _object(
        {
            "name": {**_TEXT, "description": "The value of the field `provider`."},
            "title": {**_TEXT, "description": "Its name for people."},
            "sentence": {**_TEXT, "description": "One sentence about it."},
            "configured": {"type": "boolean", "description": "Whether all that it needs is set on this server."},
            "bills": {"type": "boolean", "description": "Whether a call may cost money."},
            "price": {
                "description": "What a picture costs, as far as it is known.",
                "anyOf": [_reference("ProviderPrice"), {"type": "null"}],
            },
            "geometry": _reference("ProviderGeometry"),
            "fields": {
                "type": "array",
                "items": _reference("ProviderField"),
                "description": "The fields that it takes beside the photo and the sides.",
            },
            "upload": _reference("ProviderUpload"),
            "answer_format": {
                "description": "The format of the answer; null: the photo's own.",
                "anyOf": [_image_format(), {"type": "null"}],
            },
            "requests_per_minute": {
                "type": ["integer", "null"],
                "description": "A limit of its own for each organization.",
            },
            "evidence": {**_TEXT, "description": "Where these facts come from, and since when."},
        }
    )


def _field() -> Json:
    optional = {
        "minimum": {"type": "integer"},
        "maximum": {"type": "integer"},
        "choices": {"type": "array", "items": _TEXT},
        "max_characters": _COUNT,
        # A value, and no keyword of the schema: what holds without the field.
        "default": _TEXT,
    }
    return _object({"name": _TEXT, "help": _TEXT}, optional)


def _geometry() -> Json:
    always = {
        "speaks": {
            "type": "string",
            "enum": list(get_args(GeometryKind)),
            "description": "How it is told what to make; callers may send sides all the same.",
        },
        "crops": {"type": "boolean", "description": "It takes negative sides by itself."},
        "grid": {**_COUNT, "description": "The canvas's edges are multiples of this, in pixels."},
        "scales": {"type": "boolean", "description": "Photos beyond its limits are scaled for the call."},
        "min_edge": {**_COUNT, "description": "Shortest edge of the canvas that one call makes."},
        "min_pixels": {**_COUNT, "description": "Fewest pixels of that canvas."},
        "min_photo_edge": {**_COUNT, "description": "Shortest edge of the photo."},
    }
    optional = {
        "max_side": {**_COUNT, "description": "Most pixels that one call adds on a side."},
        "sizes": {"type": "array", "items": _TEXT, "description": "The only canvases that it makes, `WxH`."},
        "max_edge": {**_COUNT, "description": "Longest edge of the canvas that one call makes."},
        "max_pixels": {**_COUNT, "description": "Most pixels of that canvas."},
        "max_ratio": {"type": "number", "description": "Of the canvas's longer edge to its shorter one."},
        "max_photo_pixels": {**_COUNT, "description": "Most pixels of the photo."},
        "max_photo_ratio": {"type": "number", "description": "Of the photo's longer edge to its shorter one."},
    }
    return _object(always, optional)


def _price() -> Json:
    return _object(
        {
            "amount": {**_TEXT, "description": "A decimal number."},
            "unit": {**_TEXT, "description": "A currency, or `credit`."},
            "per": {**_TEXT, "description": "What is counted, for example `picture`."},
            "date": {**_TEXT, "description": "Since when it is known."},
            "source": _TEXT,
        }
    )


def _image_format() -> Json:
    return {"type": "string", "enum": list(get_args(ImageFormat))}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(always: Json, optional: Json | None = None) -> Json:
    return {
        "type": "object",
        "required": list(always),
        "additionalProperties": False,
        "properties": {**always, **(optional or {})},
    }
