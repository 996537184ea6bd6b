"""Sides through a provider that speaks of masks: by HTTP, by command and by Python, with every original pixel exact."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import uncrop
from fixtures_http import Form, Refusal, ask, check
from fixtures_server import (
    ORGANIZATION,
    PATH,
    PROVIDER_KEY,
    FakeUncropper,
    Real,
    already_open,
    fake_service,
    picture,
    running,
)
from uncrop import settings
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing.openai import OpenAIEmulator
from uncrop.testing.pictures import mask_png, photo, photo_jpeg, photo_png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from uncrop.testing.emulator import ReceivedCall

WIDTH, HEIGHT = 640, 420
SIDES = {"left": 160, "right": -20, "up": 30, "down": 90}
CANVAS = (WIDTH + 160 - 20, HEIGHT + 30 + 90)


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator(api_key=PROVIDER_KEY) as emulator:
        yield emulator


@pytest.fixture
def variables(openai: OpenAIEmulator, data_dir: Path) -> dict[str, str]:
    return {
        "UNCROP_DATA_DIR": str(data_dir),
        "UNCROP_OPENAI_API_KEY": PROVIDER_KEY,
        "UNCROP_OPENAI_BASE_URL": openai.url,
    }


def decoded(data: bytes) -> Any:
    return codec.decode_8bit(open_file(data))


def form(image: bytes | None = None, **fields: str) -> Form:
    sides = {f"extend_{side}": str(pixels) for side, pixels in SIDES.items()}
    image = photo_png(WIDTH, HEIGHT) if image is None else image
    return Form(
        fields={"provider": "openai", "organization_id": ORGANIZATION, **sides, **fields}, files={"image_file": image}
    )


def check_picture(data: bytes) -> None:
    """Check that the photo stands where it belongs, bit by bit, and that what was made is no padding."""
    assert read_header(data).format == "PNG"
    made = decoded(data)
    assert made.shape == (CANVAS[1], CANVAS[0], 3)
    used = photo(WIDTH, HEIGHT)[:, : WIDTH - 20]
    assert np.array_equal(made[30 : 30 + HEIGHT, 160:], used)
    # The emulator redraws what it was shown, where the photo's colours were drawn out: nothing is black or grey.
    beside = made[30 : 30 + HEIGHT, 150:160].astype(int)
    assert np.abs(beside.mean(axis=1) - used[:, :10].mean(axis=1)).mean() < 30


def check_call(call: ReceivedCall, extent: tuple[int, int] = CANVAS) -> tuple[Any, Any]:
    """Check that photo and mask of a call lie on one another, and return both."""
    frame = decoded(call.files["image"].data)
    mask = decoded(call.files["mask"].data)
    width, height = map(int, call.fields["size"].split("x"))
    assert frame.shape[:2] == mask.shape[:2] == (height, width)
    assert width / height == pytest.approx(extent[0] / extent[1], rel=0.03)
    kept = mask[..., -1] > 0
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    # What is kept is one rectangle.
    assert kept.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    return frame, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


# --- every way in ----------------------------------------------------------------------------------------------------


def test_by_http(house: Real) -> None:
    before = len(house.openai.calls)
    response = ask(house.url, form(), key=house.key)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-canvas"] == f"{CANVAS[0]}x{CANVAS[1]}+160+30"
    assert response.headers["x-original"] == "exact"
    check_picture(response.content)
    (call,) = house.openai.calls[before:]
    frame, kept = check_call(call)
    # The photo that was sent lies under the part of the mask that is kept.
    width, height = frame.shape[1], frame.shape[0]
    exact = (width * 160 / CANVAS[0], height * 30 / CANVAS[1], width, height * (30 + HEIGHT) / CANVAS[1])
    assert kept == pytest.approx(exact, abs=1.01)
    left, top, right, bottom = kept
    shown = frame[top:bottom, left:right]
    used = codec.resize(photo(WIDTH, HEIGHT)[:, : WIDTH - 20], right - left, bottom - top)
    assert np.abs(shown.astype(int) - used).mean() < 8


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_by_curl(house: Real, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photo_png(WIDTH, HEIGHT))
    fields = " ".join(f"-F {name}={shlex.quote(value)}" for name, value in form().fields.items())
    command = f"curl -sS --fail-with-body {house.url}{PATH} -H 'X-API-Key: {house.key}' {fields}"
    command += " -F image_file=@photo.png -o wide.png"
    done = subprocess.run(command, check=False, shell=True, cwd=tmp_path, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_picture((tmp_path / "wide.png").read_bytes())


def test_by_command(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(photo_png(WIDTH, HEIGHT))
    sides = [part for side, pixels in SIDES.items() for part in (f"--{side}", str(pixels))]
    command = [sys.executable, "-m", "uncrop", "extend", "photo.png", *sides, "--provider", "openai", "-o", "wide.png"]
    done = subprocess.run(
        command, check=False, env={**os.environ, **variables}, cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wide.png: {CANVAS[0]}x{CANVAS[1]}, openai, ")
    check_picture((tmp_path / "wide.png").read_bytes())


def test_by_python(variables: dict[str, str], openai: OpenAIEmulator, data_dir: Path) -> None:
    configured = settings.load(
        data_dir=data_dir, openai_api_key=PROVIDER_KEY, openai_base_url=openai.url, _env_file=None
    )
    result = uncrop.extend(photo_png(WIDTH, HEIGHT), provider="openai", settings=configured, **SIDES)
    assert isinstance(result, uncrop.UncropResult)
    assert result.original == "exact"
    check_picture(result.image)


def test_a_jpegs_pixels_stand_in_the_png(house: Real) -> None:
    image = photo_jpeg(WIDTH, HEIGHT)
    response = ask(house.url, form(image), key=house.key)
    made = decoded(response.content)
    assert response.headers["x-original"] == "exact"
    assert np.array_equal(made[30 : 30 + HEIGHT, 160:], decoded(image)[:, : WIDTH - 20])


# --- large photos ----------------------------------------------------------------------------------------------------


def test_a_photo_of_12_megapixels_is_sent_at_the_models_scale(house: Real) -> None:
    y, x = np.ogrid[0:3000, 0:4000]
    large = np.stack([(x // 16 + y // 24) % 256, (x // 40 + y * 0) % 256, (y // 20 + x * 0) % 256], axis=2).astype(
        np.uint8
    )
    before = len(house.openai.calls)
    response = ask(house.url, form(codec.encode(large, "PNG")).but("extend_right", "extend_up"), key=house.key)
    assert response.status_code == 200, response.text
    canvas = (4000 + 160, 3000 + 90)
    assert response.headers["x-canvas"] == f"{canvas[0]}x{canvas[1]}+160+0"
    assert response.headers["x-original"] == "exact"
    made = decoded(response.content)
    assert np.array_equal(made[:3000, 160:], large)
    (call,) = house.openai.calls[before:]
    frame, kept = check_call(call, canvas)
    assert 0.9 * 8_294_400 <= frame.shape[0] * frame.shape[1] <= 8_294_400
    scale = frame.shape[1] / canvas[0]
    assert kept == pytest.approx((160 * scale, 0, frame.shape[1], 3000 * scale), abs=2)


def test_what_is_remarked_is_told_in_the_headers(tmp_path: Path) -> None:
    async def remark(request: object, commitment: object) -> uncrop.UncropResult:
        return picture(warnings=("what was made is enlarged 1.8 times", 'a "quoted" one'))

    service = fake_service(tmp_path, uncropper=FakeUncropper(remark))
    with running(already_open(service)) as server:
        response = ask(server.url, form(), key="uncrop_test_key")
    assert response.status_code == 200
    assert response.headers["x-warnings"] == '"what was made is enlarged 1.8 times", "a \\"quoted\\" one"'


# --- masks, as before ------------------------------------------------------------------------------------------------


def test_a_mask_alone_still_works(house: Real) -> None:
    before = len(house.openai.calls)
    mask = mask_png(WIDTH, HEIGHT)
    request = Form(
        fields={"provider": "openai", "organization_id": ORGANIZATION},
        files={"image_file": photo_png(WIDTH, HEIGHT), "mask_file": mask},
    )
    response = ask(house.url, request, key=house.key)
    assert response.status_code == 200, response.text
    header = read_header(response.content)
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    assert response.headers["x-canvas"] == f"{WIDTH}x{HEIGHT}+0+0"
    keep = decoded(mask)[..., -1] == 255
    # A band inside what is kept is blended; deep inside, every pixel is the photo's.
    inner = keep.copy()
    inner[:, : np.flatnonzero(~keep.all(axis=0))[0] - 64] &= True
    inner[:, np.flatnonzero(~keep.all(axis=0))[0] - 64 :] = False
    made = decoded(response.content)
    assert inner.any()
    assert np.array_equal(made[inner], photo(WIDTH, HEIGHT)[inner])
    assert len(house.openai.calls) == before + 1


def test_neither_sides_nor_a_mask_is_refused_in_the_published_words(house: Real) -> None:
    before = len(house.openai.calls)
    check(
        ask(house.url, form().but(*(f"extend_{side}" for side in SIDES)), key=house.key),
        Refusal(status=422, code="MASK_REQUIRED", message="OpenAI requires mask for this operation"),
    )
    check_zero = ask(house.url, form().but(**{f"extend_{side}": "0" for side in SIDES}), key=house.key)
    assert check_zero.json()["error"]["code"] == "MASK_REQUIRED"
    assert len(house.openai.calls) == before


def test_sides_and_a_mask_exclude_each_other(house: Real) -> None:
    response = ask(house.url, form().but(mask_file=mask_png(WIDTH, HEIGHT)), key=house.key)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "INVALID_FIELD_VALUE")


def test_sides_that_only_crop_leave_nothing_to_be_made(house: Real) -> None:
    response = ask(house.url, form().but("extend_left", "extend_up", "extend_down"), key=house.key)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "INVALID_EXTEND_PARAMETERS")
