import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uncrop.finish import kernels, seam, seam_kernels
from uncrop.finish.paste import paste_original
from uncrop.finish.pipeline import finish, warm_up
from uncrop.finish.seam import REACH
from uncrop.finish.work import begin, scale_photo
from uncrop.geometry.notations import sides_of
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.sizes import placement_of_size
from uncrop.imaging import resample_kernels
from uncrop.model import (
    Fill,
    ImageHeader,
    Job,
    Metadata,
    OpenedFile,
    PictureFacts,
    Placement,
    ProviderFacts,
    Sides,
    Task,
    UncropRequest,
)
from uncrop.placement import kernels as comparing
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.openai.facts import FACTS as OPENAI


def task_of(photo: np.ndarray, canvas: Placement, mask: np.ndarray | None = None, of: ProviderFacts = CLIPDROP) -> Task:
    height, width, channels = photo.shape
    header = ImageHeader(
        format="PNG",
        width=width,
        height=height,
        channels=channels,  # type: ignore[arg-type]
        bits=8,
        mode="RGB",
        orientation=1,
        jpeg=None,
        metadata=Metadata(),
    )
    job = Job(
        request=UncropRequest(provider=of.name, image=b""),
        provider=of,
        photo_file=OpenedFile(data=b"", header=header, layout=None),
        placement=canvas,
        sides=sides_of(canvas, width, height),
        output_size=(canvas.width, canvas.height),
        seed=None,
        quality="standard",
        answer_format="PNG",
    )
    return Task(job=job, photo=photo, mask=mask)


def fill_of(pixels: np.ndarray, **facts: Any) -> Fill:
    return Fill(pixels=pixels, facts=PictureFacts(provider="clipdrop", request_id="req_1", **facts))


