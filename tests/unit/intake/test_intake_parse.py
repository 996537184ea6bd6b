"""Stage 1: what is refused, with which words, in which order; and what comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from uncrop.errors import (
    ImageTooLarge,
    InvalidExtendParameters,
    InvalidFieldValue,
    InvalidImage,
    InvalidMask,
    InvalidRequest,
    MaskRequired,
    UnsupportedImageFormat,
)
from uncrop.geometry.notations import sides_of
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.sizes import placement_of_size
from uncrop.geometry.steps import plan
from uncrop.imaging.header import open_file
from uncrop.intake.limits import check_depth
from uncrop.intake.parse import parse
from uncrop.model import FieldFacts, Job, ProviderFacts, Sides, UncropRequest
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.local.facts import FACTS as LOCAL
from uncrop.providers.openai.facts import FACTS as OPENAI
from uncrop.providers.openai.models import FIXED
from uncrop.testing import pictures

SIDES = CLIPDROP
MASKS = replace(
    OPENAI,
    geometry=FIXED,
    fields=tuple(
        replace(field, choices=("1024x1024", "1536x1024")) if field.name == "size" else field for field in OPENAI.fields
    ),
)
PHOTO = pictures.photo_jpeg(40, 30)
MASK = pictures.mask_png(40, 30)


def asked(facts: ProviderFacts = SIDES, **wishes: Any) -> UncropRequest:
    needed: dict[str, Any] = {"sides": Sides(left=10)} if not facts.takes("mask_file") else {"mask": MASK}
    return UncropRequest(provider=facts.name, **({"image": PHOTO} | needed | wishes))


def parsed(request: UncropRequest, facts: ProviderFacts = SIDES, max_output_pixels: int = 40_000_000) -> Job:
    return parse(request, facts, max_output_pixels=max_output_pixels, draw_seed=lambda maximum: maximum - 1)


def refused(
    kind: type[InvalidRequest], facts: ProviderFacts = SIDES, *, most: int = 40_000_000, **wishes: Any
) -> tuple[str, dict[str, Any] | None]:
    with pytest.raises(InvalidRequest) as caught:
        parsed(asked(facts, **wishes), facts, most)
    assert type(caught.value) is kind
    return caught.value.message, caught.value.details


# --- what comes out --------------------------------------------------------------------------------------------------


def test_a_job_for_sides() -> None:
    request = asked(sides=Sides(left=10, down=-5), seed=0, organization_id="org_123abc")
    assert parsed(request) == Job(
        request=request,
        provider=SIDES,
        photo_file=open_file(PHOTO),
        placement=placement_of_sides(40, 30, Sides(left=10, down=-5)),
        plan=plan(placement_of_sides(40, 30, Sides(left=10, down=-5)), SIDES.geometry),  # type: ignore[arg-type]
        sides=Sides(left=10, down=-5),
        output_size=(50, 25),
        seed=0,
        quality="standard",
        answer_format="JPEG",
    )


@pytest.mark.parametrize(("size", "extent"), [(None, None), ("1536x1024", (1536, 1024))])
def test_a_job_for_a_mask(size: str | None, extent: tuple[int, int] | None) -> None:
    request = asked(MASKS, size=size, prompt="a beach")
    assert parsed(request, MASKS) == Job(
        request=request,
        provider=MASKS,
        photo_file=open_file(PHOTO),
        mask_file=open_file(MASK),
        placement=placement_of_size(40, 30, extent),
        sides=sides_of(placement_of_size(40, 30, extent), 40, 30),
        output_size=extent or (40, 30),
        seed=None,
        quality="standard",
        answer_format="PNG",
    )


@pytest.mark.parametrize(
    ("image", "answer_format"),
    [
        (PHOTO, "JPEG"),
        (pictures.photo_png(40, 30, channels=4, bits=16), "PNG"),
        (pictures.photo_webp(40, 30), "WEBP"),
    ],
)
def test_the_input_decides_the_format_where_the_provider_does_not(image: bytes, answer_format: str) -> None:
    assert parsed(asked(LOCAL, image=image), LOCAL).answer_format == answer_format


@pytest.mark.parametrize("quality", ["fast", "standard", "best"])
def test_qualities(quality: str) -> None:
    assert parsed(asked(LOCAL, quality=quality), LOCAL).quality == quality


def test_a_seed_is_drawn_when_none_was_sent() -> None:
    assert parsed(asked()).seed == 99_999
    assert parsed(asked(LOCAL), LOCAL).seed == 2**32 - 2
    assert parsed(asked(seed=100_000)).seed == 100_000


def test_no_seed_is_drawn_in_vain() -> None:
    def draw(_maximum: int) -> int:
        raise AssertionError

    for request, facts in ((asked(seed=7), SIDES), (asked(MASKS), MASKS)):
        parse(request, facts, max_output_pixels=40_000_000, draw_seed=draw)


def test_a_lying_photo_is_measured_upright() -> None:
    lying = pictures.rotated("JPEG", 6, width=40, height=30)
    assert parsed(asked(image=lying)).placement == placement_of_sides(40, 30, Sides(left=10))
    assert parsed(asked(MASKS, image=lying), MASKS).header.width == 40


# --- fields that the provider does not take --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "wishes", "field"),
    [
        (MASKS, {"seed": 0}, "seed"),
        (MASKS, {"quality": "best"}, "quality"),
        (MASKS, {"confidence_map": True}, "confidence_map"),
        (SIDES, {"mask": MASK}, "mask_file"),
        (SIDES, {"mask": b""}, "mask_file"),
        (SIDES, {"prompt": "a beach"}, "prompt"),
        (SIDES, {"negative_prompt": "people"}, "negative_prompt"),
        (SIDES, {"size": "1024x1024"}, "size"),
        (SIDES, {"quality": "best"}, "quality"),
        (SIDES, {"confidence_map": True}, "confidence_map"),
        (LOCAL, {"prompt": "a beach"}, "prompt"),
        (LOCAL, {"mask": MASK}, "mask_file"),
        (LOCAL, {"size": "nonsense"}, "size"),
    ],
)
def test_fields_are_never_silently_ignored(facts: ProviderFacts, wishes: dict[str, Any], field: str) -> None:
    message, details = refused(InvalidFieldValue, facts, **wishes)
    assert message == f"{field} is not supported by provider {facts.name}"
    assert details == {"field": field, "provider": facts.name}


@pytest.mark.parametrize(
    ("sides", "names"),
    [
        (Sides(left=1), ["extend_left"]),
        (Sides(right=-1), ["extend_right"]),
        (Sides(up=1, down=9999), ["extend_up", "extend_down"]),
    ],
)
def test_a_mask_and_sides_exclude_each_other(sides: Sides, names: list[str]) -> None:
    message, details = refused(InvalidFieldValue, MASKS, sides=sides)
    named = [*names, "mask_file"]
    assert message == f"{' and '.join(named)} cannot be sent together: each says what the canvas is"
    assert details == {"fields": named}


def test_sides_and_a_size_exclude_each_other() -> None:
    message, details = refused(InvalidFieldValue, MASKS, sides=Sides(left=5), mask=None, size="1024x1024")
    assert message == "size goes with mask_file alone, not with extend_left; see output_size"
    assert details == {"fields": ["extend_left", "size"], "provider": "openai"}


def test_who_takes_masks_takes_sides_too() -> None:
    request = asked(MASKS, mask=None, sides=Sides(left=10, down=-5))
    assert parsed(request, MASKS).placement == placement_of_sides(40, 30, Sides(left=10, down=-5))


def test_sides_that_leave_nothing_to_be_made_are_left_to_who_crops() -> None:
    assert parsed(asked(sides=Sides(left=-5))).placement.width == 35
    assert refused(InvalidExtendParameters, MASKS, mask=None, sides=Sides(left=-5)) == (
        "Nothing is to be made: at least one side must grow",
        {"provider": "openai"},
    )


def test_a_canvas_beyond_one_call_is_refused_with_the_number_that_is_in_the_way() -> None:
    narrow = replace(SIDES, geometry=replace(SIDES.geometry, max_pixels=50 * 30 - 1))
    assert refused(ImageTooLarge, narrow) == (
        "Clipdrop cannot make this picture in one call",
        {
            "provider": "clipdrop",
            "width": 50,
            "height": 30,
            "limit": "canvas_pixels",
            "value": 1500,
            "max_allowed": 1499,
        },
    )


@pytest.mark.parametrize(
    ("wishes", "extent", "place"),
    [
        ({"aspect_ratio": "16:9"}, (53, 30), (6, 0)),
        ({"aspect_ratio": "1:1", "anchor": "bottom"}, (40, 40), (0, 10)),
        ({"zoom_out": 50, "anchor": "top-left"}, (80, 60), (0, 0)),
        ({"canvas_width": 60, "canvas_height": 30}, (60, 30), (10, 0)),
        ({"canvas_width": 60, "canvas_height": 20, "canvas_x": 3, "canvas_y": -4}, (60, 20), (3, 0)),
    ],
)
@pytest.mark.parametrize("provider", [SIDES, MASKS, LOCAL], ids=lambda row: row.name)
def test_every_notation_reaches_every_provider(
    provider: ProviderFacts, wishes: dict[str, Any], extent: tuple[int, int], place: tuple[int, int]
) -> None:
    job = parsed(asked(provider, sides=Sides(), mask=None, **wishes), provider)
    assert (job.placement.width, job.placement.height) == job.output_size == extent
    assert (job.placement.kept.x, job.placement.kept.y) == place


def test_the_finished_pictures_size_is_checked_against_shape_and_limits() -> None:
    assert parsed(asked(sides=Sides(right=40), output_size="160x60")).output_size == (160, 60)
    assert refused(InvalidFieldValue, sides=Sides(right=40), output_size="160x90")[1] == {
        "field": "output_size",
        "value": "160x90",
        "canvas": "80x30",
        "would_fit": ["160x60", "240x90"],
    }
    free = replace(SIDES, max_output_pixels=5000)
    assert refused(ImageTooLarge, free, sides=Sides(right=40), output_size="160x60")[0] == (
        "The extended image would be too large"
    )


def test_a_side_beyond_the_published_limit_is_for_the_other_notations() -> None:
    far = parsed(asked(LOCAL, sides=Sides(), canvas_width=4000, canvas_height=30), LOCAL)
    assert far.sides == Sides(left=1980, right=1980)
    assert parsed(asked(LOCAL, sides=Sides(), canvas_width=5000, canvas_height=30), LOCAL).sides.left == 2480
    message, details = refused(ImageTooLarge, sides=Sides(), canvas_width=5000, canvas_height=30)
    assert message == "Clipdrop cannot make this picture in one call"
    assert details is not None
    assert (details["limit"], details["value"], details["max_allowed"]) == ("side", 2480, 2000)
    assert details["calls_needed"] == 2


@pytest.mark.parametrize(
    ("geometry", "details"),
    [
        ({"min_edge": 31}, {"limit": "canvas_edge", "value": 30, "min_allowed": 31}),
        ({"crops": False, "min_photo_edge": 30}, None),
        ({"crops": True, "min_photo_edge": 30}, None),
        ({"max_photo_ratio": 1.3}, None),
    ],
)
def test_the_shape_of_photo_and_canvas_is_measured(
    geometry: dict[str, object], details: dict[str, object] | None
) -> None:
    facts = replace(SIDES, geometry=replace(SIDES.geometry, **geometry))  # type: ignore[arg-type]
    if details is None:
        parsed(asked(), facts)
    else:
        told = refused(ImageTooLarge, facts)[1]
        assert told is not None
        assert told.items() >= details.items()


@pytest.mark.parametrize(("crops", "is_refused"), [(True, False), (False, True)])
def test_who_does_not_crop_is_sent_no_less_than_it_takes(crops: bool, is_refused: bool) -> None:
    facts = replace(SIDES, geometry=replace(SIDES.geometry, crops=crops, min_photo_edge=30))
    changes = {"sides": Sides(left=5, up=-1)}
    if not is_refused:
        parsed(asked(**changes), facts)
        return
    told = refused(ImageTooLarge, facts, **changes)[1]
    assert told is not None
    assert told.items() >= {"limit": "photo_edge", "value": 29, "min_allowed": 30}.items()


def test_a_map_is_made_by_who_can_and_not_missed_elsewhere() -> None:
    wanted = parsed(asked(LOCAL, sides=Sides(left=1), confidence_map=True), LOCAL)
    assert wanted.request.confidence_map is True
    assert parsed(asked(confidence_map=False)).request.confidence_map is False


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 100_001, 10**30])
def test_seeds_out_of_range(seed: int) -> None:
    assert refused(InvalidFieldValue, seed=seed) == (
        "seed must be between 0 and 100000",
        {"field": "seed", "provider": "clipdrop", "value": seed, "min_allowed": 0, "max_allowed": 100_000},
    )


def test_prompts() -> None:
    assert parsed(asked(MASKS, prompt="ü" * 32_000), MASKS).request.prompt == "ü" * 32_000
    assert refused(InvalidFieldValue, MASKS, prompt="ü" * 32_001) == (
        "prompt must have at most 32000 characters",
        {"field": "prompt", "provider": "openai", "length": 32_001, "max_allowed": 32_000},
    )


def test_negative_prompts() -> None:
    taken = FieldFacts(name="negative_prompt", help="", max_characters=10)
    facts = replace(MASKS, fields=(*MASKS.fields, taken))
    assert parsed(asked(facts, negative_prompt="ü" * 10), facts).request.negative_prompt == "ü" * 10
    assert refused(InvalidFieldValue, facts, negative_prompt="ü" * 11) == (
        "negative_prompt must have at most 10 characters",
        {"field": "negative_prompt", "provider": "openai", "length": 11, "max_allowed": 10},
    )


@pytest.mark.parametrize("size", ["", "1024", "1024X1024", "1024x1536", "auto"])
def test_sizes_that_are_not_offered(size: str) -> None:
    assert refused(InvalidFieldValue, MASKS, size=size) == (
        "size must be one of 1024x1024, 1536x1024",
        {"field": "size", "allowed": ["1024x1024", "1536x1024"]},
    )


@pytest.mark.parametrize("quality", ["", "Best", "ultra"])
def test_qualities_that_do_not_exist(quality: str) -> None:
    assert refused(InvalidFieldValue, LOCAL, quality=quality) == (
        "quality must be one of fast, standard, best",
        {"field": "quality", "allowed": ["fast", "standard", "best"]},
    )


@pytest.mark.parametrize("organization_id", ["org_1", "org_123abc", "org_" + "a" * 64, "org_A-b_C"])
def test_organization_ids(organization_id: str) -> None:
    assert parsed(asked(organization_id=organization_id)).request.organization_id == organization_id


@pytest.mark.parametrize("organization_id", ["", "123abc", "org_", "org_" + "a" * 65, "org_a b", "org_ä", "org_a\n"])
def test_organization_ids_that_are_none(organization_id: str) -> None:
    assert refused(InvalidFieldValue, organization_id=organization_id) == (
        "organization_id must be org_ followed by 1 to 64 letters, digits, _ or -",
        {"field": "organization_id"},
    )


def test_the_published_errors_to_the_letter() -> None:
    assert refused(InvalidExtendParameters, sides=Sides(left=2500)) == (
        "Extend parameters exceed 2000px",
        {"extend_left": 2500, "max_allowed": 2000},
    )
    assert refused(MaskRequired, MASKS, mask=None) == ("OpenAI requires mask for this operation", None)


def test_sides_that_crop_everything_away() -> None:
    message, details = refused(InvalidExtendParameters, sides=Sides(left=-40))
    assert message == "Negative extend parameters leave nothing of the image"
    assert details == {"width": 40, "height": 30, "remaining_width": 0, "remaining_height": 30}


# --- the image -------------------------------------------------------------------------------------------------------


def test_bytes_of_the_image() -> None:
    exact = replace(SIDES, upload=replace(SIDES.upload, max_bytes=len(PHOTO)))
    assert parsed(asked(exact), exact).header.width == 40
    short = replace(SIDES, upload=replace(SIDES.upload, max_bytes=len(PHOTO) - 1))
    assert refused(ImageTooLarge, short) == (
        "The image file is too large",
        {"size": len(PHOTO), "max_allowed": len(PHOTO) - 1, "unit": "bytes"},
    )


def test_pixels_of_the_image() -> None:
    exact = replace(SIDES, geometry=replace(SIDES.geometry, max_photo_pixels=1200))
    assert parsed(asked(exact), exact).header.width == 40
    assert refused(ImageTooLarge, replace(SIDES, geometry=replace(SIDES.geometry, max_photo_pixels=1199))) == (
        "The image has too many pixels",
        {"width": 40, "height": 30, "max_allowed": 1199, "unit": "pixels"},
    )


@pytest.mark.parametrize(("width", "height"), [(15, 40), (40, 15)])
def test_sides_of_the_image(width: int, height: int) -> None:
    assert parsed(asked(LOCAL, image=pictures.photo_png(16, 16)), LOCAL).header.width == 16
    assert refused(InvalidImage, LOCAL, image=pictures.photo_png(width, height)) == (
        "The image must be at least 16 pixels wide and high",
        {"width": width, "height": height, "min_allowed": 16, "unit": "pixels"},
    )


def test_images_that_are_none() -> None:
    assert refused(UnsupportedImageFormat, image=b"a letter") == ("The image is not a PNG, JPEG or WebP", None)
    assert refused(UnsupportedImageFormat, image=b"GIF89a") == (
        "The image is not a PNG, JPEG or WebP but a GIF",
        {"format": "GIF"},
    )
    assert refused(InvalidImage, image=PHOTO[:60]) == ("The image is corrupt or incomplete", None)
    assert refused(UnsupportedImageFormat, image=pictures.animated_png(40, 30)) == (
        "Animated images are not supported",
        {"format": "PNG", "frames": 2, "max_allowed": 1},
    )


# --- the picture that would come out ---------------------------------------------------------------------------------


def test_pixels_of_the_output() -> None:
    free = replace(SIDES, max_output_pixels=None)
    assert parsed(asked(free), free, max_output_pixels=50 * 30).placement.width == 50
    assert refused(ImageTooLarge, free, most=50 * 30 - 1) == (
        "The extended image would be too large",
        {"width": 50, "height": 30, "max_megapixels": 0.001499},
    )


def test_the_provider_may_have_an_output_limit_of_its_own() -> None:
    own = replace(SIDES, max_output_pixels=1_000_000)
    assert parsed(asked(own), own, max_output_pixels=1).placement.width == 50
    assert refused(ImageTooLarge, own, sides=Sides(left=2000, down=2000)) == (
        "The extended image would be too large",
        {"width": 2040, "height": 2030, "max_megapixels": 1},
    )


def test_sides_of_the_output() -> None:
    wide = pictures.photo_webp(16_380, 1)
    facts = replace(LOCAL, geometry=replace(LOCAL.geometry, min_photo_edge=1))
    assert parsed(asked(facts, image=wide, sides=Sides(left=3)), facts).placement.width == 16_383
    assert refused(ImageTooLarge, facts, image=wide, sides=Sides(left=4)) == (
        "The extended image would be too large for WEBP",
        {"width": 16_384, "height": 1, "max_allowed": 16_383, "unit": "pixels a side"},
    )


# --- the mask --------------------------------------------------------------------------------------------------------


def test_the_mask_is_checked() -> None:
    message, details = refused(InvalidMask, MASKS, mask=pictures.mask_png(30, 40))
    assert message == "The mask must have the same width and height as the image"
    assert details == {"rule": "dimensions", "expected": "40x30", "actual": "30x40"}


# --- the order -------------------------------------------------------------------------------------------------------


def test_cheap_checks_come_first() -> None:
    """Every request here is wrong in all later ways as well."""
    tiny = replace(SIDES, upload=replace(SIDES.upload, max_bytes=4))
    steps: list[tuple[type[InvalidRequest], dict[str, Any]]] = [
        (InvalidFieldValue, {"organization_id": "nobody"}),
        (InvalidFieldValue, {"mask": b"none"}),
        (InvalidExtendParameters, {"sides": Sides()}),
        (InvalidFieldValue, {"seed": -1}),
        (ImageTooLarge, {"image": b"no image at all"}),
        (UnsupportedImageFormat, {"image": b"none"}),
    ]
    for number, (kind, _) in enumerate(steps):
        wishes = {name: value for _, wrong in reversed(steps[number:]) for name, value in wrong.items()}
        refused(kind, tiny, **wishes)


@pytest.mark.parametrize(
    ("channels", "bits", "most"), [(1, 8, 1250), (3, 8, 1250), (4, 8, 1250), (3, 16, 833), (4, 16, 625)]
)
def test_a_photo_is_near_the_largest_picture_and_less_if_it_is_deep(channels: int, bits: int, most: int) -> None:
    header = replace(open_file(PHOTO).header, channels=channels, bits=bits, height=1, width=most)
    check_depth(header, 1000)
    with pytest.raises(ImageTooLarge) as caught:
        check_depth(replace(header, width=most + 1), 1000)
    assert caught.value.details == {
        "width": most + 1,
        "height": 1,
        "bits": bits,
        "max_allowed": most,
        "unit": "pixels",
    }
