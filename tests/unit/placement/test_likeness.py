"""An answer that shows the photo belongs, however badly it is repainted; another picture does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from uncrop.errors import ProviderInvalidResponse
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg import pixels as jpeg
from uncrop.model import Fill, PictureFacts, Sides, Task, UncropRequest
from uncrop.placement.likeness import check_belongs
from uncrop.providers.openai.facts import FACTS
from uncrop.testing.pictures import photo
from uncrop.testing.workbench import make_task

Bytes = np.ndarray[Any, Any]
SIZES = [(320, 240), (1200, 300), (96, 64)]
NAMES = [f"{width}x{height}" for width, height in SIZES]


def task_of(pixels: Bytes, mask: Bytes | None = None, **sides: int) -> Task:
    file = None
    if mask is not None:
        shown = np.zeros((*mask.shape, 4), np.uint8)
        shown[..., 3] = np.where(mask, 0, 255)
        file = codec.encode(shown, "PNG")
    request = UncropRequest(provider="", image=codec.encode(pixels, "PNG"), mask=file, sides=Sides(**sides))
    return make_task(request, FACTS)


def fill_of(pixels: Bytes, *, keeps_original: bool = False) -> Fill:
    facts = PictureFacts(provider="openai", request_id="r")
    return Fill(pixels=np.ascontiguousarray(pixels), facts=facts, keeps_original=keeps_original)


def belongs(task: Task, pixels: Bytes) -> bool:
    try:
        check_belongs(task, fill_of(pixels))
    except ProviderInvalidResponse:
        return False
    return True


def blurred(pixels: Bytes) -> Bytes:
    height, width = pixels.shape[:2]
    return codec.resize(codec.resize(pixels, max(width // 8, 1), max(height // 8, 1)), width, height)


def larger(pixels: Bytes) -> Bytes:
    height, width = pixels.shape[:2]
    left, top = width * 0.025 + width * 0.01, height * 0.025
    return codec.resize(pixels, width, height, box=(left, top, left + width * 0.95, top + height * 0.95))


def toned(pixels: Bytes) -> Bytes:
    return np.clip(pixels * 0.6 + (50, 10, 30), 0, 255).astype(np.uint8)


def noisy(pixels: Bytes) -> Bytes:
    return np.clip(pixels + np.random.default_rng(1).normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)


def compressed(pixels: Bytes) -> Bytes:
    return np.asarray(codec.decode(open_file(jpeg.write(pixels, quality=8, subsampling="420"))))


def all_of_it(pixels: Bytes) -> Bytes:
    return compressed(noisy(toned(larger(pixels))))


HONEST = [np.copy, blurred, larger, toned, noisy, compressed, all_of_it]
WRONG = {
    "another photo upside down": lambda pixels: photo(pixels.shape[1], pixels.shape[0], seed=8)[::-1],
    "itself upside down": lambda pixels: pixels[::-1],
    "black": np.zeros_like,
    "noise": lambda pixels: np.random.default_rng(2).integers(0, 256, pixels.shape, np.uint8),
    "itself inverted": lambda pixels: 255 - pixels,
    "half of it moved": lambda pixels: np.roll(pixels, (pixels.shape[0] // 2, pixels.shape[1] // 2), (0, 1)),
}


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
@pytest.mark.parametrize("repaint", HONEST)
def test_an_honest_repaint_belongs(repaint: Any, size: tuple[int, int]) -> None:
    pixels = np.asarray(photo(*size))
    mask = np.zeros(pixels.shape[:2], bool)
    mask[:, size[0] // 2 :] = True
    assert belongs(task_of(pixels, mask), repaint(pixels))
    whole = np.pad(pixels, ((0, 16), (32, 0), (0, 0)), mode="edge")
    assert belongs(task_of(pixels, left=32, down=16), repaint(whole))


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
@pytest.mark.parametrize("wrong", WRONG)
def test_another_picture_does_not(wrong: str, size: tuple[int, int]) -> None:
    pixels = np.asarray(photo(*size))
    whole = np.pad(pixels, ((0, 16), (32, 0), (0, 0)), mode="edge")
    assert not belongs(task_of(pixels, left=32, down=16), WRONG[wrong](whole))


def test_the_size_of_the_answer_does_not_matter() -> None:
    pixels = np.asarray(photo(320, 240))
    for width, height in ((80, 60), (517, 391), (960, 720)):
        assert belongs(task_of(pixels, left=0, right=4), codec.resize(pixels, width, height))
        assert not belongs(task_of(pixels, right=4), codec.resize(np.ascontiguousarray(pixels[::-1]), width, height))


@pytest.mark.parametrize(
    ("pixels", "masked"),
    [
        (np.full((200, 300, 3), 90, np.uint8), 0),
        (np.asarray(photo(5, 5)), 0),
        (np.asarray(photo(300, 1)), 0),
        (np.asarray(photo(300, 200)), 299),
        (np.asarray(photo(300, 200)), 300),
    ],
    ids=["flat", "tiny", "a line", "mostly masked", "masked whole"],
)
def test_what_proves_nothing_is_let_through(pixels: Bytes, masked: int) -> None:
    mask = np.zeros(pixels.shape[:2], bool)
    mask[:, :masked] = True
    task = task_of(pixels, mask) if masked else task_of(pixels, left=8)
    assert belongs(task, np.zeros_like(pixels))


def test_only_what_stays_is_compared() -> None:
    pixels = np.asarray(photo(320, 240))
    mask = np.zeros((240, 320), bool)
    mask[:, 100:] = True
    assert belongs(task_of(pixels, mask), np.where(mask[..., None], pixels[::-1], pixels).astype(np.uint8))
    assert not belongs(task_of(pixels, mask), np.where(mask[..., None], pixels, pixels[::-1]).astype(np.uint8))


def test_a_fill_that_kept_the_original_is_not_looked_at() -> None:
    pixels = np.asarray(photo(320, 240))
    check_belongs(task_of(pixels, left=4), fill_of(pixels[::-1], keeps_original=True))


def test_a_photo_of_three_rows_of_cells_is_let_through() -> None:
    def blocks(seed: int) -> Bytes:
        small = np.random.default_rng(seed).integers(0, 255, (2, 40, 3)).astype(np.uint8)
        return np.repeat(np.repeat(small, 16, axis=0), 16, axis=1)

    task = task_of(blocks(1), left=8)
    # So few rows fit another picture as well, somewhere.
    for seed in (1, 2):
        assert belongs(task, np.pad(blocks(seed), ((0, 0), (8, 0), (0, 0)), mode="edge"))
