"""What every answer must keep, whatever was sent: no fault of ours from a client's input, and errors of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop import errors

if TYPE_CHECKING:
    import httpx2

LARGEST_ERROR = 2048
FIELDS = {"code", "message", "type", "status", "system_message", "trace_id", "timestamp"}
# What of a picture's input alone can be at fault.
OF_IMAGES = {
    kind.code
    for kind in (
        errors.InvalidImage,
        errors.UnsupportedImageFormat,
        errors.ImageTooLarge,
        errors.InvalidExtendParameters,
        errors.InvalidFieldValue,
    )
}


def miss_of(response: httpx2.Response, *, codes: set[str] | None = None) -> str | None:
    """Return what is wrong with an answer, or ``None``; ``codes`` are those that a refusal may have."""
    status = response.status_code
    if status == 200:
        return None if len(response.content) > 0 else "200 without a body"
    if status >= 500:
        return f"status {status}"
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return f"status {status} without the published error body"
    if not set(error) >= FIELDS or len(response.content) > LARGEST_ERROR:
        return f"status {status}: an error body of another shape or too long"
    if codes is not None and error["code"] not in codes:
        return f"status {status}: code {error['code']}"
    return None


def check_none(misses: list[str]) -> None:
    """Fail with what was missed, the first ten of it."""
    assert not misses, f"{len(misses)} misses: " + "; ".join(misses[:10])
