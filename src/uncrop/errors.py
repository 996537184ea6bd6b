"""Every error of uncrop, in one tree, sorted by who must act.

::

    UncropError
    ├── CallerError                    the caller must change the request, or wait
    │   ├── MalformedRequest           400 MALFORMED_REQUEST
    │   ├── AuthenticationError        401
    │   │   ├── AuthenticationRequired     AUTHENTICATION_REQUIRED
    │   │   ├── InvalidApiKey              INVALID_API_KEY
    │   │   ├── ApiKeyExpired              API_KEY_EXPIRED
    │   │   ├── ApiKeyPaused               API_KEY_PAUSED
    │   │   └── ApiKeyDeactivated          API_KEY_DEACTIVATED
    │   ├── OrganizationAccessDenied   403 ORGANIZATION_ACCESS_DENIED
    │   ├── NotFound                   404 NOT_FOUND
    │   ├── MethodNotAllowed           405 METHOD_NOT_ALLOWED
    │   ├── RequestTimeout             408 REQUEST_TIMEOUT
    │   ├── RequestTooLarge            413 REQUEST_TOO_LARGE
    │   ├── ExpectationFailed          417 EXPECTATION_FAILED
    │   ├── InvalidRequest             422; also a ValueError
    │   │   ├── ValidationError            VALIDATION_ERROR
    │   │   ├── InvalidFieldValue          INVALID_FIELD_VALUE
    │   │   ├── InvalidExtendParameters    INVALID_EXTEND_PARAMETERS
    │   │   ├── MaskRequired               MASK_REQUIRED
    │   │   ├── InvalidMask                INVALID_MASK
    │   │   ├── InvalidImage               INVALID_IMAGE
    │   │   ├── ImageTooLarge              IMAGE_TOO_LARGE
    │   │   ├── UnsupportedImageFormat     UNSUPPORTED_IMAGE_FORMAT
    │   │   ├── ContentRejected            CONTENT_REJECTED
    │   │   └── ProviderRejectedRequest    PROVIDER_REJECTED_REQUEST
    │   ├── RateLimitExceeded          429 RATE_LIMIT_EXCEEDED
    │   ├── UsageLimitExceeded         429 USAGE_LIMIT_EXCEEDED
    │   ├── ProviderRateLimited        429 PROVIDER_RATE_LIMITED
    │   └── HeadersTooLarge            431 REQUEST_HEADERS_TOO_LARGE
    ├── OperatorError                  whoever runs this server must act
    │   ├── InternalError              500 INTERNAL_ERROR
    │   ├── ProviderAuthenticationFailed   502 PROVIDER_AUTHENTICATION_FAILED
    │   ├── ProviderNotConfigured      503 PROVIDER_NOT_CONFIGURED
    │   ├── ProviderQuotaExhausted     503 PROVIDER_QUOTA_EXHAUSTED
    │   ├── ServerBusy                 503 SERVER_BUSY
    │   ├── NotReady                   503 NOT_READY
    │   ├── HttpVersionNotSupported    505 HTTP_VERSION_NOT_SUPPORTED
    │   └── SettingsError              the start is refused; never reaches the wire
    └── ProviderFault                  the provider must act; trying again later may help
        ├── ProviderError              502 PROVIDER_ERROR
        ├── ProviderInvalidResponse    502 PROVIDER_INVALID_RESPONSE
        ├── ProviderUnavailable        503 PROVIDER_UNAVAILABLE
        └── ProviderTimeout            504 PROVIDER_TIMEOUT

An error carries two texts. ``message`` is for the caller and holds nothing internal; ``system_message`` is technical
and still safe to show: no key, no upstream text, no path, no pixel. What only the log may know is chained with
``from``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


# --- the caller ------------------------------------------------------------------------------------------------------


class MalformedRequest(CallerError):
    """What arrived is not an HTTP request."""

    status = 400
    code = "MALFORMED_REQUEST"
    default_message = "The request is not valid HTTP"


class AuthenticationError(CallerError):
    """Base of the 401s."""

    status = 401
    code = "AUTHENTICATION_REQUIRED"


class AuthenticationRequired(AuthenticationError):
    """No credentials were sent."""

    code = "AUTHENTICATION_REQUIRED"
    default_message = "Authentication is required: send the key as X-API-Key or as a Bearer token"


class InvalidApiKey(AuthenticationError):
    """The key is not known here."""

    code = "INVALID_API_KEY"
    default_message = "The API key is not valid"


class ApiKeyExpired(AuthenticationError):
    """The key is past its date."""

    code = "API_KEY_EXPIRED"
    default_message = "The API key has expired"


class ApiKeyPaused(AuthenticationError):
    """The key is paused."""

    code = "API_KEY_PAUSED"
    default_message = "The API key is paused"


class ApiKeyDeactivated(AuthenticationError):
    """The key was revoked."""

    code = "API_KEY_DEACTIVATED"
    default_message = "The API key has been deactivated"


class OrganizationAccessDenied(CallerError):
    """The key belongs to another organization."""

    status = 403
    code = "ORGANIZATION_ACCESS_DENIED"
    default_message = "The API key does not belong to this organization"


class NotFound(CallerError):
    """No such route."""

    status = 404
    code = "NOT_FOUND"
    default_message = "There is nothing at this address"


class MethodNotAllowed(CallerError):
    """The route exists, the method does not."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    default_message = "This address does not take that method"


