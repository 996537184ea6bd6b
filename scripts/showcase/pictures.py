"""Draws the pictures of README.md and docs/: what was given, beside what the engine made of it.

All seeds are fixed, so the same code makes the same pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

import uncrop

if TYPE_CHECKING:
    from uncrop import Options

ROOT = Path(__file__).parents[2]
EXAMPLES, IMAGES = ROOT / "examples", ROOT / "docs" / "images"
GAP = 12
PAPER, UNKNOWN, LINE = (255, 255, 255), (226, 229, 234), (150, 156, 166)
QUALITY = 88


@dataclass(frozen=True, kw_only=True)
class Example:
    """A photo, and how it is extended."""

    name: str
    photo: str
    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0
    seed: int = 2


GALLERY = (
    Example(name="cat", photo="cat.jpg", left=80, right=80),
    Example(name="cup", photo="cup.jpg", up=80),
    Example(name="cup-square", photo="cup.jpg", up=200),
    Example(name="raccoon", photo="raccoon.jpg", left=256, right=256),
    Example(name="rocket", photo="rocket.jpg", left=80, right=80),
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What was given, on the canvas that was asked for; what was made of it; how far each pixel can be trusted."""

    given: Image.Image
    picture: Image.Image
    trust: Image.Image
    line: str


def make(example: Example) -> Made:
    """Extend a photo, and say what `uncrop extend` would say."""
    photo = EXAMPLES / example.photo
    sides = {side: getattr(example, side) for side in ("left", "right", "up", "down")}
    options: Options = {"seed": example.seed, "confidence_map": True}
    result = uncrop.extend(photo, **sides, **options)
    picture = _opened(result.image)
    given = Image.new("RGB", picture.size, UNKNOWN)
    draw = ImageDraw.Draw(given)
    for at in range(-picture.height, picture.width, 14):
        draw.line((at, picture.height, at + picture.height, 0), fill=LINE, width=1)
    given.paste(Image.open(photo).convert("RGB"), (example.left, example.up))
    assert result.confidence_map is not None
    advice = result.facts.advice
    line = f"{example.name}: {result.width}x{result.height}, confidence {result.facts.confidence:.2f}, advice {advice}"
    return Made(given=given, picture=picture, trust=_opened(result.confidence_map), line=line)


def _opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def beside(*pictures: Image.Image, height: int) -> Image.Image:
    """Put pictures beside one another, at one height."""
    scaled = [
        each.resize((round(each.width * height / each.height), height), Image.Resampling.LANCZOS) for each in pictures
    ]
    strip = Image.new("RGB", (sum(each.width for each in scaled) + GAP * (len(scaled) - 1), height), PAPER)
    at = 0
    for each in scaled:
        strip.paste(each, (at, 0))
        at += each.width + GAP
    return strip


def tinted(made: Made) -> Image.Image:
    """Lay the confidence over a picture: the redder, the less a pixel can be trusted."""
    pixels, trust = np.asarray(made.picture, np.float32), np.asarray(made.trust, np.float32)[..., :1] / 255
    red = np.array([214, 40, 40], np.float32)
    weight = 0.75 * (1 - trust)
    return Image.fromarray((pixels * (1 - weight) + red * weight).round().astype(np.uint8))


def save(picture: Image.Image, name: str) -> None:
    """Write a picture of the documentation, and say how large its file is."""
    path = IMAGES / name
    picture.save(path, quality=QUALITY, optimize=True, progressive=True)
    print(f"{path.relative_to(ROOT)}: {picture.width}x{picture.height}, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Draw all of them."""
    made = {example.name: make(example) for example in GALLERY}
    for each in made.values():
        print(each.line)
    cat, cup = made["cat"], made["cup"]
    save(beside(cat.given, cat.picture, height=240), "strip-cat.jpg")
    save(beside(cup.given, cup.picture, height=300), "strip-cup.jpg")
    for name, each in made.items():
        save(beside(each.given, each.picture, height=min(320, each.picture.height)), f"gallery-{name}.jpg")
    raccoon = made["raccoon"]
    save(beside(raccoon.picture, tinted(raccoon), height=240), "confidence.jpg")


if __name__ == "__main__":
    main()
