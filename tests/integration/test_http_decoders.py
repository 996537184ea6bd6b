"""Decoders that have too little to live on, against the real service: whose request it costs, and what it is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import pytest

from fixtures_server import ORGANIZATION, PATH, Real, shared_decoder
from uncrop.imaging.cost import cost_of
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg import kept
from uncrop.testing.pictures import photo_jpeg, photo_png
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


def extend(house: Real, width: int, *, photo: bytes | None = None) -> httpx2.Response:
    return httpx2.post(
        house.url + PATH,
        headers={"X-API-Key": house.key},
        data={"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "8" if photo is None else "16"},
        files={"image_file": ("photo.png", photo or photo_png(width, HEIGHT if width > 1000 else 200))},
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


@pytest.mark.slow
def test_coefficients_that_cannot_be_read_cost_the_picture_nothing_else(
    house: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = kept.reading_bytes
    monkeypatch.setattr(kept, "reading_bytes", lambda file: -SLACK_BYTES if file.header.width == PHOTO else whole(file))
    # A width of its own: the photo itself is decoded as always.
    monkeypatch.setattr(shared_decoder(), "_cost", cost_of)
    photos = [photo_jpeg(width, HEIGHT if width == PHOTO else 192, quality=70) for width in (PHOTO, 320, PHOTO, 336)]
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda photo: extend(house, 0, photo=photo), photos))
    assert [answer.status_code for answer in answers] == [200] * 4
    # What was encoded anew has at least a quality of 90.
    qualities = [facts.quality for answer in answers if (facts := open_file(answer.content).header.jpeg)]
    assert qualities == [90, 70, 90, 70]
