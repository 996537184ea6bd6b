"""The emulator of Stable Diffusion web UIs refuses what the real ones refuse, and falls into the same traps."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import numpy as np
import pytest

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo, photo_png
from uncrop.testing.sdapi import StableDiffusionEmulator
from uncrop.testing.sdapi.paint import REPAINT

USER = "operator:password"
DIALECTS = ("a1111", "forge", "sdnext")
# A photo on the right of its canvas, over grey.
PHOTO = photo(96, 64)
CANVAS = np.full((64, 128, 3), 128, np.uint8)
CANVAS[:, 32:] = PHOTO


def b64(pixels: np.ndarray) -> str:
    return base64.b64encode(codec.encode(pixels, "PNG")).decode()


def left_of(width: int, light: int = 255, dark: int = 0) -> np.ndarray:
    """Return a grey mask that is light in its first columns."""
    mask = np.full((64, 128, 1), dark, np.uint8)
    mask[:, :width] = light
    return mask


GOOD: dict[str, Any] = {
    "init_images": [b64(CANVAS)],
    "mask": b64(left_of(32)),
    "width": 128,
    "height": 64,
    "seed": 3,
    "denoising_strength": 1.0,
    "inpaint_full_res": False,
    "force_task_id": "task-1",
}


@pytest.fixture
def web_ui() -> Iterator[StableDiffusionEmulator]:
    with StableDiffusionEmulator() as emulator:
        yield emulator


@pytest.fixture(params=DIALECTS)
def any_dialect(request: pytest.FixtureRequest) -> Iterator[StableDiffusionEmulator]:
    with StableDiffusionEmulator(dialect=request.param, api_key=USER) as emulator:
        yield emulator


def ask(
    emulator: StableDiffusionEmulator, path: str = "/sdapi/v1/img2img", *, method: str = "POST", **request: Any
) -> httpx2.Response:
    return httpx2.request(method, emulator.url + path, trust_env=False, timeout=60, **request)


def paint(emulator: StableDiffusionEmulator, **changes: object) -> httpx2.Response:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    auth = ("operator", "password") if emulator.api_key else None
    return ask(emulator, json=body, auth=auth)


def painted(emulator: StableDiffusionEmulator, **changes: object) -> np.ndarray:
    response = paint(emulator, **changes)
    assert response.status_code == 200
    return codec.decode(open_file(base64.b64decode(response.json()["images"][0], validate=True))).astype(int)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[list[object]]:
    """Do something in a thread of its own; it has been done when the context is left."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    try:
        yield found
    finally:
        thread.join()


# --- pictures --------------------------------------------------------------------------------------------------------


def test_what_is_masked_continues_the_photo_and_the_rest_is_repainted_a_little(
    any_dialect: StableDiffusionEmulator,
) -> None:
    made = painted(any_dialect)
    assert made.shape == (64, 128, 3)
    assert (made[:, 32:] - PHOTO.astype(int) == REPAINT).all()
    assert (made[:, 31] == made[:, 32]).all()  # mirrored at the border: nothing of the grey is left


def test_a_seed_is_drawn_where_none_is_named(web_ui: StableDiffusionEmulator) -> None:
    assert json.loads(paint(web_ui).json()["info"])["seed"] == 3
    assert json.loads(paint(web_ui, seed=...).json()["info"])["seed"] >= 0


def test_alpha_turns_the_meaning_of_a_mask_round(web_ui: StableDiffusionEmulator) -> None:
    """As masks are elsewhere, transparent where it is to be made: here the photo is made, and the grey kept."""
    mask = np.full((64, 128, 4), 255, np.uint8)
    mask[:, :32, 3] = 0
    made = painted(web_ui, mask=b64(mask))
    assert (made[:, :32] == 128 + REPAINT).all()
    assert (made[:, 32:] != PHOTO.astype(int) + REPAINT).any()


def test_an_opaque_alpha_is_no_alpha(web_ui: StableDiffusionEmulator) -> None:
    grey = left_of(32)
    opaque = np.concatenate([grey, grey, grey, np.full_like(grey, 255)], axis=2)
    assert (painted(web_ui, mask=b64(opaque)) == painted(web_ui)).all()


def test_a_mask_can_be_inverted(web_ui: StableDiffusionEmulator) -> None:
    inverted = painted(web_ui, mask=b64(left_of(32, light=0, dark=255)), inpainting_mask_invert=1)
    assert (inverted == painted(web_ui)).all()


def test_a_mask_is_rounded_to_cells_so_that_what_was_sent_stays_beside_the_photo(
    web_ui: StableDiffusionEmulator,
) -> None:
    canvas = np.full((64, 128, 3), 128, np.uint8)
    canvas[:, 35:] = PHOTO[:, :93]
    made = painted(web_ui, init_images=[b64(canvas)], mask=b64(left_of(35)))
    assert (made[:, 32:35] == 128 + REPAINT).all()


