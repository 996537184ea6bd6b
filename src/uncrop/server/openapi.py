"""The OpenAPI document: what ``/openapi.json`` says about every route, field, header and error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop import __version__
from uncrop.server.openapi_admin import admin_paths, admin_schemas
from uncrop.server.openapi_errors import error_components, error_responses, error_schemas
from uncrop.server.openapi_form import PHOTO_EXAMPLE, form_examples, form_schema, image_media_types
from uncrop.server.openapi_headers import header_components
from uncrop.server.openapi_jobs import job_paths, job_schemas
from uncrop.server.openapi_picture import picture_responses, picture_schemas
from uncrop.server.openapi_providers import provider_schemas
from uncrop.server.openapi_quote import quote_form_schema, quote_responses, quote_schemas
from uncrop.server.openapi_running import cancel_operation, running_operation, running_schemas
from uncrop.server.openapi_webhooks import webhook_paths, webhook_schemas
from uncrop.service.quote import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model import ProviderFacts
    from uncrop.server.form import BodyLimits

Json = dict[str, Any]

TITLE = "uncrop"
ADDRESS = "/openapi.json"
QUOTE_PATH = "/api/v1/images/uncrop/quote"
PROVIDERS_PATH = "/api/v1/providers"
RUNNING_PATH = "/api/v1/requests/{request_id}"
CANCEL_PATH = f"{RUNNING_PATH}/cancel"
UNCROP_PATHS = ("/api/v1/images/uncrop", "/v1/images/uncrop")
_OPERATIONS = {
    UNCROP_PATHS[0]: ("uncropImage", "Extend an image", ""),
    UNCROP_PATHS[1]: ("uncropImageV1", "Extend an image (other address)", f"The same as `{UNCROP_PATHS[0]}`.\n\n"),
}
_DESCRIPTION = (
    "Extends an image beyond its borders, or repaints the transparent part of a mask.\n\n"
    "What a provider takes stands at each field, and in the list of providers. A field that the provider does not take "
    "is refused, never ignored; fields that are not listed here are ignored. The checks come in this order: key (401), "
    "rate limit (429), the key's scope (403), `Idempotency-Key` (400), shape and values (413, 422), organization "
    "(403). Nothing reaches a provider before all have passed."
)


def document(*, limits: BodyLimits, providers: Sequence[ProviderFacts]) -> Json:
    """Return the whole document.

    Parameters
    ----------
    limits
        What the server takes as a body.
    providers
        The rows of all makers of pixels, those of plug-ins among them.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": __version__,
            "summary": "Extends photographs beyond their borders.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name} for name in ("images", "jobs", "webhooks", "administration", "operation")],
        "paths": {
            **{path: {"post": _uncrop(path, limits, providers)} for path in UNCROP_PATHS},
            QUOTE_PATH: {"post": _quote(limits, providers)},
            PROVIDERS_PATH: {"get": _providers()},
            RUNNING_PATH: {"get": running_operation([_request_id_parameter()])},
            **job_paths(
                [_request_id_parameter()],
                _form("UncropForm", limits, providers, form_examples(providers)),
                picture_responses(providers),
            ),
            CANCEL_PATH: {"post": cancel_operation([_request_id_parameter()])},
            **webhook_paths([_request_id_parameter()]),
            **admin_paths([_request_id_parameter()]),
            "/livez": {"get": _plain("livez", "Whether the process answers", _status_schema("ok"))},
            "/readyz": {"get": _readyz()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "securitySchemes": _security_schemes(),
            "schemas": {
                "UncropForm": form_schema(providers),
                **picture_schemas(),
                "QuoteForm": quote_form_schema(providers),
                **quote_schemas(),
                **provider_schemas(),
                **running_schemas(),
                **admin_schemas(),
                **job_schemas(),
                **webhook_schemas(),
                **error_schemas(),
            },
            "responses": error_components(),
            "headers": header_components(),
        },
    }


# --- the route that matters ------------------------------------------------------------------------------------------


def _uncrop(path: str, limits: BodyLimits, providers: Sequence[ProviderFacts]) -> Json:
    operation_id, summary, remark = _OPERATIONS[path]
    return {
        "tags": ["images"],
        "operationId": operation_id,
        "summary": summary,
        "description": remark + _DESCRIPTION,
        "security": [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}],
        "parameters": [_request_id_parameter(), _key_parameter()],
        "requestBody": _form("UncropForm", limits, providers, form_examples(providers)),
        "responses": {**picture_responses(providers), **error_responses()},
    }


def _quote(limits: BodyLimits, providers: Sequence[ProviderFacts]) -> Json:
    example = {"provider": ALL, **PHOTO_EXAMPLE, "aspect_ratio": "16:9"}
    return {
        "tags": ["images"],
        "operationId": "quoteUncrop",
        "summary": "What extending an image would take",
        "description": "Takes the form of the picture's own request, with the image or its width and height alone, and "
        "calls nobody: the canvas, and of the named provider or of all whether it can be made, in how many calls, for "
        "what price, in what time. It counts towards the limits on requests, but not as a picture.",
        "security": [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}],
        "parameters": [_request_id_parameter()],
        "requestBody": _form("QuoteForm", limits, providers, {ALL: {"value": example}}),
        "responses": {**quote_responses(), **error_responses()},
    }


def _form(schema: str, limits: BodyLimits, providers: Sequence[ProviderFacts], examples: Json) -> Json:
    return {
        "required": True,
        "description": f"A multipart form of at most {limits.max_bytes} bytes, not compressed, that arrives "
        f"within {limits.total_s:g} seconds.",
        "content": {
            "multipart/form-data": {
                "schema": {"$ref": f"#/components/schemas/{schema}"},
                "encoding": {
                    "image_file": {"contentType": image_media_types(providers)},
                    "mask_file": {"contentType": "image/png"},
                },
                "examples": examples,
            }
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
    return {"type": "object", "required": ["status"], "properties": {"status": {"type": "string", "const": word}}}


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
    operation["responses"] |= error_responses(special=("NOT_READY",))
    return operation


def _providers() -> Json:
    operation = _plain(
        "listProviders",
        "The makers of pixels: what each takes, and whether it is configured",
        {"$ref": "#/components/schemas/ProviderList"},
    )
    return {**operation, "tags": ["images"]}


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


def _key_parameter() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A key of your own for this one request, 1 to 255 printable ASCII characters, such as a UUID. "
        "Sent again with the same key, the same request is not carried out again: its answer comes back as it was, "
        "for 24 hours, with `Idempotent-Replayed: true`. While the first is worked on, 409 with `Retry-After`; with "
        "other content, 422.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
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
