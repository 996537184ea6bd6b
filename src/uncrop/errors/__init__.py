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
    │   ├── RequestCancelled           409 REQUEST_CANCELLED
    │   ├── RateLimitExceeded          429 RATE_LIMIT_EXCEEDED
    │   ├── UsageLimitExceeded         429 USAGE_LIMIT_EXCEEDED
    │   └── ProviderRateLimited        429 PROVIDER_RATE_LIMITED
    ├── OperatorError                  whoever runs this server must act
    │   ├── InternalError              500 INTERNAL_ERROR
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
    ImageTooLarge,
    InvalidApiKey,
    InvalidExtendParameters,
    InvalidFieldValue,
    InvalidImage,
    InvalidMask,
    InvalidRequest,
    MaskRequired,
    OrganizationAccessDenied,
    ProviderRateLimited,
    ProviderRejectedRequest,
    RateLimitExceeded,
    RateLimitState,
    RequestCancelled,
    UnsupportedImageFormat,
    UsageLimitExceeded,
    ValidationError,
)
from uncrop.errors.operator import (
    InternalError,
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
    "ImageTooLarge",
    "InternalError",
    "InvalidApiKey",
    "InvalidExtendParameters",
    "InvalidFieldValue",
    "InvalidImage",
    "InvalidMask",
    "InvalidRequest",
    "MaskRequired",
    "OperatorError",
    "OrganizationAccessDenied",
    "ProviderAuthenticationFailed",
    "ProviderCountryUnsupported",
    "ProviderError",
    "ProviderFault",
    "ProviderInvalidResponse",
    "ProviderNotConfigured",
    "ProviderQuotaExhausted",
    "ProviderRateLimited",
    "ProviderRejectedRequest",
    "ProviderTimeout",
    "ProviderUnavailable",
    "RateLimitExceeded",
    "RateLimitState",
    "RequestCancelled",
    "ServerBusy",
    "SettingsError",
    "UncropError",
    "UnsupportedImageFormat",
    "UsageLimitExceeded",
    "ValidationError",
]
