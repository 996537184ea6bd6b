"""What refusals have in common."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from uncrop import errors
from uncrop.providers.answers import request_id
from uncrop.providers.conversation import Answer
from uncrop.providers.refusal import refuse, refuse_file, refuse_poll, retry_after

SECRET = b"upstream text that nobody may see"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (100, errors.ProviderInvalidResponse),
        (101, errors.ProviderInvalidResponse),
        (201, errors.ProviderInvalidResponse),
        (202, errors.ProviderInvalidResponse),
        (204, errors.ProviderInvalidResponse),
        (301, errors.ProviderInvalidResponse),
        (302, errors.ProviderInvalidResponse),
        (307, errors.ProviderInvalidResponse),
        (400, errors.ProviderRejectedRequest),
        (401, errors.ProviderAuthenticationFailed),
        (402, errors.ProviderQuotaExhausted),
        (403, errors.ProviderAuthenticationFailed),
        (404, errors.ProviderError),
        (405, errors.ProviderError),
        (406, errors.ProviderRejectedRequest),
        (408, errors.ProviderTimeout),
        (409, errors.ProviderRejectedRequest),
        (413, errors.ProviderRejectedRequest),
        (415, errors.ProviderRejectedRequest),
        (418, errors.ProviderRejectedRequest),
        (422, errors.ProviderRejectedRequest),
        (429, errors.ProviderRateLimited),
        (499, errors.ProviderRejectedRequest),
        (500, errors.ProviderError),
        (502, errors.ProviderError),
        (503, errors.ProviderError),
        (529, errors.ProviderError),
        (599, errors.ProviderError),
    ],
)
def test_every_status_is_one_error(status: int, kind: type[errors.UncropError]) -> None:
    error = refuse(Answer(status=status, headers={}, body=SECRET))
    assert type(error) is kind
    assert error.details == {"provider_status": status}
    assert error.system_message == f"The provider answered with status {status}"
    assert error.message == kind.default_message
    assert error.retry_after == (60 if status == 429 else None)


def test_a_known_code_is_told() -> None:
    answer = Answer(status=400, headers={}, body=SECRET)
    error = refuse(answer, error=errors.ContentRejected, code="moderation_blocked")
    assert type(error) is errors.ContentRejected
    assert error.details == {"provider_status": 400, "provider_code": "moderation_blocked"}
    assert error.system_message == "The provider answered with status 400 and code moderation_blocked"


def test_only_what_may_succeed_later_says_when() -> None:
    headers = {"retry-after": "7"}
    assert refuse(Answer(status=429, headers=headers, body=b"")).retry_after == 7
    assert refuse(Answer(status=503, headers=headers, body=b"")).retry_after == 7
    assert refuse(Answer(status=400, headers=headers, body=b"")).retry_after is None


@pytest.mark.parametrize(("sent", "told"), [("soon", 60), ("0", 60), ("-5", 60), ("3600.1", 3600), ("86400", 3600)])
def test_a_limit_of_the_providers_always_says_when(sent: str, told: float) -> None:
    assert refuse(Answer(status=429, headers={"retry-after": sent}, body=b"")).retry_after == told


NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "3600"}, 3600),
        ({"retry-after": "3601"}, 3600),
        ({"retry-after": "1e300"}, 3600),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:00 GMT"}, 3600),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "534", "retry-after": "1"}, 0.534),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, 90),
        ({"retry-after": "Sun, 22 Nov 2026 11:59:00 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 12:01:30 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == pytest.approx(seconds)


def test_a_date_is_read_against_the_real_clock_too() -> None:
    assert retry_after({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}) is None


def test_a_sane_id_of_the_provider_is_kept() -> None:
    assert request_id({"x-request-id": "req_3c8f.A-b:1"}) == "req_3c8f.A-b:1"


@pytest.mark.parametrize("named", ["", "a b", "x" * 129, "<script>", "ü", "a\r\nb"])
def test_any_other_id_is_replaced_by_ours(named: str) -> None:
    made = request_id({"x-request-id": named})
    assert re.fullmatch(r"req_[0-9a-f]{24}", made)
    assert made != request_id({})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, errors.ProviderInvalidResponse),
        (302, errors.ProviderInvalidResponse),
        (401, errors.ProviderError),
        (403, errors.ProviderError),
        (404, errors.ProviderError),
        (410, errors.ProviderError),
        (429, errors.ProviderError),
        (500, errors.ProviderError),
    ],
)
def test_a_file_that_cannot_be_fetched_is_the_providers_fault(status: int, kind: type[errors.UncropError]) -> None:
    error = refuse_file(Answer(status=status, headers={}, body=SECRET))
    assert type(error) is kind
    assert error.details == {"provider_status": status}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, errors.ProviderInvalidResponse),
        (302, errors.ProviderInvalidResponse),
        (400, errors.ProviderError),
        (401, errors.ProviderAuthenticationFailed),
        (402, errors.ProviderQuotaExhausted),
        (403, errors.ProviderAuthenticationFailed),
        (404, errors.ProviderError),
        (410, errors.ProviderError),
        (422, errors.ProviderError),
        (429, errors.ProviderRateLimited),
        (503, errors.ProviderError),
    ],
)
def test_a_poll_that_is_refused_says_nothing_against_the_request(status: int, kind: type[errors.UncropError]) -> None:
    error = refuse_poll(Answer(status=status, headers={}, body=SECRET))
    assert type(error) is kind
    assert error.details == {"provider_status": status}
