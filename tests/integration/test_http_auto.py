"""The provider ``auto`` over HTTP, with real calls to emulators: who is asked, who makes it, what is billed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from fixtures_http import Refusal, ask, check, clipdrop_form
from fixtures_server import PROVIDER_KEY, real, request_lines
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from pathlib import Path

FORM = clipdrop_form(photo_jpeg(128, 96)).but(provider="auto")


def nobody_listens() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_one_down_one_limiting_and_the_third_makes_it_for_one_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {
        "auto_providers": "stability,clipdrop,openai",
        "stability_api_key": PROVIDER_KEY,
        "stability_base_url": nobody_listens(),
    }
    with real(tmp_path, settings=settings) as house:
        house.clipdrop.script(outcomes.Outcome(status=429))
        caplog.set_level("INFO", "uncrop.server")
        response = ask(house.url, FORM, key=house.key)
        assert response.status_code == 200
        assert response.headers["x-provider"] == "openai"
        assert (len(house.clipdrop.calls), len(house.openai.calls), house.booked()) == (1, 1, 1)
    (line,) = request_lines(caplog)
    assert (line["provider"], line["outcome"], line["billed_calls"]) == ("openai", "OK", 1)
    assert line["tried"] == [
        {
            "provider": "stability",
            "code": "PROVIDER_ERROR",
            "message": "The provider failed to process the request",
        },
        {
            "provider": "clipdrop",
            "code": "PROVIDER_RATE_LIMITED",
            "message": "The provider is limiting requests; try again later",
        },
    ]


def test_what_may_have_been_billed_is_not_asked_of_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with real(tmp_path, settings={"auto_providers": "clipdrop,openai"}) as house:
        house.clipdrop.script(outcomes.Outcome(status=500))
        caplog.set_level("INFO", "uncrop.server")
        response = ask(house.url, FORM, key=house.key)
        text = "The provider failed to process the request"
        attempt = {"provider": "clipdrop", "code": "PROVIDER_ERROR", "message": text}
        check(
            response,
            Refusal(
                status=502,
                code="PROVIDER_ERROR",
                message=text,
                details={"provider": "clipdrop", "provider_status": 500, "tried": [attempt]},
                system_message="The provider answered with status 500",
                type="server_error",
            ),
        )
        assert (len(house.clipdrop.calls), len(house.openai.calls), house.booked()) == (1, 0, 0)
    (line,) = request_lines(caplog)
    assert (line["provider"], line["billed_calls"], line["tried"]) == ("clipdrop", 1, [attempt])


def test_by_default_nobody_who_bills_is_asked(tmp_path: Path) -> None:
    with real(tmp_path) as house:
        # A field that only those who bill take: the local engine refuses it.
        refused = ask(house.url, FORM.but(prompt="a beach"), key=house.key).json()["error"]
        assert (refused["code"], [each["provider"] for each in refused["details"]["tried"]]) == (
            "INVALID_FIELD_VALUE",
            ["local"],
        )
        assert house.calls() == 0