def scene(height: int, width: int) -> np.ndarray:
    """A smooth picture with some grain, in the middle of the range."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack((90 + 0.2 * x, 100 + 0.15 * y, 110 + 0.1 * (x + y)), axis=-1)
    grain = np.random.default_rng(3).normal(0, 2, smooth.shape)
    return np.clip(np.rint(smooth + grain), 0, 255).astype(np.uint8)


def cut(whole: np.ndarray, sides: Sides) -> tuple[np.ndarray, Placement]:
    """The photo that `sides` extends to the whole."""
    height, width = whole.shape[:2]
    photo = whole[sides.up : height - sides.down, sides.left : width - sides.right]
    return photo, placement_of_sides(photo.shape[1], photo.shape[0], sides)


SIDES = [Sides(left=40, right=24), Sides(up=33), Sides(left=17, right=1, up=9, down=64), Sides(down=50)]


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_the_original_comes_back_exactly(sides: Sides) -> None:
    photo, canvas = cut(scene(150, 170), sides)
    noise = np.random.default_rng(1).integers(0, 256, (150, 170, 3), dtype=np.uint8)
    picture = finish(task_of(photo, canvas), fill_of(noise))
    inside = picture.pixels[sides.up : 150 - sides.down, sides.left : 170 - sides.right]
    assert np.array_equal(inside, photo)
    assert picture.pixels.shape == (150, 170, 3)
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("offset", [-20, 15])
def test_a_cast_of_colour_is_taken_out_of_what_was_made(sides: Sides, offset: int) -> None:
    whole = scene(150, 170)
    photo, canvas = cut(whole, sides)
    cast = (whole.astype(int) + np.array([offset, 0, -offset])).clip(0, 255).astype(np.uint8)
    picture = finish(task_of(photo, canvas), fill_of(cast))
    assert np.abs(picture.pixels.astype(int) - whole).max() <= 1
    assert picture.repaint_difference == pytest.approx(2 / 3 * abs(offset))


def test_a_cast_that_changes_over_the_frame_is_followed() -> None:
    whole = scene(200, 300)
    photo, canvas = cut(whole, Sides(left=60, right=60))
    ramp = np.linspace(-16, 16, 300)[None, :, None]
    picture = finish(task_of(photo, canvas), fill_of(np.rint(whole + ramp).astype(np.uint8)))
    difference = np.abs(picture.pixels.astype(int) - whole)
    before = np.abs(ramp)[0, :60].mean()
    assert difference[:, :60].mean() < 0.6 * before
    assert difference[:, 55:60].max() <= 4


def test_a_step_at_the_border_fades_out_within_a_few_pixels() -> None:
    photo = np.full((64, 64, 3), 100, np.uint8)
    canvas = placement_of_sides(64, 64, Sides(right=64))
    made = np.full((64, 128, 3), 100, np.uint8)
    made[:, 60:] = 130  # the provider's version of the border is too light, its inner part is right
    line = finish(task_of(photo, canvas), fill_of(made)).pixels[32, :, 0].astype(int)
    assert (line[:64] == 100).all()
    assert abs(line[64] - 100) <= 4
    assert (np.diff(line[64:]) >= 0).all()


def test_nothing_changes_where_nothing_differs() -> None:
    whole = scene(120, 140)
    photo, canvas = cut(whole, Sides(left=20, right=20, up=20, down=20))
    picture = finish(task_of(photo, canvas), fill_of(whole.copy()))
    assert np.array_equal(picture.pixels, whole)
    assert picture.repaint_difference == 0
    assert picture.warnings == ()


def test_another_size_is_resized_and_said() -> None:
    whole = np.full((100, 120, 3), 90, np.uint8)
    photo, canvas = cut(whole, Sides(left=20))
    picture = finish(task_of(photo, canvas), fill_of(np.full((50, 60, 3), 90, np.uint8)))
    assert picture.pixels.shape == (100, 120, 3)
    assert picture.warnings == (
        "the provider sent 60x50; resized to 120x100",
        "what was made was enlarged 2.0 times to the canvas",
    )


@pytest.mark.parametrize(
    ("size", "warnings"),
    [
        ((80, 60), ()),  # by 1.5: not yet
        ((79, 59), ("what was made was enlarged 1.5 times to the canvas",)),
        ((120, 29), ("what was made was enlarged 3.1 times to the canvas",)),
        ((240, 180), ()),
    ],
)
def test_what_had_to_be_enlarged_much_is_said(size: tuple[int, int], warnings: tuple[str, ...]) -> None:
    photo = np.full((90, 120, 3), 90, np.uint8)
    task = task_of(photo, placement_of_size(120, 90, None), np.ones((90, 120), bool), OPENAI)
    picture = finish(task, fill_of(np.full((*size[::-1], 3), 90, np.uint8)))
    assert picture.pixels.shape == (90, 120, 3)
    assert picture.warnings == warnings


def test_a_provider_with_sizes_of_its_own_is_resized_silently() -> None:
    photo = np.full((60, 80, 3), 90, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[:, :20] = True
    task = task_of(photo, placement_of_size(80, 60, None), mask, OPENAI)
    picture = finish(task, fill_of(np.full((120, 160, 3), 90, np.uint8)))
    assert picture.pixels.shape == (60, 80, 3)
    assert picture.warnings == ()


def test_under_the_mask_the_made_pixels_stay_and_elsewhere_the_original() -> None:
    photo = scene(96, 96)
    mask = np.zeros((96, 96), bool)
    mask[:, 64:] = True
    made = np.random.default_rng(2).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    picture = finish(task_of(photo, placement_of_size(96, 96, None), mask, OPENAI), fill_of(made.copy()))
    assert np.array_equal(picture.pixels[:, :64], photo[:, :64])
    change = np.abs(picture.pixels.astype(int) - made)
    assert change[:, 64 + REACH :].max() <= 33  # the colour alone
    assert change[:, 64:].max() <= 81  # and the seam
    assert not np.array_equal(picture.pixels[:, 64:], photo[:, 64:])


def test_when_everything_is_masked_there_is_no_difference_to_tell() -> None:
    photo = scene(32, 32)
    made = np.full((32, 32, 3), 7, np.uint8)
    task = task_of(photo, placement_of_size(32, 32, None), np.ones((32, 32), bool), OPENAI)
    picture = finish(task, fill_of(made.copy()))
    assert picture.repaint_difference is None
    assert np.array_equal(picture.pixels, made)


def test_a_photo_scaled_to_the_size_asked_for_lies_centred() -> None:
    photo = np.full((50, 100, 3), 200, np.uint8)
    mask = np.zeros((50, 100), bool)
    mask[:, 90:] = True
    canvas = placement_of_size(100, 50, (200, 200))
    picture = finish(task_of(photo, canvas, mask, OPENAI), fill_of(np.full((200, 200, 3), 200, np.uint8)))
    assert picture.pixels.shape == (200, 200, 3)
    assert (picture.pixels[60:140, :170] == 200).all()


def test_transparent_parts_show_what_was_made_and_half_transparent_ones_mix() -> None:
    photo = np.full((16, 24, 4), 100, np.uint8)
    photo[..., 3] = 255
    photo[:4, :, 3] = 0
    photo[4:8, :, 3] = 102
    canvas = placement_of_sides(24, 16, Sides(right=8))
    made = np.full((16, 32, 3), 100, np.uint8)
    made[:8] = 150
    picture = finish(task_of(photo, canvas), fill_of(made)).pixels
    assert (picture[8:, :24] == 100).all()
    top, middle = picture[:4, :24].astype(int), picture[4:8, :24].astype(int)
    assert top.min() > 110
    assert 100 < middle.mean() < top.mean()


def test_a_transparent_photo_scaled_to_a_size_keeps_its_transparency() -> None:
    photo = np.full((40, 40, 4), 100, np.uint8)
    photo[:, :20, 3] = 0
    photo[:, 20:, 3] = 255
    mask = np.zeros((40, 40), bool)
    task = task_of(photo, placement_of_size(40, 40, (80, 80)), mask, OPENAI)
    picture = finish(task, fill_of(np.full((80, 80, 3), 104, np.uint8))).pixels
    assert (picture[:, 60:] == 100).all()


def test_an_opaque_alpha_channel_is_as_none() -> None:
    photo = np.dstack((scene(40, 40), np.full((40, 40), 255, np.uint8)))
    canvas = placement_of_sides(40, 40, Sides(left=8))
    picture = finish(task_of(photo, canvas), fill_of(scene(40, 48)))
    assert np.array_equal(picture.pixels[:, 8:], photo[..., :3])


def test_a_photo_smaller_than_a_block_is_only_pasted() -> None:
    photo = scene(5, 5)
    canvas = placement_of_sides(5, 5, Sides(left=3, up=3))
    picture = finish(task_of(photo, canvas), fill_of(np.zeros((8, 8, 3), np.uint8)))
    assert np.array_equal(picture.pixels[3:, 3:], photo)


def test_a_crop_leaves_only_the_part_that_is_used() -> None:
    photo = scene(40, 60)
    canvas = placement_of_sides(60, 40, Sides(left=-20, right=10))
    picture = finish(task_of(photo, canvas), fill_of(np.zeros((40, 50, 3), np.uint8)))
    assert np.array_equal(picture.pixels[:, :40], photo[:, 20:])


def test_pixels_that_may_not_be_written_to_are_copied() -> None:
    photo, canvas = cut(scene(40, 60), Sides(left=20))
    made = np.zeros((40, 60, 3), np.uint8)
    made.flags.writeable = False
    finish(task_of(photo, canvas), fill_of(made))
    assert (made == 0).all()


def test_a_fill_that_kept_the_original_is_left_alone() -> None:
    photo = np.zeros((16, 16, 1), np.uint16)
    pixels = np.arange(16 * 20, dtype=np.uint16).reshape(16, 20, 1)
    fill = replace(fill_of(pixels), keeps_original=True)
    picture = finish(task_of(photo, placement_of_sides(16, 16, Sides(left=4))), fill)
    assert picture.pixels is pixels
    assert picture.repaint_difference is None


def test_a_photo_without_mask_can_be_scaled_to_a_size() -> None:
    photo = np.full((40, 40, 3), 100, np.uint8)
    picture = finish(task_of(photo, placement_of_size(40, 40, (120, 60))), fill_of(np.full((60, 120, 3), 90, np.uint8)))
    assert (picture.pixels[:, 30:90] == 100).all()


def test_a_ragged_mask_keeps_every_pixel_that_stays() -> None:
    photo = scene(100, 100)
    mask = np.random.default_rng(5).random((100, 100)) < 0.5
    mask[:10] = True
    mask[:, :10] = False
    made = np.random.default_rng(6).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    picture = finish(task_of(photo, placement_of_size(100, 100, None), mask, OPENAI), fill_of(made)).pixels
    assert np.array_equal(picture[~mask], photo[~mask])
    assert not np.array_equal(picture[mask], photo[mask])


# --- the kernels -----------------------------------------------------------------------------------------------------

KERNELS = {kernels: ("sample_means", "kept_differences", "add_field", "lay_over"), seam_kernels: ("smooth", "bend")}
INLINED = {kernels: ("_widen", "_mix"), seam_kernels: ("_take_mean",)}


def every_path() -> list[np.ndarray]:
    """Pictures that take every branch of the kernels: with and without a mask, cast, half transparent."""
    whole = scene(48, 52)
    photo, canvas = cut(whole, Sides(left=10, right=6, up=5, down=11))
    cast = np.clip(whole.astype(int) + np.array([30, 0, -40]), 0, 255).astype(np.uint8)
    mask = np.zeros(photo.shape[:2], bool)
    mask[:, 30:] = True
    faded = np.dstack((photo, np.full(photo.shape[:2], 255, np.uint8)))
    faded[:, 17:20, 3] = 102
    return [
        finish(task_of(photo, canvas), fill_of(cast.copy())).pixels,
        finish(task_of(photo, canvas, mask, OPENAI), fill_of(cast.copy())).pixels,
        finish(task_of(faded, canvas), fill_of(cast.copy())).pixels,
    ]


def all_kernels() -> list[Any]:
    told = {**KERNELS, comparing: ("cell_means", "cells_kept"), resample_kernels: ("across", "down")}
    return [getattr(module, name) for module, names in told.items() for name in names]


def test_the_kernels_say_the_same_without_being_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    # Narrow bands of rows, so that some lie beside the photo and some rows of each band are another one's.
    monkeypatch.setattr(seam, "BAND", 2)
    monkeypatch.setattr(seam, "MARGIN", 2)
    compiled = every_path()
    for module, names in (*KERNELS.items(), *INLINED.items()):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).py_func)
    for one, other in zip(every_path(), compiled, strict=True):
        assert np.array_equal(one, other)


WARMED_UP = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from uncrop import engine
engine.use_cache(Path({kernels!r}))
from test_finish import all_kernels, every_path
from uncrop.finish.pipeline import warm_up
from uncrop.imaging import codec
codec.warm_up()
warm_up()
before = [list(compiled.signatures) for compiled in all_kernels()]
every_path()
assert [compiled.signatures for compiled in all_kernels()] == before
"""


