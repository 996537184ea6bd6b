"""What a call may end with: a class for each family, read off the server's answer."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx2

IN_PROGRESS, UNEXPECTED = "IDEMPOTENCY_IN_PROGRESS", "UNEXPECTED_ANSWER"
_NOT_STARTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class ApiError(Exception):
    """The server refused, its answer was none of its own, or none came.

    Attributes
    ----------
    status, code, message, details, trace_id
        As in the error's body; ``code`` is "UNEXPECTED_ANSWER" where something between here and there answered.
    retry_after
        Seconds after which the same request may succeed, where the server says so.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        details: Mapping[str, Any] | None = None,
        trace_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        self.status = status
        self.code = code
        self.details = dict(details or {})
        self.trace_id = trace_id
        self.retry_after = retry_after
        super().__init__(f"{message} ({status} {code}, trace {trace_id})")


class AuthenticationFailed(ApiError):
    """The key is missing, not known, expired, paused or revoked, or belongs to another organization."""


class InvalidRequest(ApiError):
    """What was asked cannot be made, or cannot be read; ``details`` says why."""


class RateLimited(ApiError):
    """Too many requests, or pictures, for now: of the organization, or of the server at its provider."""


class ProviderFailed(ApiError):
    """The provider failed, or this server's account at it did."""


class Busy(ApiError):
    """The server has no room, is not ready, or still works on the same request; it may succeed later."""


class NoAnswer(ApiError):
    """No whole answer came: the connection did not come about, broke off, or timed out.

    Attributes
    ----------
    started
        Whether the request may have reached the server, and a call at a provider may have been billed.
    """

    def __init__(self, message: str, *, started: bool) -> None:
        self.started = started
        super().__init__(message, status=0, code="NO_ANSWER")


def checked(response: httpx2.Response) -> httpx2.Response:
    """Return an answer with status 200, 201 or 202.

    Raises
    ------
    ApiError
        It has another one.
    """
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
        raise error_of(response)
    return response


def error_of(response: httpx2.Response) -> ApiError:
    """Return the error that an answer with another status than 200 tells."""
    try:
        error = response.json()["error"]
        code = str(error["code"])
        return _family(response.status_code, code)(
            error["message"],
            status=response.status_code,
            code=code,
            details=error.get("details"),
            trace_id=error.get("trace_id"),
            retry_after=_seconds(response),
        )
    except (ValueError, KeyError, TypeError):
        return unexpected(response)


def unexpected(response: httpx2.Response) -> ApiError:
    """Return the error for an answer that is none of the server's own."""
    return ApiError(
        "The answer is not the server's own",
        status=response.status_code,
        code=UNEXPECTED,
        retry_after=_seconds(response),
    )


def no_answer(error: httpx2.TransportError) -> NoAnswer:
    """Return the error for a call to which no whole answer came."""
    if isinstance(error, _NOT_STARTED):
        return NoAnswer("No connection to the server came about", started=False)
    return NoAnswer("The connection to the server broke off, or it did not answer in time", started=True)


def _seconds(response: httpx2.Response) -> float | None:
    wait = response.headers.get("retry-after", "")
    return float(wait) if wait.isdecimal() else None


def _family(status: int, code: str) -> type[ApiError]:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return AuthenticationFailed
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited
    if code == IN_PROGRESS:
        return Busy
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidRequest
    if code.startswith("PROVIDER_"):
        return ProviderFailed
    return Busy if status == HTTPStatus.SERVICE_UNAVAILABLE else ApiError
