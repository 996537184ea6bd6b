"""The emulator of Stability AI's outpaint refuses what the real one refuses, and makes a real picture."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx2
import numpy as np
import pytest

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo, photo_png, truncated
from uncrop.testing.stability import StabilityEmulator
from uncrop.testing.stability.emulator import REPAINT

KEY = "sk-a-key"


@pytest.fixture
def stability() -> Iterator[StabilityEmulator]:
    with StabilityEmulator(api_key=KEY, credits=12) as emulator:
        yield emulator


def post(
    emulator: StabilityEmulator,
    image: bytes | None = None,
    *,
    path: str = "/v2beta/stable-image/edit/outpaint",
    media_type: str = "image/png",
    key: str = KEY,
    scheme: str = "Bearer",
    accept: str = "image/*",
    **fields: object,
) -> httpx2.Response:
    headers = {"authorization": f"{scheme} {key}", "accept": accept}
    files = {"image": ("image.png", photo_png(80, 64) if image is None else image, media_type)}
    text = {name: str(value) for name, value in fields.items()}
    return httpx2.post(f"{emulator.url}{path}", headers=headers, files=files, data=text, trust_env=False, timeout=60)


def picture(data: bytes) -> np.ndarray:
    return codec.decode(open_file(data))


def test_a_good_call_gets_a_png_and_costs_four_credits(stability: StabilityEmulator) -> None:
    response = post(stability, left=10, down=6, seed=3)
    assert response.status_code == 200
    headers = response.headers
    assert (headers["content-type"], headers["finish-reason"], headers["seed"]) == ("image/png", "SUCCESS", "3")
    assert headers["x-request-id"]
    assert picture(response.content).shape == (70, 90, 3)
    assert stability.credits == 8


def test_the_whole_picture_is_repainted_a_little(stability: StabilityEmulator) -> None:
    made = picture(post(stability, left=10, seed=3).content).astype(int)
    original = photo(80, 64).astype(int)
    assert (made[:, 10:] - original == REPAINT).all()
    assert (made[:, 9] == made[:, 10]).all()  # mirrored at the border


def test_the_seed_decides_and_none_draws_one(stability: StabilityEmulator) -> None:
    first, same, other = (post(stability, up=5, seed=seed).content for seed in (1, 1, 2))
    assert first == same != other
    stability.credits = 8
    drawn = [post(stability, up=5, **fields).headers["seed"] for fields in ({}, {"seed": 0})]
    assert all(int(seed) > 0 for seed in drawn)


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_other_formats_can_be_had(stability: StabilityEmulator, output_format: str) -> None:
    response = post(stability, left=10, output_format=output_format)
    assert response.headers["content-type"] == f"image/{output_format}"
    assert read_header(response.content).format == output_format.upper()


def test_an_answer_in_json_has_what_the_headers_have(stability: StabilityEmulator) -> None:
    response = post(stability, left=10, seed=9, accept="application/json")
    assert response.headers["content-type"] == "application/json; type=image/png"
    assert "finish-reason" not in response.headers
    body = response.json()
    assert (body["finish_reason"], body["seed"]) == ("SUCCESS", 9)
    assert picture(base64.b64decode(body["image"])).shape == (64, 90, 3)


def test_a_filtered_picture_is_blurred_and_billed(stability: StabilityEmulator) -> None:
    response = post(stability, left=10, prompt="something [filtered]")
    assert (response.status_code, response.headers["finish-reason"]) == (200, "CONTENT_FILTERED")
    blurred = picture(response.content).astype(int)
    assert np.abs(np.diff(blurred, axis=1)).mean() < np.abs(np.diff(photo(80, 64).astype(int), axis=1)).mean() / 3
    assert stability.credits == 8


@pytest.mark.parametrize(
    ("prompt", "status", "name"),
    [
        ("[moderated]", 403, "content_moderation"),
        ("[public figure]", 422, "public_figure"),
        ("ein Café", 200, ""),
        ("пляж", 422, "invalid_language"),
    ],
)
def test_what_must_not_be_asked_for_is_not_charged(
    stability: StabilityEmulator, prompt: str, status: int, name: str
) -> None:
    response = post(stability, left=10, prompt=prompt)
    assert response.status_code == status
    if status != 200:
        assert response.json()["name"] == name
        assert stability.credits == 12


def test_when_the_credits_are_spent_no_more_are_made(stability: StabilityEmulator) -> None:
    statuses = [post(stability, up=5).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 402]


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"bottom": 5}, 400, "bottom: unknown field"),
        ({"top": 5}, 400, "top: unknown field"),
        ({"left": 0}, 400, "At least one of left, right, up or down must be greater than 0"),
        ({"left": -1}, 400, "left: must be an integer between 0 and 2000"),
        ({"left": 2001}, 400, "left: must be an integer between 0 and 2000"),
        ({"left": "1.5"}, 400, "left: must be an integer between 0 and 2000"),
        ({"seed": 4_294_967_295}, 400, "seed: must be an integer between 0 and 4294967294"),
        ({"creativity": "2"}, 400, "creativity: must be a number between 0 and 1"),
        ({"creativity": "much"}, 400, "creativity: must be a number between 0 and 1"),
        ({"output_format": "gif"}, 400, "output_format: must be one of png, jpeg, webp"),
        ({"style_preset": "baroque"}, 400, "style_preset: is unknown"),
        ({"prompt": "x" * 10_001}, 400, "prompt: must have at most 10000 characters"),
        ({"accept": "text/html"}, 400, "accept: must be either image/* or application/json"),
        ({"media_type": "image/gif"}, 400, "image: must be a jpeg, png or webp"),
        ({"image": photo_png(63, 80)}, 400, "image: width and height must be at least 64"),
        ({"image": photo_png(256, 100)}, 400, "image: aspect ratio must be between 1:2.5 and 2.5:1"),
        ({"image": b"GIF89a"}, 400, "image: is not a valid image"),
        ({"image": truncated(photo_png(80, 64), 0.9, forged_end=True)}, 400, "image: is not a valid image"),
        ({"image": bytes(10 * 1024 * 1024)}, 413, "body: payloads cannot be larger than 10MiB in size"),
        ({"scheme": "Basic"}, 401, "authorization: invalid or missing header value"),
        ({"key": "sk-other"}, 401, "authorization: invalid or missing header value"),
        ({"path": "/v2beta/stable-image/edit/uncrop"}, 404, "The requested resource was not found"),
    ],
)
def test_what_the_real_one_refuses_is_refused(
    stability: StabilityEmulator, changes: dict[str, object], status: int, text: str
) -> None:
    response = post(stability, **{"left": 5, **changes})  # type: ignore[arg-type]
    body = response.json()
    assert (response.status_code, body["errors"]) == (status, [text])
    assert set(body) == {"id", "name", "errors"}
    assert stability.credits == 12


def test_the_fields_are_looked_at_before_the_key(stability: StabilityEmulator) -> None:
    assert post(stability, key="sk-other", left=-1).status_code == 400
    assert post(stability, key="sk-other", left=1, prompt="[moderated]").status_code == 401


def test_more_than_nine_megapixels_are_refused_unopened(stability: StabilityEmulator) -> None:
    big = codec.encode(np.zeros((3073, 3072, 1), np.uint8), "PNG")
    assert post(stability, big, left=1).json()["errors"] == ["image: must have at most 9437184 pixels"]


def test_a_form_is_wanted_with_each_field_once_and_the_image_in_it(stability: StabilityEmulator) -> None:
    url, headers = f"{stability.url}/v2beta/stable-image/edit/outpaint", {"authorization": f"Bearer {KEY}"}
    response = httpx2.post(url, headers=headers, json={"left": 5}, trust_env=False, timeout=60)
    assert response.json()["errors"] == ["content-type: must be multipart/form-data"]
    files = [("image", ("a.png", photo_png(80, 64), "image/png"))] * 2
    response = httpx2.post(url, headers=headers, files=files, data={"left": "5"}, trust_env=False, timeout=60)
    assert response.json()["errors"] == ["image: must be sent once"]
    response = httpx2.post(url, headers=headers, files={"left": (None, "5")}, trust_env=False, timeout=60)
    assert response.json()["errors"] == ["image: is required and must be a file"]
    response = httpx2.get(url, headers=headers, trust_env=False, timeout=60)
    assert (response.status_code, response.json()["name"]) == (405, "method_not_allowed")


def test_endings_can_be_scripted(stability: StabilityEmulator) -> None:
    stability.script(outcomes.refuse(429), outcomes.wrong_size(30, 20), outcomes.corrupt_picture())
    assert post(stability, left=5).json()["name"] == "rate_limit_exceeded"
    assert picture(post(stability, left=5).content).shape == (20, 30, 3)
    half = post(stability, left=5).content
    with pytest.raises(InvalidRequest):
        picture(half)
