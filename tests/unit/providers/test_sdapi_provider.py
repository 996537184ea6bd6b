"""Web UIs of Stable Diffusion: what is sent, what is believed, what is interrupted, and the row of facts."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from uncrop import errors
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.model import Fill, Rect, Sides, Task, UncropRequest
from uncrop.providers.base import ProviderSettings
from uncrop.providers.conversation import Answer, Call, Raw
from uncrop.providers.sdapi.facts import CELL, FACTS
from uncrop.providers.sdapi.provider import StableDiffusion, read_progress
from uncrop.testing.pictures import mask_png, photo, photo_jpeg, photo_png
from uncrop.testing.workbench import make_settings, make_task, talk

CANARY = "canary-7f3a"
NOT_JSON = "The provider's answer is no JSON object"
PAGE = "The provider's answer is a web page: something else than the web UI's API answers at this address"


def web_ui(**values: str | float | None) -> StableDiffusion:
    return StableDiffusion(FACTS, make_settings(FACTS, base_url="http://gpu.test:7860", **values))


def task_of(provider: StableDiffusion, image: bytes | None = None, **wishes: Any) -> Task:
    wishes = wishes or {"sides": Sides(left=200, down=100)}
    request = UncropRequest(provider="", image=photo_jpeg(600, 400) if image is None else image, **wishes)
    return make_task(request, provider.facts)


def first_call(provider: StableDiffusion, task: Task) -> Call:
    call = next(provider.converse(task))
    assert isinstance(call, Call)
    return call


def body_of(call: Call) -> dict[str, Any]:
    assert isinstance(call.body, Raw)
    assert call.body.media_type == "application/json"
    parsed: dict[str, Any] = json.loads(call.body.data)
    return parsed


def picture(text: str) -> np.ndarray:
    return codec.decode(open_file(base64.b64decode(text, validate=True)))


def says(body: object, status: int = 200, kind: str = "application/json") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers={"content-type": kind}, body=data)


def made(width: int, height: int, prefix: str = "", image_format: Any = "PNG") -> Answer:
    data = codec.encode(photo(width, height), image_format)
    return says({"images": [prefix + base64.b64encode(data).decode(), CANARY], "info": "{}"})


def refused(answer: Answer, **settings: str) -> errors.UncropError:
    provider = web_ui(**settings)
    with pytest.raises(errors.UncropError) as raised:
        talk(provider, task_of(provider), answer)
    assert CANARY not in f"{raised.value.message} {raised.value.system_message} {raised.value.details}"
    return raised.value


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_the_call_is_what_the_web_uis_take() -> None:
    provider = web_ui()
    call = first_call(provider, task_of(provider, sides=Sides(left=200, down=100), prompt="a beach", seed=42))
    assert (call.method, call.url) == ("POST", "http://gpu.test:7860/sdapi/v1/img2img")
    assert (dict(call.headers), call.kind, call.holds_picture) == ({}, "submit", True)
    body = body_of(call)
    del body["init_images"], body["mask"]
    assert body.pop("force_task_id").startswith("req_")
    assert body == {
        "inpainting_mask_invert": 0,
        "mask_blur": 0,
        "inpainting_fill": 1,
        "inpaint_full_res": False,
        "resize_mode": 0,
        "width": 800,
        "height": 504,
        "prompt": "a beach",
        "negative_prompt": "",
        "seed": 42,
        "steps": 30,
        "cfg_scale": 7.0,
        "denoising_strength": 1.0,
        "batch_size": 1,
        "n_iter": 1,
        "send_images": True,
        "save_images": False,
        "include_init_images": False,
    }


def test_what_the_operator_sets_is_sent() -> None:
    provider = web_ui(
        checkpoint="inpaint.safetensors",
        negative_prompt="frames",
        sampler="Euler a",
        scheduler="Karras",
        steps=12,
        cfg_scale=3.5,
        denoising_strength=0.8,
        inpainting_fill="noise",
    )
    body = body_of(first_call(provider, task_of(provider)))
    expected = {
        "override_settings": {"sd_model_checkpoint": "inpaint.safetensors"},
        "negative_prompt": "frames",
        "sampler_name": "Euler a",
        "scheduler": "Karras",
        "steps": 12,
        "cfg_scale": 3.5,
        "denoising_strength": 0.8,
        "inpainting_fill": 2,
        "prompt": "",
    }
    assert body.items() >= expected.items()


@pytest.mark.parametrize(
    ("set_to", "asked", "sent"),
    [(None, None, ""), ("frames", None, "frames"), (None, "people", "people"), ("frames", "people", "frames, people")],
)
def test_what_must_not_be_there_is_the_operators_and_the_callers(
    set_to: str | None, asked: str | None, sent: str
) -> None:
    provider = web_ui(negative_prompt=set_to)
    task = task_of(provider, sides=Sides(left=200), negative_prompt=asked)
    assert body_of(first_call(provider, task))["negative_prompt"] == sent


@pytest.mark.parametrize(("name", "number"), [("fill", 0), ("original", 1), ("noise", 2), ("nothing", 3)])
def test_what_lies_under_the_mask_is_a_number(name: str, number: int) -> None:
    provider = web_ui(inpainting_fill=name)
    assert body_of(first_call(provider, task_of(provider)))["inpainting_fill"] == number


def test_a_password_goes_as_basic_authentication_and_is_not_shown() -> None:
    provider = web_ui(api_auth="operator:secret:word")
    call = first_call(provider, task_of(provider))
    assert dict(call.headers) == {"Authorization": "Basic b3BlcmF0b3I6c2VjcmV0OndvcmQ="}
    assert "Basic" not in repr(call)
    assert call.progress is not None
    assert dict(call.progress.call.headers) == dict(call.headers)


def test_the_photo_is_drawn_on_its_canvas_over_its_own_colours() -> None:
    provider = web_ui()
    task = task_of(provider, photo_png(600, 400), sides=Sides(left=200, down=112))
    body = body_of(first_call(provider, task))
    init, mask = picture(body["init_images"][0]), picture(body["mask"])
    assert init.shape == (512, 800, 3)
    assert (init[:400, 200:] == photo(600, 400)).all()
    rim = init[100:300, 196:200].astype(int) - init[100:300, 200:204]
    assert np.abs(rim.mean(axis=(0, 1))).max() < 12  # no black and no white beside the photo
    assert mask.shape == (512, 800, 1)  # grey, without alpha, which would turn its meaning round
    assert (mask[:400, 200:] == 0).all()
    assert (mask[:, :200] == 255).all()
    assert (mask[400:] == 255).all()


def test_the_mask_covers_whole_cells_so_that_nothing_between_them_stays_as_it_was_sent() -> None:
    provider = web_ui()
    task = task_of(provider, photo_png(600, 400), sides=Sides(left=203, up=101))
    body = body_of(first_call(provider, task))
    mask = picture(body["mask"])[:, :, 0] > 0
    blocks = mask.reshape(mask.shape[0] // CELL, CELL, mask.shape[1] // CELL, CELL)
    assert (blocks.any(axis=(1, 3)) == blocks.all(axis=(1, 3))).all()
    assert mask[:101].all()
    assert mask[:, :203].all()


def test_a_hole_of_the_callers_is_made_and_nothing_else() -> None:
    provider = web_ui()
    hole = Rect(x=160, y=80, width=64, height=32)
    task = task_of(provider, photo_png(640, 512), mask=mask_png(640, 512, hole=hole))
    body = body_of(first_call(provider, task))
    mask = picture(body["mask"])[:, :, 0]
    expected = np.zeros((512, 640), np.uint8)
    expected[80:112, 160:224] = 255
    assert (body["width"], body["height"]) == (640, 512)
    assert (mask == expected).all()


def test_a_photo_with_alpha_goes_without_it() -> None:
    provider = web_ui()
    body = body_of(first_call(provider, task_of(provider, photo_png(600, 400, channels=4), sides=Sides(left=200))))
    assert read_header(base64.b64decode(body["init_images"][0])).channels == 3


@pytest.mark.parametrize(
    ("size", "limits", "pixels"),
    [
        ((2000, 1500), {}, (900_000, 1024 * 1024)),
        ((100, 80), {}, (512 * 512, 350_000)),
        ((2000, 1500), {"max_pixels": 300_000}, (262_144, 300_000)),
        ((600, 400), {"min_pixels": 1_000_000, "max_pixels": 4_000_000}, (1_000_000, 1_500_000)),
    ],
)
def test_the_model_works_at_a_size_between_the_limits(
    size: tuple[int, int], limits: dict[str, int], pixels: tuple[int, int]
) -> None:
    provider = web_ui(**limits)
    task = task_of(provider, photo_png(*size), sides=Sides(left=size[0] // 4))
    body = body_of(first_call(provider, task))
    width, height = body["width"], body["height"]
    assert width % 8 == height % 8 == 0
    assert pixels[0] <= width * height <= pixels[1]
    assert picture(body["init_images"][0]).shape == (height, width, 3)
    assert picture(body["mask"]).shape == (height, width, 1)


def test_a_canvas_within_the_limits_keeps_its_scale_and_the_photo_begins_with_a_cell() -> None:
    provider = web_ui()
    task = task_of(provider, photo_png(601, 403), sides=Sides(left=203, up=101))
    body = body_of(first_call(provider, task))
    assert (body["width"], body["height"]) == (816, 512)
    init, mask = picture(body["init_images"][0]), picture(body["mask"])[:, :, 0]
    assert (init[104:507, 208:809] == photo(601, 403)).all()
    assert (mask[104:504, 208:808] == 0).all()
    assert np.count_nonzero(mask == 0) == 400 * 600


def test_every_call_is_a_task_of_its_own() -> None:
    provider = web_ui()
    task = task_of(provider)
    assert len({body_of(first_call(provider, task))["force_task_id"] for _ in range(3)}) == 3


def test_without_a_seed_the_web_ui_draws_one() -> None:
    provider = web_ui()
    task = task_of(provider)
    assert body_of(first_call(provider, replace(task, job=replace(task.job, seed=None))))["seed"] == -1


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_the_first_picture_counts_whatever_its_format(prefix: str, image_format: str) -> None:
    provider = web_ui(checkpoint="inpaint")
    task = task_of(provider, sides=Sides(left=200, down=112))
    steps, fill = talk(provider, task, made(800, 512, prefix, image_format))
    assert fill.pixels.shape == (512, 800, 3)
    assert isinstance(fill, Fill)
    assert fill.keeps_original is False
    assert isinstance(steps[0], Call)
    assert fill.facts.request_id == body_of(steps[0])["force_task_id"]
    assert (fill.facts.provider, fill.facts.model) == ("sdapi", "inpaint")


def test_without_a_checkpoint_no_model_is_told() -> None:
    provider = web_ui()
    assert talk(provider, task_of(provider, sides=Sides(left=200, down=112)), made(800, 512))[1].facts.model is None


def test_what_was_added_for_the_grid_is_cut_off() -> None:
    provider = web_ui()
    fill = talk(provider, task_of(provider), made(800, 504))[1]
    assert fill.pixels.shape == (500, 800, 3)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says(b""), NOT_JSON),
        (says(b"[]"), NOT_JSON),
        (says(b"<!DOCTYPE html><title>canary-7f3a</title>", kind="text/plain"), PAGE),
        (says(b"canary-7f3a", kind="text/html; charset=utf-8"), PAGE),
        (says({}), "The provider's answer holds no picture"),
        (says({"images": []}), "The provider's answer holds no picture"),
        (says({"images": {"0": CANARY}}), "The provider's answer holds no picture"),
        (says({"images": [7]}), "The provider's answer holds no picture"),
        (says({"images": [CANARY + "!"]}), "The provider's answer holds a picture that is not base64"),
        (says({"images": ["AAAA"]}), "The provider's answer is not a whole picture"),
        (made(504, 800), "The provider's picture is 504x800, another shape than 800x504"),
    ],
)
def test_what_holds_no_picture_is_no_answer(answer: Answer, text: str) -> None:
    error = refused(answer)
    assert type(error) is errors.ProviderInvalidResponse
    assert error.system_message == text


# --- refusals --------------------------------------------------------------------------------------------------------

NO_API = "the web UI must be started with --api, and base_url be its address"
SOMETHING_ELSE = "something else than the web UI's API answers at this address"
NAMES = "the web UI does not know the checkpoint or the sampler that is set"
FIELDS = "the web UI does not take the fields that it was sent; it may be too old or too new"
USER = "api_auth must be a user and a password that the web UI has in --api-auth"


@pytest.mark.parametrize(
    ("answer", "kind", "hint"),
    [
        (says({"detail": "Not authenticated"}, 401), errors.ProviderAuthenticationFailed, USER),
        (says({"error": "HTTPException", "detail": CANARY}, 401), errors.ProviderAuthenticationFailed, USER),
        (says({"detail": "Not Found"}, 404), errors.ProviderError, NO_API),
        (says(b"", 404), errors.ProviderError, NO_API),
        (says({"detail": "Method Not Allowed"}, 405), errors.ProviderError, NO_API),
        (says({"error": "HTTPException", "detail": "Sampler not found"}, 404), errors.ProviderError, NAMES),
        (says({"detail": "Sampler not found"}, 400), errors.ProviderError, NAMES),
        (says({"error": "HTTPException", "detail": "Model not found"}, 404), errors.ProviderError, NAMES),
        (says({"detail": [{"loc": ["body", "steps"], "msg": CANARY}]}, 422), errors.ProviderError, FIELDS),
        (says({"error": "HTTPException", "detail": CANARY}, 422), errors.ProviderError, FIELDS),
        (says({"error": CANARY}, 400), errors.ProviderRejectedRequest, None),
        (says({"error": "HTTPException", "code": 429, "detail": CANARY}, 429), errors.ProviderRateLimited, None),
        (says({"error": "RuntimeError", "errors": CANARY}, 500), errors.ProviderError, None),
        (says({"detail": [CANARY]}, 500), errors.ProviderError, None),
        (says(b"Internal Server Error", 500, "text/plain"), errors.ProviderError, None),
        (says(b"<html>canary-7f3a</html>", 502, "text/html"), errors.ProviderError, SOMETHING_ELSE),
        (says(b"<html>canary-7f3a</html>", 404, "text/html"), errors.ProviderError, SOMETHING_ELSE),
        (says(b"<html>canary-7f3a</html>", 401, "text/html"), errors.ProviderAuthenticationFailed, SOMETHING_ELSE),
        (says({}, 302), errors.ProviderInvalidResponse, None),
    ],
)
def test_refusals_say_what_the_operator_can_do(
    answer: Answer, kind: type[errors.UncropError], hint: str | None
) -> None:
    error = refused(answer)
    assert type(error) is kind
    code = {"provider_code": "internal_server_error"} if answer.body == b"Internal Server Error" else {}
    assert error.details == {"provider_status": answer.status, **code}
    told = f"The provider answered with status {answer.status}"
    told += " and a web page" if hint == SOMETHING_ELSE else ""
    told += " and code internal_server_error" if code else ""
    assert error.system_message == (told if hint is None else f"{told}: {hint}")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": "OutOfMemoryError", "detail": "", "body": "", "errors": CANARY}, "OutOfMemoryError"),
        ({"error": "RuntimeError", "errors": f"CUDA out of memory. {CANARY}"}, "OutOfMemoryError"),
        ({"error": "RuntimeError", "code": 500, "errors": f"MPS backend out of memory {CANARY}"}, "OutOfMemoryError"),
        ({"detail": f"torch.OutOfMemoryError: {CANARY}"}, "OutOfMemoryError"),
        (f"CUDA out of memory {CANARY}".encode(), "OutOfMemoryError"),
        ({"error": "NansException", "errors": CANARY}, "NansException"),
        ({"detail": f"A tensor with all NaNs was produced in VAE. {CANARY}"}, "NansException"),
    ],
)
def test_failures_that_the_operator_can_help_are_told_by_name(body: object, code: str) -> None:
    error = refused(says(body, 500))
    assert type(error) is errors.ProviderError
    assert error.details == {"provider_status": 500, "provider_code": code}
    hint = {"OutOfMemoryError": "a lower max_pixels needs less", "NansException": "--no-half-vae"}[code]
    assert hint in error.system_message


def test_words_that_may_be_the_callers_own_mean_nothing() -> None:
    error = refused(says({"detail": "out of memory"}, 400))
    assert error.details == {"provider_status": 400}


# --- progress and interruption ---------------------------------------------------------------------------------------


def test_the_progress_is_asked_for_without_the_picture_so_far() -> None:
    provider = web_ui()
    poll = first_call(provider, task_of(provider)).progress
    assert poll is not None
    assert (poll.call.method, poll.call.kind) == ("GET", "repeat")
    assert poll.call.url == "http://gpu.test:7860/sdapi/v1/progress?skip_current_image=true"
    assert (poll.step, poll.every_s) == ("painting", 1.0)


@pytest.mark.parametrize(
    ("answer", "fraction"),
    [
        (says({"progress": 0.25, "current_task": None}), 0.25),
        (says({"progress": 1}), 1.0),
        (says({"progress": 0}), 0.0),
        (says({"progress": True}), None),
        (says({"progress": "0.5"}), None),
        (says({"progress": 1.5}), None),
        (says({"progress": -0.1}), None),
        (says({}), None),
        (says([]), None),
        (says({"progress": 0.5}, 401), None),
    ],
)
def test_the_progress_is_read_without_trust(answer: Answer, fraction: float | None) -> None:
    assert read_progress(answer) == fraction


def cancelling(provider: StableDiffusion, *answers: Answer) -> tuple[list[Call], str]:
    """Return what is sent to end the work, and the task's name."""
    call = first_call(provider, task_of(provider))
    assert callable(call.on_cancel)
    steps, replies = call.on_cancel(), list(answers)
    sent = [next(steps)]
    while True:
        try:
            sent.append(steps.send(replies.pop(0)))
        except StopIteration:
            assert replies == []
            return sent, body_of(call)["force_task_id"]


