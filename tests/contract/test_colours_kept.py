"""A colour-managed viewer shows the photo's own part the same before and after, for every format in and out, and maker.

Photos are drawn by number from all formats, kinds of pixels, depths and ways to tell what the numbers mean; each goes
whole through intake, a maker, the finish and the encoder.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import anyio.lowlevel
import numpy as np
import pytest
from PIL import Image

from colour_viewer import view
from fixtures_plugin import sketch_row
from fixtures_torture import Cases
from uncrop.finish.pipeline import finish
from uncrop.imaging.colour.profiles import (
    ADOBE_CURVE,
    ADOBE_PRIMARIES,
    SRGB_CURVE,
    SRGB_PRIMARIES,
    Curve,
    Primaries,
    grey_profile,
    made,
    rgb_profile,
)
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.png.layout import chunk
from uncrop.model import Sides, UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.registry import Registry, load_rows
from uncrop.providers.transport.sender import Sender
from uncrop.testing import EdgeEngine, Emulator, emulator_of
from uncrop.testing.workbench import make_context, make_registry, make_task
from uncrop.uncropper import _encode
from uncrop.workers.decoding.decoder import INLINE

ROWS = {**load_rows(()), "sketch": sketch_row()}
SIDES = Sides(left=16, up=16)
SIZE = (128, 96)
P3 = Primaries(red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06))
# Levels: what rounding to 8 bits and through lossy compression may cost, in the mean over all pixels.
EXACT, LOSSY = 1.0, 3.0
PICTURES, MANY_PICTURES = 60, 2000


@dataclass(frozen=True, kw_only=True)
class Photo:
    name: str
    data: bytes
    tells: bool  # something that is not sRGB


def scene(model: str, chance: random.Random) -> Image.Image:
    """Draw strong, smooth colours, in which another profile is seen and compression is not."""
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width] / max(SIZE)
    phase = [chance.uniform(0, 6) for _ in range(3)]
    planes = [127 + 110 * np.sin(4 * x + 3 * y * number + phase[number]) for number in range(3)]
    rgb = Image.fromarray(np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8))
    if model in ("RGBA", "LA"):
        alpha = Image.fromarray(np.where(x + y < 0.5, 0, 255).astype(np.uint8))
        image = rgb.convert(model[:-1])
        image.putalpha(alpha)
        return image
    if model == "I;16":
        return Image.fromarray((np.asarray(rgb.convert("L")).astype(np.uint16) * 257 + 3).astype(np.uint16))
    # Dithering is noise, which compression takes away.
    return rgb.quantize(256, dither=Image.Dither.NONE) if model == "P" else rgb.convert(model)


def told(model: str, way: str, chance: random.Random) -> tuple[dict[str, object], list[tuple[bytes, bytes]]]:
    """Return what says so: options of Pillow's, and chunks of a PNG."""
    colours = 1 if model in ("L", "LA", "I;16") else 3
    curve = Curve((chance.choice((1.0, 1.8, 2.2, 2.6)),))
    match way:
        case "profile" | "padded profile":
            icc = grey_profile(curve) if colours == 1 else rgb_profile(chance.choice((P3, ADOBE_PRIMARIES)), curve)
            assert icc is not None
            return {"icc_profile": icc + (b"\0" * 33 if way == "padded profile" else b"")}, []
        case "exif":
            return {"exif": b"Exif\0\0" + (build_exif(ExifFacts(adobe_rgb=True)) or b"")}, []
        case "gamma":
            return {}, [(b"gAMA", struct.pack(">I", round(100_000 / curve.parameters[0])))]
        case "chromaticities":
            values = (0.3127, 0.329, *P3.red, *P3.green, *P3.blue)
            gamma = struct.pack(">I", round(100_000 / curve.parameters[0]))
            return {}, [(b"gAMA", gamma), (b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))]
        case "cICP":
            return {}, [(b"cICP", bytes((12, 13, 0, 1)))]
        case "sRGB":
            return {}, [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455))]
    return {}, []


def draw(number: int) -> tuple[Photo, str | None]:
    """Draw one photo, and the format that is asked for."""
    chance = random.Random(number)
    image_format = chance.choice(("JPEG", "PNG", "PNG", "WEBP"))
    models = {
        "JPEG": ("L", "RGB", "RGB", "CMYK"),
        "PNG": ("L", "LA", "RGB", "RGBA", "P", "I;16"),
        "WEBP": ("RGB", "RGBA"),
    }
    model = chance.choice(models[image_format])
    ways = ["nothing", "profile", "profile", "padded profile"]
    ways += {"PNG": ["gamma", "chromaticities", "cICP", "sRGB"], "JPEG": ["exif"], "WEBP": []}[image_format]
    way = chance.choice(ways) if model != "CMYK" else "nothing"
    if model in ("L", "LA", "I;16") and way in ("cICP", "chromaticities", "exif"):
        way = "gamma" if image_format == "PNG" else "profile"
    options, chunks = told(model, way, chance)
    if image_format == "WEBP":
        options["lossless"] = chance.random() < 0.5
    if image_format != "PNG":
        options["quality"] = 97
    file = io.BytesIO()
    scene(model, chance).save(file, image_format, **options)
    data = file.getvalue()
    if chunks:
        data = data[:33] + b"".join(chunk(*each) for each in chunks) + data[33:]
    asked = chance.choice((None, None, "JPEG", "PNG", "WEBP"))
    name = f"{number}: {model} {image_format}, told by {way}, as {asked}"
    return Photo(name=name, data=data, tells=way not in ("nothing", "sRGB")), asked


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Emulator]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(emulator_of(row)()) for name, row in ROWS.items() if not row.computes_here}


