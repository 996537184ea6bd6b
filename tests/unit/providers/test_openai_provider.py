"""OpenAI's two pure functions and its row of facts."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from uncrop import errors
from uncrop.imaging import codec
from uncrop.imaging.compare import mean_difference
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.mask import decode_mask, encode_mask
from uncrop.model import Fill, Rect, Sides, Task, TokenUsage, UncropRequest, UploadFacts
from uncrop.providers.conversation import Answer, Call, Part
from uncrop.providers.openai.facts import FACTS
from uncrop.providers.openai.provider import PROMPT, OpenAI
from uncrop.testing.pictures import mask_png, noise, photo, photo_jpeg, photo_png, photo_webp, rotated
from uncrop.testing.workbench import KEY, make_settings, make_task, talk

if TYPE_CHECKING:
    from uncrop.model import Mask, Pixels


def openai(model: str | None = "gpt-image-2") -> OpenAI:
    return OpenAI(FACTS, make_settings(FACTS, base_url="https://openai.test/v1", model=model))


def call_of(provider: OpenAI, task: Task) -> Call:
    return provider.submit(task, provider.frame(task.job))


def fill_of(provider: OpenAI, answer: Answer, task: Task) -> Fill:
    return talk(provider, task, answer)[1]


def task(image: bytes, size: str | None = None, prompt: str | None = None, hole: Rect | None = None) -> Task:
    header = read_header(image)
    mask = mask_png(header.width, header.height, hole=hole)
    return make_task(UncropRequest(provider="", image=image, mask=mask, size=size, prompt=prompt), FACTS)


def parts(call: Call) -> dict[str, Part]:
    assert len({part.name for part in call.body}) == len(call.body)
    return {part.name: part for part in call.body}


def fields(call: Call) -> dict[str, str]:
    return {part.name: str(part.value) for part in call.body if part.filename is None}


def image_of(call: Call) -> Pixels:
    data = parts(call)["image"].value
    assert isinstance(data, bytes)
    return codec.decode(open_file(data))


def mask_of(call: Call) -> Mask:
    data = parts(call)["mask"].value
    assert isinstance(data, bytes)
    return decode_mask(open_file(data))


def answer(pixels: Pixels, **more: object) -> Answer:
    text = base64.b64encode(codec.encode(pixels, "PNG")).decode()
    return Answer(status=200, headers={}, body=json.dumps({"data": [{"b64_json": text}], **more}).encode())


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_a_photo_of_the_models_shape_goes_as_it_is() -> None:
    image = photo_jpeg(512, 512)
    call = call_of(openai(), task(image, size="1024x1024", prompt="a lake"))
    assert (call.method, call.url) == ("POST", "https://openai.test/v1/images/edits")
    assert dict(call.headers) == {"Authorization": f"Bearer {KEY}"}
    assert fields(call) == {
        "model": "gpt-image-2",
        "prompt": "a lake",
        "n": "1",
        "size": "1024x1024",
        "quality": "auto",
        "background": "opaque",
        "output_format": "png",
    }
    photo_part, mask_part = parts(call)["image"], parts(call)["mask"]
    assert (photo_part.filename, photo_part.media_type) == ("image.jpeg", "image/jpeg")
    assert photo_part.value == image
    assert (mask_part.filename, mask_part.media_type) == ("mask.png", "image/png")
    expected = np.zeros((512, 512), np.bool_)
    expected[:, 384:] = True
    assert mask_part.value == encode_mask(expected)


@pytest.mark.parametrize("image", [photo_png(64, 64), photo_webp(64, 64)])
def test_png_and_webp_go_as_they_are_too(image: bytes) -> None:
    assert parts(call_of(openai(), task(image)))["image"].value == image


def test_without_a_prompt_a_neutral_one_is_sent() -> None:
    assert fields(call_of(openai(), task(photo_png(64, 64))))["prompt"] == PROMPT


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gpt-image-1", {"quality": "auto", "background": "opaque", "output_format": "png", "input_fidelity": "high"}),
        ("gpt-image-1-mini", {"quality": "auto", "background": "opaque", "output_format": "png"}),
        ("some-local-model", {"response_format": "b64_json"}),
    ],
)
def test_the_models_family_decides_about_the_fields(model: str, more: dict[str, str]) -> None:
    call = call_of(openai(model), task(photo_png(64, 64)))
    assert fields(call) == {"model": model, "prompt": PROMPT, "n": "1", "size": "1024x1024", **more}


def test_another_shape_is_padded_and_never_distorted() -> None:
    image = photo_png(300, 300)
    hole = Rect(x=100, y=0, width=50, height=300)
    call = call_of(openai(), task(image, size="1536x1024", hole=hole))
    sent, mask = image_of(call), mask_of(call)
    assert fields(call)["size"] == "1536x1024"
    assert sent.shape == (1024, 1536, 3)
    original = codec.resize(photo(300, 300), 1024, 1024)
    assert (sent[:, 256:1280] == original).all()
    # The border's colours continue; nothing is black or white.
    left_border = original[:, :1].astype(int)
    assert abs(sent[:, 250:256].astype(int) - left_border).mean() < 12
    assert mask[:, :256].all()
    assert mask[:, 1280:].all()
    inside = mask[:, 256:1280]
    columns = np.flatnonzero(inside.all(axis=0))
    assert (inside.any(axis=0) == inside.all(axis=0)).all()
    assert (columns[0], columns[-1]) == (342, 511)  # 100 / 300 and 150 / 300 of 1024


def test_padded_sizes_of_image_and_mask_agree_for_an_odd_photo() -> None:
    call = call_of(openai("gpt-image-1"), task(photo_jpeg(777, 111)))
    assert image_of(call).shape[:2] == mask_of(call).shape == (1024, 1536)


def test_colour_lies_under_what_is_transparent_in_the_photo() -> None:
    pixels = np.full((64, 64, 4), 255, np.uint8)
    pixels[:, :, :3] = (30, 120, 60)
    pixels[:, 32:] = 0  # transparent black
    pixels[:, 30:32, 3] = 7  # nearly transparent, still the photo's own
    call = call_of(openai(), task(codec.encode(pixels, "PNG")))
    sent = image_of(call)
    assert sent.shape == (64, 64, 3)
    assert (sent == (30, 120, 60)).all()
    assert parts(call)["image"].filename == "image.png"


def test_an_opaque_alpha_channel_needs_nothing() -> None:
    pixels = np.full((64, 64, 4), 255, np.uint8)
    image = codec.encode(pixels, "PNG")
    assert parts(call_of(openai(), task(image)))["image"].value == image


def test_a_turned_photo_is_sent_upright() -> None:
    image = rotated("JPEG", 6, width=64, height=96)
    sent = image_of(call_of(openai(), task(image, size="1024x1536")))
    assert sent.shape == (96, 64, 3)
    assert (mean_difference(sent, photo(64, 96)) or 0) < 4


def test_a_photo_too_heavy_for_the_provider_goes_as_a_jpeg() -> None:
    from uncrop.providers.picture import framed_part

    built = task(codec.encode(np.dstack([noise(64, 64), np.zeros((64, 64, 1), np.uint8)]), "PNG"))
    frame = openai().frame(built.job)
    fine = framed_part("image", built, frame, UploadFacts(formats=frozenset({"PNG"}), max_bytes=10_000_000))
    light = framed_part("image", built, frame, UploadFacts(formats=frozenset({"PNG"}), max_bytes=100))
    assert (fine.filename, light.filename, light.media_type) == ("image.png", "image.jpeg", "image/jpeg")


def test_a_task_without_a_mask_asks_for_the_padding_alone() -> None:
    from dataclasses import replace

    built = replace(task(photo_png(300, 300), size="1536x1024"), mask=None)
    mask = mask_of(call_of(openai(), built))
    assert mask[:, :256].all()
    assert not mask[:, 256:1280].any()


@pytest.mark.parametrize(("image", "file"), [(photo_jpeg(900, 700), "image.jpeg"), (photo_png(900, 700), "image.png")])
def test_sides_are_drawn_at_the_photos_own_scale_into_a_file_of_its_kind(image: bytes, file: str) -> None:
    asked = make_task(UncropRequest(provider="", image=image, sides=Sides(left=50, down=90)), FACTS)
    call = call_of(openai(), asked)
    assert fields(call)["size"] == "976x800"
    assert parts(call)["image"].filename == file
    sent, mask = image_of(call), mask_of(call)
    assert sent.shape[:2] == mask.shape == (800, 976)
    assert (mean_difference(sent[:700, 64:964], asked.photo) or 0) < 1
    assert not mask[:700, 64:964].any()
    assert mask[700:].all()
    assert mask[:, :64].all()


def test_a_size_that_the_model_does_not_make_is_refused() -> None:
    request = UncropRequest(provider="", image=photo_png(64, 64), mask=mask_png(64, 64), size="1536x1024")
    with pytest.raises(errors.InvalidFieldValue) as refused:
        make_task(request, openai("dall-e-2").facts)
    assert refused.value.details == {"field": "size", "allowed": ["256x256", "512x512", "1024x1024"]}
    make_task(request, openai("gpt-image-1").facts)


@pytest.mark.parametrize("model", [None, ""])
def test_without_a_model_it_is_not_configured(model: str | None) -> None:
    with pytest.raises(errors.ProviderNotConfigured) as refused:
        openai(model).check_configured()
    assert refused.value.system_message == "The provider openai has no model"
    openai().check_configured()


# --- what comes back -------------------------------------------------------------------------------------------------


def test_the_picture_and_its_facts_are_read() -> None:
    pixels = photo(1024, 1024)
    usage = {"input_tokens": 50, "output_tokens": 196, "total_tokens": 246, "input_tokens_details": {"text_tokens": 12}}
    received = answer(pixels, usage=usage)
    received = Answer(status=200, headers={"x-request-id": "req_xyz789"}, body=received.body)
    fill = fill_of(openai(), received, task(photo_png(64, 64)))
    assert (fill.pixels == pixels).all()
    assert fill.keeps_original is False
    facts = fill.facts
    assert (facts.provider, facts.request_id, facts.model) == ("openai", "req_xyz789", "gpt-image-2")
    assert facts.usage == TokenUsage(input_tokens=50, input_text_tokens=12, output_tokens=196, total_tokens=246)
    assert (facts.credits_consumed, facts.confidence, facts.warnings) == (None, None, ())


def test_without_an_id_ours_is_used_and_without_usage_none_is_told() -> None:
    fill = fill_of(openai(), answer(photo(1024, 1024)), task(photo_png(64, 64)))
    assert re.fullmatch(r"req_[0-9a-f]{24}", fill.facts.request_id)
    assert fill.facts.usage is None


def test_usage_is_read_without_trust() -> None:
    usage = {"input_tokens": "50", "output_tokens": True, "total_tokens": -1}
    fill = fill_of(openai(), answer(photo(1024, 1024), usage=usage), task(photo_png(64, 64)))
    assert fill.facts.usage == TokenUsage()


def test_the_padding_is_cut_away_when_the_canvas_is_the_photos_own() -> None:
    built = task(photo_png(300, 300))
    framed = task(photo_png(450, 300))
    # A square photo in a 1536x1024 frame cannot be; a wide one in a square is: 3:2 in 1024x1024 keeps 683 rows.
    dalle = openai("dall-e-2")
    full = photo(1024, 1024)
    assert (fill_of(dalle, answer(full), framed).pixels == full[170:853]).all()
    assert (fill_of(dalle, answer(full), built).pixels == full).all()


def test_the_cut_is_in_proportion_when_the_answer_has_another_size() -> None:
    full = photo(512, 512)
    fill = fill_of(openai("dall-e-2"), answer(full), task(photo_png(450, 300)))
    assert (fill.pixels == full[85:426]).all()


def test_something_is_left_of_the_narrowest_photo() -> None:
    tiny = photo(16, 16)
    fill = fill_of(openai("gpt-image-1"), answer(photo(24, 16)), task(photo_png(4000, 16)))
    assert fill.pixels.shape == (1, 24, 3)
    assert tiny.shape == (16, 16, 3)


def test_a_size_that_was_asked_for_is_the_whole_canvas() -> None:
    full = photo(1536, 1024)
    fill = fill_of(openai(), answer(full), task(photo_png(300, 300), size="1536x1024"))
    assert (fill.pixels == full).all()


def test_a_url_that_carries_its_data_is_read() -> None:
    data = base64.b64encode(codec.encode(photo(64, 64), "PNG")).decode()
    for item in ({"url": f"data:image/png;base64,{data}"}, {"b64_json": f"data:image/png;base64,{data}"}):
        received = Answer(status=200, headers={}, body=json.dumps({"data": [item]}).encode())
        assert (fill_of(openai(), received, task(photo_png(64, 64))).pixels == photo(64, 64)).all()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "The provider's answer is not a JSON object"),
        (b"<html>secret</html>", "The provider's answer is not a JSON object"),
        (b"[]", "The provider's answer is not a JSON object"),
        (b"\xff", "The provider's answer is not a JSON object"),
        (b"[" * 100_000, "The provider's answer is not a JSON object"),
        (b"{}", "The provider's answer holds no picture"),
        (b'{"error": {"message": "secret"}}', "The provider's answer holds no picture"),
        (b'{"data": []}', "The provider's answer holds no picture"),
        (b'{"data": {}}', "The provider's answer holds no picture"),
        (b'{"data": [null]}', "The provider's answer holds no picture"),
        (b'{"data": [{}]}', "The provider's answer holds no picture"),
        (b'{"data": [{"b64_json": 7}]}', "The provider's answer holds no picture"),
        (b'{"data": [{"b64_json": "c2VjcmV0"}]}', "The provider's answer is not a whole picture"),
        (b'{"data": [{"b64_json": "sec ret!"}]}', "The provider's answer holds a picture that is not base64"),
        (b'{"data": [{"b64_json": "c2VjcmV"}]}', "The provider's answer is not a whole picture"),
        (b'{"data": [{"b64_json": "c2Vjc"}]}', "The provider's answer holds a picture that is not base64"),
        ('{"data": [{"b64_json": "grün"}]}'.encode(), "The provider's answer holds a picture that is not base64"),
        (
            b'{"data": [{"url": "http://169.254.169.254/secret"}]}',
            "The provider's answer holds a picture that is not base64",
        ),
    ],
)
def test_what_holds_no_picture_is_no_answer(body: bytes, text: str) -> None:
    with pytest.raises(errors.ProviderInvalidResponse) as refused:
        fill_of(openai(), Answer(status=200, headers={}, body=body), task(photo_png(64, 64)))
    assert refused.value.system_message == text


def test_a_picture_of_another_shape_is_no_answer() -> None:
    with pytest.raises(errors.ProviderInvalidResponse, match="could not be used"):
        fill_of(openai(), answer(photo(1536, 1024)), task(photo_png(64, 64)))


def test_the_row_of_facts() -> None:
    facts = FACTS
    assert [field.name for field in facts.fields] == ["mask_file", "prompt", "size"]
    size = facts.field("size")
    assert size is not None
    assert size.choices == ("1024x1024", "1024x1536", "1536x1024")
    assert (facts.upload.max_bytes, facts.answer_format, facts.bills) == (50_000_000, "PNG", True)
    assert (facts.geometry.speaks, facts.geometry.crops, facts.geometry.scales) == ("mask", False, True)
