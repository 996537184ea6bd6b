"""Bria's image expansion: what is sent, what is believed, and its row of facts."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from uncrop import errors
from uncrop.imaging import codec
from uncrop.imaging.header import read_header
from uncrop.model import Fill, Sides, Task, UncropRequest
from uncrop.providers.bria.facts import FACTS
from uncrop.providers.bria.provider import Bria
from uncrop.providers.conversation import Answer, Call, Raw, Step, Wait, json_body
from uncrop.providers.jobs import planned_frame
from uncrop.testing.pictures import photo, photo_jpeg, photo_png
from uncrop.testing.workbench import KEY, make_settings, make_task, talk

if TYPE_CHECKING:
    from uncrop.model import Pixels

CANARY = "canary-7f3a"
POLL = "https://engine.prod.bria-api.com/v2/status/job-1"
IMAGE = "https://bria-temp.s3.amazonaws.com/job-1.png?Signature=x"


def bria(visual_moderation: str | None = "off") -> Bria:
    return Bria(FACTS, make_settings(FACTS, base_url="https://bria.test", visual_moderation=visual_moderation))


def task(image: bytes | None = None, seed: int | None = 42, prompt: str | None = None, **sides: int) -> Task:
    data = photo_jpeg(96, 64) if image is None else image
    request = UncropRequest(
        provider="", image=data, sides=Sides(**sides or {"left": 24, "down": 5}), seed=seed, prompt=prompt
    )
    return make_task(request, FACTS)


def says(body: object, status: int = 200, **headers: str) -> Answer:
    return Answer(
        status=status,
        headers={name.replace("_", "-"): text for name, text in headers.items()},
        body=json.dumps(body).encode(),
    )


def submitted() -> Answer:
    return says({"request_id": "job-1", "status_url": POLL}, 202)


def told(status: object, **more: object) -> Answer:
    return says({"request_id": "another-id", "status": status, **more})


def failed(code: object, message: object, status: str = "ERROR", details: object = "") -> Answer:
    return told(status, error={"code": code, "message": message, "details": details})


def completed(**more: object) -> Answer:
    return told("COMPLETED", result={"image_url": IMAGE, "seed": "42", "prompt": CANARY, **more})


def picture(pixels: Pixels) -> Answer:
    return Answer(status=200, body=codec.encode(pixels, "PNG"))


def held(task: Task, first: Answer, *polls: Answer, fetched: Answer | None = None) -> tuple[list[Step], Fill]:
    """Hold the conversation: the submit's answer, each poll's after a pause, and the download's."""
    queue: list[object] = [first]
    for answer in polls:
        queue += [None, answer]
    return talk(bria(), task, *queue, *([] if fetched is None else [fetched]))


def submit_of(task: Task, visual_moderation: str = "off") -> Call:
    provider = bria(visual_moderation)
    return provider.submit(task, planned_frame(task.job.placement, provider.facts.geometry))


def body_of(call: Call) -> dict[str, Any]:
    assert isinstance(call.body, Raw)
    assert call.body.media_type == "application/json"
    parsed: dict[str, Any] = json.loads(call.body.data)
    return parsed


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_the_submit_is_what_the_specification_says() -> None:
    image = photo_jpeg(96, 64)
    call = submit_of(task(image, prompt="a beach", left=24, right=3, up=16, down=5))
    assert (call.method, call.url) == ("POST", "https://bria.test/v2/image/edit/expand")
    assert dict(call.headers) == {"api_token": KEY}
    assert (call.kind, call.holds_picture) == ("submit", False)
    body = body_of(call)
    assert base64.b64decode(body.pop("image"), validate=True) == image
    assert body == {
        "canvas_size": [123, 85],
        "original_image_size": [96, 64],
        "original_image_location": [24, 16],
        "sync": False,
        "seed": 42,
        "prompt": "a beach",
    }


def test_what_was_not_asked_for_is_not_sent() -> None:
    plain = task()
    unseeded = replace(plain, job=replace(plain.job, seed=None))
    assert set(body_of(submit_of(unseeded))) == {
        "image",
        "canvas_size",
        "original_image_size",
        "original_image_location",
        "sync",
    }
    assert body_of(submit_of(task(seed=None)))["seed"] == 7


def test_pictures_are_looked_at_where_the_operator_wants_it() -> None:
    body = body_of(submit_of(task(), visual_moderation="on"))
    assert body["visual_input_content_moderation"] is True
    assert body["visual_output_content_moderation"] is True


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(submit_of(task()))


