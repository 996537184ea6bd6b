"""Black Forest Labs' outpainting: what is sent, what is believed, and its row of facts."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from uncrop import errors
from uncrop.geometry.planner import on_grid
from uncrop.imaging import codec
from uncrop.imaging.header import read_header
from uncrop.model import Fill, Frame, Placement, Rect, Sides, Task, UncropRequest
from uncrop.providers.bfl.facts import FACTS
from uncrop.providers.bfl.padding import is_padded
from uncrop.providers.bfl.provider import Bfl
from uncrop.providers.conversation import Answer, Call, Raw, Step, Wait
from uncrop.providers.jobs import planned_frame
from uncrop.testing.pictures import photo, photo_jpeg, photo_png
from uncrop.testing.workbench import KEY, make_settings, make_task, talk

if TYPE_CHECKING:
    from uncrop.model import Pixels

CANARY = "canary-7f3a"
POLL = "https://api.eu2.bfl.ai/v1/get_result?id=task-1"
SAMPLE = "https://delivery-eu1.bfl.ai/results/task-1/sample.png?sig=x"


def bfl(mode: str | None = "high") -> Bfl:
    return Bfl(FACTS, make_settings(FACTS, base_url="https://bfl.test", mode=mode))


def task(image: bytes | None = None, prompt: str | None = None, **sides: int) -> Task:
    data = photo_jpeg(96, 64) if image is None else image
    request = UncropRequest(provider="", image=data, sides=Sides(**sides or {"left": 24, "down": 5}), prompt=prompt)
    return make_task(request, FACTS)


def says(body: object, status: int = 200, **headers: str) -> Answer:
    return Answer(
        status=status,
        headers={name.replace("_", "-"): text for name, text in headers.items()},
        body=json.dumps(body).encode(),
    )


def submitted(**more: object) -> Answer:
    return says({"id": "task-1", "polling_url": POLL, **more})


def told(status: object, http_status: int = 200, **more: object) -> Answer:
    return says({"id": "task-1", "status": status, "result": None, **more}, http_status)


def ready(**more: object) -> Answer:
    return told("Ready", **{"result": {"sample": SAMPLE}, **more})


def picture(pixels: Pixels) -> Answer:
    return Answer(status=200, body=codec.encode(pixels, "PNG"))


def held(task: Task, first: Answer, *polls: Answer, fetched: Answer | None = None) -> tuple[list[Step], Fill]:
    """Hold the conversation: the submit's answer, each poll's after a pause, and the download's."""
    queue: list[object] = [first]
    for answer in polls:
        queue += [None, answer]
    return talk(bfl(), task, *queue, *([] if fetched is None else [fetched]))


def body_of(call: Call) -> dict[str, Any]:
    assert isinstance(call.body, Raw)
    assert call.body.media_type == "application/json"
    parsed: dict[str, Any] = json.loads(call.body.data)
    return parsed


def submit_of(task: Task, mode: str = "high") -> Call:
    provider = bfl(mode)
    return provider.submit(task, planned_frame(task.job.placement, provider.facts.geometry))


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_the_submit_is_what_the_schema_says() -> None:
    image = photo_jpeg(96, 64)
    call = submit_of(task(image, prompt="a beach", left=24, right=3, up=16, down=5))
    assert (call.method, call.url) == ("POST", "https://bfl.test/v1/flux-tools/outpainting-v1")
    assert dict(call.headers) == {"x-key": KEY}
    assert (call.kind, call.holds_picture) == ("submit", False)
    body = body_of(call)
    assert base64.b64decode(body.pop("input_image")) == image
    # 24 is put on the grid as 32, so that 8 columns more are made and cut off; so are those that fill up the edges.
    assert body == {
        "width": 144,
        "height": 96,
        "reference_offset_x": 32,
        "reference_offset_y": 16,
        "mode": "high",
        "output_format": "png",
        "prompt": "a beach",
    }


def test_without_a_prompt_none_is_sent_and_the_mode_is_a_setting() -> None:
    body = body_of(submit_of(task(), mode="fast"))
    assert "prompt" not in body
    assert body["mode"] == "fast"


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(submit_of(task()))


def test_negative_sides_are_cropped_and_transparency_is_not_sent() -> None:
    body = body_of(submit_of(task(photo_png(96, 80, channels=4), left=10, right=-16, up=-10)))
    data = base64.b64decode(body["input_image"])
    header = read_header(data)
    assert (header.width, header.height, header.channels) == (80, 70, 3)
    assert (body["width"], body["height"]) == (96, 80)
    assert (body["reference_offset_x"], body["reference_offset_y"]) == (16, 0)