class RequestTimeout(CallerError):
    """The request body did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    retryable = True
    default_message = "The request body did not arrive in time"


class RequestTooLarge(CallerError):
    """The body exceeds what any provider takes."""

    status = 413
    code = "REQUEST_TOO_LARGE"
    default_message = "The request body is too large"


class ExpectationFailed(CallerError):
    """The request's Expect header asks for something else than 100-continue."""

    status = 417
    code = "EXPECTATION_FAILED"
    default_message = "Of expectations, the server knows 100-continue alone"


class InvalidRequest(CallerError, ValueError):
    """Base of the 422s."""


class ValidationError(InvalidRequest):
    """A required field is missing, a number is no number; ``details.fields`` names them."""

    code = "VALIDATION_ERROR"
    default_message = "The request is not valid"


class InvalidFieldValue(InvalidRequest):
    """A field has a value that it cannot have, or that this provider does not take."""

    code = "INVALID_FIELD_VALUE"
    default_message = "A field has an invalid value"


class InvalidExtendParameters(InvalidRequest):
    """The sides exceed their limits, are all zero, or leave nothing of the image."""

    code = "INVALID_EXTEND_PARAMETERS"
    default_message = "The extend parameters are not valid"


class MaskRequired(InvalidRequest):
    """The provider takes masks, and neither a mask nor a side was sent."""

    code = "MASK_REQUIRED"
    default_message = "This provider requires mask for this operation"


class InvalidMask(InvalidRequest):
    """The mask breaks one of its rules; the message says which."""

    code = "INVALID_MASK"
    default_message = "The mask is not valid"


class InvalidImage(InvalidRequest):
    """The image is corrupt, truncated, or too small."""

    code = "INVALID_IMAGE"
    default_message = "The image is corrupt or incomplete"


class ImageTooLarge(InvalidRequest):
    """The image, or the canvas asked for, exceeds a limit."""

    code = "IMAGE_TOO_LARGE"
    default_message = "The image is too large"


class UnsupportedImageFormat(InvalidRequest):
    """The image is not a still PNG, JPEG or WebP."""

    code = "UNSUPPORTED_IMAGE_FORMAT"
    default_message = "The image is not a PNG, JPEG or WebP"


class ContentRejected(InvalidRequest):
    """The provider's safety system refused."""

    code = "CONTENT_REJECTED"
    default_message = "The provider's safety system rejected the request"


