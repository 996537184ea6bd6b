"""The caller must change the request, or wait."""

from __future__ import annotations

from dataclasses import dataclass

from uncrop.errors.base import CallerError, Details


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


class ScopeMissing(CallerError):
    """The key may not be used for this; ``details.scope`` names what it lacks."""

    status = 403
    code = "SCOPE_MISSING"
    default_message = "The API key may not be used for this"


class ProviderNotAllowed(CallerError):
    """The organization, or its key, may not use this provider."""

    status = 403
    code = "PROVIDER_NOT_ALLOWED"
    default_message = "The organization may not use this provider"


class NotFound(CallerError):
    """There is no such thing, or it is another organization's, which is told in the same words."""

    status = 404
    code = "NOT_FOUND"
    default_message = "There is nothing at this address"


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


class WebhookUrlForbidden(InvalidRequest):
    """No message may be sent to the address of a webhook; ``details.reason`` says which rule it breaks."""

    code = "WEBHOOK_URL_FORBIDDEN"
    default_message = "Messages may not be sent to this address"


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
    """The organization, or its key, has made as many pictures as it may for now, or spent as much money."""

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


class RequestCancelled(CallerError):
    """The caller has ended the request by its id; ``details.calls_billed`` tells what may have to be paid."""

    status = 409
    code = "REQUEST_CANCELLED"
    default_message = "The request was cancelled"


class IdempotencyKeyInvalid(CallerError):
    """The header ``Idempotency-Key`` is not 1 to 255 characters of printable ASCII, or was sent twice."""

    status = 400
    code = "IDEMPOTENCY_KEY_INVALID"
    default_message = "Idempotency-Key must be sent once and have 1 to 255 printable ASCII characters"


class IdempotencyInProgress(CallerError):
    """A request with the same key is being worked on."""

    status = 409
    code = "IDEMPOTENCY_IN_PROGRESS"
    retryable = True
    default_retry_after = 1
    default_message = "A request with this Idempotency-Key is still being worked on"


class IdempotencyMismatch(InvalidRequest):
    """The key was used for another request."""

    code = "IDEMPOTENCY_MISMATCH"
    default_message = "This Idempotency-Key was used for a request with other content"


class IdempotencyOutcomeUnknown(CallerError):
    """A call was sent for the first request with the key, and whether it is billed is not known."""

    status = 409
    code = "IDEMPOTENCY_OUTCOME_UNKNOWN"
    default_message = (
        "A call was sent for the first request with this Idempotency-Key, and what became of it is not known; "
        "use another key to have the picture made once more"
    )


class ResultNotKept(CallerError):
    """The first request with the key was paid for, and its answer is not there any more."""

    status = 410
    code = "RESULT_NOT_KEPT"
    default_message = (
        "The first request with this Idempotency-Key was carried out, and its answer could not be kept; "
        "use another key to have the picture made once more"
    )


class JobNotDone(CallerError):
    """The job has no result yet; ``details.state`` tells how far it is."""

    status = 409
    code = "JOB_NOT_DONE"
    retryable = True
    default_retry_after = 1
    default_message = "The job is not done yet"


class JobCancelled(CallerError):
    """The job was cancelled before anything was made."""

    status = 409
    code = "JOB_CANCELLED"
    default_message = "The job was cancelled"


class ResultExpired(CallerError):
    """The job's result was deleted, since the time for which it is kept is over."""

    status = 410
    code = "RESULT_EXPIRED"
    default_message = "The job's result is no longer kept"