def test_negative_sides_are_cropped_and_transparency_is_not_sent() -> None:
    body = body_of(submit_of(task(photo_png(96, 80, channels=4), left=10, right=-16, up=-10)))
    header = read_header(base64.b64decode(body["image"]))
    assert (header.width, header.height, header.channels) == (80, 70, 3)
    assert (body["canvas_size"], body["original_image_size"]) == ([90, 70], [80, 70])
    assert body["original_image_location"] == [10, 0]


def test_the_longest_request_is_within_the_limit() -> None:
    image = base64.b64encode(bytes(FACTS.upload.max_bytes)).decode()
    numbers = [5000, 5000]
    body = {"image": image, "prompt": "\N{GRINNING FACE}" * 32_000, "seed": 2**31, "sync": False}
    body |= {"canvas_size": numbers, "original_image_size": numbers, "original_image_location": numbers}
    assert len(json_body(body).data) <= 12_000_000


def test_a_job_is_asked_for_where_the_answer_says_and_its_picture_fetched_without_the_token() -> None:
    full = photo(120, 69)
    steps, fill = held(
        task(), submitted(), told("IN_PROGRESS"), told("IN_PROGRESS"), completed(), fetched=picture(full)
    )
    calls = [step for step in steps if isinstance(step, Call)]
    assert [(call.method, call.url, call.kind) for call in calls] == [
        ("POST", "https://bria.test/v2/image/edit/expand", "submit"),
        *[("GET", POLL, "repeat")] * 3,
        ("GET", IMAGE, "download"),
    ]
    assert [dict(call.headers) for call in calls[1:]] == [*[{"api_token": KEY}] * 3, {}]
    assert [call.holds_picture for call in calls] == [*[False] * 4, True]
    assert (fill.pixels == full).all()
    assert fill.keeps_original is False
    # Each poll has an id of its own; the job's is the one that was given first.
    assert (fill.facts.provider, fill.facts.request_id) == ("bria", "job-1")


def test_nine_polls_fall_into_the_first_minute() -> None:
    steps, _ = held(task(), submitted(), *[told("IN_PROGRESS")] * 9, completed(), fetched=picture(photo(120, 69)))
    waits = [step.seconds for step in steps if isinstance(step, Wait)]
    assert waits == [1, 2, 4, 8, 8, 8, 8, 8, 8, 8]
    assert sum(waits[:9]) < 60 < sum(waits)


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=202, body=b""),
        says({"request_id": "1"}, 202),
        says({"request_id": 1, "status_url": POLL}, 202),
        says({"request_id": "1", "status_url": None}, 202),
    ],
)
def test_a_submit_that_names_no_job_is_no_answer(answer: Answer) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        held(task(), answer)
    assert refused.value.system_message == "The provider's answer names no job"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(status=200, body=b"<html>"), "The provider's answer tells no known status"),
        (told(None), "The provider's answer tells no known status"),
        (told(["ERROR"]), "The provider's answer tells no known status"),
        (told("QUEUED"), "The provider's answer tells no known status"),
        (told("COMPLETED"), "The provider's answer names no picture"),
        (told("COMPLETED", result=[IMAGE]), "The provider's answer names no picture"),
        (completed(image_url=None), "The provider's answer names no picture"),
    ],
)
def test_a_poll_that_tells_nothing_is_no_answer(answer: Answer, text: str) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        held(task(), submitted(), answer)
    assert refused.value.system_message == text