@pytest.fixture
async def registry(emulators: dict[str, Emulator]) -> AsyncIterator[Registry]:
    async def do_not_wait(_seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    async with Sender(sleep=do_not_wait) as send:
        context = replace(make_context(send=send, engine=EdgeEngine()), sleep=do_not_wait)
        yield make_registry(context, rows=ROWS, urls={name: each.url for name, each in emulators.items()})


async def extended(registry: Registry, provider: str, photo: bytes, asked: str | None) -> bytes:
    maker = registry.get(provider)
    request = UncropRequest(provider=provider, image=photo, sides=SIDES, answer_format=asked)  # type: ignore[arg-type]
    task = make_task(request, maker.facts)
    image, _ = _encode(INLINE, task, finish(task, await maker.fill(task, Commitment())))
    return image


def differences(photo: bytes, answer: bytes) -> float:
    """Return by how much the photo's own opaque part looks different, in the mean."""
    before, opaque = view(photo)
    after, _ = view(answer)
    height, width = before.shape[:2]
    inside = after[SIDES.up : SIDES.up + height, SIDES.left : SIDES.left + width]
    return float(np.abs(before - inside)[opaque].mean())


async def check_all(registry: Registry, numbers: range) -> None:
    makers = sorted(ROWS)
    wrong = []
    for number in numbers:
        photo, asked = draw(number)
        provider = makers[number % len(makers)]
        answer = await extended(registry, provider, photo.data, asked)
        lossless = answer.startswith(b"\x89PNG") or b"VP8L" in answer[:64]
        if differences(photo.data, answer) > (EXACT if lossless else LOSSY):
            wrong.append((photo.name, provider, differences(photo.data, answer)))
    assert wrong == []


async def test_the_photo_looks_the_same(registry: Registry, cases: Cases) -> None:
    cases.ran(PICTURES)
    await check_all(registry, range(PICTURES))


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_many_photos_look_the_same(registry: Registry, cases: Cases) -> None:
    cases.ran(MANY_PICTURES - PICTURES)
    await check_all(registry, range(PICTURES, MANY_PICTURES))


async def test_the_viewer_sees_what_is_missing(registry: Registry) -> None:
    """Negative control: of most photos that tell something, the bare pixels look different."""
    seen = total = 0
    for number in range(0, PICTURES, 2):
        photo, _ = draw(number)
        if photo.tells:
            bare = Image.open(io.BytesIO(photo.data))
            bare.load()
            bare.info = {}
            file = io.BytesIO()
            bare.save(file, "PNG")
            before, opaque = view(photo.data)
            seen += float(np.abs(before - view(file.getvalue())[0])[opaque].mean()) > LOSSY
            total += 1
    assert total >= 10
    assert seen >= 0.7 * total


@pytest.mark.parametrize("provider", sorted(ROWS))
async def test_every_maker_keeps_wide_colours_and_grey_of_another_curve(registry: Registry, provider: str) -> None:
    for model, icc in (("RGB", rgb_profile(P3, SRGB_CURVE)), ("L", grey_profile(Curve((1.8,))))):
        file = io.BytesIO()
        scene(model, random.Random(7)).save(file, "PNG", icc_profile=icc)
        for asked in ("PNG", "JPEG", "WEBP"):
            answer = await extended(registry, provider, file.getvalue(), asked)
            assert differences(file.getvalue(), answer) < (EXACT if asked == "PNG" else LOSSY)


@pytest.mark.parametrize("provider", sorted(ROWS))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
async def test_a_photos_own_profile_is_in_the_answer_byte_by_byte(
    registry: Registry, provider: str, image_format: str
) -> None:
    icc, file = rgb_profile(P3, SRGB_CURVE), io.BytesIO()
    scene("RGB", random.Random(5)).save(file, image_format, icc_profile=icc, quality=97)
    for asked in (None, "JPEG", "PNG", "WEBP"):
        answer = await extended(registry, provider, file.getvalue(), asked)
        assert Image.open(io.BytesIO(answer)).info["icc_profile"] == icc


def test_profiles_made_here_are_those_of_others() -> None:
    """LittleCMS reads them, and sRGB made here is its own sRGB."""
    data = io.BytesIO()
    image = scene("RGB", random.Random(3))
    image.save(data, "PNG", icc_profile=made(SRGB_PRIMARIES, SRGB_CURVE, 3))
    shown, _ = view(data.getvalue())
    assert np.abs(shown - np.asarray(image)).max() <= 1
    by_exif, by_profile = io.BytesIO(), io.BytesIO()
    image.save(by_exif, "JPEG", quality=98, exif=b"Exif\0\0" + (build_exif(ExifFacts(adobe_rgb=True)) or b""))
    image.save(by_profile, "JPEG", quality=98, icc_profile=made(ADOBE_PRIMARIES, ADOBE_CURVE, 3))
    assert np.abs(view(by_exif.getvalue())[0] - view(by_profile.getvalue())[0]).max() <= 2
