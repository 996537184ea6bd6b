"""The error half of the OpenAPI document, read off the error tree, so that no code is left out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uncrop import errors
from uncrop.errors import SettingsError, UncropError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]

# Neither comes from a route: there is no route to describe, or only one route's own.
_ELSEWHERE = {"NOT_FOUND", "NOT_READY"}
_EXAMPLES: dict[str, tuple[str, Json | None]] = {
    "INVALID_EXTEND_PARAMETERS": ("Extend parameters exceed 2000px", {"extend_left": 2500, "max_allowed": 2000}),
    "VALIDATION_ERROR": (
        "image_file is required; seed must be a whole number",
        {"fields": {"image_file": "is required", "seed": "must be a whole number"}},
    ),
}


def raised() -> list[type[UncropError]]:
    """Return every error that can be answered, by status and code."""
    ours = [kind for kind in _tree(UncropError) if kind.__module__ == errors.__name__ and kind is not SettingsError]
    # A base comes before its children, so that of those that share a code the most special one stays.
    of_code = {kind.code: kind for kind in ours}
    return sorted(of_code.values(), key=lambda kind: (kind.status, kind.code))


def _tree(kind: type[UncropError]) -> Iterator[type[UncropError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def error_responses(*, only: Iterable[int] | None = None, codes: Iterable[str] | None = None) -> Json:
    """Return the responses by status.

    Parameters
    ----------
    only
        Statuses to describe; all when absent.
    codes
        Codes to describe; when absent all but those of other routes.
    """
    wanted = {kind.code for kind in raised()} - _ELSEWHERE if codes is None else set(codes)
    kinds = [kind for kind in raised() if kind.code in wanted]
    statuses = sorted({kind.status for kind in kinds} if only is None else only)
    return {str(status): _response([kind for kind in kinds if kind.status == status]) for status in statuses}


def _response(kinds: list[type[UncropError]]) -> Json:
    status = kinds[0].status
    headers = ["X-Request-Id"]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append("WWW-Authenticate")
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append("Allow")
    elif any(kind.retryable for kind in kinds):
        headers.append("Retry-After")
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Error"},
            {"properties": {"error": {"properties": {"code": {"enum": [kind.code for kind in kinds]}}}}},
        ]
    }
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.default_message}" for kind in kinds),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            "application/json": {"schema": schema, "examples": {kind.code: {"value": _example(kind)} for kind in kinds}}
        },
    }


def _example(kind: type[UncropError]) -> Json:
    message, details = _EXAMPLES.get(kind.code, (kind.default_message, None))
    return {
        "success": False,
        "error": {
            "code": kind.code,
            "message": message,
            "type": kind.type,
            "status": kind.status,
            **({} if details is None else {"details": details}),
            "system_message": message,
            "trace_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
            "timestamp": "2025-01-15T10:30:00Z",
        },
    }


def error_schema() -> Json:
    """Return the schema of the body that every error has."""
    properties: Json = {
        "code": {"type": "string", "enum": sorted({kind.code for kind in raised()})},
        "message": {"type": "string", "description": "One sentence for people."},
        "type": {"enum": ["client_error", "server_error"], "description": "Who must act."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "details": {"type": "object", "description": "PictureFacts that a program can act on."},
        "system_message": {"type": "string", "description": "Technical text."},
        "trace_id": {"type": "string", "format": "uuid", "description": "This request's id in the server's log."},
        "timestamp": {"type": "string", "format": "date-time"},
    }
    return {
        "type": "object",
        "required": ["success", "error"],
        "additionalProperties": False,
        "properties": {
            "success": {"const": False},
            "error": {
                "type": "object",
                "required": [name for name in properties if name != "details"],
                "additionalProperties": False,
                "properties": properties,
            },
        },
    }
