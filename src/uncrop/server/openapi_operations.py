"""What the operations of administration and of webhooks have in common in the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop.server.openapi_errors import error_responses
from uncrop.server.openapi_picture import whole_object
from uncrop.server.queries import DEFAULT_LIMIT, MOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uncrop.server.json_bodies import Body

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
MOMENT: Json = {"type": "string", "format": "date-time"}
_READS = (400, 401, 403, 405, 408, 422, 429, 431, 500, 503)
_HEADERS = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def in_path(name: str, described: Mapping[str, tuple[str, str]]) -> Json:
    """Return a parameter of an address; ``described`` has a description and an example for each."""
    description, example = described[name]
    place = {"name": name, "in": "path", "required": True, "description": description}
    return {**place, "schema": TEXT, "example": example}


def in_query(name: str, *, states: Sequence[str]) -> Json:
    """Return a parameter of a list; ``states`` are those that its entries may be in."""
    described: dict[str, tuple[str, Json]] = {
        "organization_id": ("Of this organization alone.", TEXT),
        "since": ("From this day on; of acts, from this moment on.", TEXT),
        "until": ("Up to this day.", TEXT),
        "state": ("In this state alone.", {"type": "string", "enum": list(states)}),
        "limit": (
            f"How many entries at most; {DEFAULT_LIMIT} when absent.",
            {"type": "integer", "minimum": 1, "maximum": MOST},
        ),
        "cursor": ("The `next_cursor` of the page before.", TEXT),
    }
    description, schema = described[name]
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def sent(kind: type[Body]) -> Json:
    """Return the schema of a body, without the titles that pydantic makes of names."""
    schema = kind.model_json_schema()
    for field in schema["properties"].values():
        field.pop("title", None)
    return {key: value for key, value in schema.items() if key != "title"}


def list_of(name: str) -> Json:
    """Return the schema of a page of entries whose schema has this name."""
    entries = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    cursor = {"type": ["string", "null"], "description": "Where the list goes on; null at its end."}
    return whole_object({"data": entries, "next_cursor": cursor})


def answers(summary: str, status: int, schema: str, *, has_body: bool, found: bool) -> Json:
    """Return what an operation may answer.

    Parameters
    ----------
    schema
        Name of the schema of a good answer.
    has_body
        Whether the request has one, which may be too large.
    found
        Whether it is about something that may not be there.
    """
    return {
        str(status): {
            "description": f"{summary}.",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS},
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        },
        **error_responses(only=(*_READS, 413) if has_body else _READS),
        **(error_responses(special=("NOT_FOUND",)) if found else {}),
    }


def body_of(kind: type[Body], *, required: bool) -> Json:
    """Return the description of a body that is sent."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"required": required, "content": {"application/json": {"schema": schema}}}
