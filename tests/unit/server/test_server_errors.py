from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from starlette.exceptions import HTTPException

from uncrop.errors import (
    ApiKeyExpired,
    AuthenticationRequired,
    InternalError,
    InvalidApiKey,
    InvalidExtendParameters,
    MaskRequired,
    OperatorError,
    ProviderRateLimited,
    RateLimitExceeded,
    UncropError,
)
from uncrop.server.errors import error_body, error_headers, error_response, from_framework

TRACE = "0f8fad5b-d9cb-469f-a165-70867728950e"
NOW = datetime(2025, 1, 15, 11, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))


def test_the_body_is_the_published_one_and_three_fields_more() -> None:
    error = InvalidExtendParameters(
        "Extend parameters exceed 2000px",
        details={"extend_left": 2500, "max_allowed": 2000},
        system_message="extend_left=2500",
    )
    assert json.loads(error_body(error, trace_id=TRACE, now=NOW)) == {
        "success": False,
        "error": {
            "code": "INVALID_EXTEND_PARAMETERS",
            "message": "Extend parameters exceed 2000px",
            "type": "client_error",
            "status": 422,
            "details": {"extend_left": 2500, "max_allowed": 2000},
            "system_message": "extend_left=2500",
            "trace_id": TRACE,
            "timestamp": "2025-01-15T10:30:00Z",
        },
    }


def test_details_are_absent_when_there_are_none() -> None:
    assert "details" not in json.loads(error_body(MaskRequired(), trace_id=TRACE, now=NOW))["error"]


def test_details_that_json_does_not_know_become_text() -> None:
    error = MaskRequired(details={"credits": Decimal("1.5")})
    assert json.loads(error_body(error, trace_id=TRACE, now=NOW))["error"]["details"] == {"credits": "1.5"}


@pytest.mark.parametrize("kind", [InternalError, OperatorError, UncropError])
def test_a_fault_of_our_own_tells_nothing(kind: type[UncropError]) -> None:
    error = kind("CANARY", details={"CANARY": 1}, system_message="The table CANARY is missing")
    assert json.loads(error_body(error, trace_id=TRACE, now=NOW)) == {
        "success": False,
        "error": {
            "code": "INTERNAL_ERROR",
            "message": "Something went wrong. Please try again later.",
            "type": "server_error",
            "status": 500,
            "system_message": "Something went wrong. Please try again later.",
            "trace_id": TRACE,
            "timestamp": "2025-01-15T10:30:00Z",
        },
    }
    assert error.system_message == "The table CANARY is missing"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (MaskRequired(), {}),
        (AuthenticationRequired(), {"WWW-Authenticate": 'Bearer realm="uncrop"'}),
        (InvalidApiKey(), {"WWW-Authenticate": 'Bearer realm="uncrop", error="invalid_token"'}),
        (ApiKeyExpired(), {"WWW-Authenticate": 'Bearer realm="uncrop", error="invalid_token"'}),
        (ProviderRateLimited(), {"Retry-After": "60"}),
        (RateLimitExceeded(retry_after=0.01), {"Retry-After": "1"}),
        (RateLimitExceeded(retry_after=0), {"Retry-After": "1"}),
        (RateLimitExceeded(retry_after=6.001), {"Retry-After": "7"}),
    ],
)
def test_a_status_brings_its_headers(error: UncropError, headers: dict[str, str]) -> None:
    assert error_headers(error) == headers


def test_the_response_has_the_status_and_the_headers_of_both_sides() -> None:
    response = error_response(RateLimitExceeded(retry_after=3), trace_id=TRACE, headers={"Allow": "POST"})
    assert response.status_code == 429
    assert response.headers["retry-after"] == "3"
    assert response.headers["allow"] == "POST"
    assert response.headers["content-type"] == "application/json"
    stated = json.loads(bytes(response.body))["error"]["timestamp"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(stated)) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "MALFORMED_REQUEST"),
        (404, "NOT_FOUND"),
        (405, "METHOD_NOT_ALLOWED"),
        (408, "REQUEST_TIMEOUT"),
        (413, "REQUEST_TOO_LARGE"),
        (418, "MALFORMED_REQUEST"),
        (422, "VALIDATION_ERROR"),
        (500, "INTERNAL_ERROR"),
        (503, "INTERNAL_ERROR"),
    ],
)
def test_the_frameworks_errors_become_ours_without_their_text(status: int, code: str) -> None:
    error = from_framework(HTTPException(status, detail="CANARY"))
    assert error.code == code
    assert "CANARY" not in error.message + error.system_message
