"""Every state of the page at several sizes, light and dark: axe-core finds nothing, and nothing is cut off.

With ``--accept-golden`` the screenshots of docs/images/page/ are taken anew.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.test_page_makers import choose_maker
from browser.visit import Visit
from installed import npm_packages

if TYPE_CHECKING:
    from browser.visit import House

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images" / "page"
LARGEST_SHOT = 1000
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe() -> str:
    return (
        npm_packages("axe", Path(__file__).with_name("axe"), what="axe-core") / "axe-core" / "axe.min.js"
    ).read_text()


def examine(page: Visit, axe: str, state: str) -> None:
    """Look for whatever keeps people out, and for anything that is cut off at the side."""
    width, shown = page.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= shown, f"{state}: {width} pixels on a screen of {shown}"
    page.page.evaluate(axe)
    found = page.page.evaluate("(tags) => axe.run({runOnly: tags})", RULES)
    told = [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found["violations"]]
    assert told == [], state


def keep(page: Visit, name: str, request: pytest.FixtureRequest) -> None:
    """Take a screenshot, where they are wanted anew."""
    if not request.config.getoption("--accept-golden"):
        return
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.page.evaluate("() => scrollTo(0, 0)")
    shot = Image.open(io.BytesIO(page.page.screenshot())).convert("RGB")
    shot.thumbnail((LARGEST_SHOT, LARGEST_SHOT))
    shot.save(IMAGES / f"{name}.webp", quality=70, method=6)


def states(page: Visit, house: House, seen: Callable[[str], None]) -> None:
    """Go through the page's states and tell each."""
    seen("empty")
    page.page.click("#example")
    expect(page.find("#size")).to_contain_text("451 × 300")
    page.quoted()
    expect(page.find("#quote")).to_contain_text("Free")
    seen("editor")
    page.page.fill("[name=left]", "-451")
    expect(page.find("#sides-error")).not_to_be_empty()
    seen("mistake")
    page.find('[name=shape][value="16:9"]').check(force=True)
    choose_maker(page, "sdapi")
    house.emulators["sdapi"].holds_work = True
    page.page.click("#extend")
    expect(page.find("#step")).to_have_text("Painting")
    seen("running")
    page.page.click("#cancel")
    house.emulators["sdapi"].holds_work = False
    expect(page.find("#idle")).to_be_visible()
    choose_maker(page, "local")
    page.find("#field-quality").select_option("fast")
    page.quoted()
    page.make()
    page.find("#compare-range").fill("35")
    page.page.click("#confidence")
    expect(page.find("#overlay")).to_be_visible()
    seen("result")
    page.page.route("**/images/uncrop", lambda route: route.fulfill(status=502, body="<html>"))
    page.page.click("#extend")
    expect(page.find("#error")).not_to_be_empty()
    seen("error")
    page.page.click("#key-button")
    seen("key")


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ((1440, 900), "light"),
        pytest.param((1440, 900), "dark", marks=pytest.mark.slow),
        pytest.param((768, 1024), "light", marks=pytest.mark.slow),
        pytest.param((320, 640), "dark", marks=pytest.mark.slow),
        pytest.param((320, 640), "light", marks=pytest.mark.slow),
        pytest.param((2560, 1440), "light", marks=pytest.mark.slow),
    ],
)
def test_nobody_is_kept_out_and_nothing_is_cut_off(
    visit: Callable[..., Visit],
    house: House,
    axe: str,
    request: pytest.FixtureRequest,
    size: tuple[int, int],
    scheme: str,
) -> None:
    page = visit(size=size, color_scheme=scheme, bypass_csp=True, has_touch=size[0] < 400)
    page.expected = "502"

    def seen(state: str) -> None:
        examine(page, axe, f"{state} at {size} {scheme}")
        if state != "mistake":
            keep(page, f"{state}-{size[0]}-{scheme}", request)

    states(page, house, seen)
