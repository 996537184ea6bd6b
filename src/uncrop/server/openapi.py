"""The OpenAPI document: what ``/openapi.json`` says about every route, field, header and error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop import __version__
from uncrop.geometry import MAX_SIDE
from uncrop.intake.fields import DEFAULT_QUALITY, QUALITIES
from uncrop.model import ORGANIZATION_ID
from uncrop.server.openapi_errors import error_responses, error_schema
from uncrop.server.openapi_picture import picture_with_map_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.server.form import BodyLimits

Json = dict[str, Any]

TITLE = "uncrop"
ADDRESS = "/openapi.json"
UNCROP_PATHS = ("/api/v1/images/uncrop", "/v1/images/uncrop")
_OPERATIONS = {
    UNCROP_PATHS[0]: ("uncropImage", "Extend an image", ""),
    UNCROP_PATHS[1]: ("uncropImageV1", "Extend an image (other address)", f"The same as `{UNCROP_PATHS[0]}`.\n\n"),
}
_DESCRIPTION = (
    "Extends an image beyond its borders, or repaints the transparent part of a mask.\n\n"
    "`clipdrop` and `local` take the pixels to add on each side; `openai` takes a mask, a prompt and a size. A field "
    "that the provider does not take is refused, never ignored; fields that are not listed here are ignored. The "
    "checks come in this order: credentials (401), rate limit (429), shape and values (413, 422), organization (403). "
    "Nothing reaches a provider before all have passed."
)


def document(*, limits: BodyLimits, providers: Sequence[str]) -> Json:
    """Return the whole document.

    Parameters
    ----------
    limits
        What the server takes as a body.
    providers
        The names of all makers of pixels, those of plug-ins among them.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": __version__,
            "summary": "Extends photographs beyond their borders.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": "images"}, {"name": "operation"}],
        "paths": {
            **{path: {"post": _uncrop(path, limits)} for path in UNCROP_PATHS},
            "/livez": {"get": _plain("livez", "Whether the process answers", _status_schema("ok"))},
            "/readyz": {"get": _readyz()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "securitySchemes": _security_schemes(),
            "schemas": {
                "UncropForm": _form(providers),
                "PictureWithMap": picture_with_map_schema(),
                "Error": error_schema(),
            },
            "headers": headers(),
        },
    }


# --- the route that matters ------------------------------------------------------------------------------------------


def _uncrop(path: str, limits: BodyLimits) -> Json:
    operation_id, summary, remark = _OPERATIONS[path]
    return {
        "tags": ["images"],
        "operationId": operation_id,
        "summary": summary,
        "description": remark + _DESCRIPTION,
        "security": [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}],
        "parameters": [_request_id_parameter()],
        "requestBody": {
            "required": True,
            "description": f"A multipart form of at most {limits.max_bytes} bytes, not compressed, that arrives "
            f"within {limits.total_s:g} seconds.",
            "content": {
                "multipart/form-data": {
                    "schema": {"$ref": "#/components/schemas/UncropForm"},
                    "encoding": {
                        "image_file": {"contentType": "image/png, image/jpeg, image/webp"},
                        "mask_file": {"contentType": "image/png"},
                    },
                    "examples": _form_examples(),
                }
            },
        },
        "responses": {"200": _picture(), **error_responses()},
    }


def _form(providers: Sequence[str]) -> Json:
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
                "default": DEFAULT_QUALITY,
                "description": "`local` only: how much time the engine takes.",
            },
            "confidence_map": {
                "type": "boolean",
                "default": False,
                "description": "`local` only: answer with JSON that holds the picture and, of the same size, a grey "
                "PNG that says of every pixel how far it can be trusted.",
            },
        },
    }


def _side(side: str) -> Json:
    return {
        "type": "integer",
        "minimum": -MAX_SIDE,
        "maximum": MAX_SIDE,
        "default": 0,
        "description": f"Pixels to add ({side}); a negative number crops. `clipdrop` and `local` only, where at least "
        "one side must not be 0.",
    }


def _file(description: str) -> Json:
    return {
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
        "description": description,
    }


