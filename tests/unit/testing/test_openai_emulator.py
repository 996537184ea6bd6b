"""The OpenAI emulator refuses what OpenAI refuses, and redraws the whole frame."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest

from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing.openai.emulator import REPAINT, OpenAIEmulator
from uncrop.testing.pictures import mask_png, noise, photo, photo_jpeg, photo_png, photo_webp, truncated

KEY = "a key"
PHOTO = photo_png(64, 64)
IMAGE = ("image", ("image.png", PHOTO, "image/png"))
MASK = ("mask", ("mask.png", mask_png(64, 64), "image/png"))
GOOD = {"model": "gpt-image-2", "prompt": "a lake", "size": "1024x1024"}


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator(api_key=KEY) as emulator:
        yield emulator


def post(
    emulator: OpenAIEmulator,
    fields: dict[str, str] | None = None,
    files: list[Any] | None = None,
    path: str = "/images/edits",
    authorization: str = f"Bearer {KEY}",
) -> httpx2.Response:
    return httpx2.post(
        f"{emulator.url}{path}",
        headers={"Authorization": authorization},
        data={**GOOD, **(fields or {})},
        files=[IMAGE, MASK] if files is None else files,
        trust_env=False,
    )


def picture(response: httpx2.Response) -> np.ndarray:
    data = base64.b64decode(response.json()["data"][0]["b64_json"])
    return codec.decode(open_file(data))


def test_a_good_call_gets_a_picture_of_the_size_asked_for(openai: OpenAIEmulator) -> None:
    response = post(openai, {"quality": "high", "size": "1536x1024"})
    assert response.status_code == 200
    body = response.json()
    assert picture(response).shape == (1024, 1536, 3)
    assert {name: body[name] for name in ("background", "output_format", "quality", "size", "created")} == {
        "background": "opaque",
        "output_format": "png",
        "quality": "high",
        "size": "1536x1024",
        "created": 1_760_000_000,
    }
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens"] == sum(usage["input_tokens_details"].values())
    assert re.fullmatch(r"req_[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.headers["x-ratelimit-remaining-requests"] == "249"


def test_the_whole_frame_is_redrawn_in_other_colours(openai: OpenAIEmulator) -> None:
    made = picture(post(openai)).astype(int)
    stretched = codec.resize(photo(64, 64), 1024, 1024).astype(int)
    # Up to the mask's right quarter, and three pixels of the photo that a pixel is resampled from.
    kept = (made - stretched)[:, : 45 * 16]
    assert tuple(kept.reshape(-1, 3).mean(axis=0).round()) == REPAINT


def test_what_is_masked_continues_the_photo_with_its_own_grain(openai: OpenAIEmulator) -> None:
    image, mask = photo_png(1024, 1024), mask_png(1024, 1024)
    files = [("image", ("image.png", image, "image/png")), ("mask", ("mask.png", mask, "image/png"))]
    made, sent = picture(post(openai, files=files)).astype(int), photo(1024, 1024).astype(int)
    assert (made[:, :768] - sent[:, :768] == REPAINT).all()
    assert (made[:, 768:] - sent[:, 767:511:-1] == REPAINT).all()
    whole = picture(post(openai, files=files[:1])).astype(int)
    assert (whole - sent == REPAINT).all()


@pytest.mark.parametrize(("name", "format_"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_the_output_format_is_obeyed(openai: OpenAIEmulator, name: str, format_: str) -> None:
    response = post(openai, {"output_format": name})
    assert read_header(base64.b64decode(response.json()["data"][0]["b64_json"])).format == format_


def test_so_many_pictures_as_asked_for(openai: OpenAIEmulator) -> None:
    assert len(post(openai, {"n": "3"}).json()["data"]) == 3


@pytest.mark.parametrize(("size", "made"), [((64, 64), "1024x1024"), ((64, 32), "1536x1024"), ((32, 64), "1024x1536")])
def test_without_a_size_the_shape_decides(openai: OpenAIEmulator, size: tuple[int, int], made: str) -> None:
    image = ("image[]", ("image.webp", photo_webp(*size), "image/webp"))
    assert post(openai, {"size": "auto"}, [image]).json()["size"] == made


def test_many_different_pictures_are_not_all_kept(openai: OpenAIEmulator) -> None:
    for width in range(17, 27):
        image = ("image", ("image.jpeg", photo_jpeg(width, 16), "image/jpeg"))
        assert post(openai, files=[image]).status_code == 200
    assert len(openai._made) == 8


def image(data: bytes, media_type: str | None = "image/png", filename: str = "image.png") -> list[Any]:
    return [("image", (filename, data, media_type))]


def with_mask(data: bytes) -> list[Any]:
    return [IMAGE, ("mask", ("mask.png", data, "image/png"))]


@pytest.mark.parametrize(
    ("wishes", "status", "code", "param"),
    [
        ({"authorization": ""}, 401, None, None),
        ({"authorization": "Basic abc"}, 401, None, None),
        ({"authorization": "Bearer"}, 401, None, None),
        ({"authorization": "Bearer another"}, 401, "invalid_api_key", None),
        ({"path": "/images/generations"}, 404, None, None),
        ({"fields": {"response_format": "b64_json"}}, 400, "unknown_parameter", "response_format"),
        ({"fields": {"moderation": "low"}}, 400, "unknown_parameter", "moderation"),
        ({"fields": {"seed": "1"}}, 400, "unknown_parameter", "seed"),
        ({"fields": {"prompt": ""}}, 400, "missing_required_parameter", "prompt"),
        ({"fields": {"prompt": "x" * 32_001}}, 400, "string_above_max_length", "prompt"),
        ({"fields": {"model": "gpt-image-0"}}, 404, "model_not_found", "model"),
        ({"fields": {"input_fidelity": "high"}}, 400, "invalid_value", "input_fidelity"),
        ({"fields": {"model": "gpt-image-1-mini", "input_fidelity": "low"}}, 400, "invalid_value", "input_fidelity"),
        ({"fields": {"model": "gpt-image-1", "input_fidelity": "full"}}, 400, "invalid_value", "input_fidelity"),
        ({"fields": {"quality": "standard"}}, 400, "invalid_value", "quality"),
        ({"fields": {"background": "white"}}, 400, "invalid_value", "background"),
        ({"fields": {"output_format": "gif"}}, 400, "invalid_value", "output_format"),
        ({"fields": {"stream": "true"}}, 400, "invalid_value", "stream"),
        ({"fields": {"n": "0"}}, 400, "invalid_value", "n"),
        ({"fields": {"n": "11"}}, 400, "invalid_value", "n"),
        ({"fields": {"n": "two"}}, 400, "invalid_value", "n"),
        ({"fields": {"output_compression": "101"}}, 400, "invalid_value", "output_compression"),
        ({"fields": {"size": "big"}}, 400, "invalid_value", "size"),
        ({"fields": {"size": "1000x1000"}}, 400, "invalid_value", "size"),
        ({"fields": {"size": "3856x1600"}}, 400, "invalid_value", "size"),
        ({"fields": {"size": "1920x624"}}, 400, "invalid_value", "size"),
        ({"fields": {"size": "512x512"}}, 400, "invalid_value", "size"),
        ({"fields": {"size": "3840x3840"}}, 400, "invalid_value", "size"),
        ({"fields": {"size": "1008x1008", "model": "gpt-image-1.5"}}, 400, "invalid_value", "size"),
        ({"files": [MASK]}, 400, "missing_required_parameter", "image"),
        ({"files": [("image", (None, b"text"))]}, 400, "invalid_type", "image[0]"),
        ({"files": image(PHOTO, "application/octet-stream")}, 400, "unsupported_file_mimetype", "image"),
        ({"files": [IMAGE, ("mask", (None, b"text"))]}, 400, "invalid_type", "mask"),
        ({"files": with_mask(mask_png(64, 63))}, 400, "invalid_value", "mask"),
        ({"files": with_mask(photo_png(64, 64))}, 400, "invalid_value", "mask"),
        ({"files": with_mask(photo_jpeg(64, 64))}, 400, "invalid_value", "mask"),
        ({"files": with_mask(b"junk")}, 400, "invalid_value", "mask"),
    ],
)
def test_what_openai_refuses_is_refused(
    openai: OpenAIEmulator, wishes: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    response = post(openai, **wishes)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "files",
    [
        image(b"junk"),
        image(photo_jpeg(64, 64)),
        image(truncated(PHOTO)),
        image(truncated(photo_jpeg(64, 64)), "image/jpeg"),
        image(truncated(PHOTO, 0.9, forged_end=True)),
        image(PHOTO + bytes(50_000_000)),
    ],
)
def test_an_image_that_cannot_be_read_is_refused(openai: OpenAIEmulator, files: list[Any]) -> None:
    response = post(openai, files=files)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (400, "image_generation_user_error", None)
    assert error["message"] == "Invalid image file or mode for image 1, please check your image file."


def test_a_mask_of_4_mb_is_refused(openai: OpenAIEmulator) -> None:
    side = 1200
    heavy = codec.encode(np.dstack([noise(side, side), noise(side, side)[..., :1]]), "PNG")
    assert len(heavy) > 4_000_000
    response = post(openai, files=[*image(photo_png(side, side)), ("mask", ("mask.png", heavy, "image/png"))])
    assert response.json()["error"]["message"] == "The mask must be under 4 MB."


def test_only_a_form_that_is_posted_is_taken(openai: OpenAIEmulator) -> None:
    url, headers = f"{openai.url}/images/edits", {"Authorization": f"Bearer {KEY}"}
    response = httpx2.post(url, headers=headers, json=GOOD, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_multipart")
    assert httpx2.get(url, headers=headers, trust_env=False).status_code == 405
