"""In which colour space a provider painted that does not say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uncrop.finish.space import read_as_srgb
from uncrop.finish.work import Work
from uncrop.geometry.sides import placement_of_sides
from uncrop.imaging.colour.convert import between
from uncrop.imaging.colour.profiles import SRGB_CURVE, Primaries, rgb_profile
from uncrop.model import Sides

P3 = rgb_profile(Primaries(red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06)), SRGB_CURVE)
BROKEN = b"\0\0\0\xc8" + b"\0" * 12 + b"RGB " + b"\0" * 16 + b"acsp" + b"\0" * 160


def scene() -> np.ndarray:
    y, x = np.mgrid[:64, :96]
    return np.stack((60 + 1.5 * x, 200 - 2 * y, 40 + x), axis=-1).clip(0, 255).astype(np.uint8)


def work_of(made: np.ndarray, icc: bytes | None, opacity: np.ndarray | None = None) -> Work:
    """The canvas is the scene, of which all but 32 columns on the right is the photo."""
    canvas = placement_of_sides(64, 64, Sides(right=32))
    return Work(
        canvas=canvas,
        original=scene()[:, :64],
        opacity=opacity,
        pixels=made,
        exact_size=True,
        icc=icc,
        repaint_difference=9,
    )


def in_srgb() -> np.ndarray:
    made = between(scene(), P3, None)
    assert made is not None
    return made


def test_numbers_that_became_srgb_are_taken_back() -> None:
    work = read_as_srgb(work_of(in_srgb(), P3))
    assert np.abs(work.pixels.astype(int) - scene()).mean() < 2
    assert work.repaint_difference is not None
    assert work.repaint_difference < 2


@pytest.mark.parametrize("repaint", [0, 6])
def test_numbers_that_were_kept_stay(repaint: int) -> None:
    made = (scene().astype(int) + repaint).clip(0, 255).astype(np.uint8)
    work = work_of(made, P3)
    assert read_as_srgb(work) is work


def test_where_the_photo_is_srgb_there_is_nothing_to_decide() -> None:
    work = work_of(in_srgb(), None)
    assert read_as_srgb(work) is work


def test_a_profile_that_does_not_work_decides_nothing() -> None:
    work = work_of(in_srgb(), BROKEN)
    assert read_as_srgb(work) is work


def test_only_what_is_kept_of_the_photo_decides() -> None:
    opacity = np.zeros((64, 64), np.uint8)
    work = work_of(in_srgb(), P3, opacity)
    assert read_as_srgb(work) is work
    opacity = opacity.copy()
    opacity[:, :32] = 255
    assert read_as_srgb(replace(work, opacity=opacity)) is not work