def _form_examples() -> Json:
    both = {"organization_id": "org_123abc", "image_file": "(the bytes of photo.jpg)"}
    return {
        "clipdrop": {"value": {"provider": "clipdrop", **both, "extend_left": 200, "extend_right": 200, "seed": 42}},
        "openai": {
            "value": {"provider": "openai", **both, "mask_file": "(the bytes of mask.png)", "prompt": "A wide beach"}
        },
        "local": {"value": {"provider": "local", **both, "extend_up": 128, "quality": "standard"}},
    }


def _picture() -> Json:
    names = (
        *("X-Provider", "X-Provider-Request-Id", "X-Provider-Credits-Consumed", "X-Seed", "X-Confidence", "X-Advice"),
        *("Server-Timing", "X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    )
    image = {"schema": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}}
    return {
        "description": "The picture: JPEG from `clipdrop`, PNG from `openai`, the input's format from `local`. JSON "
        "where `confidence_map` was asked for.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {
            "image/jpeg": image,
            "image/png": image,
            "image/webp": image,
            "application/json": {"schema": {"$ref": "#/components/schemas/PictureWithMap"}},
        },
    }


# --- the routes for operation ----------------------------------------------------------------------------------------


def _plain(operation_id: str, summary: str, schema: Json) -> Json:
    return {
        "tags": ["operation"],
        "operationId": operation_id,
        "summary": summary,
        "security": [],
        "parameters": [_request_id_parameter()],
        "responses": {
            "200": {
                "description": summary,
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                "content": {"application/json": {"schema": schema}},
            },
            **error_responses(only=(400, 405, 408, 431, 500)),
        },
    }


def _status_schema(word: str) -> Json:
    return {"type": "object", "required": ["status"], "properties": {"status": {"const": word}}}


def _readyz() -> Json:
    schema = _status_schema("ready")
    schema["properties"]["checks"] = {
        "type": "object",
        "required": ["database", "engine"],
        "properties": {
            "database": {"type": "boolean", "description": "It answers and has the tables of this version."},
            "engine": {"type": "boolean", "description": "Its kernels are compiled, and its first process is warm."},
        },
    }
    operation = _plain("readyz", "Whether requests can be served", schema)
    operation["responses"] |= error_responses(only=(503,), codes=("NOT_READY",))
    return operation


def _metrics() -> Json:
    operation = _plain("metrics", "Figures for Prometheus", {"type": "string"})
    content = operation["responses"]["200"]["content"]
    content["text/plain"] = content.pop("application/json")
    return operation


# --- what they share -------------------------------------------------------------------------------------------------


def _security_schemes() -> Json:
    return {
        "XApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "ApiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
        "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a Bearer token."},
    }


def _request_id_parameter() -> Json:
    return {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "An id of your own, up to 128 of `A-Z a-z 0-9 . _ : ~ -`; it comes back on the answer. Any "
        "other value is replaced.",
        "schema": {"type": "string"},
    }


def headers() -> Json:
    """Return the headers of answers, by name."""

    def header(description: str, schema: Json, *, always: bool = False) -> Json:
        return {"description": description, "schema": schema, **({"required": True} if always else {})}

    text: Json = {"type": "string"}
    number: Json = {"type": "integer", "minimum": 0}
    return {
        "X-Provider": header("Who made the picture.", text, always=True),
        "X-Provider-Request-Id": header("The provider's id of its call, or ours (`req_…`).", text, always=True),
        "X-Provider-Credits-Consumed": header("Credits that the call cost; Clipdrop only.", text),
        "X-Seed": header("The seed that was used.", number),
        "X-Confidence": header(
            "`local` only: how far the result can be trusted.", {"type": "number", "minimum": 0, "maximum": 1}
        ),
        "X-Advice": header(
            "`local` only: how many pixels of each side can be trusted, at most as many as were added, as a dictionary "
            "of RFC 9651.",
            {"type": "string", "examples": ["left=256, right=120, up=0, down=0"]},
        ),
        "Server-Timing": header("Milliseconds of the stages.", text, always=True),
        "X-Request-Id": header("Your own id of the request, or ours.", text, always=True),
        "X-RateLimit-Limit": header("Requests a minute and organization.", number),
        "X-RateLimit-Remaining": header("Requests that are left of them.", number),
        "X-RateLimit-Reset": header("Unix time at which more are left.", number),
        "Retry-After": header("Seconds to wait.", {"type": "integer", "minimum": 1}),
        "WWW-Authenticate": header("How to authenticate.", text, always=True),
        "Allow": header("The methods of this address.", text, always=True),
    }