def test_a_task_is_asked_for_where_the_answer_says_and_its_picture_fetched_without_the_key() -> None:
    full = photo(128, 80)
    steps, fill = held(
        task(),
        submitted(),
        told("Pending"),
        told("Generating", progress=0.4),
        told("Reasoning"),
        ready(),
        fetched=picture(full),
    )
    calls = [step for step in steps if isinstance(step, Call)]
    assert [(call.method, call.url, call.kind) for call in calls] == [
        ("POST", "https://bfl.test/v1/flux-tools/outpainting-v1", "submit"),
        *[("GET", POLL, "repeat")] * 4,
        ("GET", SAMPLE, "download"),
    ]
    assert [dict(call.headers) for call in calls[1:]] == [*[{"x-key": KEY}] * 4, {}]
    assert [call.holds_picture for call in calls] == [*[False] * 5, True]
    waits = [step for step in steps if isinstance(step, Wait)]
    assert [wait.seconds for wait in waits] == [0.5, 0.75, 1.125, 1.6875]
    assert [wait.fraction for wait in waits] == [None, None, 0.4, None]
    assert (fill.pixels == full[:69, 8:]).all()
    assert fill.keeps_original is False
    assert fill.facts.request_id == "task-1"


def test_pauses_grow_to_two_seconds() -> None:
    steps, _ = held(task(), submitted(), *[told("Pending")] * 8, ready(), fetched=picture(photo(128, 80)))
    assert [step.seconds for step in steps if isinstance(step, Wait)][-3:] == [2.0, 2.0, 2.0]


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "known"),
    [
        (4.5, None, Decimal("4.5")),
        (20, 7, Decimal(20)),
        (None, 6, Decimal(6)),
        (None, None, None),
        ("20", None, Decimal(20)),
        ("many", True, None),
        (-1, 10**9, None),
    ],
)
def test_what_it_cost_is_told_in_the_beginning_or_the_end(first: object, last: object, known: Decimal | None) -> None:
    _, fill = held(task(), submitted(cost=first), ready(cost=last), fetched=picture(photo(128, 80)))
    assert fill.facts.credits_consumed == known


@pytest.mark.parametrize("progress", ["much", -1, 2, None, float("nan")])
def test_a_progress_that_is_none_is_not_told(progress: object) -> None:
    steps, _ = held(task(), submitted(), told("Pending", progress=progress), ready(), fetched=picture(photo(128, 80)))
    assert {step.fraction for step in steps if isinstance(step, Wait)} == {None}


def test_an_id_that_is_none_is_replaced() -> None:
    first = says({"id": "no id\n", "polling_url": POLL})
    _, fill = held(task(), first, ready(), fetched=picture(photo(128, 80)))
    assert fill.facts.request_id.startswith("req_")


def test_a_smaller_picture_of_the_shape_is_cut_in_proportion() -> None:
    _, fill = held(task(), submitted(), ready(), fetched=picture(photo(64, 40)))
    assert fill.pixels.shape[:2] == (34, 60)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(status=200, body=b""), "The provider's answer names no job"),
        (Answer(status=200, body=b"<html>secret"), "The provider's answer names no job"),
        (says({"id": "1"}), "The provider's answer names no job"),
        (says({"id": "1", "polling_url": None}), "The provider's answer names no job"),
        (says({"id": 1, "polling_url": POLL}), "The provider's answer names no job"),
        (says({"id": "1", "status": "Pending", "webhook_url": "x"}), "The provider's answer names no job"),
    ],
)
def test_a_submit_that_names_no_task_is_no_answer(answer: Answer, text: str) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        held(task(), answer)
    assert refused.value.system_message == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (says({}), "The provider's answer tells no status"),
        (told(None), "The provider's answer tells no status"),
        (Answer(status=200, body=b"poll"), "The provider's answer tells no status"),
        (told("Queued"), "The provider's answer tells a status that is not known"),
        (told("Ready"), "The provider's answer names no picture"),
        (told("Ready", result={"sample": 7}), "The provider's answer names no picture"),
        (told("Ready", result=[SAMPLE]), "The provider's answer names no picture"),
    ],
)
def test_a_poll_that_tells_nothing_is_no_answer(answer: Answer, text: str) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        held(task(), submitted(), answer)
    assert refused.value.system_message == text


