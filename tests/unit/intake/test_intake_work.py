"""What would take too much of the engine is refused by its header, and nothing of an ordinary shape is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from uncrop.errors import ImageTooLarge
from uncrop.imaging.header import open_file
from uncrop.intake.limits import check_work
from uncrop.intake.parse import shape_for
from uncrop.model import ImageHeader, Sides, UncropRequest
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.local.facts import FACTS as LOCAL
from uncrop.testing.pictures import photo_png

SMALL = open_file(photo_png(16, 16)).header


def a_photo_of(width: int, height: int, *, channels: int = 3, bits: int = 8) -> ImageHeader:
    return replace(SMALL, width=width, height=height, channels=channels, bits=bits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "height", "wishes"),
    [
        (2_000_000, 16, {"sides": Sides(right=16)}),
        (2_000_000, 16, {"sides": Sides(left=-5, up=2)}),
        (16, 2_000_000, {"sides": Sides(down=16)}),
        (1_200_000, 16, {"sides": Sides(up=1, down=15)}),
        (1_100_000, 23, {"sides": Sides(up=13)}),
        (1_500_000, 20, {"canvas_width": 1_500_010, "canvas_height": 24}),
        (1_200_000, 20, {"zoom_out": 10}),
    ],
)
def test_what_is_too_long_and_thin_is_refused_by_its_header(width: int, height: int, wishes: dict[str, Any]) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        shape_for(
            UncropRequest(provider="local", image=b"", **wishes),
            a_photo_of(width, height),
            LOCAL,
            max_output_pixels=40_000_000,
        )
    assert caught.value.message == "The image is too long and thin to be extended here"
    told = caught.value.details or {}
    assert (told["width"], told["height"], told["max_allowed"], told["unit"]) == (width, height, 1249, "megabytes")
    assert told["needed"] > 1249


@pytest.mark.parametrize(
    ("width", "height", "sides"),
    [
        (6000, 6000, Sides(left=600)),
        (7000, 7000, Sides(left=-1300, up=50)),
        (8000, 4990, Sides(down=10)),
        (100_000, 16, Sides(up=300)),
        (16, 100_000, Sides(left=300)),
        (500_000, 16, Sides(right=16)),
        (500_000, 16, Sides(up=64)),
        (100_000, 300, Sides(right=1000, up=50)),
        (16, 16, Sides(left=6000, down=6000)),
        (2_000_000, 16, Sides(left=-1_900_000, up=300)),
    ],
)
@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 8), (4, 8), (4, 16)])
def test_no_picture_of_an_ordinary_shape_is_refused_for_its_work(
    width: int, height: int, sides: Sides, channels: int, bits: int
) -> None:
    header = a_photo_of(width, height, channels=channels, bits=bits)
    check_work(header, sides, LOCAL, 40_000_000)
    check_work(header, sides, CLIPDROP, 1)  # it cannot tell