def test_work_that_is_ours_is_interrupted_once() -> None:
    (asked, ended), task_id = cancelling(web_ui(api_auth="a:b"), says({"active": True}), says({}))
    assert (asked.method, asked.url) == ("POST", "http://gpu.test:7860/internal/progress")
    assert body_of(asked) == {"id_task": task_id, "live_preview": False}
    assert (ended.method, ended.url, ended.kind) == ("POST", "http://gpu.test:7860/sdapi/v1/interrupt", "submit")
    assert dict(ended.headers) == {"Authorization": "Basic YTpi"}


@pytest.mark.parametrize(
    "answer",
    [
        says({"active": False, "queued": True}),
        says({"active": "yes"}),
        says({}),
        says(b"<html>"),
        says({"active": True}, 404),
    ],
)
def test_work_that_may_be_anothers_is_not_interrupted(answer: Answer) -> None:
    assert len(cancelling(web_ui(), answer)[0]) == 1


def test_whatever_runs_is_interrupted_where_the_operator_says_so() -> None:
    (ended,), _ = cancelling(web_ui(interrupt="any"), says({}))
    assert ended.url.endswith("/sdapi/v1/interrupt")


def test_nothing_is_interrupted_where_the_operator_says_so() -> None:
    provider = web_ui(interrupt="off")
    assert first_call(provider, task_of(provider)).on_cancel is None


