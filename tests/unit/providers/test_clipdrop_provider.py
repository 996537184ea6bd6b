"""Clipdrop's two pure functions and its row of facts."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest

from uncrop import errors
from uncrop.imaging import codec
from uncrop.imaging.compare import mean_difference
from uncrop.imaging.header import open_file, read_header
from uncrop.model import Sides, Task, UncropRequest, UploadFacts
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.clipdrop.provider import Clipdrop
from uncrop.providers.conversation import Answer
from uncrop.testing.pictures import noise, photo_jpeg, photo_png, photo_webp, rotated
from uncrop.testing.workbench import KEY, make_settings, make_task, run_alone, talk


@pytest.fixture
def clipdrop() -> Clipdrop:
    return Clipdrop(FACTS, make_settings(FACTS, base_url="https://clipdrop.test"))


def task(image: bytes | None = None, seed: int | None = 42, **sides: int) -> Task:
    data = photo_jpeg(64, 48) if image is None else image
    return make_task(UncropRequest(provider="", image=data, sides=Sides(**sides or {"left": 8}), seed=seed), FACTS)


def made(width: int, height: int, image_format: str = "JPEG", **headers: str) -> Answer:
    body = codec.encode(np.full((height, width, 3), 90, np.uint8), image_format)  # type: ignore[arg-type]
    return Answer(status=200, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


def test_the_call_is_what_the_documentation_says(clipdrop: Clipdrop) -> None:
    image = photo_jpeg(64, 48)
    call = clipdrop.submit(task(image, left=10, right=-20, up=2000, down=0))
    assert (call.method, call.url) == ("POST", "https://clipdrop.test/uncrop/v1")
    assert dict(call.headers) == {"x-api-key": KEY}
    photo, *fields = call.body
    assert (photo.name, photo.filename, photo.media_type) == ("image_file", "image.jpeg", "image/jpeg")
    assert photo.value == image
    assert {part.name: part.value for part in fields} == {
        "extend_left": "10",
        "extend_right": "-20",
        "extend_up": "2000",
        "extend_down": "0",
        "seed": "42",
    }
    assert all(part.filename is None for part in fields)


def test_the_key_is_not_shown(clipdrop: Clipdrop) -> None:
    assert KEY not in repr(clipdrop.submit(task()))


def test_a_drawn_seed_is_sent(clipdrop: Clipdrop) -> None:
    call = clipdrop.submit(task(seed=None))
    assert {part.name: part.value for part in call.body}["seed"] == "7"


def test_without_a_seed_none_is_sent(clipdrop: Clipdrop) -> None:
    from dataclasses import replace

    drawn = task()
    call = clipdrop.submit(replace(drawn, job=replace(drawn.job, seed=None)))
    assert "seed" not in {part.name for part in call.body}


@pytest.mark.parametrize(
    ("image", "filename", "media_type"),
    [
        (photo_png(40, 30), "image.png", "image/png"),
        (photo_webp(40, 30), "image.webp", "image/webp"),
        (photo_png(40, 30, bits=16), "image.png", "image/png"),
        (rotated("JPEG", 6, width=40, height=30), "image.jpeg", "image/jpeg"),
    ],
)
def test_the_photo_goes_up_whole_upright_and_plain(
    clipdrop: Clipdrop, image: bytes, filename: str, media_type: str
) -> None:
    photo = clipdrop.submit(task(image)).body[0]
    assert (photo.filename, photo.media_type) == (filename, media_type)
    assert isinstance(photo.value, bytes)
    header = read_header(photo.value)
    assert (header.width, header.height, header.bits, header.orientation) == (40, 30, 8, 1)


def test_a_photo_that_outgrows_the_limit_goes_as_a_jpeg(clipdrop: Clipdrop, monkeypatch: pytest.MonkeyPatch) -> None:
    image = codec.encode(noise(40, 30), "PNG")
    built = task(image)
    from uncrop.providers.picture import photo_part

    part = photo_part("image_file", built, UploadFacts(formats=frozenset({"PNG"}), max_bytes=len(image) - 1))
    assert (part.filename, part.media_type) == ("image.jpeg", "image/jpeg")
    assert isinstance(part.value, bytes)
    assert mean_difference(codec.decode(open_file(part.value)), built.photo) < 30
    roomy = UploadFacts(formats=frozenset({"PNG"}), max_bytes=len(image))
    assert photo_part("image_file", built, roomy).filename == "image.png"


def test_the_answer_is_decoded_and_its_facts_are_read(clipdrop: Clipdrop) -> None:
    fill = run_alone(clipdrop.read(made(72, 48, x_credits_consumed="1", x_remaining_credits="98.5"), task()))
    assert fill.pixels.shape == (48, 72, 3)
    assert abs(int(fill.pixels[0, 0, 0]) - 90) <= 1
    assert fill.keeps_original is False
    facts = fill.facts
    assert (facts.provider, facts.credits_consumed, facts.credits_remaining) == (
        "clipdrop",
        Decimal(1),
        Decimal("98.5"),
    )
    assert (facts.model, facts.usage, facts.confidence, facts.warnings) == (None, None, None, ())
    assert re.fullmatch(r"req_[0-9a-f]{24}", facts.request_id)


@pytest.mark.parametrize("text", ["", "many", "-1", "NaN", "Infinity", "1e", "0x1", "1e30", "9e999999"])
def test_credits_that_are_no_number_are_unknown(clipdrop: Clipdrop, text: str) -> None:
    fill = run_alone(clipdrop.read(made(72, 48, x_credits_consumed=text), task()))
    assert (fill.facts.credits_consumed, fill.facts.credits_remaining) == (None, None)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_the_type_is_told_by_the_content(clipdrop: Clipdrop, image_format: str) -> None:
    fill = run_alone(clipdrop.read(made(72, 48, image_format, content_type="application/octet-stream"), task()))
    assert fill.pixels.shape == (48, 72, 3)


@pytest.mark.parametrize("size", [(72, 48), (144, 96), (36, 24), (73, 48), (71, 48)])
def test_another_size_of_nearly_the_same_shape_is_left_to_the_finish(clipdrop: Clipdrop, size: tuple[int, int]) -> None:
    assert run_alone(clipdrop.read(made(*size), task())).pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("size", [(64, 48), (74, 48), (48, 72), (72, 1)])
def test_another_shape_is_no_answer(clipdrop: Clipdrop, size: tuple[int, int]) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        run_alone(clipdrop.read(made(*size), task()))
    assert refused.value.system_message == f"The provider's picture is {size[0]}x{size[1]}, another shape than 72x48"


def test_a_far_larger_picture_is_no_answer(clipdrop: Clipdrop) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        run_alone(clipdrop.read(made(3000, 2000), task()))
    assert refused.value.system_message == "The provider's picture is 3000x2000, far larger than 72x48"


@pytest.mark.parametrize(
    "body",
    [b"", b'{"error": "secret"}', b"<html>secret</html>", b"GIF89a" + bytes(50), photo_jpeg(72, 48)[:-400]],
)
def test_what_is_no_whole_picture_is_no_answer(clipdrop: Clipdrop, body: bytes) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        run_alone(clipdrop.read(Answer(status=200, headers={}, body=body), task()))
    assert refused.value.system_message == "The provider's answer is not a whole picture"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.ProviderRejectedRequest),
        (401, errors.ProviderAuthenticationFailed),
        (402, errors.ProviderQuotaExhausted),
        (403, errors.ProviderAuthenticationFailed),
        (406, errors.ProviderRejectedRequest),
        (422, errors.ContentRejected),
        (429, errors.ProviderRateLimited),
        (500, errors.ProviderError),
        (302, errors.ProviderInvalidResponse),
    ],
)
def test_refusals_go_by_their_status(clipdrop: Clipdrop, status: int, kind: type[errors.UncropError]) -> None:
    answer = Answer(status=status, headers={"retry-after": "3"}, body=b'{"error": "secret"}')
    with pytest.raises(errors.UncropError) as refused:
        talk(clipdrop, task(), answer)
    error = refused.value
    assert type(error) is kind
    assert error.details == {"provider_status": status}
    assert "secret" not in error.system_message


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["seed"]
    assert (facts.geometry.speaks, facts.geometry.crops, facts.geometry.max_side) == ("sides", True, 2000)
    seed = facts.field("seed")
    assert seed is not None
    assert (seed.minimum, seed.maximum) == (0, 100_000)
    assert (facts.upload.max_bytes, facts.geometry.max_photo_pixels) == (30_000_000, 10_000_000)
    assert (facts.answer_format, facts.bills) == ("JPEG", True)
