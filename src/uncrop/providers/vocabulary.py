"""What makers' errors say: codes and words that mean the same with all, and the type of what each adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uncrop.errors import (
    ContentRejected,
    ProviderAuthenticationFailed,
    ProviderCountryUnsupported,
    ProviderError,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    ProviderRejectedRequest,
    UncropError,
)

Meanings = Mapping[str, type[UncropError]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What one maker's codes, words and statuses mean, beside what is common to all; the maker's own come first.

    Attributes
    ----------
    codes
        Codes and names, in the maker's spelling, which goes into the error's details.
    words
        Regular expressions for texts as ``Said.words`` has them: lower case, spaces in place of underscores.
    vague
        Codes that stand over errors of several kinds, and so count only where codes, words and status say nothing.
    statuses
        Statuses that mean something else with this maker than with most.
    failures
        Regular expressions for what the maker's own server says when it breaks down, and the code of ``codes`` by which
        each is told. They count from status 500 on: a refusal may repeat words of the caller's.
    hints
        What the operator can do about it, by code, by regular expression of ``words``, or by status.
    page
        What a web page in place of an answer tells of the address, where the server is the operator's own; such a page
        says nothing about the request. Empty for others, whose pages come from what stands before them.
    """

    codes: Meanings = field(default_factory=dict)
    words: Meanings = field(default_factory=dict)
    vague: Meanings = field(default_factory=dict)
    statuses: Mapping[int, type[UncropError]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str | int, str] = field(default_factory=dict)
    page: str = ""


def _all(kind: type[UncropError], *names: str) -> Meanings:
    return dict.fromkeys(names, kind)


# Of several that are said, the first in this order counts.
CODES: Meanings = {
    **_all(ContentRejected, "content_blocked", "content_filter", "content_filtered", "content_moderated"),
    **_all(ContentRejected, "content_moderation", "content_policy", "content_policy_violation", "content_rejected"),
    **_all(ContentRejected, "image_safety", "moderation_blocked", "nsfw", "nsfw_content", "nsfw_content_detected"),
    **_all(ContentRejected, "prohibited_content", "public_figure", "request_moderated"),
    **_all(ContentRejected, "responsible_ai_policy_violation", "safety", "safety_violation", "unsafe_content"),
    **_all(ProviderCountryUnsupported, "country_not_supported", "region_not_supported", "unsupported_country"),
    **_all(ProviderCountryUnsupported, "unsupported_country_region_territory", "unsupported_region"),
    **_all(ProviderQuotaExhausted, "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"),
    **_all(ProviderQuotaExhausted, "insufficient_credits", "insufficient_funds", "insufficient_quota"),
    **_all(ProviderQuotaExhausted, "out_of_credits", "payment_required", "quota_exceeded", "quota_exhausted"),
    **_all(ProviderAuthenticationFailed, "api_key_invalid", "authentication_error", "authentication_failed"),
    **_all(ProviderAuthenticationFailed, "expired_api_key", "incorrect_api_key", "invalid_api_key", "invalid_token"),
    **_all(ProviderAuthenticationFailed, "missing_api_key", "revoked_api_key", "unauthenticated", "unauthorized"),
    **_all(ProviderRateLimited, "rate_limit_error", "rate_limit_exceeded", "rate_limited", "too_many_requests"),
    **_all(ProviderError, "model_not_found"),
    **_all(ProviderRejectedRequest, "invalid_type", "invalid_value", "unknown_parameter", "unsupported_file_mimetype"),
}
VAGUE: Meanings = {
    **_all(ProviderRejectedRequest, "bad_request", "invalid_argument", "invalid_parameter", "invalid_request"),
    **_all(ProviderRejectedRequest, "invalid_request_error", "unprocessable_entity", "validation_error"),
    **_all(ProviderAuthenticationFailed, "forbidden", "permission_denied", "permission_error"),
    **_all(ProviderError, "api_error", "internal_error", "internal_server_error", "overloaded_error", "server_error"),
    **_all(ProviderError, "service_unavailable"),
}
# What follows is searched for in this order too: a field named after moderation, country or key is no refusal on
# their grounds, and a limit of requests may be called a quota.
_KEY = r"(?:api (?:key|token)|access token|auth(?:entication|orization)? (?:token|header|key)|credentials?)"
_NO_KEY = (
    r"(?:invalid|incorrect|missing|no|wrong|expired|revo(?:ked|cated)|disabled|unknown|bad)"
    rf" (?:or \w+ )?(?:\w+ )?{_KEY}"
    rf"|{_KEY}s? (?:\w+ )?(?:is |was |has |were |are )?(?:been )?"
    r"(?:not (?:valid|found|provided|recognized)|invalid|missing|incorrect|expired|revoked|required|disabled|provided)"
    r"|\bunauthori[sz]ed\b|not (?:authenticated|authori[sz]ed)|authentication (?:failed|required)"
)
_CANNOT = r"(?:not (?:be )?(?:supported|available|allowed|offered|served)|unsupported|unavailable|restricted|banned)"
_PLACE = r"(?:country|countries|territor(?:y|ies)|jurisdiction|(?:your|user|this) (?:location|region)|geo ?location)"
WORDS: Meanings = {
    r"(?:unknown|unrecognized|unexpected|unsupported) (?:parameter|field|argument|keyword|request argument)"
    r"|extra (?:fields|inputs)": ProviderRejectedRequest,
    r"safety (?:system|filter|check|polic|guideline|violation)|content (?:polic|filter|moderation|management polic)"
    r"|\bmoderat(?:ed|ion)\b(?! (?:service|endpoint|system|api|model|server))|\bnsfw\b|(?:usage|acceptable use) polic"
    r"|community guidelines|(?:prohibited|inappropriate|unsafe|sexual|explicit|disallowed|harmful) (?:content|image)"
    r"|flagged (?:as|by|for)|(?:image|input|prompt|request|text)s? (?:was|were|has been|have been) flagged"
    r"|responsible ai|sensitive content|public figure": ContentRejected,
    rf"{_PLACE}[^.\n]{{0,60}}{_CANNOT}|{_CANNOT}[^.\n]{{0,60}}{_PLACE}": ProviderCountryUnsupported,
    r"rate ?limit|too many requests|requests? per (?:second|minute)|per (?:second|minute) limit": ProviderRateLimited,
    r"(?:insufficient|not enough|no|out of|no remaining|run out of|ran out of) (?:\w+ )?(?:credit|balance|fund|quota)"
    r"|(?:credit|balance|fund|quota)s?(?: (?:is|are|has been|have been|was|were))?(?: \w+)?"
    r" (?:exceeded|exhausted|used up|depleted|too low|insufficient)"
    r"|exceeded your (?:\w+ )?quota|billing hard limit|spending limit|payment required": ProviderQuotaExhausted,
    _NO_KEY: ProviderAuthenticationFailed,
}
