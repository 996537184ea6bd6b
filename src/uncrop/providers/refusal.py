"""What every remote provider's refusal has in common.

Nothing that a provider wrote gets through, only numbers and codes that are known here.
"""

from __future__ import annotations

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from uncrop.errors import (
    ProviderAuthenticationFailed,
    ProviderError,
    ProviderInvalidResponse,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejectedRequest,
    ProviderTimeout,
    UncropError,
)

if TYPE_CHECKING:
    from uncrop.providers.conversation import Answer

# Statuses that mean the same with every provider. A 404 or 405 is about the address or the model that the operator
# set, not about the caller's request.
BY_STATUS: Mapping[int, type[UncropError]] = {
    401: ProviderAuthenticationFailed,
    402: ProviderQuotaExhausted,
    403: ProviderAuthenticationFailed,
    404: ProviderError,
    405: ProviderError,
    408: ProviderTimeout,
    429: ProviderRateLimited,
}
MAX_RETRY_AFTER_S = 3600.0


def refuse(
    answer: Answer, *, error: type[UncropError] | None = None, code: str | None = None, hint: str | None = None
) -> UncropError:
    """Turn an answer whose status is not 200 into an error.

    Parameters
    ----------
    answer
        Its body is not looked at.
    error
        What the provider's own code or status means, where that is more exact than the common table.
    code
        The provider's code, if it is one that is known here; goes into the details.
    hint
        What the operator can do about it, in our own words; goes into the technical text.
    """
    kind = error or kind_of_status(answer.status)
    details: dict[str, int | str] = {"provider_status": answer.status}
    text = f"The provider answered with status {answer.status}"
    if code is not None:
        details["provider_code"] = code
        text += f" and code {code}"
    if hint is not None:
        text += f": {hint}"
    wait = retry_after(answer.headers) if kind.retryable else None
    return kind(details=details, system_message=text, retry_after=wait)


def refuse_poll(answer: Answer) -> UncropError:
    """Turn a poll's answer that is none of a job into an error.

    The request itself had been accepted: a status that would speak against it is the provider's fault here.
    """
    kind = BY_STATUS.get(answer.status, ProviderError)
    return refuse(answer, error=kind if answer.status >= 400 else ProviderInvalidResponse)


def refuse_file(answer: Answer) -> UncropError:
    """Turn a download's answer whose status is not 200 into an error.

    The provider named the address, and no key went there: whatever is wrong is the provider's fault.
    """
    return refuse(answer, error=ProviderError if answer.status >= 400 else ProviderInvalidResponse)


def kind_of_status(status: int) -> type[UncropError]:
    """Return what a status that is not 200 means where nothing else is known."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status >= 500:
        return ProviderError
    return ProviderRejectedRequest if status >= 400 else ProviderInvalidResponse


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read ``retry-after-ms`` or ``retry-after`` as seconds, an hour at most; ``None`` when absent or unreadable."""
    if (seconds := _number(headers.get("retry-after-ms"), scale=0.001)) is None:
        seconds = _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"), now or datetime.now(UTC))
    return min(seconds, MAX_RETRY_AFTER_S) if seconds is not None and seconds > 0 else None


def _number(text: str | None, scale: float = 1) -> float | None:
    try:
        value = float(text or "") * scale
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(text or "")
        return (date - now).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one without a time zone
        return None
