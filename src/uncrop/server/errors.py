"""From an error to its answer: the published body, and the headers that belong to a status."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response

from uncrop.errors import (
    AuthenticationError,
    AuthenticationRequired,
    CallerError,
    InternalError,
    NotFound,
    UncropError,
    ValidationError,
)
from uncrop.server.http_errors import (
    MalformedRequest,
    MethodNotAllowed,
    RequestTimeout,
    RequestTooLarge,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/json"
_OF_STATUS: Mapping[int, type[CallerError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    HTTPStatus.REQUEST_TIMEOUT: RequestTimeout,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: RequestTooLarge,
    HTTPStatus.UNPROCESSABLE_ENTITY: ValidationError,
}


def error_body(error: UncropError, *, trace_id: str, now: datetime) -> bytes:
    """Return the published error body as JSON.

    Of a fault of our own it tells nothing but that there was one: what the error says is for the log.

    Parameters
    ----------
    error
        What went wrong.
    trace_id
        UUID under which the log knows this request.
    now
        The present moment, aware.
    """
    if error.code == InternalError.code:
        error = InternalError()
    fields: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "type": error.type,
        "status": error.status,
    }
    if error.details:
        fields["details"] = error.details
    fields["system_message"] = error.system_message
    fields["trace_id"] = trace_id
    fields["timestamp"] = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"success": False, "error": fields}, default=str, separators=(",", ":")).encode()


def error_headers(error: UncropError) -> dict[str, str]:
    """Return the headers that the error's status calls for."""
    headers = {}
    if isinstance(error, AuthenticationRequired):
        headers["WWW-Authenticate"] = 'Bearer realm="uncrop"'
    elif isinstance(error, AuthenticationError):
        headers["WWW-Authenticate"] = 'Bearer realm="uncrop", error="invalid_token"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return headers


def error_response(error: UncropError, *, trace_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request that failed with ``error``."""
    return Response(
        error_body(error, trace_id=trace_id, now=datetime.now(UTC)),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers={**error_headers(error), **(headers or {})},
    )


def from_framework(error: HTTPException) -> UncropError:
    """Translate an error that the framework raised; its own text is not passed on."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return InternalError()
    return _OF_STATUS.get(error.status_code, MalformedRequest)()
