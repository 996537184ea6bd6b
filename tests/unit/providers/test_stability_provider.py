"""Stability AI's outpaint: what is sent, what is believed, and its row of facts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from uncrop import errors
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import Sides, Task, UncropRequest
from uncrop.providers.conversation import Answer, Call, Part
from uncrop.providers.stability.facts import FACTS
from uncrop.providers.stability.provider import Stability
from uncrop.providers.transport.sender import MAX_ANSWER_BYTES, encode_body
from uncrop.testing.pictures import photo, photo_jpeg, photo_png, photo_webp
from uncrop.testing.workbench import KEY, make_settings, make_task, talk

CANARY = "canary-7f3a"


@pytest.fixture
def stability() -> Stability:
    return Stability(FACTS, make_settings(FACTS, base_url="https://stability.test"))


def task(image: bytes | None = None, seed: int | None = 42, prompt: str | None = None, **sides: int) -> Task:
    data = photo_jpeg(96, 72) if image is None else image
    request = UncropRequest(provider="", image=data, sides=Sides(**sides or {"left": 8}), seed=seed, prompt=prompt)
    return make_task(request, FACTS)


def made(width: int, height: int, **headers: str) -> Answer:
    body = codec.encode(np.full((height, width, 3), 90, np.uint8), "PNG")
    told = {"finish_reason": "SUCCESS", **headers}
    return Answer(status=200, headers={name.replace("_", "-"): text for name, text in told.items()}, body=body)


def fields(call: Call) -> dict[str, str]:
    return {part.name: str(part.value) for part in parts(call) if part.filename is None}


def parts(call: Call) -> tuple[Part, ...]:
    assert isinstance(call.body, tuple)
    assert len({part.name for part in call.body}) == len(call.body)
    return call.body


def photo_of(call: Call) -> np.ndarray:
    data = parts(call)[0].value
    assert isinstance(data, bytes)
    return codec.decode(open_file(data))


def test_the_call_is_what_the_specification_says(stability: Stability) -> None:
    image = photo_jpeg(96, 72)
    call = stability.submit(task(image, prompt="a beach", left=10, right=0, up=2000, down=3))
    assert (call.method, call.url) == ("POST", "https://stability.test/v2beta/stable-image/edit/outpaint")
    assert dict(call.headers) == {"Authorization": f"Bearer {KEY}", "Accept": "image/*"}
    assert call.kind == "submit"
    sent = parts(call)[0]
    assert (sent.name, sent.filename, sent.media_type, sent.value) == ("image", "image.jpeg", "image/jpeg", image)
    assert fields(call) == {
        "left": "10",
        "right": "0",
        "up": "2000",
        "down": "3",
        "output_format": "png",
        "seed": "42",
        "prompt": "a beach",
    }


def test_the_key_is_not_shown(stability: Stability) -> None:
    assert KEY not in repr(stability.submit(task()))


def test_what_was_not_asked_for_is_not_sent(stability: Stability) -> None:
    drawn = task()
    call = stability.submit(replace(drawn, job=replace(drawn.job, seed=None)))
    assert set(fields(call)) == {"left", "right", "up", "down", "output_format"}
    assert fields(stability.submit(task(seed=None)))["seed"] == "7"
    assert "prompt" not in fields(stability.submit(task(prompt="")))


@pytest.mark.parametrize("image", [photo_jpeg(96, 80), photo_png(96, 80), photo_webp(96, 80)])
def test_negative_sides_are_cropped_before_the_photo_is_sent(stability: Stability, image: bytes) -> None:
    cropped = task(image, left=-16, right=5, up=8, down=-9)
    call = stability.submit(cropped)
    assert {name: fields(call)[name] for name in ("left", "right", "up", "down")} == {
        "left": "0",
        "right": "5",
        "up": "8",
        "down": "0",
    }
    sent = photo_of(call)
    assert sent.shape == (71, 80, 3)
    assert np.abs(sent.astype(int) - cropped.photo[:71, 16:]).mean() < 3


@pytest.mark.parametrize("image", [photo_png(96, 72, channels=4), photo_webp(96, 72, channels=4)])
def test_transparency_is_not_sent(stability: Stability, image: bytes) -> None:
    transparent = task(image, left=8, right=-4)
    sent = photo_of(stability.submit(transparent))
    assert sent.shape == (72, 92, 3)
    opaque = transparent.photo[:, :92, 3] > 0
    assert (sent[opaque] == transparent.photo[:, :92, :3][opaque]).all()


def test_colour_lies_under_what_is_transparent(stability: Stability) -> None:
    pixels = np.full((72, 96, 4), 255, np.uint8)
    pixels[:, :, :3] = (30, 120, 60)
    pixels[:, 48:] = 0
    sent = photo_of(stability.submit(task(codec.encode(pixels, "PNG"))))
    assert (sent == (30, 120, 60)).all()


def test_the_longest_request_is_within_the_limit() -> None:
    form = Call(
        method="POST",
        url="https://stability.test",
        body=(
            Part(name="image", value=bytes(FACTS.upload.max_bytes), filename="image.jpeg", media_type="image/jpeg"),
            Part(name="prompt", value="\N{GRINNING FACE}" * 10_000),
            *(Part(name=name, value="4294967294") for name in ("left", "right", "up", "down", "seed", "output_format")),
        ),
    )
    assert len(encode_body(form)[1]) <= 10 * 1024 * 1024


def test_the_largest_picture_fits_into_an_answer() -> None:
    assert FACTS.geometry.max_pixels is not None
    assert FACTS.geometry.max_pixels * 3 * 1.01 < MAX_ANSWER_BYTES


def test_the_answer_is_decoded_and_its_id_is_read(stability: Stability) -> None:
    steps, fill = talk(stability, task(), made(104, 72, x_request_id="abc123", seed="42"))
    assert len(steps) == 1
    assert fill.pixels.shape == (72, 104, 3)
    assert fill.keeps_original is False
    assert (fill.facts.provider, fill.facts.request_id, fill.facts.credits_consumed) == ("stability", "abc123", None)
    _, fill = talk(stability, task(), made(104, 72))
    assert re.fullmatch(r"req_[0-9a-f]{24}", fill.facts.request_id)


def test_a_filtered_picture_is_a_refusal_and_never_passed_on(stability: Stability) -> None:
    with pytest.raises(errors.ContentRejected) as refused:
        talk(stability, task(), made(104, 72, finish_reason="CONTENT_FILTERED"))
    assert refused.value.details == {"provider_status": 200, "provider_code": "CONTENT_FILTERED"}


@pytest.mark.parametrize("reason", ["", "ERROR", "success"])
def test_a_picture_that_is_not_said_to_be_whole_is_no_answer(stability: Stability, reason: str) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        talk(stability, task(), made(104, 72, finish_reason=reason))
    assert refused.value.system_message == "The provider's answer does not say that the picture is whole"


@pytest.mark.parametrize("body", [b"", b"{}", codec.encode(photo(72, 104), "PNG"), photo_png(104, 72)[:-900]])
def test_what_is_no_whole_picture_of_the_shape_is_no_answer(stability: Stability, body: bytes) -> None:
    with pytest.raises(errors.ProviderInvalidResponse):
        talk(stability, task(), replace(made(104, 72), body=body))


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "bad_request", errors.ProviderRejectedRequest),
        (401, "unauthorized", errors.ProviderAuthenticationFailed),
        (402, "payment_required", errors.ProviderQuotaExhausted),
        (403, "content_moderation", errors.ContentRejected),
        (403, "forbidden", errors.ProviderAuthenticationFailed),
        (413, "payload_too_large", errors.ProviderRejectedRequest),
        (422, "invalid_language", errors.ProviderRejectedRequest),
        (422, "public_figure", errors.ContentRejected),
        (422, {"content_moderation": 1}, errors.ProviderRejectedRequest),
        (429, "rate_limit_exceeded", errors.ProviderRateLimited),
        (500, "internal_error", errors.ProviderError),
        (503, None, errors.ProviderError),
        (302, None, errors.ProviderInvalidResponse),
    ],
)
def test_refusals_go_by_their_name_and_status(
    stability: Stability, status: int, name: object, kind: type[errors.UncropError]
) -> None:
    body = json.dumps({"id": "1", "name": name, "errors": [CANARY]}).encode()
    with pytest.raises(errors.UncropError) as refused:
        talk(stability, task(), Answer(status=status, body=body))
    error = refused.value
    assert type(error) is kind
    known = {
        "bad_request",
        "content_moderation",
        "unauthorized",
        "payment_required",
        "payload_too_large",
        "invalid_language",
        "public_figure",
    }
    known |= {"rate_limit_exceeded", "internal_error"}
    code = {"provider_code": name} if isinstance(name, str) and name in known else {}
    assert error.details == {"provider_status": status, **code}
    assert CANARY not in f"{error.message} {error.system_message}"


def test_a_rate_limit_lasts_a_minute_where_no_time_is_named(stability: Stability) -> None:
    with pytest.raises(errors.ProviderRateLimited) as refused:
        talk(stability, task(), Answer(status=429, body=b"<html>"))
    assert refused.value.retry_after == 60


@pytest.mark.parametrize(
    ("size", "sides", "details"),
    [
        ((251, 100), {"up": 8}, {"limit": "photo_ratio", "value": 2.51, "max_allowed": 2.5}),
        ((100, 251), {"left": 8}, {"limit": "photo_ratio", "value": 2.51, "max_allowed": 2.5}),
        ((300, 150), {"down": 8, "up": -40}, {"limit": "photo_ratio", "value": 2.727, "max_allowed": 2.5}),
        ((300, 100), {"left": 8, "right": 8}, {"limit": "photo_ratio", "value": 3, "calls_needed": 2}),
    ],
)
def test_what_is_sent_has_limits(size: tuple[int, int], sides: dict[str, int], details: dict[str, object]) -> None:
    with pytest.raises(errors.ImageTooLarge) as refused:
        task(photo_jpeg(*size), **sides)
    assert (refused.value.details or {}).items() >= details.items()


def test_sides_that_only_crop_are_refused() -> None:
    with pytest.raises(errors.InvalidExtendParameters, match="at least one side must grow"):
        task(left=-8)


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["seed", "prompt"]
    seed, prompt = facts.fields
    assert (seed.minimum, seed.maximum, prompt.max_characters) == (0, 4_294_967_294, 10_000)
    assert (facts.geometry.speaks, facts.geometry.crops, facts.geometry.max_side) == ("sides", False, 2000)
    assert (facts.answer_format, facts.bills) == ("PNG", True)
    assert facts.price is not None
    assert (facts.price.amount, facts.price.unit, facts.price.per) == (Decimal(4), "credit", "picture")
    assert [facts.variable(setting) for setting in facts.settings] == [
        "UNCROP_STABILITY_API_KEY",
        "UNCROP_STABILITY_BASE_URL",
        "UNCROP_STABILITY_USD_PER_CREDIT",
        "UNCROP_STABILITY_RATE_LIMIT_PER_MINUTE",
    ]
    assert facts.settings[1].default == "https://api.stability.ai"
