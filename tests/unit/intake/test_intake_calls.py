"""How many calls a picture may take: what is planned, and with which words it is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from uncrop.errors import ImageTooLarge, InvalidFieldValue, InvalidRequest
from uncrop.intake.parse import parse
from uncrop.model import Job, ProviderFacts, Sides, UncropRequest
from uncrop.providers.clipdrop.facts import FACTS as SIDES
from uncrop.providers.local.facts import FACTS as LOCAL
from uncrop.providers.openai.facts import FACTS as MASKS
from uncrop.testing import pictures

PHOTO = pictures.photo_jpeg(40, 30)


def asked(facts: ProviderFacts = SIDES, **wishes: Any) -> UncropRequest:
    return UncropRequest(provider=facts.name, **({"image": PHOTO, "sides": Sides(left=10)} | wishes))


def parsed(request: UncropRequest, facts: ProviderFacts = SIDES) -> Job:
    return parse(request, facts, max_output_pixels=40_000_000, draw_seed=lambda maximum: maximum - 1)


def refused(
    kind: type[InvalidRequest], facts: ProviderFacts = SIDES, **wishes: Any
) -> tuple[str, dict[str, Any] | None]:
    with pytest.raises(InvalidRequest) as caught:
        parsed(asked(facts, **wishes), facts)
    assert type(caught.value) is kind
    return caught.value.message, caught.value.details


def test_a_format_that_is_none_is_refused_before_anything_is_made() -> None:
    wrong: Any = "GIF"
    assert refused(InvalidFieldValue, answer_format=wrong) == (
        "output_format must be one of jpeg, png, webp",
        {"field": "output_format", "allowed": ["jpeg", "png", "webp"]},
    )


def test_more_calls_make_what_one_cannot() -> None:
    wishes = {"sides": Sides(), "canvas_width": 9000, "canvas_height": 30, "canvas_x": 0, "canvas_y": 0}
    assert refused(ImageTooLarge, **wishes, max_calls=4) == (
        "Clipdrop cannot make this picture in 4 calls",
        {
            "provider": "clipdrop",
            "width": 9000,
            "height": 30,
            "limit": "side",
            "value": 8960,
            "max_allowed": 2000,
            "calls_needed": 5,
        },
    )
    planned = parsed(asked(**wishes, max_calls=5)).plan
    assert planned is not None
    assert len(planned.calls) == 5


@pytest.mark.parametrize("max_calls", [-1, 0, 9])
@pytest.mark.parametrize("facts", [SIDES, MASKS, LOCAL], ids=lambda row: row.name)
def test_numbers_of_calls_out_of_range(facts: ProviderFacts, max_calls: int) -> None:
    assert refused(InvalidFieldValue, facts, max_calls=max_calls) == (
        "max_calls must be between 1 and 8",
        {"field": "max_calls", "value": max_calls, "min_allowed": 1, "max_allowed": 8},
    )


@pytest.mark.parametrize("detail", ["", "yes", "ON"])
def test_detail_is_on_or_off(detail: str) -> None:
    assert refused(InvalidFieldValue, detail=detail) == (
        "detail must be one of on, off",
        {"field": "detail", "allowed": ["on", "off"]},
    )


def test_photos_are_measured_as_they_are_cropped() -> None:
    for crops in (True, False):
        facts = replace(SIDES, geometry=replace(SIDES.geometry, crops=crops, max_photo_pixels=1000))
        job = parsed(asked(facts, sides=Sides(left=10, up=-6)), facts)
        assert job.plan is not None
        assert job.plan.direct is not crops
        assert refused(ImageTooLarge, facts, sides=Sides(left=10, up=-4)) == (
            "The image has too many pixels",
            {"width": 40, "height": 26, "max_allowed": 1000, "unit": "pixels"},
        )


def test_photos_beyond_a_limit_are_scaled_for_who_has_them_scaled() -> None:
    geometry = replace(SIDES.geometry, scales=True, crops=False, min_photo_edge=20, max_photo_pixels=1000)
    facts = replace(SIDES, geometry=geometry)
    job = parsed(asked(facts), facts)
    assert job.plan is not None
    assert job.plan.is_scaled
    # A file that is made anew for the call may have had any length; one that is sent may not.
    short = replace(facts, upload=replace(facts.upload, max_bytes=len(PHOTO) - 1))
    assert parsed(asked(short), short).plan == job.plan
    sent = replace(short, geometry=replace(geometry, max_photo_pixels=1200))
    assert refused(ImageTooLarge, sent)[0] == "The image file is too large"
    tiny = parsed(asked(facts, image=pictures.photo_png(10, 8)), facts)
    assert tiny.plan is not None
    assert tiny.plan.is_scaled


def test_a_photo_with_alpha_is_never_cut() -> None:
    facts = replace(SIDES, geometry=replace(SIDES.geometry, max_photo_ratio=2))
    for channels, is_cut in ((3, True), (4, False)):
        image = pictures.photo_png(400, 20, channels=channels)  # type: ignore[arg-type]
        if is_cut:
            job = parsed(asked(facts, image=image), facts)
            assert job.plan is not None
            assert job.plan.calls[0].part.width == 40
        else:
            told = refused(ImageTooLarge, facts, image=image)[1]
            assert told is not None
            assert "calls_needed" not in told


def test_a_map_is_not_made_by_a_plan_that_cannot_make_it() -> None:
    facts = replace(LOCAL, geometry=replace(LOCAL.geometry, max_photo_ratio=2))
    wishes = {"image": pictures.photo_png(400, 20), "sides": Sides(left=10)}
    assert parsed(asked(facts, **wishes), facts).plan is not None
    assert refused(InvalidFieldValue, facts, **wishes, confidence_map=True) == (
        "confidence_map is made with one call of the whole photo alone; this picture takes another plan",
        {"field": "confidence_map", "provider": "local"},
    )