class ProviderRejectedRequest(InvalidRequest):
    """Any other refusal of the provider that is about this request."""

    code = "PROVIDER_REJECTED_REQUEST"
    default_message = "The provider rejected the request"


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimitState:
    """Where an organization stands with one of its limits, for the ``X-RateLimit-*`` headers.

    ``reset`` is the second, in Unix time and rounded up, at which the oldest request that counts no longer does; now
    if none counts.
    """

    limit: int
    remaining: int
    reset: int


class RateLimitExceeded(CallerError):
    """Too many requests of this organization in the window.

    ``state`` is that of the limit that refused, where one is known.
    """

    status = 429
    code = "RATE_LIMIT_EXCEEDED"
    retryable = True
    default_message = "Too many requests; try again later"

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Details | None = None,
        system_message: str | None = None,
        retry_after: float | None = None,
        state: RateLimitState | None = None,
    ) -> None:
        self.state = state
        super().__init__(message, details=details, system_message=system_message, retry_after=retry_after)


class UsageLimitExceeded(CallerError):
    """The organization has made as many pictures as it may for now."""

    status = 429
    code = "USAGE_LIMIT_EXCEEDED"
    retryable = True
    default_message = "The organization's usage limit is reached"


class ProviderRateLimited(CallerError):
    """The provider's own rate limit."""

    status = 429
    code = "PROVIDER_RATE_LIMITED"
    retryable = True
    default_retry_after = 60  # every provider counts by the minute
    default_message = "The provider is limiting requests; try again later"


class HeadersTooLarge(CallerError):
    """The request has too many header lines, or they are too long."""

    status = 431
    code = "REQUEST_HEADERS_TOO_LARGE"
    default_message = "The request headers are too large"


# --- the operator ----------------------------------------------------------------------------------------------------


class InternalError(OperatorError):
    """A fault of uncrop's own; nothing internal is told."""


class ProviderAuthenticationFailed(OperatorError):
    """The provider refused the key of this server."""

    status = 502
    code = "PROVIDER_AUTHENTICATION_FAILED"
    default_message = "The provider refused this server's credentials"


class ProviderNotConfigured(OperatorError):
    """No key for this provider is set."""

    status = 503
    code = "PROVIDER_NOT_CONFIGURED"
    default_message = "This provider is not configured on this server"


class ProviderQuotaExhausted(OperatorError):
    """The credits of this server's account at the provider are spent."""

    status = 503
    code = "PROVIDER_QUOTA_EXHAUSTED"
    default_message = "The provider's credits for this server are used up"


class ServerBusy(OperatorError):
    """All slots and all places in the queue are taken."""

    status = 503
    code = "SERVER_BUSY"
    retryable = True
    default_message = "The server is busy; try again later"


class NotReady(OperatorError):
    """The server cannot take requests yet, or no longer; ``details.checks`` says what is missing."""

    status = 503
    code = "NOT_READY"
    retryable = True
    default_message = "The server is not ready"


class HttpVersionNotSupported(OperatorError):
    """The request line names a version of HTTP that is not spoken here."""

    status = 505
    code = "HTTP_VERSION_NOT_SUPPORTED"
    default_message = "The server speaks HTTP/1.1"


class SettingsError(OperatorError):
    """Settings are wrong or missing.

    ``problems`` has one line per mistake, each naming its variable.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


# --- the provider ----------------------------------------------------------------------------------------------------


class ProviderError(ProviderFault):
    """The provider failed, or could not be reached."""

    default_message = "The provider failed to process the request"


class ProviderInvalidResponse(ProviderFault):
    """The provider's answer was not what its documentation promises."""

    code = "PROVIDER_INVALID_RESPONSE"
    default_message = "The provider sent an answer that could not be used"


class ProviderUnavailable(ProviderFault):
    """The provider failed so often that it is given a pause."""

    status = 503
    code = "PROVIDER_UNAVAILABLE"
    default_message = "The provider is unavailable at the moment"


class ProviderTimeout(ProviderFault):
    """The provider did not answer in time."""

    status = 504
    code = "PROVIDER_TIMEOUT"
    default_message = "The provider did not answer in time"