def test_without_a_mask_and_with_nothing_kept_and_without_strength_the_picture_comes_back(
    web_ui: StableDiffusionEmulator,
) -> None:
    same = np.minimum(CANVAS.astype(int), 255 - REPAINT) + REPAINT
    for changes in ({"mask": ...}, {"mask": b64(left_of(128))}, {"denoising_strength": 0}):
        assert (painted(web_ui, **changes) == same).all()


def test_only_masked_gives_the_size_of_the_picture_that_was_sent(web_ui: StableDiffusionEmulator) -> None:
    assert painted(web_ui, width=256, height=128).shape == (128, 256, 3)
    assert painted(web_ui, width=256, height=128, inpaint_full_res=True).shape == (64, 128, 3)


@pytest.mark.parametrize(("dialect", "shape"), [("a1111", (64, 128)), ("forge", (64, 128)), ("sdnext", (512, 512))])
def test_what_is_left_out_has_other_defaults_in_each_dialect(dialect: Any, shape: tuple[int, int]) -> None:
    with StableDiffusionEmulator(dialect=dialect) as emulator:
        made = painted(emulator, width=..., height=..., inpaint_full_res=...)
        assert made.shape[:2] == shape
        strength = paint(emulator, denoising_strength=...).json()["parameters"]["denoising_strength"]
        assert strength == (0.5 if dialect == "sdnext" else 0.75)


def test_more_pictures_than_one_and_none_at_all(web_ui: StableDiffusionEmulator) -> None:
    assert len(paint(web_ui, batch_size=2, n_iter=2).json()["images"]) == 4
    assert paint(web_ui, send_images=False).json()["images"] == []


def test_what_was_sent_is_sent_back_where_that_is_wanted(web_ui: StableDiffusionEmulator) -> None:
    assert paint(web_ui).json()["parameters"]["init_images"] is None
    assert paint(web_ui, include_init_images=True).json()["parameters"]["init_images"] == GOOD["init_images"]


def test_a_data_address_and_unknown_fields_and_checkpoints_are_taken(web_ui: StableDiffusionEmulator) -> None:
    response = paint(
        web_ui,
        init_images=["data:image/png;base64," + b64(CANVAS)],
        override_settings={"sd_model_checkpoint": "unknown"},
        nobody_knows="this",
    )
    assert "sd_model_name" in json.loads(response.json()["info"])


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_an_interrupt_ends_whatever_runs_with_half_a_picture_and_200(web_ui: StableDiffusionEmulator) -> None:
    whole = painted(web_ui)
    web_ui.holds_work = True
    with meanwhile(lambda: painted(web_ui)) as found:
        web_ui.wait_for_work()
        response = ask(web_ui, "/sdapi/v1/interrupt")
    assert (response.status_code, response.json()) == (200, {})
    assert found[0].shape == whole.shape  # type: ignore[attr-defined]
    assert (found[0] != whole).any()  # type: ignore[attr-defined]


def test_an_interrupt_without_work_changes_nothing() -> None:
    with StableDiffusionEmulator(dialect="sdnext") as emulator:
        assert ask(emulator, "/sdapi/v1/interrupt").status_code == 204
        assert (painted(emulator)[:, 32:] - PHOTO.astype(int) == REPAINT).all()


def test_work_that_stands_half_way_can_be_finished(web_ui: StableDiffusionEmulator) -> None:
    web_ui.release()  # nothing is begun
    whole = painted(web_ui)
    web_ui.holds_work = True
    with meanwhile(lambda: painted(web_ui)) as found:
        web_ui.wait_for_work()
        web_ui.release()
    assert (found[0] == whole).all()  # type: ignore[attr-defined]


