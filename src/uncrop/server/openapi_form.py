"""The request half of the OpenAPI document: the fields of the form, and a request for each provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop.geometry.sides import MAX_SIDE
from uncrop.intake.fields import DEFAULT_QUALITY, QUALITIES
from uncrop.model import ORGANIZATION_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]


def form_schema(providers: Sequence[str]) -> Json:
    """Return the schema of the request's body.

    No field has a ``default``: programs made from the document would send it, and a provider that does not take the
    field would refuse it. What holds without a field stands in its description.
    """
    return {
        "type": "object",
        "required": ["provider", "organization_id", "image_file"],
        "properties": {
            "provider": {
                "type": "string",
                "enum": list(providers),
                "description": "Who makes the pixels. `local` is the embedded engine: no key, no network.",
            },
            "organization_id": {
                "type": "string",
                "pattern": f"^{ORGANIZATION_ID.pattern}$",
                "description": "The organization that the key belongs to, `org_` prefixed.",
                "examples": ["org_123abc"],
            },
            "image_file": _file(
                "The image to extend: a still PNG, JPEG or WebP. `clipdrop`: up to 30 MB and 10 megapixels; `openai`: "
                "up to 50 MB; `local`: up to 30 MB, at least 16x16 pixels."
            ),
            **{f"extend_{side}": _side(side) for side in ("left", "right", "up", "down")},
            "seed": {
                "type": "integer",
                "minimum": 0,
                "maximum": 4_294_967_295,
                "description": "For the same picture again. `clipdrop`: 0 to 100000; `local`: 0 to 4294967295; "
                "`openai` takes none. Without it one is drawn, and returned as `X-Seed`.",
            },
            "mask_file": _file(
                "`openai` only, and required there: a PNG with alpha of the image's width and height, under 4 MB. "
                "Transparent pixels are made anew."
            ),
            "prompt": {
                "type": "string",
                "maxLength": 32_000,
                "description": "`openai` only: what to paint. Without it a natural continuation is asked for.",
            },
            "size": {
                "type": "string",
                "enum": ["1024x1024", "1024x1536", "1536x1024"],
                "description": "`openai` only: the size of the result. Without it the image's own size.",
            },
            "quality": {
                "type": "string",
                "enum": list(QUALITIES),
                "description": f"`local` only: how much time the engine takes. `{DEFAULT_QUALITY}` when absent.",
            },
            "confidence_map": {
                "type": "boolean",
                "description": "`local` only: answer with JSON that holds the picture and, of the same size, a grey "
                "PNG that says of every pixel how far it can be trusted. `false` when absent.",
            },
        },
    }


def _side(side: str) -> Json:
    return {
        "type": "integer",
        "minimum": -MAX_SIDE,
        "maximum": MAX_SIDE,
        "description": f"Pixels to add ({side}); a negative number crops. `clipdrop` and `local` only, where at least "
        "one side must not be 0. 0 when absent.",
    }


def _file(description: str) -> Json:
    return {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
        "description": description,
    }


def form_examples() -> Json:
    """Return a request for each of the providers."""
    both = {"organization_id": "org_123abc", "image_file": "(the bytes of photo.jpg)"}
    return {
        "clipdrop": {"value": {"provider": "clipdrop", **both, "extend_left": 200, "extend_right": 200, "seed": 42}},
        "openai": {
            "value": {"provider": "openai", **both, "mask_file": "(the bytes of mask.png)", "prompt": "A wide beach"}
        },
        "local": {"value": {"provider": "local", **both, "extend_up": 128, "quality": "standard"}},
    }
