"""The base of all errors, and the three kinds by who must act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

Details = Mapping[str, Any]


class UncropError(Exception):
    """Base of all errors that uncrop raises on purpose.

    Parameters
    ----------
    message
        One sentence for the caller.
    details
        Facts a program can act on, for example ``{"extend_left": 2500, "max_allowed": 2000}``.
    system_message
        Technical text, safe to show; the class's own when absent.
    retry_after
        Seconds after which the same request may succeed; the class's own when absent.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False
    default_message: ClassVar[str] = "Something went wrong. Please try again later."
    default_retry_after: ClassVar[float | None] = None

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Details | None = None,
        system_message: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.details = dict(details) if details else None
        self.system_message = system_message or self.message
        # Whether a provider bills for the call that failed, where its own answer says so.
        self.charged: bool | None = None
        self.retry_after = self.default_retry_after if retry_after is None else retry_after
        super().__init__(self.message)


class CallerError(UncropError):
    """The caller must change the request, or wait."""

    type = "client_error"
    status = 422
    code = "VALIDATION_ERROR"


class OperatorError(UncropError):
    """Whoever runs this server must act."""


class ProviderFault(UncropError):
    """The provider failed; the same request may succeed later."""

    status = 502
    code = "PROVIDER_ERROR"
    retryable = True
