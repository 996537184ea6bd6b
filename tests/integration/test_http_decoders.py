"""Decoders that have too little to live on, against the real service: whose request it costs, and what it is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import pytest

from fixtures_server import ORGANIZATION, PATH, Real, shared_decoder
from uncrop.imaging.cost import cost_of
from uncrop.testing.pictures import photo_png
from uncrop.workers.decoding.sandboxed import SLACK_BYTES

if TYPE_CHECKING:
    from uncrop.imaging.cost import Cost
    from uncrop.model import OpenedFile

PHOTO, ANSWER, HEIGHT = 3333, 3300 + 8, 2900  # widths of those that starve; less finds room that was there before


@pytest.fixture(autouse=True)
def _starving(monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(file: OpenedFile) -> Cost:
        whole = cost_of(file)
        starves = file.header.width in {PHOTO, ANSWER}
        return replace(whole, peak_bytes=-SLACK_BYTES if starves else whole.peak_bytes)

    monkeypatch.setattr(shared_decoder(), "_cost", cost)


def extend(house: Real, width: int) -> httpx2.Response:
    return httpx2.post(
        house.url + PATH,
        headers={"X-API-Key": house.key},
        data={"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "8"},
        files={"image_file": ("photo.png", photo_png(width, HEIGHT if width > 1000 else 200))},
        timeout=240,
    )


@pytest.mark.slow
def test_a_photo_costs_its_own_request(house: Real) -> None:
    calls = house.calls()
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda width: extend(house, width), (PHOTO, 200, PHOTO, 210)))
    assert [answer.status_code for answer in answers] == [422, 200, 422, 200]
    assert {answer.json()["error"]["code"] for answer in answers[::2]} == {"INVALID_IMAGE"}
    assert house.calls() == calls + 2


@pytest.mark.slow
def test_an_answer_is_the_providers_fault(house: Real) -> None:
    answer = extend(house, ANSWER - 8)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "PROVIDER_INVALID_RESPONSE")
    assert extend(house, 200).status_code == 200
