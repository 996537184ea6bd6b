"""What the refusals of Black Forest Labs mean: those of a call by status and code, those of a task by its status.

Two shapes of error bodies are published, ``{"detail": ...}`` and ``{"error", "message", "details" or "retry_after"}``;
neither is certain, so that nothing depends on them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import (
    ContentRejected,
    ProviderAuthenticationFailed,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejectedRequest,
    UncropError,
)
from uncrop.providers.answers import read_object
from uncrop.providers.refusal import refuse

if TYPE_CHECKING:
    from uncrop.providers.conversation import Answer

BY_CODE: Mapping[str, type[UncropError]] = {
    "insufficient_credits": ProviderQuotaExhausted,
    "invalid_api_key": ProviderAuthenticationFailed,
    "rate_limit_exceeded": ProviderRateLimited,
}
# How a task ends that makes no picture.
BY_TASK_STATUS: Mapping[str, type[UncropError]] = {
    "Content Moderated": ContentRejected,
    "Error": ProviderError,
    "Request Moderated": ContentRejected,
    "Task not found": ProviderError,
}


def refuse_call(answer: Answer) -> UncropError:
    """Turn an answer whose status is not 200 into an error."""
    body = read_object(answer.body) or {}
    code, seconds = body.get("error"), body.get("retry_after")
    if isinstance(seconds, int | float) and "retry-after" not in answer.headers:
        answer = replace(answer, headers={**answer.headers, "retry-after": str(seconds)})
    known = code if isinstance(code, str) and code in BY_CODE and answer.status < 500 else None
    return refuse(answer, error=None if known is None else BY_CODE[known], code=known)


def refuse_task(answer: Answer, status: str) -> UncropError:
    """Turn a task that ended without a picture into an error; one that failed with a 422 was asked something wrong."""
    error = BY_TASK_STATUS[status]
    if status == "Error" and answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        error = ProviderRejectedRequest
    return refuse(answer, error=error, code=status)
