"""Every geometry on every remote provider's emulator, and canvases that take several calls.

What is checked of each picture: its size, where the photo lies, that the photo's own pixels are untouched, that nothing
black or flat was put in place of what should be made, and that the emulator, as strict as its provider's documents,
took every call.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import numpy as np
import pytest

from uncrop.admission.admission import Admission
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.errors import ImageTooLarge, ProviderError
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import Sides, UncropRequest, UncropResult
from uncrop.providers.commitment import Commitment
from uncrop.providers.registry import load_rows
from uncrop.providers.transport.sender import Sender
from uncrop.testing import Emulator, emulator_of, outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo, photo_png
from uncrop.testing.workbench import make_context, make_registry
from uncrop.uncropper import Uncropper

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = load_rows(())
REMOTE = [name for name, row in ROWS.items() if not row.computes_here]
PHOTOS = {"portrait": (300, 420), "landscape": (512, 320), "tiny": (48, 40)}
GEOMETRIES: dict[str, dict[str, Any]] = {
    "sides": {"sides": Sides(left=60, right=24, up=8)},
    "a side that is cropped": {"sides": Sides(left=-8, down=40)},
    "a ratio": {"aspect_ratio": "16:9"},
    "a ratio with an anchor": {"aspect_ratio": "3:4", "anchor": "bottom"},
    "a canvas": {"canvas_width": 620, "canvas_height": 500},
    "a canvas and a place": {"canvas_width": 555, "canvas_height": 444, "canvas_x": 3, "canvas_y": -8},
    "zooming out": {"zoom_out": 30, "anchor": "top-left"},
}
# A few of all that run every day: each geometry, each photo and each provider at least once.
EVERY_DAY = {
    ("sides", "portrait", "clipdrop"),
    ("sides", "tiny", "stability"),
    ("a side that is cropped", "landscape", "bria"),
    ("a ratio", "portrait", "openai"),
    ("a ratio with an anchor", "landscape", "bfl"),
    ("a canvas", "tiny", "bfl"),
    ("a canvas and a place", "portrait", "stability"),
    ("zooming out", "landscape", "clipdrop"),
    ("zooming out", "tiny", "openai"),
    ("a canvas", "landscape", "comfyui"),
    ("sides", "portrait", "sdapi"),
}
CASES = [
    pytest.param(
        geometry,
        shape,
        provider,
        id=f"{geometry}, {shape}, {provider}",
        marks=() if (geometry, shape, provider) in EVERY_DAY else pytest.mark.slow,
    )
    for geometry in GEOMETRIES
    for shape in PHOTOS
    for provider in REMOTE
]
SEAM = 1.5  # standard deviations of the same measure inside the photo
# The web UI's model makes whole cells of 8 x 8 pixels, those in which the photo ends too: up to seven pixels beyond its
# border are guessed, and what was guessed from them meets the photo's own.
SEAM_OF_CELLS = 3.0


class World:
    """An uncropper on emulators of all remote providers."""

    def __init__(self, uncropper: Uncropper, emulators: dict[str, Emulator]) -> None:
        self.uncropper = uncropper
        self.emulators = emulators

    def submits(self, provider: str) -> int:
        return len(self.emulators[provider].submits)

    async def make(self, provider: str, image: bytes, **wishes: Any) -> UncropResult:
        request = UncropRequest(provider=provider, image=image, answer_format="PNG", **wishes)
        return await self.uncropper.run(request)


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Emulator]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(emulator_of(ROWS[name])()) for name in REMOTE}


@pytest.fixture
async def world(emulators: dict[str, Emulator]) -> AsyncIterator[World]:
    async with Sender(sleep=do_not_wait) as send:
        context = replace(make_context(send=send, timeout_s=600), sleep=do_not_wait)
        registry = make_registry(context, urls={name: each.url for name, each in emulators.items()})
        capacity = Capacity(slots=Slots(1, 0))
        uncropper = Uncropper(
            registry=registry,
            admission=Admission(capacity=capacity),
            capacity=capacity,
            max_output_pixels=40_000_000,
        )
        yield World(uncropper, emulators)


async def do_not_wait(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


def check_picture(result: UncropResult, source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Check that the photo stands where the answer says, bit by bit, and that something was made around it."""
    made = codec.decode_8bit(open_file(result.image))
    placement = result.placement
    assert placement is not None
    assert made.shape == (placement.height, placement.width, 3) == (result.height, result.width, 3)
    kept, used = placement.kept, placement.source
    inside = made[kept.y : kept.y + kept.height, kept.x : kept.x + kept.width]
    assert (inside == source[used.y : used.y + used.height, used.x : used.x + used.width]).all()
    assert result.original == "exact"
    across = made[kept.y : kept.y + kept.height].swapaxes(0, 1)
    down = made[:, kept.x : kept.x + kept.width]
    limit = SEAM_OF_CELLS if result.facts.provider == "sdapi" else SEAM
    check_seams(across, kept.x, kept.x + kept.width, limit)
    check_seams(down, kept.y, kept.y + kept.height, limit)
    return made


