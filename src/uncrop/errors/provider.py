"""The provider must act; trying again later may help."""

from __future__ import annotations

from uncrop.errors.base import ProviderFault


class ProviderError(ProviderFault):
    """The provider failed, or could not be reached."""

    default_message = "The provider failed to process the request"


class ProviderInvalidResponse(ProviderFault):
    """The provider's answer was not what its documentation promises."""

    code = "PROVIDER_INVALID_RESPONSE"
    default_message = "The provider sent an answer that could not be used"


class ProviderUnavailable(ProviderFault):
    """The provider failed so often that it is given a pause, or the cluster that makes its pictures is away."""

    status = 503
    code = "PROVIDER_UNAVAILABLE"
    default_message = "The provider is unavailable at the moment"


class ProviderTimeout(ProviderFault):
    """The provider did not answer in time."""

    status = 504
    code = "PROVIDER_TIMEOUT"
    default_message = "The provider did not answer in time"
