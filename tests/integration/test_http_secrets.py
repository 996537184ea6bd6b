"""No key, no prompt, no upstream text, no path in any answer or any line of the log, whatever happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_http import Form, ask, clipdrop_form, openai_form
from fixtures_server import PROVIDER_KEY, Real, real, wait_until
from uncrop.testing import outcomes
from uncrop.testing.pictures import mask_png, photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

PHOTO = photo_jpeg(64, 48)
CLIPDROP = clipdrop_form(PHOTO)
OPENAI = openai_form(PHOTO, mask_png(64, 48)).but(prompt="CANARY-prompt")
UPSTREAM = b'{"error": {"message": "CANARY-upstream sk-canaryupstream", "code": "CANARY-code"}}'
LARGEST_ERROR = 2048


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real(tmp_path_factory.mktemp("canary"), settings={"rate_limit_per_minute": 100_000}) as running:
        yield running


def check_clean(house: Real, texts: list[str], caplog: pytest.LogCaptureFixture) -> None:
    folder = str(house.server.service.settings.data_dir)
    for text in (*texts, caplog.text):
        for secret in (house.key, house.key.split("_", 2)[2], PROVIDER_KEY, "CANARY", folder, "Traceback"):
            assert secret not in text


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 406, 409, 422, 429, 500, 502, 503])
@pytest.mark.parametrize("provider", ["clipdrop", "openai"])
def test_nothing_leaks_from_what_a_provider_says(
    house: Real, provider: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = house.clipdrop if provider == "clipdrop" else house.openai
    emulator.script(outcomes.refuse(status, UPSTREAM, x_request_id="CANARY id", x_canary="CANARY"))
    registry: Any = house.server.service.registry
    with caplog.at_level("DEBUG", "uncrop"):
        response = ask(house.url, CLIPDROP if provider == "clipdrop" else OPENAI, key=house.key)
        wait_until(lambda: '"event": "request"' in caplog.text)
    registry.get(provider).breaker._outcomes.clear()
    assert response.status_code >= 422
    assert len(response.content) <= LARGEST_ERROR
    check_clean(house, [response.text, str(response.headers)], caplog)


def test_nothing_leaks_from_a_picture_that_was_made(house: Real, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "uncrop"):
        response = ask(house.url, OPENAI, key=house.key)
        wait_until(lambda: '"event": "request"' in caplog.text)
    assert response.status_code == 200
    assert [call.fields["prompt"] for call in house.openai.calls[-1:]] == ["CANARY-prompt"]
    metrics = httpx2.get(house.url + "/metrics").text
    check_clean(house, [str(response.headers), metrics], caplog)


@pytest.mark.parametrize(
    "hostile",
    ["a\r\nb: c", "\x1b[31m", '"}\n{"level":"info"}', "\u202ereversed", "{{7*7}}", "%s%n", "\u0000", "🎈" * 50],
)
def test_hostile_texts_stay_within_one_line_of_the_log(
    house: Real, hostile: str, caplog: pytest.LogCaptureFixture
) -> None:
    form = Form(
        fields={"provider": hostile, "organization_id": hostile, "prompt": hostile, "seed": hostile},
        files={"image_file": PHOTO},
    )
    with caplog.at_level("INFO", "uncrop.server"):
        response = ask(house.url, form, key=house.key)
        wait_until(lambda: '"event": "request"' in caplog.text)
    assert response.status_code == 422
    lines = [record.getMessage() for record in caplog.records if record.name == "uncrop.server"]
    assert [json.loads(line)["event"] for line in lines] == ["request"]
    assert not any(character in line for line in lines for character in "\r\n\x1b\x00")
