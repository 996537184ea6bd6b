"""The emulator of Black Forest Labs' outpainting refuses what the real one refuses, and makes a real picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing import outcomes
from uncrop.testing.bfl import BflEmulator
from uncrop.testing.bfl.emulator import ON_THE_WAY, PADDING, REPAINT
from uncrop.testing.pictures import photo, photo_jpeg, photo_png, truncated

KEY = "a-key"
GOOD: dict[str, Any] = {
    "input_image": base64.b64encode(photo_png(80, 64)).decode(),
    "width": 112,
    "height": 96,
    "reference_offset_x": 16,
    "reference_offset_y": 32,
}


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bfl(clock: Clock) -> Iterator[BflEmulator]:
    with BflEmulator(api_key=KEY, credits=50, clock=clock) as emulator:
        yield emulator


def submit(emulator: BflEmulator, *, key: str | None = KEY, **changes: object) -> httpx2.Response:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    headers = {} if key is None else {"x-key": key}
    return httpx2.post(
        f"{emulator.url}/v1/flux-tools/outpainting-v1", headers=headers, json=body, trust_env=False, timeout=60
    )


def get(url: str, *, key: str | None = KEY) -> httpx2.Response:
    return httpx2.get(url, headers={} if key is None else {"x-key": key}, trust_env=False, timeout=60)


def end_of(emulator: BflEmulator, **changes: object) -> httpx2.Response:
    """Submit a task and ask for it until it has ended."""
    address = submit(emulator, **changes).json()["polling_url"]
    for status in ON_THE_WAY:
        assert get(address).json()["status"] == status
    return get(address)


def picture_of(emulator: BflEmulator, **changes: object) -> np.ndarray:
    ended = end_of(emulator, **changes).json()
    assert ended["status"] == "Ready"
    return picture(get(ended["result"]["sample"], key=None).content)


def picture(data: bytes) -> np.ndarray:
    return codec.decode(open_file(data))


def test_a_task_is_taken_and_costs_by_its_mode(bfl: BflEmulator) -> None:
    response = submit(bfl)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"id", "polling_url", "cost", "input_mp", "output_mp"}
    assert (body["cost"], body["input_mp"], body["output_mp"]) == (20, 0.01, 0.01)
    assert submit(bfl, mode="fast").json()["cost"] == 4.5
    assert bfl.credits == 25.5


def test_it_is_known_in_its_region_alone(bfl: BflEmulator) -> None:
    body = submit(bfl).json()
    assert body["polling_url"] == f"{bfl.region.origin}/v1/get_result?id={body['id']}"
    assert get(f"{bfl.url}/v1/get_result?id={body['id']}").status_code == 404
    assert get(f"{bfl.region.origin}/v1/get_result?id=other").status_code == 404
    assert get(body["polling_url"], key="other").status_code == 403
    assert get(body["polling_url"]).json()["status"] == "Pending"


def test_the_whole_picture_is_repainted_a_little(bfl: BflEmulator) -> None:
    made = picture_of(bfl).astype(int)
    assert made.shape == (96, 112, 3)
    assert (made[32:96, 16:96] - photo(80, 64).astype(int) == REPAINT).all()
    assert (made[31, 16:96] == made[32, 16:96]).all()  # mirrored at the border


@pytest.mark.parametrize("output_format", ["jpeg", "webp", "png", None])
def test_the_format_can_be_chosen(bfl: BflEmulator, output_format: str | None) -> None:
    sample = end_of(bfl, output_format=output_format).json()["result"]["sample"]
    response = get(sample, key=None)
    expected = output_format or "png"
    assert response.headers["content-type"] == f"image/{expected}"
    assert read_header(response.content).format == expected.upper()


def test_without_an_offset_the_photo_is_centred(bfl: BflEmulator) -> None:
    made = picture_of(bfl, reference_offset_x=None, reference_offset_y=...).astype(int)
    assert (made[16:80, 16:96] - photo(80, 64).astype(int) == REPAINT).all()


def test_what_hangs_over_is_cropped_only_where_that_was_asked_for(bfl: BflEmulator) -> None:
    assert submit(bfl, reference_offset_x=-16).status_code == 400
    assert submit(bfl, reference_offset_x=48).status_code == 400
    made = picture_of(bfl, reference_offset_x=-16, reference_offset_y=64, auto_crop=True).astype(int)
    assert (made[64:, :64] - photo(80, 64)[:32, 16:].astype(int) == REPAINT).all()


@pytest.mark.parametrize(
    "changes", [{"width": 113}, {"height": 97}, {"reference_offset_x": 15}, {"reference_offset_y": 31}]
)
def test_off_the_grid_there_is_flat_padding_and_no_error(bfl: BflEmulator, changes: dict[str, int]) -> None:
    made = picture_of(bfl, **changes)
    x, y = changes.get("reference_offset_x", 16), changes.get("reference_offset_y", 32)
    assert (made[:y] == PADDING).all()
    assert (made[:, :x] == PADDING).all()
    assert (made[y : y + 64, x : x + 80] == photo(80, 64)).all()


def test_padding_goes_around_what_hangs_over_too(bfl: BflEmulator) -> None:
    made = picture_of(bfl, reference_offset_x=-15, auto_crop=True)
    assert (made[32:, :65] == photo(80, 64)[:, 15:]).all()
    assert (made[:, 65:] == PADDING).all()


def test_above_four_megapixels_the_picture_shrinks(bfl: BflEmulator) -> None:
    made = picture_of(bfl, width=2560, height=1600, output_format="jpeg")
    assert made.shape == (1581, 2529, 3)


@pytest.mark.parametrize(
    ("prompt", "status", "http_status"),
    [
        ("[request moderated]", "Request Moderated", 200),
        ("[content moderated]", "Content Moderated", 200),
        ("[error]", "Error", 200),
        ("[unusable]", "Error", 422),
        ("[lost]", "Task not found", 200),
    ],
)
def test_tasks_can_end_without_a_picture(bfl: BflEmulator, prompt: str, status: str, http_status: int) -> None:
    response = end_of(bfl, prompt=f"a beach {prompt}")
    assert (response.status_code, response.json()["status"]) == (http_status, status)
    assert response.json()["result"] is None


def test_the_address_of_a_picture_expires_and_carries_no_key(bfl: BflEmulator, clock: Clock) -> None:
    sample = end_of(bfl).json()["result"]["sample"]
    assert sample.startswith(f"{bfl.files.origin}/results/")
    assert get(sample).status_code == 400
    assert get(sample.replace("sig=", "sig=0"), key=None).status_code == 403
    assert get(sample.partition("?")[0], key=None).status_code == 403
    assert get(f"{bfl.files.origin}/elsewhere", key=None).status_code == 404
    clock.now += 599
    assert get(sample, key=None).status_code == 200
    clock.now += 1
    response = get(sample, key=None)
    assert (response.status_code, response.headers["content-type"]) == (403, "application/xml")


def test_tasks_can_go_on_for_ever(bfl: BflEmulator) -> None:
    bfl.endless = True
    address = submit(bfl).json()["polling_url"]
    assert {get(address).json()["status"] for _ in range(6)} == {"Pending"}


def test_old_tasks_are_forgotten(bfl: BflEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.testing.jobs.KEPT_JOBS", 1)
    first = end_of(bfl).json()["result"]["sample"]
    address = submit(bfl).json()["polling_url"]
    assert get(first, key=None).status_code == 404
    assert get(address).status_code == 200


def test_when_the_credits_are_spent_no_more_are_taken(bfl: BflEmulator) -> None:
    assert [submit(bfl).status_code for _ in range(2)] == [200, 200]
    response = submit(bfl)
    assert response.status_code == 402
    assert response.json()["error"] == "insufficient_credits"


@pytest.mark.parametrize(
    ("changes", "place", "kind"),
    [
        ({"seed": 1}, "seed", "extra_forbidden"),
        ({"webhook_url": "https://example.org"}, "webhook_url", "extra_forbidden"),
        ({"image": "x"}, "image", "extra_forbidden"),
        ({"width": ...}, "width", "missing"),
        ({"input_image": ...}, "input_image", "missing"),
        ({"input_image": 7}, "input_image", "string_type"),
        ({"width": "112"}, "width", "int_type"),
        ({"height": 63}, "height", "greater_than_equal"),
        ({"reference_offset_x": 1.5}, "reference_offset_x", "int_type"),
        ({"auto_crop": "yes"}, "auto_crop", "bool_type"),
        ({"disable_pup": 1}, "disable_pup", "bool_type"),
        ({"safety_tolerance": 6}, "safety_tolerance", "int_type"),
        ({"mode": "best"}, "mode", "enum"),
        ({"output_format": "gif"}, "output_format", "enum"),
        ({"prompt": 7}, "prompt", "string_type"),
        ({"user": ""}, "user", "string_length"),
    ],
)
def test_what_the_schema_forbids_is_refused(
    bfl: BflEmulator, changes: dict[str, object], place: str, kind: str
) -> None:
    response = submit(bfl, **changes)
    assert response.status_code == 422
    (detail,) = response.json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body", place], kind)
    assert bfl.credits == 50


@pytest.mark.parametrize("image", [b"GIF89a", truncated(photo_jpeg(80, 64)), b""])
def test_what_is_no_picture_is_refused(bfl: BflEmulator, image: bytes) -> None:
    response = submit(bfl, input_image=base64.b64encode(image).decode())
    assert (response.status_code, response.json()) == (400, {"detail": "The input image could not be read."})
    assert submit(bfl, input_image="https://example.org/a.png").status_code == 400


def test_a_key_is_wanted(bfl: BflEmulator) -> None:
    assert submit(bfl, key=None).json() == {"detail": "Not authenticated"}
    response = submit(bfl, key="other")
    assert (response.status_code, response.json()["error"]) == (403, "invalid_api_key")


def test_json_is_wanted_and_the_right_route(bfl: BflEmulator) -> None:
    url, headers = f"{bfl.url}/v1/flux-tools/outpainting-v1", {"x-key": KEY}
    for body in (b"{", b"[]"):
        typed = {**headers, "content-type": "application/json"}
        assert httpx2.post(url, headers=typed, content=body, trust_env=False, timeout=60).status_code == 422
    response = httpx2.post(url, headers=headers, files={"input_image": b"x"}, trust_env=False, timeout=60)
    assert response.json()["detail"][0]["type"] == "dict_type"
    assert get(url).status_code == 405
    assert get(f"{bfl.url}/v1/flux-pro-1.0-expand").status_code == 404


def test_endings_can_be_scripted_and_polls_take_their_turn(bfl: BflEmulator) -> None:
    bfl.script(outcomes.refuse(429), outcomes.wrong_size(30, 20), outcomes.refuse(503))
    limited = submit(bfl).json()
    assert (limited["error"], limited["retry_after"]) == ("rate_limit_exceeded", 5)
    address = submit(bfl).json()["polling_url"]
    busy = get(address)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    for _ in ON_THE_WAY:
        get(address)
    sample = get(address).json()["result"]["sample"]
    assert picture(get(sample, key=None).content).shape == (20, 30, 3)
    bfl.files.script(outcomes.corrupt_picture())
    with pytest.raises(InvalidRequest):
        picture(get(sample, key=None).content)
    assert [call.method for call in bfl.submits] == ["POST", "POST"]
    assert len(bfl.calls) == 7
    assert len(bfl.files.calls) == 2


def test_half_a_picture_can_be_made(bfl: BflEmulator) -> None:
    bfl.script(outcomes.corrupt_picture())
    sample = end_of(bfl).json()["result"]["sample"]
    with pytest.raises(InvalidRequest):
        picture(get(sample, key=None).content)


def test_where_no_calls_are_kept_none_are_on_any_port(bfl: BflEmulator) -> None:
    bfl.keeps_calls = False
    get(end_of(bfl).json()["result"]["sample"], key=None)
    assert (bfl.calls, bfl.region.calls, bfl.files.calls) == ([], [], [])
