"""The plug-in alone: what it says and hears, and that its emulator is as strict as a vendor."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
import pytest

from uncrop import errors
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import Fill, Sides, Task, UncropRequest
from uncrop.providers.conversation import Answer, Call, Step, Wait
from uncrop.testing.pictures import photo, photo_png
from uncrop.testing.workbench import make_settings, make_task, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sketch.emulator import SketchEmulator

pytestmark = pytest.mark.usefixtures("sketch_installed")
ADDRESS = "https://eu.sketch.example.org/tasks/1/state"
FILE = "https://files.sketch.example.org/1.png"


def says(value: object, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode(), headers={"x-request-id": "sketch-1"})


READY = says({"status": "Ready", "sample": FILE})


def picture(pixels: np.ndarray[Any, Any]) -> Answer:
    return Answer(status=200, body=codec.encode(pixels.astype(np.uint8), "PNG"))


def task(**sides: int) -> Task:
    from sketch.facts import FACTS

    request = UncropRequest(provider="", image=photo_png(80, 64), sides=Sides(**sides or {"left": 16}), seed=4)
    return make_task(request, FACTS)


def converse(*replies: object, **sides: int) -> tuple[list[Step], Fill]:
    from sketch.facts import FACTS
    from sketch.provider import Sketch

    return talk(Sketch(FACTS, make_settings(FACTS, base_url="https://sketch.example.org")), task(**sides), *replies)


def test_it_submits_polls_and_downloads() -> None:
    grown = np.pad(photo(80, 64), ((0, 0), (16, 0), (0, 0)), mode="edge")
    steps, fill = converse(
        says({"id": "1", "polling_url": ADDRESS}),
        says({"status": "Pending", "progress": 0.5}, 202),
        None,
        READY,
        picture(grown),
    )
    submit, poll, wait, again, fetch = steps
    assert isinstance(submit, Call)
    assert (submit.method, submit.url, submit.kind) == ("POST", "https://sketch.example.org/v1/expand", "submit")
    fields = json.loads(submit.body.data)  # type: ignore[union-attr]
    image = base64.b64decode(fields.pop("image"))
    assert image == photo_png(80, 64)
    assert fields == {
        "width": 96,
        "height": 64,
        "offset_x": 16,
        "offset_y": 0,
        "steps": 20,
        "seed": 4,
        "prompt": "",
    }
    assert isinstance(poll, Call)
    assert (poll.method, poll.url, poll.kind, again) == ("GET", ADDRESS, "repeat", poll)
    assert isinstance(wait, Wait)
    assert wait.fraction == 0.5
    assert poll.on_cancel == wait.on_cancel
    assert wait.on_cancel is not None
    assert (wait.on_cancel.method, wait.on_cancel.url) == ("DELETE", ADDRESS)
    assert fetch == Call(method="GET", url=FILE, kind="download")
    assert np.array_equal(fill.pixels, grown)
    assert fill.facts.request_id == "sketch-1"


def test_what_lies_off_the_grid_is_rounded_up_and_cut_off_again() -> None:
    frame = np.pad(photo(80, 64)[:, 5:], ((16, 16), (0, 5), (0, 0)), mode="edge")
    replies = (says({"id": "1", "polling_url": ADDRESS}), READY, picture(frame))
    steps, fill = converse(*replies, left=-5, right=2, up=3, down=1)
    submit = steps[0]
    assert isinstance(submit, Call)
    fields = json.loads(submit.body.data)  # type: ignore[union-attr]
    assert (fields["width"], fields["height"], fields["offset_x"], fields["offset_y"]) == (80, 96, 0, 16)
    used = codec.decode_8bit(open_file(base64.b64decode(fields["image"])))
    assert np.array_equal(used, photo(80, 64)[:, 5:])
    assert np.array_equal(fill.pixels, frame[13 : 13 + 68, :77])


def test_a_flat_picture_beside_the_photo_is_refused() -> None:
    flat = np.full((64, 96, 3), (20, 60, 230))
    flat[:, 16:] = photo(80, 64)
    replies = (says({"id": "1", "polling_url": ADDRESS}), READY)
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        converse(*replies, picture(flat))
    assert refused.value.system_message == "The provider's picture is one flat colour beside the photo"
    # One colour that the photo's rim has is a clear sky.
    clear = np.full((64, 96, 3), (20, 60, 230))
    assert converse(*replies, picture(clear))[1].pixels.shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ((says({}, 402),), errors.ProviderQuotaExhausted),
        ((says([1]),), errors.ProviderInvalidResponse),
        ((says({"id": "1"}),), errors.ProviderInvalidResponse),
        ((says({"polling_url": 7}),), errors.ProviderInvalidResponse),
        ((says({"polling_url": ADDRESS}), says({}, 404)), errors.ProviderError),
        ((says({"polling_url": ADDRESS}), says({"status": "Failed"})), errors.ProviderError),
        ((says({"polling_url": ADDRESS}), says({"status": "Moderated"})), errors.ContentRejected),
        ((says({"polling_url": ADDRESS}), says({"status": "Ready"})), errors.ProviderInvalidResponse),
        ((says({"polling_url": ADDRESS}), READY, says({}, 403)), errors.ProviderError),
    ],
)
def test_each_failure_is_one_error(replies: tuple[Answer, ...], kind: type[errors.UncropError]) -> None:
    with pytest.raises(errors.UncropError) as failed:
        converse(*replies)
    assert type(failed.value) is kind


# --- the emulator ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sketch() -> Iterator[SketchEmulator]:
    from sketch.emulator import SketchEmulator

    with SketchEmulator(api_key="k") as running:
        yield running


def submit(sketch: SketchEmulator, *, key: str = "k", **changes: object) -> httpx2.Response:
    image = base64.b64encode(photo_png(80, 64)).decode()
    fields = {"image": image, "width": 96, "height": 64, "offset_x": 16, "offset_y": 0, "steps": 20, "seed": 0}
    body = {**fields, "prompt": "", **changes}
    return httpx2.post(f"{sketch.url}/v1/expand", headers={"x-key": key}, json=body, trust_env=False)


def finished(address: str) -> httpx2.Response:
    statuses = []
    while True:
        state = httpx2.get(address, headers={"x-key": "k"}, trust_env=False)
        statuses.append(state.status_code)
        if state.status_code == 200:
            assert statuses == [202, 429, 503, 202, 200]
            return httpx2.get(state.json()["sample"], trust_env=False)


def test_the_emulator_answers_flat_off_its_grid(sketch: SketchEmulator) -> None:
    on, off = (
        codec.decode_8bit(open_file(finished(submit(sketch, **place).json()["polling_url"]).content))
        for place in ({}, {"width": 97, "offset_x": 17})
    )
    assert len(np.unique(on[:, :16].reshape(-1, 3), axis=0)) > 1
    assert (off[:, :17] == (20, 60, 230)).all()
    assert np.array_equal(off[:, 17:], photo(80, 64))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 63},
        {"steps": 51},
        {"seed": True},
        {"offset_x": 17},
        {"offset_y": -1},
        {"more": 1},
        {"image": "?"},
        {"image": base64.b64encode(b"text").decode()},
    ],
)
def test_the_emulator_refuses_what_the_vendor_does(sketch: SketchEmulator, changes: dict[str, object]) -> None:
    assert submit(sketch, **changes).status_code == 422


def test_the_emulator_knows_keys_jobs_and_addresses(sketch: SketchEmulator) -> None:
    assert submit(sketch, key="other").status_code == 403
    address = submit(sketch).json()["polling_url"]
    assert httpx2.get(address, trust_env=False).status_code == 403
    headers = {"x-key": "k"}
    assert httpx2.get(f"{sketch.url}/v1/expand", headers=headers, trust_env=False).status_code == 405
    assert httpx2.get(address.replace("/state", "/other"), headers=headers, trust_env=False).status_code == 404
    sample = sketch.address_of(address.split("/")[-2])
    assert httpx2.get(sample, headers=headers, trust_env=False).status_code == 400
    assert httpx2.get(sample, trust_env=False).status_code == 200
    assert httpx2.delete(address, headers=headers, trust_env=False).json() == {"status": "Cancelled"}
    assert httpx2.get(address, headers=headers, trust_env=False).status_code == 404
    assert httpx2.get(sample, trust_env=False).status_code == 404
    assert len(sketch.cancelled) == 1
    assert httpx2.post(f"{sketch.url}/v1/expand", headers=headers, content=b"no", trust_env=False).status_code == 422
