"""How quickly the page is there, and what a move of a handle costs with a photo of 12 megapixels, in Chromium.

usage: scripts/bench page ADDRESS [--runs N] [--moves N]

ADDRESS is the page's, with the key, as `uncrop serve` prints it. The main thread's work is counted by Chromium itself,
painting in software included; times between frames depend on whatever else the machine does.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Locator, Page

WIDTH, HEIGHT = 4000, 3000
READY = """() => { const [page] = performance.getEntriesByType("navigation"); return page.domContentLoadedEventEnd; }"""
BEGIN = """() => { window.frames_ = []; const note = (at) => { window.frames_.push(at);
window.noting = requestAnimationFrame(note); }; note(performance.now()); }"""
END = "() => { cancelAnimationFrame(window.noting); return window.frames_; }"


def metrics(devtools: CDPSession) -> dict[str, float]:
    """Return the counters of the page's main thread, times in milliseconds."""
    told: list[dict[str, Any]] = devtools.send("Performance.getMetrics")["metrics"]
    return {each["name"]: each["value"] * 1000 for each in told}


def opening(page: Page, devtools: CDPSession, address: str) -> None:
    """Open the page anew and print what it took until every module had run."""
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(".maker").first).to_be_visible()
    now = metrics(devtools)
    print(
        f"opened: modules run after {page.evaluate(READY):.0f} ms; main thread {now['TaskDuration']:.0f} ms, "
        f"of it script {now['ScriptDuration']:.0f}, layout {now['LayoutDuration']:.0f}"
    )


def dragging(page: Page, devtools: CDPSession, target: Locator, moves: int) -> str:
    """Drag something to and fro, and return a line that says what a move cost."""
    box = target.bounding_box()
    if box is None:
        sys.exit("there is nothing to drag")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(BEGIN)
    page.mouse.move(x, y)
    page.mouse.down()
    before = metrics(devtools)
    for number in range(moves):
        page.mouse.move(x + number % 80, y)
    after = metrics(devtools)
    page.mouse.up()
    frames: list[float] = page.evaluate(END)
    gaps = sorted(later - earlier for earlier, later in pairwise(frames))
    cost = {name: (after[name] - before[name]) / moves for name in after if name.endswith("Duration")}
    return (
        f"script {cost['ScriptDuration']:.2f} ms, style {cost['RecalcStyleDuration']:.2f}, layout "
        f"{cost['LayoutDuration']:.2f}, all with painting {cost['TaskDuration']:.2f}; between frames "
        f"{statistics.median(gaps):.1f} ms (median), {gaps[int(len(gaps) * 0.95)]:.1f} (95th of 100)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--moves", type=int, default=240)
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(photo_jpeg(WIDTH, HEIGHT))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        for _ in range(options.runs):
            opening(page, devtools, options.address)
        page.set_input_files("#file", photo)
        expect(page.locator("#size")).to_contain_text(f"{WIDTH} × {HEIGHT}", timeout=60_000)
        handle = page.get_by_role("slider", name="Right", exact=True)
        print("a move of a handle:", dragging(page, devtools, handle, options.moves))
        print("a move of the photo:", dragging(page, devtools, page.locator("#photo"), options.moves))
        browser.close()


if __name__ == "__main__":
    main()
