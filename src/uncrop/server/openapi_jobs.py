"""The jobs in the OpenAPI document: what ``uncrop.server.jobs_wire`` tells of them."""

from __future__ import annotations

from typing import Any

from uncrop.jobs.background import MOST_ON_A_PAGE
from uncrop.model.jobs import JOB_STATES
from uncrop.server.jobs_wire import JOBS_PATH
from uncrop.server.openapi_errors import error_responses
from uncrop.server.openapi_picture import whole_object
from uncrop.service.running import STAGES

Json = dict[str, Any]

JOB_PATH = f"{JOBS_PATH}/{{job_id}}"
RESULT_PATH = f"{JOB_PATH}/result"
_SECURITY: list[Json] = [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}]
_SUBMITTED = (
    "Takes the form of `POST /api/v1/images/uncrop` and answers at once; the picture is made in the background, also "
    "after a restart of the server. What can be refused beforehand is. With an `Idempotency-Key`, the same "
    "submission again is the same job; other contents under the same key are refused with 422.\n\n"
    "A job whose server dies is begun again, unless a call that may be billed was sent: then its state is `unknown`, "
    "and it is not sent again."
)
_CANCELLED = (
    "A job that waits, or has sent nothing that may be billed, is ended; one that has is seen through and booked, and "
    "its picture can be had. One that has ended stays as it is."
)


def job_paths(parameters: list[Json], form: Json, pictures: Json) -> Json:
    """Return the paths.

    Parameters
    ----------
    parameters
        Those that every operation takes.
    form
        The request's body of a picture.
    pictures
        The responses with a picture.
    """
    errors = error_responses()
    asked = error_responses(only=(400, 401, 403, 405, 408, 429, 431, 500, 503))
    missing = error_responses(special=("NOT_FOUND",))
    no_result = error_responses(special=("JOB_NOT_DONE", "RESULT_EXPIRED"))
    submit = _operation("submitJob", "Have an image extended in the background", [*parameters, _key_parameter()])
    submit |= {"description": _SUBMITTED, "requestBody": form, "responses": {"202": _taken(), **errors}}
    page = _operation("listJobs", "The jobs of your organization, newest first", [*_page_parameters(), *parameters])
    page |= {"responses": {"200": _answer("The jobs.", "JobList"), **asked, **error_responses(only=(422,))}}
    show = _operation("getJob", "How far a job is", [_id_parameter(), *parameters])
    show |= {"responses": {"200": _answer("The job as it stands.", "BackgroundJob"), **asked, **missing}}
    cancel = _operation("cancelJob", "End a job", [_id_parameter(), *parameters])
    cancel |= {"description": _CANCELLED}
    cancel |= {"responses": {"200": _answer("The job as it stands.", "BackgroundJob"), **asked, **missing}}
    result = _operation("getJobResult", "The picture of a job, or why there is none", [_id_parameter(), *parameters])
    result |= {"responses": {**pictures, **errors, **missing, **no_result}}
    return {
        JOBS_PATH: {"post": submit, "get": page},
        JOB_PATH: {"get": show, "delete": cancel},
        RESULT_PATH: {"get": result},
    }


def job_schemas() -> Json:
    """Return the schemas of jobs."""
    text: Json = {"type": "string"}
    moment: Json = {"type": ["string", "null"], "format": "date-time"}
    job = whole_object(
        {
            "id": text,
            "state": {
                **text,
                "enum": list(JOB_STATES),
                "description": "`unknown`: its server died when a billed call may have been sent.",
            },
            "provider": {**text, "description": "The name that was asked for."},
            "stage": {"type": ["string", "null"], "enum": [*STAGES, None]},
            "progress": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "description": "How far the provider is; null before it says anything.",
            },
            "calls_billed": {"type": "integer", "minimum": 0, "description": "Calls that may be billed, as sent."},
            "cancel_requested": {"type": "boolean"},
            "created_at": {**text, "format": "date-time"},
            "started_at": moment,
            "ended_at": moment,
            "expires_at": {**moment, "description": "When its result and its photo are deleted."},
            "address": {**text, "description": "Where it is asked for."},
            "result": {"type": ["string", "null"], "description": "Where its picture is, once there is one."},
            "error": {"anyOf": [_error(), {"type": "null"}], "description": "Why there is no picture."},
        }
    )
    listed = whole_object(
        {
            "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/BackgroundJob"}},
            "next": {"type": ["string", "null"], "description": "The `cursor` of older ones; null: there are none."},
        }
    )
    return {"BackgroundJob": job, "JobList": listed}


def _error() -> Json:
    return {
        "type": "object",
        "required": ["code", "message", "status"],
        "additionalProperties": False,
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "status": {"type": "integer"},
            "details": {"type": "object"},
        },
    }


def _operation(operation_id: str, summary: str, parameters: list[Json]) -> Json:
    return {
        "tags": ["jobs"],
        "operationId": operation_id,
        "summary": summary,
        "security": _SECURITY,
        "parameters": parameters,
    }


def _answer(description: str, schema: str, headers: tuple[str, ...] = ()) -> Json:
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *headers)},
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _taken() -> Json:
    limits = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
    return _answer("The job, which waits for its turn.", "BackgroundJob", ("Location", "Idempotent-Replayed", *limits))


def _page_parameters() -> list[Json]:
    return [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE, "default": 20}, "How many."),
        _query("cursor", {"type": "string"}, "The `next` of the page before."),
        _query("state", {"type": "string", "enum": list(JOB_STATES)}, "Only jobs in this state."),
    ]


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _key_parameter() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Your own name of this submission: the same again is the same job.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }


def _id_parameter() -> Json:
    return {
        "name": "job_id",
        "in": "path",
        "required": True,
        "description": "The job's `id`.",
        "schema": {"type": "string"},
        "example": "job_0199d0d0d0d05f0c1e2d3b4a59687716",
    }
