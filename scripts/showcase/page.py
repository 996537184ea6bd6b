"""Films the page: a photo is chosen, its edges are dragged, it is extended, and looked at before and after.

Writes docs/images/page.webp, a picture that moves. The page is the real one, in a real browser, of a real server.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw
from playwright.sync_api import expect, sync_playwright

from uncrop.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
PHOTO, FILM = ROOT / "examples" / "cat.jpg", ROOT / "docs" / "images" / "page.webp"
SIZE = (1360, 880)
WIDTH = 800
QUALITY = 70
POINTER = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))


@contextmanager
def serving() -> Iterator[str]:
    """Start a server on an empty database, and return the page's address with its key, as the server prints it."""
    with tempfile.TemporaryDirectory() as folder:
        kernels = Settings().kernel_cache
        if kernels.exists():
            (Path(folder) / "kernels").symlink_to(kernels)
        command = [sys.executable, "-m", "uncrop", "serve", "--port", "0"]
        values = {**os.environ, "UNCROP_DATA_DIR": folder}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=values
        ) as server:
            try:
                assert server.stdout is not None
                yield next(found[1] for line in server.stdout if (found := re.search(r"page +(http\S+)", line)))
            finally:
                server.terminate()


@dataclass(kw_only=True)
class Film:
    """Pictures of a page, each with the milliseconds that it stands."""

    page: Page
    pictures: list[Image.Image] = field(default_factory=list)
    stands: list[int] = field(default_factory=list)
    pointer: tuple[float, float] = (SIZE[0] * 0.5, SIZE[1] * 0.6)

    def take(self, milliseconds: int) -> None:
        """Take a picture, with the pointer in it, which a browser without a screen does not show."""
        picture = Image.open(BytesIO(self.page.screenshot())).convert("RGB")
        x, y = self.pointer
        outline = [(x + dx, y + dy) for dx, dy in POINTER]
        ImageDraw.Draw(picture).polygon(outline, fill=(20, 20, 20), outline=(255, 255, 255))
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        self.pictures.append(picture.resize(size, Image.Resampling.LANCZOS))
        self.stands.append(milliseconds)

    def point(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.pointer = (x, y)
        self.page.mouse.move(x, y)

    def drag(self, target: Locator, dx: float, steps: int) -> None:
        """Drag something sideways, and take a picture of each step."""
        box = target.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.point(x, y)
        self.take(500)
        self.page.mouse.down()
        for step in range(1, steps + 1):
            self.point(x + dx * step / steps, y)
            self.take(90)
        self.page.mouse.up()
        self.take(500)

    def click(self, target: Locator) -> None:
        """Click something, and take a picture before and after."""
        box = target.bounding_box()
        assert box is not None
        self.point(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.take(600)
        target.click()
        self.take(300)

    def save(self, path: Path) -> None:
        """Write the film."""
        first, *others = self.pictures
        first.save(path, save_all=True, append_images=others, duration=self.stands, loop=0, quality=QUALITY, method=6)
        size = f"{first.width}x{first.height}, {len(self.pictures)} pictures, {path.stat().st_size / 1000:.0f} kB"
        print(f"{path.relative_to(ROOT)}: {size}")


def shoot(page: Page, address: str) -> Film:
    """Use the page as somebody would."""
    film = Film(page=page)
    page.goto(address)
    expect(page.locator(".maker").first).to_be_visible()
    film.take(1200)
    page.set_input_files("#file", PHOTO)
    expect(page.locator("#editor")).to_be_visible()
    expect(page.locator("#quote")).not_to_be_empty()
    film.take(1000)
    film.drag(page.locator('.handle[data-across="1"][data-down="0"]'), 40, 6)
    film.drag(page.locator('.handle[data-across="-1"][data-down="0"]'), -30, 6)
    film.click(page.locator("#extend"))
    expect(page.locator("#result")).to_be_visible(timeout=60_000)
    page.evaluate("scrollTo(0, 0)")
    film.take(1500)
    slider = page.locator("#compare")
    box = slider.bounding_box()
    assert box is not None
    page.locator("#compare-range").focus()
    for value in [*range(0, 101, 10), *range(90, -1, -10)]:
        page.locator("#compare-range").fill(str(value))
        film.pointer = (box["x"] + box["width"] * value / 100, box["y"] + box["height"] * 0.6)
        film.take(110)
    film.take(2500)
    return film


def main() -> None:
    """Film the page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("scripts/pictures: --page needs Chromium; on Debian: apt-get install chromium")
    with serving() as address, sync_playwright() as playwright:
        # As root, Chromium has no sandbox; what it loads here is ours.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, reduced_motion="reduce")
        shoot(page, address).save(FILM)
        browser.close()


if __name__ == "__main__":
    main()
