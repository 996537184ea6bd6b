"""The emulator of Bria's image expansion refuses what the real one refuses, and makes a real picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing import outcomes
from uncrop.testing.bria import BriaEmulator
from uncrop.testing.bria.emulator import POLLS, REPAINT
from uncrop.testing.pictures import photo, photo_jpeg, photo_png, truncated

KEY = "a-token"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


GOOD: dict[str, Any] = {
    "image": b64(photo_png(80, 64)),
    "canvas_size": [110, 90],
    "original_image_size": [80, 64],
    "original_image_location": [20, 10],
    "seed": 3,
}
CUT = {"canvas_size": ..., "original_image_size": ..., "original_image_location": ...}
TRANSPARENT = np.full((64, 80, 4), 255, np.uint8)
TRANSPARENT[30, 0] = 0


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bria(clock: Clock) -> Iterator[BriaEmulator]:
    with BriaEmulator(api_key=KEY, clock=clock) as emulator:
        yield emulator


def submit(emulator: BriaEmulator, *, key: str | None = KEY, **changes: object) -> httpx2.Response:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    headers = {} if key is None else {"api_token": key}
    url = f"{emulator.url}/v2/image/edit/expand"
    return httpx2.post(url, headers=headers, json=body, trust_env=False, timeout=60)


def get(url: str, *, key: str | None = KEY) -> httpx2.Response:
    return httpx2.get(url, headers={} if key is None else {"api_token": key}, trust_env=False, timeout=60)


def end_of(emulator: BriaEmulator, **changes: object) -> dict[str, Any]:
    """Submit a job and ask for it until it has ended."""
    response = submit(emulator, **changes)
    assert response.status_code == 202
    address = response.json()["status_url"]
    for _ in range(POLLS):
        assert get(address).json()["status"] == "IN_PROGRESS"
    ended: dict[str, Any] = get(address).json()
    return ended


def picture_of(emulator: BriaEmulator, **changes: object) -> np.ndarray:
    ended = end_of(emulator, **changes)
    assert ended["status"] == "COMPLETED"
    return picture(get(ended["result"]["image_url"], key=None).content)


def picture(data: bytes) -> np.ndarray:
    return codec.decode(open_file(data))


def test_a_job_is_taken_and_each_poll_has_an_id_of_its_own(bria: BriaEmulator) -> None:
    response = submit(bria)
    assert response.status_code == 202
    body = response.json()
    assert body["status_url"] == f"{bria.url}/v2/status/{body['request_id']}"
    ids = {get(body["status_url"]).json()["request_id"] for _ in range(4)}
    assert len({body["request_id"], *ids}) == 5
    assert get(f"{bria.url}/v2/status/{ids.pop()}").status_code == 404


def test_a_finished_job_tells_its_seed_as_text_and_its_prompts(bria: BriaEmulator) -> None:
    result = end_of(bria, prompt="a beach")["result"]
    assert (result["seed"], result["prompt"]) == ("3", "a beach")
    assert result["refined_prompt"]
    drawn = end_of(bria, seed=...)["result"]
    assert drawn["seed"].isdigit()
    assert drawn["prompt"]


def test_the_whole_picture_is_repainted_a_little(bria: BriaEmulator) -> None:
    made = picture_of(bria).astype(int)
    assert made.shape == (90, 110, 3)
    assert (made[10:74, 20:100] - photo(80, 64).astype(int) == REPAINT).all()
    assert (made[9, 20:100] == made[10, 20:100]).all()  # mirrored at the border


def test_the_photo_is_scaled_to_its_size_and_cut_where_it_hangs_over(bria: BriaEmulator) -> None:
    made = picture_of(bria, original_image_size=[40, 32], original_image_location=[-10, 70]).astype(int)
    small = codec.resize(photo(80, 64), 40, 32).astype(int)
    assert (made[70:, :30] - small[:20, 10:] == REPAINT).all()


@pytest.mark.parametrize(
    ("ratio", "shape"), [("1:1", (80, 80)), ("16:9", (64, 114)), (2.5, (64, 160)), (0.5, (160, 80)), (1.25, (64, 80))]
)
def test_a_ratio_centres_the_photo_and_overrides_the_rest(
    bria: BriaEmulator, ratio: object, shape: tuple[int, int]
) -> None:
    made = picture_of(bria, aspect_ratio=ratio).astype(int)
    assert made.shape[:2] == shape
    top, left = (shape[0] - 64) // 2, (shape[1] - 80) // 2
    assert (made[top : top + 64, left : left + 80] - photo(80, 64).astype(int) == REPAINT).all()


def test_whoever_waits_gets_the_picture_at_once(bria: BriaEmulator) -> None:
    response = submit(bria, sync=True)
    assert response.status_code == 200
    body = response.json()
    assert picture(get(body["result"]["image_url"], key=None).content).shape == (90, 110, 3)
    assert submit(bria, sync=True, prompt="[failed]").status_code == 500
    assert submit(bria, sync=True, prompt="[invalid]").status_code == 422


@pytest.mark.parametrize(
    ("prompt", "flags", "status", "code"),
    [
        ("[failed]", {}, "ERROR", 500),
        ("[invalid]", {}, "ERROR", "VALIDATION_ERROR"),
        ("[unprocessable]", {}, "ERROR", 422),
        ("[unknown]", {}, "UNKNOWN", 500),
        ("[output moderated]", {"visual_output_content_moderation": True}, "ERROR", 422),
    ],
)
def test_failed_jobs_are_told_with_200(
    bria: BriaEmulator, prompt: str, flags: dict[str, bool], status: str, code: object
) -> None:
    ended = end_of(bria, prompt=f"a beach {prompt}", **flags)
    assert (ended["status"], ended["error"]["code"]) == (status, code)
    assert "result" not in ended


def test_what_offends_is_refused_where_somebody_looks(bria: BriaEmulator) -> None:
    response = submit(bria, prompt="[moderated]")
    assert (response.status_code, "moderation" in response.json()["error"]["message"]) == (422, True)
    assert submit(bria, prompt="[moderated]", prompt_content_moderation=False).status_code == 202
    assert submit(bria, prompt="[input moderated]").status_code == 202
    assert submit(bria, prompt="[input moderated]", visual_input_content_moderation=True).status_code == 422
    assert end_of(bria, prompt="[output moderated]")["status"] == "COMPLETED"


def test_the_address_of_a_picture_expires_and_is_renewed_by_asking_again(bria: BriaEmulator, clock: Clock) -> None:
    status_url = submit(bria).json()["status_url"]
    for _ in range(POLLS):
        get(status_url)
    first = get(status_url).json()["result"]["image_url"]
    assert first.startswith(bria.files.origin)
    assert get(first).status_code == 400  # with the token
    assert get(first.replace("Signature=", "Signature=0"), key=None).status_code == 403
    assert get(first, key=None).status_code == 200
    clock.now += 3600
    response = get(first, key=None)
    assert (response.status_code, response.headers["content-type"]) == (403, "application/xml")
    assert get(get(status_url).json()["result"]["image_url"], key=None).status_code == 200


def test_jobs_can_go_on_for_ever(bria: BriaEmulator) -> None:
    bria.endless = True
    address = submit(bria).json()["status_url"]
    assert {get(address).json()["status"] for _ in range(POLLS + 3)} == {"IN_PROGRESS"}


def test_old_jobs_are_forgotten(bria: BriaEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.testing.jobs.KEPT_JOBS", 1)
    first = end_of(bria)["result"]["image_url"]
    address = submit(bria).json()["status_url"]
    assert get(first, key=None).status_code == 404
    assert get(address).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"mask": "x"}, 422, "mask is not a field of this endpoint"),
        ({"image": ...}, 422, "image is required"),
        ({"image": 7}, 422, "image is required"),
        ({"image": "https://example.org/a.png"}, 460, "The image could not be downloaded"),
        ({"image": "data:image/png;base64,AAAA"}, 400, None),
        ({"image": b64(b"GIF89a")}, 400, None),
        ({"image": b64(truncated(photo_jpeg(80, 64)))}, 400, None),
        ({"original_image_size": ...}, 400, "original_image_size and original_image_location are required together"),
        (CUT, 400, "original_image_size and original_image_location are required together"),
        ({"canvas_size": [5001, 5000]}, 400, "The area of canvas_size must not exceed 5000x5000 pixels"),
        ({"canvas_size": "110x90"}, 422, "canvas_size must be a list of two integers"),
        ({"canvas_size": [110]}, 422, "canvas_size must be a list of two integers"),
        ({"canvas_size": [110, 0]}, 422, "canvas_size must be a list of two integers"),
        ({"original_image_location": [1.5, 0]}, 422, "original_image_location must be a list of two integers"),
        ({"original_image_location": [110, 0]}, 400, "The image lies outside the canvas"),
        ({"original_image_location": [0, -64]}, 400, "The image lies outside the canvas"),
        ({"aspect_ratio": "2:1"}, 422, "aspect_ratio must be one of the known ratios or a number from 0.5 to 3.0"),
        ({"aspect_ratio": 3.5}, 422, "aspect_ratio must be one of the known ratios or a number from 0.5 to 3.0"),
        ({"seed": "3"}, 422, "seed must be an integer"),
        ({"prompt": 7}, 422, "prompt must be a string"),
        ({"prompt": "пляж"}, 422, "Only prompts in English are supported"),
        ({"sync": "no"}, 422, "sync must be a boolean"),
        (
            {"image": b64(codec.encode(TRANSPARENT, "PNG"))},
            422,
            "The image has fully transparent pixels on its left edge",
        ),
        ({"image": b64(bytes(9_000_000))}, 413, "The request is larger than 12 MB"),
    ],
)
def test_what_the_real_one_refuses_is_refused(
    bria: BriaEmulator, changes: dict[str, object], status: int, text: str | None
) -> None:
    response = submit(bria, **changes)
    body = response.json()
    assert response.status_code == status
    assert body["error"]["code"] == status
    assert text is None or body["error"]["message"] == text
    assert set(body) == {"error", "request_id"}


def test_transparency_does_no_harm_where_nothing_is_added(bria: BriaEmulator) -> None:
    image = b64(codec.encode(TRANSPARENT, "PNG"))
    assert submit(bria, image=image, original_image_location=[0, 10]).status_code == 202
    half = np.full((64, 80, 4), 128, np.uint8)
    assert submit(bria, image=b64(codec.encode(half, "PNG"))).status_code == 202


def test_a_token_is_wanted(bria: BriaEmulator) -> None:
    response = submit(bria, key=None)
    assert (response.status_code, response.json()) == (401, {"detail": "API token is missing"})
    response = submit(bria, key="other")
    assert (response.status_code, response.json()) == (403, {"detail": "API token is not valid"})


def test_json_is_wanted_and_the_right_route(bria: BriaEmulator) -> None:
    url, headers = f"{bria.url}/v2/image/edit/expand", {"api_token": KEY}
    typed = {**headers, "content-type": "application/json"}
    for body in (b"{", b"[]"):
        assert httpx2.post(url, headers=typed, content=body, trust_env=False, timeout=60).status_code == 400
    form = httpx2.post(url, headers=headers, files={"image": b"x"}, trust_env=False, timeout=60)
    assert form.status_code == 415
    assert get(url).status_code == 404
    assert get(f"{bria.url}/v1/status/1").status_code == 404
    lost = get(f"{bria.url}/v2/status/1")
    assert (lost.status_code, lost.json()["status"]) == (404, "NOT_FOUND")


def test_endings_can_be_scripted(bria: BriaEmulator) -> None:
    bria.script(outcomes.refuse(429), outcomes.wrong_size(30, 20), outcomes.as_real(), outcomes.refuse(506))
    assert submit(bria).json()["error"]["code"] == 429
    address = submit(bria).json()["status_url"]
    assert get(address).status_code == 200
    assert get(address).status_code == 506
    get(address)
    image = get(address).json()["result"]["image_url"]
    assert picture(get(image, key=None).content).shape == (20, 30, 3)
    bria.files.script(outcomes.corrupt_picture())
    with pytest.raises(InvalidRequest):
        picture(get(image, key=None).content)
    assert len(bria.submits) == 2
    assert len(bria.files.calls) == 2


def test_half_a_picture_can_be_made(bria: BriaEmulator) -> None:
    bria.script(outcomes.corrupt_picture())
    with pytest.raises(InvalidRequest):
        picture_of(bria)


def test_where_no_calls_are_kept_none_are_on_any_port(bria: BriaEmulator) -> None:
    bria.keeps_calls = False
    picture_of(bria)
    assert (bria.calls, bria.files.calls) == ([], [])
