"""What the error bodies of OpenAI and of compatible servers mean.

Their shapes differ: ``{"error": {...}}``, ``{"error": "text"}``, ``{"detail": ...}``, or no JSON at all. Codes are the
stable part; two meanings have been seen without a code, or under one that says little, so they are recognised by their
words.
"""

from __future__ import annotations

from collections.abc import Mapping
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

if TYPE_CHECKING:
    from uncrop.providers.conversation import Answer

BY_CODE: Mapping[str, type[UncropError]] = {
    "moderation_blocked": ContentRejected,
    "content_policy_violation": ContentRejected,
    "billing_hard_limit_reached": ProviderQuotaExhausted,
    "insufficient_quota": ProviderQuotaExhausted,
    "invalid_api_key": ProviderAuthenticationFailed,
    "model_not_found": ProviderError,
    "rate_limit_exceeded": ProviderRateLimited,
    "invalid_type": ProviderRejectedRequest,
    "invalid_value": ProviderRejectedRequest,
    "unknown_parameter": ProviderRejectedRequest,
    "unsupported_file_mimetype": ProviderRejectedRequest,
}
BY_WORDS: Mapping[str, type[UncropError]] = {
    "safety system": ContentRejected,
    "billing hard limit": ProviderQuotaExhausted,
}
# Stands over refusals of every kind, those for safety among them, and so counts only where the words say nothing.
BY_GENERIC_CODE: Mapping[str, type[UncropError]] = {"image_generation_user_error": ProviderRejectedRequest}


def meaning_of(answer: Answer) -> tuple[type[UncropError] | None, str | None]:
    """Return the error that the body of a 4xx names, and its code if it is a known one."""
    if not 400 <= answer.status < 500:
        return None, None
    code, kind, message = _read(answer.body)
    if found := _by_name(BY_CODE, code, kind):
        return found
    words = message.lower()
    for phrase, error in BY_WORDS.items():
        if phrase in words:
            return error, None
    return _by_name(BY_GENERIC_CODE, code, kind) or (None, None)


def _by_name(known: Mapping[str, type[UncropError]], *names: str) -> tuple[type[UncropError], str] | None:
    return next(((known[name], name) for name in names if name in known), None)


def _read(body: bytes) -> tuple[str, str, str]:
    """Return code, type and message, each empty when absent or of another type."""
    parsed = read_object(body) or {}
    error = parsed.get("error", parsed)
    if not isinstance(error, dict):
        return "", "", error if isinstance(error, str) else ""
    return _text(error.get("code")), _text(error.get("type")), _text(error.get("message"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
