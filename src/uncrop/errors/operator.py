"""Whoever runs this server must act."""

from __future__ import annotations

from uncrop.errors.base import OperatorError


class InternalError(OperatorError):
    """A fault of uncrop's own; nothing internal is told."""


class ProviderAuthenticationFailed(OperatorError):
    """The provider refused the key of this server."""

    status = 502
    code = "PROVIDER_AUTHENTICATION_FAILED"
    default_message = "The provider refused this server's credentials"


class ProviderCountryUnsupported(OperatorError):
    """The provider does not serve the country or region that this server calls from."""

    status = 502
    code = "PROVIDER_COUNTRY_UNSUPPORTED"
    default_message = "The provider does not serve the country of this server"


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
    default_retry_after = 5


class SettingsError(OperatorError):
    """Settings are wrong or missing.

    ``problems`` has one line per mistake, each naming its variable.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))
