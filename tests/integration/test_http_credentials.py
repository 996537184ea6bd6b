"""The rows of the published error table about who asks, over real HTTP, the whole body compared.

Nothing that is refused reaches a provider or is booked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from fixtures_http import Refusal, ask, check, clipdrop_form
from fixtures_server import ORGANIZATION, PATH, Real
from uncrop.testing.pictures import photo_jpeg

PHOTO = photo_jpeg(64, 48)
CLIPDROP = clipdrop_form(PHOTO)


def invalid_key(code: str, message: str) -> Refusal:
    return Refusal(status=401, code=code, message=message)


NO_KEY = invalid_key(
    "AUTHENTICATION_REQUIRED", "Authentication is required: send the key as X-API-Key or as a Bearer token"
)
WRONG_KEY = invalid_key("INVALID_API_KEY", "The API key is not valid")


def test_no_credentials(quiet: Real) -> None:
    response = ask(quiet.url, CLIPDROP, key=None)
    check(response, NO_KEY)
    assert response.headers["www-authenticate"] == 'Bearer realm="uncrop"'
    assert "x-ratelimit-limit" not in response.headers


@pytest.mark.parametrize("header", ["X-API-Key", "api-key", "Authorization"])
@pytest.mark.parametrize("key", ["nonsense", "uncrop_AAAAAAAAAA_" + "A" * 43, "x" * 5000, "ü", "'; DROP TABLE keys"])
def test_unknown_keys(quiet: Real, header: str, key: str) -> None:
    value = f"Bearer {key}" if header == "Authorization" else key
    response = ask(quiet.url, CLIPDROP, key=None, headers={header: value.encode()})  # type: ignore[dict-item]
    check(response, WRONG_KEY)
    assert response.headers["www-authenticate"] == 'Bearer realm="uncrop", error="invalid_token"'


def test_other_schemes_are_no_credentials(quiet: Real) -> None:
    check(ask(quiet.url, CLIPDROP, key=None, headers={"Authorization": f"Basic {quiet.key}"}), NO_KEY)


def test_a_paused_key(quiet: Real) -> None:
    new = quiet.new_key()
    quiet.server.do(quiet.server.service.store.keys.pause(new.id))
    check(ask(quiet.url, CLIPDROP, key=new.key), invalid_key("API_KEY_PAUSED", "The API key is paused"))


def test_a_revoked_key(quiet: Real) -> None:
    new = quiet.new_key()
    quiet.server.do(quiet.server.service.store.keys.revoke(new.id))
    check(
        ask(quiet.url, CLIPDROP, key=new.key),
        invalid_key("API_KEY_DEACTIVATED", "The API key has been deactivated"),
    )


def test_an_expired_key(quiet: Real) -> None:
    new = quiet.new_key(expires_at=datetime.now(UTC) + timedelta(hours=1))
    authenticator: Any = quiet.server.service.authenticator
    present = authenticator._clock
    authenticator._clock = lambda: present() + timedelta(hours=2)
    try:
        check(ask(quiet.url, CLIPDROP, key=new.key), invalid_key("API_KEY_EXPIRED", "The API key has expired"))
    finally:
        authenticator._clock = present


def test_one_valid_key_among_several_is_enough(house: Real) -> None:
    response = ask(house.url, CLIPDROP, key="wrong", headers={"Authorization": f"bearer {house.key}"})
    assert response.status_code == 200


def test_a_valid_key_is_found_behind_many_wrong_ones_of_another_header(house: Real) -> None:
    wrong = [("X-API-Key", f"wrong{number}") for number in range(20)]
    request = httpx2.Request(
        "POST",
        house.url + PATH,
        headers=[*wrong, ("Authorization", f"Bearer {house.key}")],
        data=dict(CLIPDROP.fields),
        files=[("image_file", ("photo", PHOTO))],
    )
    with httpx2.Client() as client:
        assert client.send(request).status_code == 200


def test_another_organization(quiet: Real) -> None:
    response = ask(quiet.url, CLIPDROP.but(organization_id="org_other"), key=quiet.key)
    check(
        response,
        Refusal(
            status=403,
            code="ORGANIZATION_ACCESS_DENIED",
            message="The API key does not belong to this organization",
        ),
    )


def test_an_organization_of_ones_own_is_served(house: Real) -> None:
    assert ask(house.url, CLIPDROP.but(organization_id=ORGANIZATION), key=house.key).status_code == 200
