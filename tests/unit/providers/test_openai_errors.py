"""What the error bodies of OpenAI and of compatible servers mean."""

from __future__ import annotations

import json

import pytest

from uncrop import errors
from uncrop.model import UncropRequest
from uncrop.providers.conversation import Answer
from uncrop.providers.openai.facts import FACTS
from uncrop.providers.openai.provider import OpenAI
from uncrop.testing.pictures import mask_png, photo_png
from uncrop.testing.workbench import make_settings, make_task, talk


def refused(status: int, sent: bytes) -> errors.UncropError:
    request = UncropRequest(provider="openai", image=photo_png(64, 64), mask=mask_png(64, 64))
    with pytest.raises(errors.UncropError) as error:
        talk(
            OpenAI(FACTS, make_settings(FACTS)), make_task(request, FACTS), Answer(status=status, headers={}, body=sent)
        )
    return error.value


def body(**error: object) -> bytes:
    return json.dumps({"error": {"message": "secret", "type": None, "param": None, "code": None, **error}}).encode()


CASES = [
    (
        400,
        body(code="moderation_blocked", type="image_generation_user_error"),
        errors.ContentRejected,
        "moderation_blocked",
    ),
    (400, body(code="content_policy_violation"), errors.ContentRejected, "content_policy_violation"),
    (400, body(message="Your request was rejected by the safety system. secret"), errors.ContentRejected, None),
    (
        400,
        body(message="It was rejected by our Safety System.", type="image_generation_user_error"),
        errors.ContentRejected,
        None,
    ),
    (
        400,
        body(message="Rejected by the safety system.", code="image_generation_user_error"),
        errors.ContentRejected,
        None,
    ),
    (400, body(message="the safety system", code="invalid_value"), errors.ProviderRejectedRequest, "invalid_value"),
    (400, body(message="Billing hard limit has been reached."), errors.ProviderQuotaExhausted, None),
    (400, body(code="billing_hard_limit_reached"), errors.ProviderQuotaExhausted, "billing_hard_limit_reached"),
    (429, body(code="insufficient_quota"), errors.ProviderQuotaExhausted, "insufficient_quota"),
    (429, body(type="insufficient_quota"), errors.ProviderQuotaExhausted, "insufficient_quota"),
    (429, body(code="rate_limit_exceeded", type="tokens"), errors.ProviderRateLimited, "rate_limit_exceeded"),
    (429, b"", errors.ProviderRateLimited, None),
    (401, body(code="invalid_api_key"), errors.ProviderAuthenticationFailed, "invalid_api_key"),
    (401, body(), errors.ProviderAuthenticationFailed, None),
    (
        403,
        body(code="unsupported_country_region_territory"),
        errors.ProviderCountryUnsupported,
        "unsupported_country_region_territory",
    ),
    (403, body(message="Country, region, or territory not supported"), errors.ProviderCountryUnsupported, None),
    (404, body(code="model_not_found"), errors.ProviderError, "model_not_found"),
    (400, body(code="model_not_found"), errors.ProviderError, "model_not_found"),
    (404, b"not found", errors.ProviderError, None),
    (400, body(code="invalid_value"), errors.ProviderRejectedRequest, "invalid_value"),
    (400, body(code="unknown_parameter"), errors.ProviderRejectedRequest, "unknown_parameter"),
    (400, body(code="unsupported_file_mimetype"), errors.ProviderRejectedRequest, "unsupported_file_mimetype"),
    (400, body(type="image_generation_user_error"), errors.ProviderRejectedRequest, "image_generation_user_error"),
    (400, body(code="secret_code"), errors.ProviderRejectedRequest, None),
    (400, body(code=500), errors.ProviderRejectedRequest, None),
    (400, body(code=["insufficient_quota"]), errors.ProviderQuotaExhausted, "insufficient_quota"),
    (400, b'{"error": "secret"}', errors.ProviderRejectedRequest, None),
    (400, b'{"error": "blocked by the safety system"}', errors.ContentRejected, None),
    (400, b'{"error": null}', errors.ProviderRejectedRequest, None),
    (400, b'{"code": "insufficient_quota", "message": "secret"}', errors.ProviderQuotaExhausted, "insufficient_quota"),
    (422, b'{"detail": [{"msg": "secret"}]}', errors.ProviderRejectedRequest, None),
    (400, b'["secret"]', errors.ProviderRejectedRequest, None),
    (400, b"<html>secret</html>", errors.ProviderRejectedRequest, None),
    (400, b"\xff\xfe\x00", errors.ProviderRejectedRequest, None),
    (400, b"", errors.ProviderRejectedRequest, None),
    (409, body(), errors.ProviderRejectedRequest, None),
    (413, b"secret", errors.ProviderRejectedRequest, None),
    (500, body(code="moderation_blocked"), errors.ContentRejected, "moderation_blocked"),
    (500, b'{"error":"server_error","message":"secret"}', errors.ProviderError, "server_error"),
    (503, b"<html>secret</html>", errors.ProviderError, None),
    (302, b"", errors.ProviderInvalidResponse, None),
]


@pytest.mark.parametrize(("status", "sent", "kind", "code"), CASES)
def test_every_refusal_is_one_error_without_its_text(
    status: int, sent: bytes, kind: type[errors.UncropError], code: str | None
) -> None:
    error = refused(status, sent)
    assert type(error) is kind
    expected: dict[str, object] = {"provider_status": status}
    if code is not None:
        expected["provider_code"] = code
    assert error.details == expected
    assert "secret" not in f"{error.message}{error.system_message}"


def test_deep_nesting_is_not_json_to_us() -> None:
    error = refused(400, b"[" * 200_000)
    assert type(error) is errors.ProviderRejectedRequest