def test_nobody_waits_for_work_for_ever(web_ui: StableDiffusionEmulator) -> None:
    with pytest.raises(TimeoutError):
        web_ui.wait_for_work(0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_progress_names_no_task_but_the_pages_own_does(dialect: Any) -> None:
    with StableDiffusionEmulator(dialect=dialect) as emulator:
        idle = ask(emulator, "/sdapi/v1/progress?skip_current_image=true", method="GET").json()
        assert (idle["progress"], idle["state"]["job_count"]) == (0, 0)
        emulator.holds_work = True
        with meanwhile(lambda: paint(emulator)):
            emulator.wait_for_work()
            busy = ask(emulator, "/sdapi/v1/progress", method="GET").json()
            assert busy["progress"] == 0.5
            assert busy.get("current_task") is None
            assert ("id" in busy) == (dialect == "sdnext")
            active = ask(emulator, "/internal/progress", json={"id_task": "task-1"}).json()["active"]
            assert active == (dialect != "sdnext")
            assert ask(emulator, "/internal/progress", json={"id_task": "task-2"}).json()["active"] is False
            assert ask(emulator, "/internal/progress", json={}).json()["active"] is False
            emulator.release()


def test_an_emulator_that_closes_hangs_up_on_who_waits() -> None:
    def fails() -> bool:
        try:
            paint(emulator)
        except httpx2.HTTPError:
            return True
        return False

    with StableDiffusionEmulator() as emulator:
        emulator.holds_work = True
        waiting = meanwhile(fails)
        found = waiting.__enter__()
        emulator.wait_for_work()
    waiting.__exit__(None, None, None)
    assert found == [True]


# --- refusals --------------------------------------------------------------------------------------------------------


def http(message: str, dialect: str, status: int) -> dict[str, Any]:
    if dialect == "forge":
        return {"detail": message}
    code = {"code": status} if dialect == "sdnext" else {}
    return {"error": "HTTPException", "detail": message, "body": "", "errors": "", **code}


@pytest.mark.parametrize(
    ("dialect", "changes", "status", "body"),
    [
        ("a1111", {"sampler_name": "unheard of"}, 400, http("Sampler not found", "a1111", 400)),
        ("forge", {"sampler_name": "unheard of"}, 400, http("Sampler not found", "forge", 400)),
        ("sdnext", {"sampler_name": "unheard of"}, 404, http("Sampler not found", "sdnext", 404)),
        ("a1111", {"init_images": ...}, 404, http("Init image not found", "a1111", 404)),
        ("forge", {"init_images": ...}, 404, http("Init image not found", "forge", 404)),
        ("sdnext", {"init_images": ...}, 400, {"error": "Init image is none"}),
        *(
            (dialect, changes, 500, http("Invalid encoded image", dialect, 500))
            for dialect in DIALECTS
            for changes in ({"init_images": []}, {"init_images": [7]}, {"init_images": ["AAAA"]}, {"mask": "AAAA"})
        ),
    ],
)
def test_what_the_real_ones_refuse_is_refused(dialect: Any, changes: dict[str, Any], status: int, body: object) -> None:
    with StableDiffusionEmulator(dialect=dialect) as emulator:
        response = paint(emulator, **changes)
    assert (response.status_code, response.json()) == (status, body)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"width": 2048, "height": 2056}, "OutOfMemoryError", "CUDA out of memory."),
        ({"prompt": "a beach [nans]"}, "NansException", "A tensor with all NaNs was produced"),
        ({"width": 130}, "RuntimeError", "Sizes of tensors must match"),
        ({"height": 68}, "RuntimeError", "Sizes of tensors must match"),
        ({"height": 0}, "RuntimeError", "Sizes of tensors must match"),
    ],
)
def test_what_the_model_cannot_do_is_told_by_its_exception_but_by_forge(
    dialect: Any, changes: dict[str, Any], name: str, words: str
) -> None:
    with StableDiffusionEmulator(dialect=dialect) as emulator:
        response = paint(emulator, **changes)
    assert response.status_code == 500
    if dialect == "forge":
        assert response.text == "Internal Server Error"
        return
    body = response.json()
    assert (body["error"], body["detail"]) == (name, "")
    assert body["errors"].startswith(words)
    assert body.get("code") == (500 if dialect == "sdnext" else None)


@pytest.mark.parametrize(
    "changes", [{"steps": "30"}, {"seed": 1.5}, {"seed": True}, {"cfg_scale": "7"}, {"mask": 7}, {"prompt": None}]
)
def test_fields_of_another_type_are_refused_by_fastapi(
    any_dialect: StableDiffusionEmulator, changes: dict[str, Any]
) -> None:
    response = paint(any_dialect, **changes)
    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["body", *changes]]


def test_a_body_that_is_no_object_is_refused(web_ui: StableDiffusionEmulator) -> None:
    for body in (b"", b"{", b"[]"):
        assert ask(web_ui, content=body).json()["detail"][0]["loc"] == ["body", "body"]


def test_without_api_there_is_none(web_ui: StableDiffusionEmulator) -> None:
    web_ui.api = False
    response = paint(web_ui)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert ask(web_ui, "/internal/progress", json={"id_task": "1"}).status_code == 200


def test_the_right_route_and_method_are_wanted(web_ui: StableDiffusionEmulator) -> None:
    assert ask(web_ui, "/sdapi/v2/img2img").status_code == 404
    assert ask(web_ui, "/sdapi/v1/img2img", method="GET").status_code == 405


def test_a_user_is_wanted_where_there_is_one(any_dialect: StableDiffusionEmulator) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic !"}):
        response = ask(any_dialect, json=GOOD, headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Basic")
    response = ask(any_dialect, json=GOOD, auth=("operator", "slip"))
    assert response.status_code == 401
    assert response.json()["detail"] == "Incorrect username or password"
    # Forge lets everybody see the progress.
    open_to_all = ask(any_dialect, "/sdapi/v1/progress", method="GET").status_code == 200
    assert open_to_all is any_dialect.dialect.progress_is_open


def test_endings_can_be_scripted(web_ui: StableDiffusionEmulator) -> None:
    web_ui.script(outcomes.refuse(429), outcomes.wrong_size(24, 16), outcomes.corrupt_picture())
    assert paint(web_ui).status_code == 429
    assert painted(web_ui).shape == (16, 24, 3)
    with pytest.raises(InvalidRequest):
        painted(web_ui)


def test_pictures_of_any_format_are_taken(web_ui: StableDiffusionEmulator) -> None:
    body = base64.b64encode(photo_png(128, 64, channels=4)).decode()
    assert painted(web_ui, init_images=[body]).shape == (64, 128, 3)
