"""What Bria's refusals mean: those of a call by its status and words, those of a job by its code and words.

Two shapes of bodies are known, ``{"error": {"code", "message", "details"}}`` and ``{"detail": ...}``. A code is a
number here and a text there. That something was moderated is told by no code of its own, only in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import ContentRejected, ProviderError, ProviderRejectedRequest, UncropError
from uncrop.providers.answers import read_object
from uncrop.providers.refusal import refuse

if TYPE_CHECKING:
    from uncrop.providers.conversation import Answer

# How a job ends that makes no picture; FAILED is an older word for ERROR.
ENDS = frozenset({"ERROR", "FAILED", "UNKNOWN"})
VALIDATION = "VALIDATION_ERROR"
MODERATED = ("moderation", "moderated")


def refuse_call(answer: Answer) -> UncropError:
    """Turn an answer of another status than the expected one into an error."""
    body = read_object(answer.body) or {}
    may_be_content = answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
    return refuse(answer, error=ContentRejected if may_be_content and _is_moderated(body) else None)


def refuse_job(answer: Answer, body: Mapping[str, object], status: str) -> UncropError:
    """Turn a job that ended without a picture into an error."""
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    kind: type[UncropError] = ProviderError
    if _is_moderated(body):
        kind = ContentRejected
    elif code == VALIDATION or (isinstance(code, int) and 400 <= code < 500):
        kind = ProviderRejectedRequest
    return refuse(answer, error=kind, code=VALIDATION if code == VALIDATION else status)


def _is_moderated(body: Mapping[str, object]) -> bool:
    error = body.get("error")
    told = (error.get("message"), error.get("details")) if isinstance(error, dict) else (body.get("detail"),)
    words = " ".join(text for text in told if isinstance(text, str)).lower()
    return any(word in words for word in MODERATED)