@pytest.mark.parametrize("body", [b"", photo_png(64, 128), photo_png(128, 80)[:-900]])
def test_what_is_no_whole_picture_of_the_shape_is_no_answer(body: bytes) -> None:
    with pytest.raises(errors.ProviderInvalidResponse):
        held(task(), submitted(), ready(), fetched=Answer(status=200, body=body))


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_picture_that_cannot_be_fetched_is_the_providers_fault(status: int) -> None:
    with pytest.raises(errors.ProviderError) as refused:
        held(task(), submitted(), ready(), fetched=Answer(status=status, body=b"<Error/>"))
    assert type(refused.value) is errors.ProviderError
    assert refused.value.details == {"provider_status": status}


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"detail": CANARY}, errors.ProviderRejectedRequest, None),
        (402, {"error": "insufficient_credits", "message": CANARY}, errors.ProviderQuotaExhausted, True),
        (402, {"detail": CANARY}, errors.ProviderQuotaExhausted, None),
        (403, {"error": "invalid_api_key", "message": CANARY}, errors.ProviderAuthenticationFailed, True),
        (403, {"detail": "Not authenticated"}, errors.ProviderAuthenticationFailed, None),
        (400, {"error": "insufficient_credits"}, errors.ProviderQuotaExhausted, True),
        (422, {"detail": [{"loc": ["body"], "msg": CANARY}]}, errors.ProviderRejectedRequest, None),
        (422, {"error": {"invalid_api_key": 1}}, errors.ProviderRejectedRequest, None),
        (429, {"error": "rate_limit_exceeded", "message": CANARY}, errors.ProviderRateLimited, True),
        (500, {"error": "rate_limit_exceeded"}, errors.ProviderRateLimited, True),
        (503, {}, errors.ProviderError, None),
        (201, {"id": "1", "polling_url": POLL}, errors.ProviderInvalidResponse, None),
    ],
)
def test_refusals_go_by_their_code_and_status(
    status: int, body: dict[str, object], kind: type[errors.UncropError], code: bool | None
) -> None:
    with pytest.raises(errors.UncropError) as refused:
        held(task(), says(body, status))
    error = refused.value
    assert type(error) is kind
    assert error.details == {"provider_status": status, **({"provider_code": body["error"]} if code else {})}
    assert CANARY not in f"{error.message} {error.system_message}"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, {"retry_after": 5}, 5),
        ({"retry_after": "7"}, {"retry_after": 5}, 7),
        ({}, {"retry_after": "soon"}, 60),
        ({}, {}, 60),
    ],
)
def test_when_to_come_again_is_told_in_the_header_or_the_body(
    headers: dict[str, str], body: dict[str, object], seconds: float
) -> None:
    with pytest.raises(errors.ProviderRateLimited) as refused:
        held(task(), says(body, 429, **headers))
    assert refused.value.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "http_status", "kind"),
    [
        ("Request Moderated", 200, errors.ContentRejected),
        ("Content Moderated", 200, errors.ContentRejected),
        ("Content Moderated", 422, errors.ContentRejected),
        ("Error", 200, errors.ProviderError),
        ("Error", 422, errors.ProviderRejectedRequest),
        ("Task not found", 200, errors.ProviderError),
    ],
)
def test_tasks_end_in_their_own_words(status: str, http_status: int, kind: type[errors.UncropError]) -> None:
    with pytest.raises(errors.UncropError) as refused:
        held(task(), submitted(), told("Pending"), told(status, http_status, details={"reason": CANARY}))
    error = refused.value
    assert type(error) is kind
    assert error.details == {"provider_status": http_status, "provider_code": status}
    assert CANARY not in error.system_message


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says({"detail": "Task not found"}, 404), errors.ProviderError),
        (says({"detail": []}, 422), errors.ProviderError),
        (says({}, 429), errors.ProviderRateLimited),
        (says({}, 503), errors.ProviderError),
        (says({"status": "Ready"}, 403), errors.ProviderAuthenticationFailed),
    ],
)
def test_a_poll_that_is_refused_goes_by_its_status(answer: Answer, kind: type[errors.UncropError]) -> None:
    with pytest.raises(errors.UncropError) as refused:
        held(task(), submitted(), answer)
    assert type(refused.value) is kind


# --- flat padding ----------------------------------------------------------------------------------------------------

PLACE = Placement(
    width=128, height=96, source=Rect(x=0, y=0, width=64, height=48), kept=Rect(x=32, y=16, width=64, height=48)
)
FRAME = on_grid(PLACE, 16)
BANDS = {
    "left": (slice(16, 64), slice(0, 32)),
    "right": (slice(16, 64), slice(96, 128)),
    "above": (slice(0, 16), slice(32, 96)),
    "below": (slice(64, 96), slice(32, 96)),
}


