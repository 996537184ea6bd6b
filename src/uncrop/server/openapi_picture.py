"""The picture half of the OpenAPI document, where it comes as JSON: with its map and a report."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def picture_with_map_schema() -> Json:
    """Return the schema of the answer to ``confidence_map=true``."""
    return _object(
        {
            "success": {"const": True},
            "image": _file("The picture, in the photo's own format.", ["image/jpeg", "image/png", "image/webp"]),
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
        **_object(
            {
                "media_type": {"enum": media_types},
                "width": {"type": "integer", "minimum": 1},
                "height": {"type": "integer", "minimum": 1},
                "base64": {"type": "string", "contentEncoding": "base64", "description": "The file."},
            }
        ),
    }


def _report() -> Json:
    sides: Json = {side: {"type": "integer", "minimum": 0} for side in ("left", "right", "up", "down")}
    stage = {"name": {"type": "string"}, "milliseconds": {"type": "number", "minimum": 0}}
    return _object(
        {
            "provider": {"type": "string", "description": "As `X-Provider`."},
            "provider_request_id": {"type": "string", "description": "As `X-Provider-Request-Id`."},
            "seed": {"type": ["integer", "null"], "description": "As `X-Seed`."},
            "confidence": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "The mean over all pixels that were made; 1 where none had to be.",
            },
            "advice": {
                "description": "As `X-Advice`; null where nothing had to be made.",
                "anyOf": [_object(sides), {"type": "null"}],
            },
            "warnings": {"type": "array", "items": {"type": "string"}},
            "canvas": {"type": ["string", "null"], "description": "As `X-Canvas`."},
            "original": {"enum": ["exact", "recompressed", "resampled", None], "description": "As `X-Original`."},
            "repaint_difference": {"type": ["number", "null"], "description": "As `X-Repaint-Difference`."},
            "stages": {"type": "array", "items": _object(stage), "description": "As `Server-Timing`."},
        }
    )


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }
