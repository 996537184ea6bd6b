"""The requests that are worked on, in the OpenAPI document: what ``RunningRequest.to_json`` of the service tells."""

from __future__ import annotations

from typing import Any

from uncrop.server.openapi_errors import error_responses
from uncrop.server.openapi_picture import whole_object
from uncrop.service.running import STAGES

Json = dict[str, Any]

_EXPLANATION = (
    "The id is the `X-Request-Id` that you sent with the request; without one of your own, none is found. Neither "
    "asking nor ending counts towards the limits on requests. Servers that run beside one another know their "
    "own requests alone."
)
_ENDED = (
    "Ends the request, which is answered with 409 at once and gives its turn back. A call that may be billed is never "
    "cut off: it goes on by itself and is booked, and `calls_billed` counts it."
)


def running_operation(parameters: list[Json]) -> Json:
    """Return the operation that tells how far a request is.

    Parameters
    ----------
    parameters
        Those that every operation takes.
    """
    return _operation("getRunningRequest", "How far a running request is", _EXPLANATION, parameters)


def cancel_operation(parameters: list[Json]) -> Json:
    """Return the operation that ends a request.

    Parameters
    ----------
    parameters
        Those that every operation takes.
    """
    explanation = f"{_ENDED}\n\n{_EXPLANATION}"
    return _operation("cancelRunningRequest", "End a running request", explanation, parameters)


def running_schemas() -> Json:
    """Return the schema of a running request."""
    text: Json = {"type": "string"}
    return {
        "RunningRequest": whole_object(
            {
                "request_id": {**text, "description": "Its id."},
                "running": {
                    "type": "boolean",
                    "description": "Whether it is being worked on: not before it has begun, nor once it is done.",
                },
                "stage": {
                    "type": ["string", "null"],
                    "enum": [*STAGES, None],
                    "description": "What is done with it now; `admission` is the wait for a turn. Of several pictures, "
                    "that of the one that went on last.",
                },
                "step": {
                    "type": ["string", "null"],
                    "description": "What the provider does, in its own words; null before it says anything.",
                },
                "progress": {
                    "type": ["number", "null"],
                    "minimum": 0,
                    "maximum": 1,
                    "description": "How far the provider is with all pictures; null before it says anything.",
                },
                "elapsed_seconds": {"type": ["number", "null"], "minimum": 0},
                "calls_billed": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "Calls that may be billed and have been sent.",
                },
                "cancelled": {"type": "boolean", "description": "Whether it has been ended by its id."},
            }
        )
    }


def _operation(operation_id: str, summary: str, description: str, parameters: list[Json]) -> Json:
    return {
        "tags": ["images"],
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "security": [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}],
        "parameters": [_id_parameter(), *parameters],
        "responses": {
            "200": {
                "description": "The request as it stands.",
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunningRequest"}}},
            },
            **error_responses(only=(400, 401, 403, 405, 408, 429, 431, 500, 503)),
        },
    }


def _id_parameter() -> Json:
    return {
        "name": "request_id",
        "in": "path",
        "required": True,
        "description": "The `X-Request-Id` of the request.",
        "schema": {"type": "string"},
        "example": "my-request-1",
    }