# --- settings and facts ----------------------------------------------------------------------------------------------


def test_it_is_configured_by_its_address_alone() -> None:
    web_ui().check_configured()
    with pytest.raises(errors.ProviderNotConfigured) as raised:
        StableDiffusion(FACTS, make_settings(FACTS, base_url=None)).check_configured()
    assert raised.value.system_message == "The provider sdapi has no base_url"
    with pytest.raises(errors.ProviderNotConfigured):
        StableDiffusion(FACTS, ProviderSettings()).check_configured()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"api_auth": "operator"}, "an api_auth that is not user:password"),
        ({"api_auth": ":password"}, "an api_auth that is not user:password"),
        ({"api_auth": "operator:"}, "an api_auth that is not user:password"),
        (
            {"min_pixels": 600_000, "max_pixels": 500_000},
            "a min_pixels and a max_pixels between which there is no picture",
        ),
        (
            {"min_pixels": 4097, "max_pixels": 4100},
            "a min_pixels and a max_pixels between which there is no picture",
        ),
    ],
)
def test_settings_that_contradict_themselves_are_told(values: dict[str, Any], text: str) -> None:
    with pytest.raises(errors.ProviderNotConfigured) as raised:
        web_ui(**values).check_configured()
    assert raised.value.system_message == f"The provider sdapi has {text}"
    assert "operator" not in raised.value.system_message


def test_the_limits_that_are_set_are_facts() -> None:
    geometry = web_ui(min_pixels=4096, max_pixels=2_000_000).facts.geometry
    assert (geometry.min_pixels, geometry.max_pixels) == (4096, 2_000_000)


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["mask_file", "seed", "prompt", "negative_prompt"]
    assert (facts.geometry.speaks, facts.geometry.grid, facts.geometry.scales) == ("mask", 8, True)
    assert (facts.bills, facts.price, facts.answer_format) == (False, None, "PNG")
    assert [setting.name for setting in facts.settings if setting.kind == "secret"] == ["api_auth"]
    assert {setting.name: setting.default for setting in facts.settings if setting.required} == {
        "base_url": None,
        "inpainting_fill": "original",
        "interrupt": "own",
    }