def check_seams(lines: NDArray[np.uint8], start: int, stop: int, limit: float = SEAM) -> None:
    """Check that neither end of what is known, lines ``start`` to ``stop``, can be seen as a line of its own."""
    light = lines.mean(axis=2)
    usual = [excess(light[at - 2 : at + 2]) for at in range(start + 8, stop - 8, 3)]
    for at in (start, stop):
        if 2 <= at <= len(light) - 2:
            assert (excess(light[at - 2 : at + 2]) - np.mean(usual)) / (np.std(usual) + 0.05) < limit


def excess(lines: NDArray[np.float64]) -> float:
    """Return by how much the step between the middle two of four parallel lines exceeds the slopes beside it."""
    steps = np.abs(np.diff(lines, axis=0))
    return float(np.maximum(0, steps[1] - (steps[0] + steps[2]) / 2).mean())


@pytest.mark.parametrize(("geometry", "shape", "provider"), CASES)
async def test_every_geometry_is_made_by_every_provider(world: World, geometry: str, shape: str, provider: str) -> None:
    width, height = PHOTOS[shape]
    before = world.submits(provider)
    result = await world.make(provider, photo_png(width, height), **GEOMETRIES[geometry])
    assert world.submits(provider) - before == 1
    assert result.provider_calls == ROWS[provider].bills
    check_picture(result, photo(width, height))


# --- more than one call ----------------------------------------------------------------------------------------------


async def test_a_panorama_grows_by_more_than_one_call_adds(world: World) -> None:
    image, wide = photo_png(1500, 100), {"canvas_width": 4500, "canvas_height": 100, "canvas_x": 0, "canvas_y": 0}
    before = world.submits("clipdrop")
    with pytest.raises(ImageTooLarge) as refused:
        await world.make("clipdrop", image, **wide)
    assert refused.value.details is not None
    assert refused.value.details["calls_needed"] == 2
    assert world.submits("clipdrop") == before
    result = await world.make("clipdrop", image, max_calls=3, **wide)
    assert world.submits("clipdrop") - before == result.provider_calls == 2
    assert result.facts.credits_consumed == 2
    made = check_picture(result, photo(1500, 100))
    # Where the second call went on from what the first one made.
    check_seams(made.swapaxes(0, 1), 0, 3000)


async def test_a_panorama_is_made_from_a_part_that_the_provider_takes(world: World) -> None:
    result = await world.make("stability", photo_png(1500, 100), sides=Sides(left=70), max_calls=1)
    assert result.provider_calls == 1
    check_picture(result, photo(1500, 100))
    both = await world.make("stability", photo_png(1500, 100), sides=Sides(left=70, right=90), max_calls=2)
    assert both.provider_calls == 2
    check_picture(both, photo(1500, 100))


async def test_the_second_call_fails(world: World) -> None:
    clipdrop, commitment = world.emulators["clipdrop"], Commitment()
    clipdrop.script(outcomes.Outcome(), outcomes.refuse(500))
    request = UncropRequest(
        provider="clipdrop",
        image=photo_png(200, 100),
        max_calls=2,
        canvas_width=3000,
        canvas_height=100,
        canvas_x=0,
        canvas_y=0,
    )
    with pytest.raises(ProviderError) as failed:
        await world.uncropper.run(request, commitment=commitment)
    assert failed.value.details is not None
    assert failed.value.details["calls_billed"] == commitment.billed_calls == 2


def test_the_command_says_how_many_calls_it_takes(data_dir: Path) -> None:
    (data_dir / "photo.png").write_bytes(photo_png(300, 40))
    command = [sys.executable, "-m", "uncrop", "extend", "photo.png", "--provider", "clipdrop", "-o", "wide.png"]
    with ClipdropEmulator(api_key="k") as emulator:
        named = {"UNCROP_CLIPDROP_API_KEY": "k", "UNCROP_CLIPDROP_BASE_URL": emulator.url}
        variables = {**os.environ, "UNCROP_DATA_DIR": str(data_dir), **named}

        def run(*more: str) -> subprocess.CompletedProcess[str]:
            wide = [*command, "--canvas", "2500x40+0+0", *more]
            return subprocess.run(wide, cwd=data_dir, env=variables, capture_output=True, text=True, check=False)

        refused, made = run(), run("--max-calls", "2")
    assert refused.returncode == 3
    assert refused.stderr.endswith("; side is 2200, at most 2000; --max-calls 2 would allow it\n")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("wide.png: 2500x40, clipdrop, 2 calls, seed ")
    assert len(emulator.calls) == 2


LARGE = (6000, 4000)


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "stability", "bfl", "bria"])
async def test_a_photo_of_24_megapixels(world: World, provider: str) -> None:
    result = await world.make(provider, photo_png(*LARGE), aspect_ratio="16:9")
    assert (result.width, result.height, result.provider_calls) == (7111, 4000, 1)
    check_picture(result, photo(*LARGE))


@pytest.mark.slow
async def test_a_panorama_of_6000_pixels(world: World) -> None:
    wide = {"canvas_width": 9000, "canvas_height": 400, "canvas_x": 0, "canvas_y": 0}
    result = await world.make("clipdrop", photo_png(6000, 400), max_calls=3, **wide)
    assert (result.width, result.height, result.provider_calls) == (9000, 400, 2)
    check_picture(result, photo(6000, 400))