@pytest.mark.parametrize("body", [b"", photo_png(69, 120), photo_png(120, 69)[:-900]])
def test_what_is_no_whole_picture_of_the_shape_is_no_answer(body: bytes) -> None:
    with pytest.raises(errors.ProviderInvalidResponse):
        held(task(), submitted(), completed(), fetched=Answer(status=200, body=body))


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_picture_that_cannot_be_fetched_is_the_providers_fault(status: int) -> None:
    with pytest.raises(errors.ProviderError) as refused:
        held(task(), submitted(), completed(), fetched=Answer(status=status, body=b"<Error/>"))
    assert type(refused.value) is errors.ProviderError


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"result": {"image_url": IMAGE}, "request_id": "1"}, errors.ProviderInvalidResponse),
        (400, {"error": {"code": 400, "message": CANARY}}, errors.ProviderRejectedRequest),
        (401, {"detail": CANARY}, errors.ProviderAuthenticationFailed),
        (403, {"error": {"code": 403, "message": "moderation"}}, errors.ContentRejected),
        (404, {"error": {"code": 404, "message": CANARY}}, errors.ProviderError),
        (413, {"error": {"code": 413, "message": CANARY}}, errors.ProviderRejectedRequest),
        (415, {}, errors.ProviderRejectedRequest),
        (422, {"error": {"code": 422, "message": CANARY}}, errors.ProviderRejectedRequest),
        (422, {"error": {"code": 422, "message": "Prompt failed Content Moderation"}}, errors.ContentRejected),
        (422, {"error": {"message": CANARY, "details": "moderated"}}, errors.ContentRejected),
        (422, {"error": {"message": ["moderated"], "details": {}}}, errors.ContentRejected),
        (422, {"detail": "The image was moderated"}, errors.ContentRejected),
        (422, {"detail": [{"msg": "moderated"}]}, errors.ContentRejected),
        (422, {"error": "moderated"}, errors.ContentRejected),
        (429, {"detail": CANARY}, errors.ProviderRateLimited),
        (460, {"error": {"code": 460, "message": CANARY}}, errors.ProviderRejectedRequest),
        (500, {"error": {"code": 500, "message": "moderation"}}, errors.ContentRejected),
        (506, {"error": {"code": 506, "message": CANARY}}, errors.ProviderError),
    ],
)
def test_refusals_go_by_their_status_and_words(
    status: int, body: dict[str, object], kind: type[errors.UncropError]
) -> None:
    with pytest.raises(errors.UncropError) as refused:
        held(task(), says(body, status))
    error = refused.value
    assert type(error) is kind
    assert error.details == {"provider_status": status}
    assert CANARY not in f"{error.message} {error.system_message}"


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (failed(500, CANARY), errors.ProviderError, "ERROR"),
        (failed("INTERNAL", CANARY), errors.ProviderError, "ERROR"),
        (failed("VALIDATION_ERROR", CANARY), errors.ProviderRejectedRequest, "VALIDATION_ERROR"),
        (failed(422, CANARY), errors.ProviderRejectedRequest, "ERROR"),
        (failed(422, f"Output failed moderation {CANARY}"), errors.ContentRejected, "ERROR"),
        (failed(500, CANARY, details="content moderated"), errors.ContentRejected, "content_moderated"),
        (failed(["VALIDATION_ERROR"], CANARY), errors.ProviderRejectedRequest, "VALIDATION_ERROR"),
        (failed({"VALIDATION_ERROR": 1}, CANARY), errors.ProviderError, "ERROR"),
        (failed(500, CANARY, status="UNKNOWN"), errors.ProviderError, "UNKNOWN"),
        (told("FAILED"), errors.ProviderError, "FAILED"),
        (told("ERROR", error=CANARY), errors.ProviderError, "ERROR"),
    ],
)
def test_jobs_end_in_their_own_codes(answer: Answer, kind: type[errors.UncropError], code: str) -> None:
    with pytest.raises(errors.UncropError) as refused:
        held(task(), submitted(), told("IN_PROGRESS"), answer)
    error = refused.value
    assert type(error) is kind
    assert error.details == {"provider_status": 200, "provider_code": code}
    assert CANARY not in error.system_message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.ProviderAuthenticationFailed),
        (404, errors.ProviderError),
        (422, errors.ProviderError),
        (429, errors.ProviderRateLimited),
        (503, errors.ProviderError),
    ],
)
def test_a_poll_that_is_refused_goes_by_its_status(status: int, kind: type[errors.UncropError]) -> None:
    with pytest.raises(errors.UncropError) as refused:
        held(task(), submitted(), says({"status": "NOT_FOUND", "request_id": "2"}, status))
    assert type(refused.value) is kind


# --- limits and facts ------------------------------------------------------------------------------------------------


def test_a_photo_is_scaled_where_its_canvas_is_beyond_the_limit() -> None:
    plan = task(photo_jpeg(3100, 3100), left=2000, up=1900).job.plan
    assert plan is not None
    assert (len(plan.calls), plan.is_scaled) == (1, True)
    asked = plan.calls[0].asked
    assert 24_900_000 < asked.width * asked.height <= 25_000_000


def test_a_canvas_that_no_call_can_make_is_our_own_fault_here() -> None:
    placed = task()
    far = replace(placed.job, placement=replace(placed.job.placement, width=9000, height=9000))
    with pytest.raises(errors.InternalError):
        next(bria().converse(replace(placed, job=far)))


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["seed", "prompt"]
    assert (facts.geometry.speaks, facts.geometry.crops, facts.geometry.grid) == ("canvas", False, 1)
    assert (facts.answer_format, facts.bills, facts.price) == ("PNG", True, None)
    assert {facts.variable(setting): setting.default for setting in facts.settings} == {
        "UNCROP_BRIA_API_KEY": None,
        "UNCROP_BRIA_BASE_URL": "https://engine.prod.bria-api.com",
        "UNCROP_BRIA_VISUAL_MODERATION": "off",
        "UNCROP_BRIA_USD_PER_CALL": None,
        "UNCROP_BRIA_RATE_LIMIT_PER_MINUTE": None,
    }
    assert facts.poll_hosts == ("*.bria-api.com",)
