"""Whoever runs this server must act."""

from __future__ import annotations

from typing import Any

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


class EncryptionNotConfigured(OperatorError):
    """What must be kept encrypted cannot be kept, since no encryption key is set."""

    status = 503
    code = "ENCRYPTION_NOT_CONFIGURED"
    default_message = "This server has no encryption key, so that it keeps neither keys of providers nor webhooks"


class ServerBusy(OperatorError):
    """All slots and all places in the queue are taken."""

    status = 503
    code = "SERVER_BUSY"
    retryable = True
    default_message = "The server is busy; try again later"
    default_retry_after = 5


class JobAbandoned(OperatorError):
    """The job was given up: every process that began it came to an end over it."""

    code = "JOB_ABANDONED"
    default_message = "The job was given up: every process that worked on it came to an end; nothing was billed"


class JobOutcomeUnknown(OperatorError):
    """The job's process came to an end when a call may have been sent, which is not sent again."""

    code = "JOB_OUTCOME_UNKNOWN"
    default_message = (
        "It is not known what became of the job: its process came to an end when a billed call may have been sent; "
        "it is not sent a second time"
    )


class SettingsError(OperatorError):
    """Settings are wrong or missing.

    ``problems`` has one line per mistake, each naming its variable.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are made anew from their text, of which this one would take every letter for a problem.
        return type(self), (self.problems,), vars(self)