def test_warming_up_compiles_all_that_is_needed(kernels: Path) -> None:
    # In a process of its own: in this one, other tests have compiled what warming up might forget.
    code = WARMED_UP.format(path=sys.path, kernels=str(kernels))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_warming_up_where_all_is_compiled_changes_nothing() -> None:
    warm_up()
    before = [list(compiled.signatures) for compiled in all_kernels()]
    warm_up()
    assert [compiled.signatures for compiled in all_kernels()] == before


def test_a_half_transparent_pixel_is_mixed_to_the_nearest_level() -> None:
    photo = np.full((16, 16, 4), 200, np.uint8)
    photo[:, 8:, 3] = 102
    task = task_of(photo, placement_of_sides(16, 16, Sides(left=1)))
    made = np.random.default_rng(8).integers(0, 256, (16, 17, 3), np.uint8)
    work = begin(task, fill_of(made.copy()))
    share = np.float32(102) / np.float32(255)
    wanted = np.rint(200 * share + made[:, 9:].astype(np.float32) * (1 - share))
    assert np.array_equal(paste_original(work).pixels[:, 9:], wanted)


def test_a_photo_that_was_scaled_before_is_not_scaled_again() -> None:
    photo = scene(40, 60)
    task = task_of(photo, placement_of_size(60, 40, (90, 90)), None, OPENAI)
    scaled = scale_photo(photo, task.job.placement)
    assert scaled is not None
    made = np.full((90, 90, 3), 90, np.uint8)
    picture = finish(replace(task, scaled=scaled), fill_of(made.copy())).pixels
    assert np.array_equal(picture, finish(task, fill_of(made.copy())).pixels)
    assert np.array_equal(picture[15:75], scaled)
    assert scale_photo(photo, placement_of_sides(60, 40, Sides(left=-8, right=3))) is None
