"""Every error of uncrop, in one tree, sorted by who must act.

::

    UncropError
    ├── CallerError                    the caller must change the request, or wait
    │   ├── AuthenticationError        401
    │   │   ├── AuthenticationRequired     AUTHENTICATION_REQUIRED
    │   │   ├── InvalidApiKey              INVALID_API_KEY
    │   │   ├── ApiKeyExpired              API_KEY_EXPIRED
    │   │   ├── ApiKeyPaused               API_KEY_PAUSED
    │   │   └── ApiKeyDeactivated          API_KEY_DEACTIVATED
    │   ├── OrganizationAccessDenied   403 ORGANIZATION_ACCESS_DENIED
    │   ├── ScopeMissing               403 SCOPE_MISSING
    │   ├── NotFound                   404 NOT_FOUND
    │   ├── ProviderNotAllowed         403 PROVIDER_NOT_ALLOWED
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
    │   │   ├── IdempotencyMismatch        IDEMPOTENCY_MISMATCH
    │   │   ├── ProviderRejectedRequest    PROVIDER_REJECTED_REQUEST
    │   │   └── WebhookUrlForbidden        WEBHOOK_URL_FORBIDDEN
    │   ├── IdempotencyKeyInvalid      400 IDEMPOTENCY_KEY_INVALID
    │   ├── IdempotencyInProgress      409 IDEMPOTENCY_IN_PROGRESS
    │   ├── IdempotencyOutcomeUnknown  409 IDEMPOTENCY_OUTCOME_UNKNOWN
    │   ├── JobCancelled               409 JOB_CANCELLED
    │   ├── JobNotDone                 409 JOB_NOT_DONE
    │   ├── RequestCancelled           409 REQUEST_CANCELLED
    │   ├── ResultExpired              410 RESULT_EXPIRED
    │   ├── ResultNotKept              410 RESULT_NOT_KEPT
    │   ├── RateLimitExceeded          429 RATE_LIMIT_EXCEEDED
    │   ├── UsageLimitExceeded         429 USAGE_LIMIT_EXCEEDED
    │   └── ProviderRateLimited        429 PROVIDER_RATE_LIMITED
    ├── OperatorError                  whoever runs this server must act
    │   ├── EncryptionNotConfigured    503 ENCRYPTION_NOT_CONFIGURED
    │   ├── InternalError              500 INTERNAL_ERROR
    │   ├── JobAbandoned               500 JOB_ABANDONED
    │   ├── JobOutcomeUnknown          500 JOB_OUTCOME_UNKNOWN
    │   ├── ProviderAuthenticationFailed   502 PROVIDER_AUTHENTICATION_FAILED
    │   ├── ProviderCountryUnsupported 502 PROVIDER_COUNTRY_UNSUPPORTED
    │   ├── ProviderNotConfigured      503 PROVIDER_NOT_CONFIGURED
    │   ├── ProviderQuotaExhausted     503 PROVIDER_QUOTA_EXHAUSTED
    │   ├── ServerBusy                 503 SERVER_BUSY
    │   └── SettingsError              the start is refused; never reaches the wire
    └── ProviderFault                  the provider must act; trying again later may help
        ├── ProviderError              502 PROVIDER_ERROR
        ├── ProviderInvalidResponse    502 PROVIDER_INVALID_RESPONSE
        ├── ProviderUnavailable        503 PROVIDER_UNAVAILABLE
        └── ProviderTimeout            504 PROVIDER_TIMEOUT

An error carries two texts. ``message`` is for the caller and holds nothing internal; ``system_message`` is technical
and still safe to show: no key, no upstream text, no path, no pixel. What only the log may know is chained with
``from``. Errors that only HTTP has stand beside these in ``uncrop.server.http_errors``.
"""

from __future__ import annotations

from uncrop.errors.base import (
    CallerError,
    Details,
    OperatorError,
    ProviderFault,
    UncropError,
)
from uncrop.errors.caller import (
    ApiKeyDeactivated,
    ApiKeyExpired,
    ApiKeyPaused,
    AuthenticationError,
    AuthenticationRequired,
    ContentRejected,
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyMismatch,
    IdempotencyOutcomeUnknown,
    ImageTooLarge,
    InvalidApiKey,
    InvalidExtendParameters,
    InvalidFieldValue,
    InvalidImage,
    InvalidMask,
    InvalidRequest,
    JobCancelled,
    JobNotDone,
    MaskRequired,
    NotFound,
    OrganizationAccessDenied,
    ProviderNotAllowed,
    ProviderRateLimited,
    ProviderRejectedRequest,
    RateLimitExceeded,
    RateLimitState,
    RequestCancelled,
    ResultExpired,
    ResultNotKept,
    ScopeMissing,
    UnsupportedImageFormat,
    UsageLimitExceeded,
    ValidationError,
    WebhookUrlForbidden,
)
from uncrop.errors.operator import (
    EncryptionNotConfigured,
    InternalError,
    JobAbandoned,
    JobOutcomeUnknown,
    ProviderAuthenticationFailed,
    ProviderCountryUnsupported,
    ProviderNotConfigured,
    ProviderQuotaExhausted,
    ServerBusy,
    SettingsError,
)
from uncrop.errors.provider import (
    ProviderError,
    ProviderInvalidResponse,
    ProviderTimeout,
    ProviderUnavailable,
)

__all__ = [
    "ApiKeyDeactivated",
    "ApiKeyExpired",
    "ApiKeyPaused",
    "AuthenticationError",
    "AuthenticationRequired",
    "CallerError",
    "ContentRejected",
    "Details",
    "EncryptionNotConfigured",
    "IdempotencyInProgress",
    "IdempotencyKeyInvalid",
    "IdempotencyMismatch",
    "IdempotencyOutcomeUnknown",
    "ImageTooLarge",
    "InternalError",
    "InvalidApiKey",
    "InvalidExtendParameters",
    "InvalidFieldValue",
    "InvalidImage",
    "InvalidMask",
    "InvalidRequest",
    "JobAbandoned",
    "JobCancelled",
    "JobNotDone",
    "JobOutcomeUnknown",
    "MaskRequired",
    "NotFound",
    "OperatorError",
    "OrganizationAccessDenied",
    "ProviderAuthenticationFailed",
    "ProviderCountryUnsupported",
    "ProviderError",
    "ProviderFault",
    "ProviderInvalidResponse",
    "ProviderNotAllowed",
    "ProviderNotConfigured",
    "ProviderQuotaExhausted",
    "ProviderRateLimited",
    "ProviderRejectedRequest",
    "ProviderTimeout",
    "ProviderUnavailable",
    "RateLimitExceeded",
    "RateLimitState",
    "RequestCancelled",
    "ResultExpired",
    "ResultNotKept",
    "ScopeMissing",
    "ServerBusy",
    "SettingsError",
    "UncropError",
    "UnsupportedImageFormat",
    "UsageLimitExceeded",
    "ValidationError",
    "WebhookUrlForbidden",
]