@pytest.mark.parametrize("side", BANDS)
def test_one_flat_side_is_padding(side: str) -> None:
    pixels = photo(128, 96)
    assert not is_padded(pixels, FRAME)
    pixels[BANDS[side]] = (20, 60, 230)
    assert is_padded(pixels, FRAME)
    pixels[BANDS[side]][::2] += 3  # as a compressed picture may vary
    assert is_padded(pixels, FRAME)
    pixels[BANDS[side]][::2] += 1
    assert not is_padded(pixels, FRAME)


def test_padding_is_seen_at_another_size_too() -> None:
    pixels = photo(128, 96)
    pixels[:, :32] = (0, 200, 60)
    assert is_padded(codec.resize(pixels[::2, ::2], 64, 48), FRAME)
    assert is_padded(np.repeat(np.repeat(pixels, 3, axis=0), 3, axis=1), FRAME)


def test_what_goes_on_in_the_borders_own_colour_is_no_padding() -> None:
    pixels = photo(128, 96)
    pixels[:, 90:] = 250  # a white background
    pixels[BANDS["right"]] = 253
    assert not is_padded(pixels, FRAME)


def test_a_photo_that_fills_the_frame_has_no_sides() -> None:
    frame = Frame(
        width=64,
        height=48,
        canvas=Rect(x=0, y=0, width=64, height=48),
        photo=Rect(x=0, y=0, width=64, height=48),
    )
    assert not is_padded(np.zeros((48, 64, 3), np.uint8), frame)


def test_flat_padding_is_no_answer() -> None:
    pixels = photo(128, 80)
    pixels[:, :32] = (20, 60, 230)
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        held(task(), submitted(), ready(), fetched=picture(pixels))
    assert refused.value.system_message == "The provider's picture is flat padding beside the photo"


# --- limits and facts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "sides", "is_scaled"),
    [
        ((2000, 1500), {"left": 640}, False),
        ((2000, 1500), {"left": 700, "right": 700}, True),
        ((20, 200), {"left": 44}, False),
        ((20, 200), {"left": 8}, True),
    ],
)
def test_a_photo_is_scaled_where_its_canvas_is_beyond_the_limits(
    size: tuple[int, int], sides: dict[str, int], is_scaled: bool
) -> None:
    plan = task(photo_jpeg(*size), **sides).job.plan
    assert plan is not None
    assert (len(plan.calls), plan.is_scaled, plan.direct) == (1, is_scaled, not is_scaled)
    frame = planned_frame(plan.calls[0].asked, FACTS.geometry)
    assert frame.width * frame.height <= 4_000_000
    assert min(frame.width, frame.height) >= 64


def test_a_canvas_that_no_call_can_make_is_our_own_fault_here() -> None:
    from dataclasses import replace

    placed = task()
    far = replace(placed.job, placement=replace(placed.job.placement, width=5000, height=5000))
    with pytest.raises(errors.InternalError):
        next(bfl().converse(replace(placed, job=far)))


@pytest.mark.parametrize(("mode", "credits"), [("high", "20"), ("fast", "4.5")])
def test_the_price_goes_by_the_mode(mode: str, credits: str) -> None:  # noqa: A002
    price = bfl(mode).facts.price
    assert price is not None
    assert (price.amount, price.unit, price.per, price.date) == (Decimal(credits), "credit", "picture", "2026-09-21")


def test_without_a_mode_it_is_not_configured() -> None:
    assert bfl(None).facts.price is None
    with pytest.raises(errors.ProviderNotConfigured, match="not configured"):
        bfl(None).check_configured()


def test_a_seed_is_refused() -> None:
    request = UncropRequest(provider="", image=photo_jpeg(96, 64), sides=Sides(left=8), seed=1)
    with pytest.raises(errors.InvalidFieldValue, match="seed is not supported by provider bfl"):
        make_task(request, FACTS)


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["prompt"]
    assert (facts.geometry.speaks, facts.geometry.crops, facts.geometry.grid) == ("canvas", False, 16)
    assert (facts.answer_format, facts.bills) == ("PNG", True)
    assert (facts.poll_hosts, facts.download_hosts) == (("*.bfl.ai",), ("*.bfl.ai",))
    assert {facts.variable(setting): setting.default for setting in facts.settings} == {
        "UNCROP_BFL_API_KEY": None,
        "UNCROP_BFL_BASE_URL": "https://api.bfl.ai",
        "UNCROP_BFL_MODE": "high",
        "UNCROP_BFL_USD_PER_CREDIT": None,
        "UNCROP_BFL_RATE_LIMIT_PER_MINUTE": None,
    }
    assert facts.settings[2].choices == ("high", "fast")
