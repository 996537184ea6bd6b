"""The Clipdrop emulator refuses what Clipdrop refuses, and makes a real picture."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import numpy as np
import pytest

from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing.clipdrop import REPAINT, ClipdropEmulator
from uncrop.testing.pictures import photo, photo_jpeg, photo_png, truncated

KEY = "a key"


@pytest.fixture
def clipdrop() -> Iterator[ClipdropEmulator]:
    with ClipdropEmulator(api_key=KEY, credits=3) as emulator:
        yield emulator


def post(
    emulator: ClipdropEmulator, image: bytes | None = None, path: str = "/uncrop/v1", **fields: object
) -> httpx2.Response:
    headers = {"x-api-key": KEY, **fields.pop("headers", {})}  # type: ignore[dict-item]
    data = photo_png(40, 30) if image is None else image
    files = {"image_file": ("image.png", data, "image/png")}
    text = {name: str(value) for name, value in fields.items()}
    return httpx2.post(f"{emulator.url}{path}", headers=headers, files=files, data=text, trust_env=False)


def picture(response: httpx2.Response) -> np.ndarray:
    return codec.decode(open_file(response.content))


def test_a_good_call_gets_a_jpeg_and_costs_a_credit(clipdrop: ClipdropEmulator) -> None:
    response = post(clipdrop, extend_left=10, extend_down=6, seed=3)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert (response.headers["x-credits-consumed"], response.headers["x-remaining-credits"]) == ("1", "2")
    assert picture(response).shape == (36, 50, 3)
    assert clipdrop.credits == 2


def test_the_whole_frame_is_repainted_a_little(clipdrop: ClipdropEmulator) -> None:
    made = picture(post(clipdrop, extend_left=10)).astype(int)
    level = float((made[:, 10:] - photo(40, 30).astype(int)).mean())
    assert REPAINT - 1.5 < level < REPAINT + 1.5


def test_negative_sides_crop(clipdrop: ClipdropEmulator) -> None:
    assert picture(post(clipdrop, extend_right=-5, extend_up=-29, extend_left=1)).shape == (1, 36, 3)


def test_the_seed_decides(clipdrop: ClipdropEmulator) -> None:
    first, same, other = (post(clipdrop, extend_up=5, seed=seed).content for seed in (1, 1, 2))
    assert first == same != other


def test_when_the_credits_are_spent_no_more_are_made(clipdrop: ClipdropEmulator) -> None:
    for _ in range(3):
        assert post(clipdrop, extend_up=5).status_code == 200
    response = post(clipdrop, extend_up=5)
    assert response.status_code == 402
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"error": "Your account has no remaining credits, you can buy more in your account page."}


def test_many_different_pictures_are_not_all_kept(clipdrop: ClipdropEmulator) -> None:
    clipdrop.credits = 100
    for side in range(1, 12):
        assert post(clipdrop, extend_up=side).status_code == 200
    assert len(clipdrop._made) == 8


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"headers": {"x-api-key": ""}}, 401, "No api key provided"),
        ({"headers": {"x-api-key": "another"}}, 403, "Invalid api key"),
        ({"headers": {"accept": "text/html"}}, 406, "Accept header not acceptable."),
        ({"extend_left": 2001}, 400, "extend_left must be between -2000 and 2000"),
        ({"extend_up": -2001}, 400, "extend_up must be between -2000 and 2000"),
        ({"extend_left": "ten"}, 400, "extend_left is not an integer"),
        ({"extend_left": "1.5"}, 400, "extend_left is not an integer"),
        ({"seed": 100_001}, 400, "seed must be between 0 and 100000"),
        ({"seed": -1}, 400, "seed must be between 0 and 100000"),
        ({"extend_left": -20, "extend_right": -20}, 400, "Nothing of the image is left"),
        ({"extend_left": -40, "extend_right": 10}, 400, "Nothing of the image is left"),
        ({"extend_up": -30, "extend_down": 10}, 400, "Nothing of the image is left"),
        ({"image": b"GIF89a"}, 400, "Input image format is not valid"),
        ({"image": truncated(photo_jpeg(40, 30))}, 400, "Input image format is not valid"),
        ({"image": bytes(30_000_001)}, 400, "Image file is too big"),
        ({"path": "/uncrop/v2"}, 404, "Not found"),
    ],
)
def test_what_clipdrop_refuses_is_refused(
    clipdrop: ClipdropEmulator, fields: dict[str, object], status: int, text: str
) -> None:
    response = post(clipdrop, **fields)  # type: ignore[arg-type]
    assert (response.status_code, response.json()) == (status, {"error": text})
    assert clipdrop.credits == 3
    assert len(clipdrop.calls) == 1


def test_more_than_ten_megapixels_are_refused_unopened(clipdrop: ClipdropEmulator) -> None:
    big = codec.encode(np.zeros((3200, 3200, 1), np.uint8), "PNG")
    assert post(clipdrop, big, extend_left=1).json() == {"error": "Image resolution is too big"}


def test_a_picture_damaged_inside_is_refused(clipdrop: ClipdropEmulator) -> None:
    damaged = truncated(photo_png(40, 30), 0.9, forged_end=True)
    assert post(clipdrop, damaged, extend_left=1).json() == {"error": "Input image format is not valid"}


def test_a_form_is_wanted_and_the_image_in_it(clipdrop: ClipdropEmulator) -> None:
    url, headers = f"{clipdrop.url}/uncrop/v1", {"x-api-key": KEY}
    response = httpx2.post(url, headers=headers, json={}, trust_env=False)
    assert (response.status_code, response.json()) == (400, {"error": "Request is malformed or incomplete"})
    response = httpx2.post(url, headers=headers, files={"image": ("a.png", b"x")}, trust_env=False)
    assert (response.status_code, response.json()) == (400, {"error": "Missing image_file in request"})
    response = httpx2.get(url, headers=headers, trust_env=False)
    assert (response.status_code, response.json()) == (405, {"error": "Method not allowed"})


def test_a_lenient_server_reads_2k_as_2048() -> None:
    with ClipdropEmulator(max_extend=2048) as lenient:
        assert post(lenient, extend_left=2048).status_code == 200
        assert post(lenient, extend_left=2049).status_code == 400
