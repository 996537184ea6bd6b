"""What cannot be extended is refused before any work, with the rule and the value."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.engine import extend
from uncrop.errors import InvalidExtendParameters, InvalidFieldValue, InvalidImage
from uncrop.model import Sides

GOOD = np.zeros((20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "message", "details"),
    [
        ([[1]], "The image is not an array", {"type": "list"}),
        (GOOD.astype(np.float64), "The image has neither 8 nor 16 bits a channel", {"dtype": "float64"}),
        (np.full((20, 30, 3), np.nan), "The image has neither 8 nor 16 bits a channel", {"dtype": "float64"}),
        (GOOD.astype(np.int16), "The image has neither 8 nor 16 bits a channel", {"dtype": "int16"}),
        (GOOD[:, :, 0], "The image is not (height, width, 1 to 4)", {"shape": [20, 30]}),
        (np.zeros((20, 30, 5), np.uint8), "The image is not (height, width, 1 to 4)", {"shape": [20, 30, 5]}),
        (np.zeros((20, 30, 0), np.uint8), "The image is not (height, width, 1 to 4)", {"shape": [20, 30, 0]}),
        (GOOD[:15], "The image is smaller than 16x16", {"width": 30, "height": 15, "min_side": 16}),
        (GOOD[:, :15], "The image is smaller than 16x16", {"width": 15, "height": 20, "min_side": 16}),
    ],
)
def test_images(image, message, details):
    with pytest.raises(InvalidImage) as caught:
        extend(image, Sides(left=1), seed=0)
    assert (caught.value.message, caught.value.details) == (message, details)


@pytest.mark.parametrize(
    ("sides", "message", "details"),
    [
        (Sides(), "At least one extend parameter must be non-zero", None),
        (
            Sides(left=65_501, up=-65_501, down=65_500),
            "Extend parameters exceed 65500px",
            {"extend_left": 65_501, "extend_up": -65_501, "max_allowed": 65_500},
        ),
        (
            Sides(left=-30, down=5),
            "Negative extend parameters leave nothing of the image",
            {"width": 30, "height": 20, "remaining_width": 0, "remaining_height": 20},
        ),
        (
            Sides(up=-10, down=-10),
            "Negative extend parameters leave nothing of the image",
            {"width": 30, "height": 20, "remaining_width": 30, "remaining_height": 0},
        ),
        (Sides(left=1.5), "Extend parameters must be integers", {"extend_left": "1.5"}),  # type: ignore[arg-type]
    ],
)
def test_sides(sides, message, details):
    with pytest.raises(InvalidExtendParameters) as caught:
        extend(GOOD, sides, seed=0)
    assert (caught.value.message, caught.value.details) == (message, details)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, None])
def test_seeds(seed):
    with pytest.raises(InvalidFieldValue) as caught:
        extend(GOOD, Sides(left=1), seed=seed)
    assert caught.value.message == "seed must be an integer from 0 to 4294967295"
    assert caught.value.details == {"seed": repr(seed)}


def test_qualities():
    with pytest.raises(InvalidFieldValue) as caught:
        extend(GOOD, Sides(left=1), seed=0, quality="perfect")  # type: ignore[arg-type]
    assert caught.value.message == "quality must be fast, standard or best"
    assert caught.value.details == {"quality": "'perfect'"}


def test_refusals_are_value_errors():
    for error in (InvalidImage, InvalidExtendParameters, InvalidFieldValue):
        assert issubclass(error, ValueError)
