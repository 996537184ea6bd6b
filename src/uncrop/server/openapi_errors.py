"""The error half of the OpenAPI document, read off the error tree, so that no code is left out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uncrop import errors
from uncrop.errors import SettingsError, UncropError
from uncrop.server import http_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]

_OURS = {*(f"{errors.__name__}.{name}" for name in ("base", "caller", "operator", "provider")), http_errors.__name__}
# The errors of some routes alone, and the response that tells of each.
_OF_SOME_ROUTES = {
    "NOT_READY": "ErrorNotReady",
    "NOT_FOUND": "ErrorNotFound",
    "JOB_CANCELLED": "ErrorNoResult",
    "JOB_NOT_DONE": "ErrorNoResult",
    "RESULT_EXPIRED": "ErrorResultExpired",
}
_EXAMPLES: dict[str, tuple[str, Json | None]] = {
    "INVALID_EXTEND_PARAMETERS": ("Extend parameters exceed 2000px", {"extend_left": 2500, "max_allowed": 2000}),
    "REQUEST_CANCELLED": ("The request was cancelled", {"calls_billed": 0}),
    "VALIDATION_ERROR": (
        "image_file is required; seed must be a whole number",
        {"fields": {"image_file": "is required", "seed": "must be a whole number"}},
    ),
}


def raised() -> list[type[UncropError]]:
    """Return every error that can be answered, by status and code."""
    ours = [kind for kind in _tree(UncropError) if kind.__module__ in _OURS and kind is not SettingsError]
    # A base comes before its children, so that of those that share a code the most special one stays.
    of_code = {kind.code: kind for kind in ours}
    return sorted(of_code.values(), key=lambda kind: (kind.status, kind.code))


def _tree(kind: type[UncropError]) -> Iterator[type[UncropError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _by_name() -> dict[str, list[type[UncropError]]]:
    """Return the errors that a response tells of, by its name: one a status, and those of some routes alone."""
    groups: dict[str, list[type[UncropError]]] = {}
    for kind in raised():
        if kind.code in _OF_SOME_ROUTES:
            groups.setdefault(_OF_SOME_ROUTES[kind.code], []).append(kind)
        else:
            groups.setdefault(f"Error{kind.status}", []).append(kind)
    return groups


def error_responses(*, only: Iterable[int] | None = None, special: Iterable[str] = ()) -> Json:
    """Return references to the responses, by status.

    Parameters
    ----------
    only
        Statuses to describe; all when absent.
    special
        Codes that few routes have; they alone are described.
    """
    groups = _by_name()
    if special:
        names = [_OF_SOME_ROUTES[code] for code in special]
    elif only is not None:
        names = [f"Error{status}" for status in only]
    else:
        names = sorted(set(groups) - set(_OF_SOME_ROUTES.values()))
    return {str(groups[name][0].status): {"$ref": f"#/components/responses/{name}"} for name in names}


def error_components() -> Json:
    """Return the responses, by name."""
    return {name: _response(name, kinds) for name, kinds in _by_name().items()}


def error_schemas() -> Json:
    """Return the schema of the body that every error has, and for each response that of its codes."""
    return {"Error": _error_schema(), **{name: _schema_of(kinds) for name, kinds in _by_name().items()}}


def _schema_of(kinds: list[type[UncropError]]) -> Json:
    code = {"type": "string", "enum": [kind.code for kind in kinds]}
    narrowed = {"type": "object", "properties": {"error": {"type": "object", "properties": {"code": code}}}}
    return {"allOf": [{"$ref": "#/components/schemas/Error"}, narrowed]}


def _response(name: str, kinds: list[type[UncropError]]) -> Json:
    status = kinds[0].status
    headers = ["X-Request-Id"]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append("WWW-Authenticate")
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append("Allow")
    elif any(kind.retryable for kind in kinds):
        headers.append("Retry-After")
    examples = {kind.code: {"value": _example(kind)} for kind in kinds}
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.default_message}" for kind in kinds),
        "headers": {header: {"$ref": f"#/components/headers/{header}"} for header in headers},
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "examples": examples}},
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


def _error_schema() -> Json:
    properties: Json = {
        "code": {"type": "string", "enum": sorted({kind.code for kind in raised()})},
        "message": {"type": "string", "description": "One sentence for people."},
        "type": {"type": "string", "enum": ["client_error", "server_error"], "description": "Who must act."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "details": {"type": "object", "description": "Facts that a program can act on."},
        "system_message": {"type": "string", "description": "Technical text."},
        "trace_id": {"type": "string", "format": "uuid", "description": "This request's id in the server's log."},
        "timestamp": {"type": "string", "format": "date-time"},
    }
    return {
        "type": "object",
        "required": ["success", "error"],
        "additionalProperties": False,
        "properties": {
            "success": {"type": "boolean", "const": False},
            "error": {
                "type": "object",
                "required": [name for name in properties if name != "details"],
                "additionalProperties": False,
                "properties": properties,
            },
        },
    }
