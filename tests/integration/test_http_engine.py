"""The local engine behind HTTP, in a process of its own: its honesty, its deadline, clients that leave."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import httpx2
import jsonschema_rs
import numpy as np
import pytest

import engine_that_tells
from fixtures_http import Form, Refusal, ask, check, send
from fixtures_server import ORGANIZATION, real, wait_until
from processes import is_running
from uncrop.client import Client
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import Sides
from uncrop.testing.pictures import photo, photo_jpeg, photo_png
from uncrop.workers import engine_runner

if TYPE_CHECKING:
    from pathlib import Path

FORM = Form(
    fields={"provider": "local", "organization_id": ORGANIZATION, "extend_left": "16", "quality": "fast"},
    files={"image_file": photo_jpeg(64, 48)},
)


def smooth_jpeg(width: int, height: int) -> bytes:
    """Make a photo of slow gradients, large and soon made."""
    y, x = np.ogrid[0:height, 0:width]
    planes = [(y * (40 + 30 * n) // height + x * (110 - 30 * n) // width) % 256 for n in range(3)]
    return codec.encode(np.stack(planes, axis=2).astype(np.uint8), "JPEG")


# --- how far it can be trusted ---------------------------------------------------------------------------------------


def test_the_map_comes_with_the_picture_that_comes_without_it_too(data_dir: Path) -> None:
    form = FORM.but(seed="3", extend_left="70", extend_down="8", image_file=photo_png(64, 48))
    with real(data_dir) as house:
        plain = ask(house.url, form, key=house.key)
        response = ask(house.url, form.but(confidence_map="true"), key=house.key)
        document = httpx2.get(f"{house.url}/openapi.json").json()
        with Client(house.url, api_key=house.key, organization_id=ORGANIZATION) as client:
            picture = client.extend(
                form.files["image_file"], left=70, down=8, seed=3, quality="fast", confidence_map=True
            )
    assert (plain.status_code, plain.headers["content-type"]) == (200, "image/png")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    body = response.json()
    schema = {"$ref": "#/components/schemas/PictureWithMap", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(body)
    assert b64decode(body["image"]["base64"]) == plain.content
    trust = decoded(b64decode(body["confidence_map"]["base64"]))
    assert trust.shape == (56, 134, 1)
    assert (trust[:48, 70:] == 255).all()
    made = np.ones((56, 134), np.bool_)
    made[:48, 70:] = False
    report, headers = body["report"], response.headers
    assert report["confidence"] == pytest.approx(trust[made].mean() / 255)
    assert report["seed"] == 3
    assert headers["x-confidence"] == plain.headers["x-confidence"] == f"{report['confidence']:.3f}"
    advice = ", ".join(f"{side}={pixels}" for side, pixels in report["advice"].items())
    assert headers["x-advice"] == plain.headers["x-advice"] == advice
    assert 0 <= report["advice"]["left"] < 70
    assert (picture.image, picture.media_type, picture.seed) == (plain.content, "image/png", 3)
    assert picture.confidence_map is not None
    assert np.array_equal(decoded(picture.confidence_map), trust)
    assert picture.advice == Sides(**report["advice"])


def decoded(png: bytes) -> Any:
    return codec.decode(open_file(png))


def test_cropping_needs_no_advice(data_dir: Path) -> None:
    form = FORM.but("extend_left", extend_up="-8", confidence_map="true")
    with real(data_dir) as house:
        response = ask(house.url, form, key=house.key)
    assert "x-advice" not in response.headers
    report = response.json()["report"]
    assert (report["confidence"], report["advice"]) == (1.0, None)
    assert (decoded(b64decode(response.json()["confidence_map"]["base64"])) == 255).all()


# --- deadline --------------------------------------------------------------------------------------------------------


def test_the_engine_ends_itself_at_its_deadline(data_dir: Path) -> None:
    sides = {"extend_left": "600", "extend_right": "600", "extend_up": "450", "extend_down": "450"}
    form = FORM.but(image_file=smooth_jpeg(4000, 3000), quality="best", **sides)
    with real(data_dir, settings={"provider_timeout_s": 1}) as house:
        check(
            ask(house.url, form, key=house.key),
            Refusal(
                status=504,
                code="PROVIDER_TIMEOUT",
                # The engine's own words; of a worker that had to be ended, the technical text would tell.
                message="The local engine did not finish in time",
                type="server_error",
            ),
        )
        assert house.booked() == 0


# --- long and thin photos --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(100_000, 16, "extend_up"), (16, 100_000, "extend_left"), (500_000, 16, "extend_right")],
)
def test_the_longest_and_thinnest_are_made(data_dir: Path, width: int, height: int, side: str) -> None:
    pattern = np.tile(photo(500, 16), (1, max(width, height) // 500, 1))
    image = np.ascontiguousarray(pattern if width > height else pattern.transpose(1, 0, 2))
    more = 16 if side == "extend_right" else 300
    sides = {"extend_left": "0", side: str(more)}
    form = FORM.but(image_file=codec.encode(image, "PNG"), **sides)
    # However busy the machine is: how little is made at first is looked at where it is decided.
    with real(data_dir, settings={"provider_timeout_s": 1500}) as house:
        answer = ask(house.url, form, key=house.key, timeout_s=1500)
        assert answer.status_code == 200
    made = open_file(answer.content).header
    grown = (width, height + more) if side == "extend_up" else (width + more, height)
    assert (made.width, made.height) == grown


@pytest.mark.slow
def test_what_would_take_more_memory_is_refused_with_the_number(data_dir: Path) -> None:
    image = np.zeros((16, 1_500_000, 3), np.uint8)
    form = FORM.but("extend_left", image_file=codec.encode(image, "PNG"), extend_right="16")
    with real(data_dir) as house:
        answer = ask(house.url, form, key=house.key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "IMAGE_TOO_LARGE")
    details = answer.json()["error"]["details"]
    assert details["needed"] > details["max_allowed"]


# --- clients that leave ----------------------------------------------------------------------------------------------


def test_a_client_that_leaves_ends_the_engines_work(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = data_dir / engine_that_tells.PIPE
    os.mkfifo(pipe)
    with real(data_dir, settings={"engine_workers": 1, "max_running": 1}) as house:
        slots = house.server.service.capacity.slots
        with monkeypatch.context() as patched:
            patched.setattr(engine_runner, "compute", engine_that_tells.compute)
            leaving = send(house.url, FORM, key=house.key)
            worker = int(pipe.read_text())
        assert is_running(worker)
        assert slots.running == 1
        leaving.close()
        wait_until(lambda: slots.running == 0)
        assert not is_running(worker)
        # The only worker's place and the only slot are free again.
        assert ask(house.url, FORM, key=house.key).status_code == 200
        assert house.booked() == 1
