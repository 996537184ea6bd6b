"""Between HTTP and the jobs: what is told of a job, and the answer that it was made for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from uncrop.errors import InvalidFieldValue
from uncrop.jobs.answers import Answer
from uncrop.server.pictures_wire import to_pictures_response
from uncrop.server.sending import PiecewiseResponse

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.datastructures import QueryParams

    from uncrop.model.jobs import BackgroundJob
    from uncrop.service.administration import Page
    from uncrop.service.pictures import MadePictures

JOBS_PATH = "/api/v1/jobs"
_OF_THE_BODY = {"content-length", "content-type"}
_DEFAULT_LIMIT = 20


def render(made: MadePictures, accept: str) -> Answer:
    """Return pictures as the picture's own request is answered with them."""
    response = to_pictures_response(made, accept)
    headers = {name: value for name, value in response.headers.items() if name not in _OF_THE_BODY}
    return Answer(media_type=response.media_type or "", headers=headers, body=bytes(response.body))


def answer_response(answer: Answer) -> PiecewiseResponse:
    """Return the response that ``render`` kept."""
    return PiecewiseResponse(answer.body, media_type=answer.media_type, headers=dict(answer.headers))


def address_of(job: BackgroundJob) -> str:
    """Return where a job is asked for."""
    return f"{JOBS_PATH}/{job.id}"


def job_json(job: BackgroundJob) -> dict[str, Any]:
    """Return what the API tells of a job."""
    done = job.state == "done" and job.result_bytes is not None
    return {
        "id": job.id,
        "state": job.state,
        "provider": job.provider,
        "stage": job.stage,
        "progress": 1.0 if job.state == "done" else job.fraction,
        "calls_billed": job.calls_sent,
        "cancel_requested": job.cancel_requested_at is not None,
        "created_at": _moment(job.created_at),
        "started_at": _moment(job.started_at),
        "ended_at": _moment(job.ended_at),
        "expires_at": _moment(job.expires_at),
        "address": address_of(job),
        "result": f"{address_of(job)}/result" if done else None,
        "error": None if job.error is None else _error(job.error),
    }


def page_json(page: Page[BackgroundJob]) -> dict[str, Any]:
    """Return what the API tells of some jobs."""
    return {"jobs": [job_json(job) for job in page.items], "next": page.items[-1].id if page.more else None}


def limit_of(query: QueryParams) -> int:
    """Return how many jobs are asked for.

    Raises
    ------
    InvalidFieldValue
        It is no whole number.
    """
    text = query.get("limit", "")
    if not text:
        return _DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < len("100000")):
        raise InvalidFieldValue("limit must be a whole number", details={"field": "limit"})
    return int(text)


def _error(text: str) -> dict[str, Any]:
    said = json.loads(text)
    told = {name: said[name] for name in ("code", "message", "status")}
    return {**told, "details": said["details"]} if said.get("details") else told


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
