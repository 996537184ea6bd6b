"""What the refusals of AUTOMATIC1111, Forge and SD.Next mean.

Four shapes of bodies are known: ``{"error", "detail", "body", "errors"}``, in which ``error`` is the name of a Python
exception and to which SD.Next adds ``code``; FastAPI's ``{"detail": "text"}`` and ``{"detail": [...]}``, the only ones
that Forge has; and no JSON at all. So the dialect need not be known. What is refused is never the caller's fault,
unless nothing else is known of it: the caller chooses a seed and a prompt, and any are taken.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import ProviderError, UncropError
from uncrop.providers.answers import is_page, read_object, unusable
from uncrop.providers.refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.errors import ProviderInvalidResponse
    from uncrop.providers.conversation import Answer

MEMORY, NANS = "OutOfMemoryError", "NansException"
# By the exception's name, or by words where another exception, or a log's line, carries them.
BY_WORDS: Mapping[str, str] = {"out of memory": MEMORY, "outofmemory": MEMORY, "all nans": NANS, "nansexception": NANS}
HINTS: Mapping[str, str] = {
    MEMORY: "the GPU's memory is used up; a lower max_pixels needs less",
    NANS: "the model made no numbers; the web UI's --no-half-vae or --no-half help",
}
NO_API = "the web UI must be started with --api, and base_url be its address"
PAGE = "a web page came, so that something else than the API answers at this address"
FIELDS = "the web UI does not take the fields that it was sent; it may be too old or too new"
NAMES = "the web UI does not know the checkpoint or the sampler that is set"
WRONG_USER = "api_auth must be a user and a password that the web UI has in --api-auth"


def refuse_call(answer: Answer) -> UncropError:
    """Turn an answer whose status is not 200 into an error."""
    if is_page(answer):
        return refuse(answer, hint=PAGE)
    code = _code_of(answer) if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    if code is not None:
        return refuse(answer, error=ProviderError, code=code, hint=HINTS[code])
    return _by_status(answer)


def refuse_text(answer: Answer) -> ProviderInvalidResponse:
    """Return the error of an answer with status 200 that is no JSON object."""
    return unusable(f"is not a JSON object: {PAGE}" if is_page(answer) else "is not a JSON object")


def _by_status(answer: Answer) -> UncropError:
    detail = (read_object(answer.body) or {}).get("detail")
    hint: str | None = None
    error: type[UncropError] | None = None
    if isinstance(detail, str) and detail.lower() in {"sampler not found", "model not found"}:
        error, hint = ProviderError, NAMES
    elif answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        hint = NO_API
    elif answer.status == HTTPStatus.UNAUTHORIZED:
        hint = WRONG_USER
    elif answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        error, hint = ProviderError, FIELDS
    return refuse(answer, error=error, hint=hint)


def _code_of(answer: Answer) -> str | None:
    """Return which of the failures that the operator can help is told, if any."""
    body = read_object(answer.body)
    told = (body.get("error"), body.get("errors"), body.get("detail")) if body is not None else (_text(answer.body),)
    words = " ".join(text for text in told if isinstance(text, str)).lower()
    return next((code for phrase, code in BY_WORDS.items() if phrase in words), None)


def _text(body: bytes) -> str:
    return body[:4096].decode("utf-8", "replace")
