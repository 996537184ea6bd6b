"""Results: before and after, the strip, seeds, confidence, and all the ways in which a picture leaves the page."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.test_page_makers import choose_maker
from browser.visit import HEIGHT, WIDTH, Visit

if TYPE_CHECKING:
    from pathlib import Path

    from browser.visit import House

WIDER = WIDTH + 32


def seed_of(page: Visit) -> str:
    return page.find("#facts").inner_text().split("seed ")[1].split(" ")[0]


def downloaded(page: Visit) -> tuple[str, Image.Image]:
    with page.page.expect_download() as download:
        page.page.click("#download")
    picture = Image.open(download.value.path())
    picture.load()
    return download.value.suggested_filename, picture


def test_a_picture_is_downloaded_in_each_format_under_its_photos_name(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose(page.photo(name="my photo.v2.jpg"))
    page.make()
    for media_type, ending in (("image/jpeg", "jpg"), ("image/png", "png"), ("image/webp", "webp")):
        page.find("#format").select_option(media_type)
        expect(page.find("#download")).to_have_attribute("download", f"my photo.v2-uncrop.{ending}")
        name, picture = downloaded(page)
        assert name == f"my photo.v2-uncrop.{ending}"
        assert (picture.format, picture.size) == (media_type.split("/")[1].upper(), (WIDER, HEIGHT))


def test_the_copied_command_makes_the_same_picture(visit: Callable[..., Visit], tmp_path: Path) -> None:
    page = visit()
    name = 'it\'s "mine".jpg'
    page.choose(page.photo(name=name))
    page.make()
    page.page.click("#copy-curl")
    expect(page.find("#copy-curl")).to_have_text("Copied, with your key")
    command = page.page.evaluate("() => navigator.clipboard.readText()")
    done = subprocess.run(
        ["sh", "-c", f"{command} --silent --show-error"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _, picture = downloaded(page)
    made = tmp_path / 'it\'s "mine"-uncrop.jpg'
    assert Image.open(made).tobytes() == picture.tobytes()


def test_the_picture_is_copied(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.make()
    page.page.click("#copy-picture")
    expect(page.find("#copy-picture")).to_have_text("Copied")
    copied = page.page.evaluate(
        """async () => { const [item] = await navigator.clipboard.read();
        return [...new Uint8Array(await (await item.getType("image/png")).arrayBuffer())]; }"""
    )
    assert Image.open(io.BytesIO(bytes(copied))).size == (WIDER, HEIGHT)


def test_before_and_after_are_compared_by_pointer_and_keyboard(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.make()
    slider = page.page.get_by_role("slider", name="Before and after")
    slider.focus()
    page.page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "Before")
    whole, photo = page.find("#compare").bounding_box(), page.find("#before-photo").bounding_box()
    assert whole is not None
    assert photo is not None
    # The photo lies where it lies in the picture.
    assert abs((photo["x"] - whole["x"]) / whole["width"] - 16 / WIDER) < 0.01
    assert abs(photo["width"] / whole["width"] - WIDTH / WIDER) < 0.01
    page.page.mouse.click(whole["x"] + whole["width"] / 4, whole["y"] + 5)
    assert abs(int(slider.input_value()) - 25) <= 2
    clip = page.find("#before").evaluate("(element) => getComputedStyle(element).clipPath")
    assert clip.startswith("inset(0")


def test_confidence_is_shown_and_told_in_words(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.expected = "willReadFrequently"  # this test reads, the page does not
    page.choose()
    page.make()
    words = page.find("#trust").inner_text()
    assert ("will probably show where it" in words) or ("natural" in words)
    assert "left" in words
    assert "right" in words
    expect(page.find("#overlay")).to_be_hidden()
    page.page.click("#confidence")
    expect(page.find("#overlay")).to_be_visible()
    expect(page.find("#confidence")).to_have_attribute("aria-pressed", "true")
    expect(page.find("#overlay")).to_have_js_property("width", WIDER)
    # Colour where the picture was made, none over the photo.
    made, kept = page.find("#overlay").evaluate(
        """(canvas) => [4, canvas.width / 2].map((x) => canvas.getContext("2d").getImageData(x, 20, 1, 1).data[3])"""
    )
    assert made > 20
    assert kept == 0


def test_seeds_lead_from_one_picture_to_the_next(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.make()
    first = seed_of(page)
    page.page.click("#again")
    expect(page.find("#strip li")).to_have_count(2)
    assert seed_of(page) != first
    page.page.click("#strip li:first-child button")
    assert seed_of(page) == first
    page.page.click("#use-seed")
    expect(page.find("[name=seed]")).to_have_value(first)
    expect(page.find("[name=seed]")).to_be_focused()
    expect(page.find("#editor")).to_be_visible()
    page.quoted()
    page.make()
    assert seed_of(page) == first
    page.page.click("#variations-button")
    expect(page.find("#strip li")).to_have_count(7)
    # Each has the facts of its own.
    labels = [each.get_attribute("aria-label") for each in page.find("#strip button").all()]
    assert len({label.split("seed ")[1] for label in labels[3:] if label}) == 4


def test_no_picture_stands_beside_numbers_of_another(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.make()
    for change in (
        lambda: page.page.fill("[name=right]", "30"),
        lambda: page.find('[name=shape][value="1:1"]').check(force=True),
        lambda: page.find("[name=anchor][value=top]").check(force=True),
        lambda: choose_maker(page, "clipdrop"),
        lambda: page.find("#field-quality").select_option("fast"),
        lambda: page.find("#field-variations").select_option("2"),
    ):
        page.page.click("#strip li:first-child button")
        expect(page.find("#result")).to_be_visible()
        assert page.sides() == (16, 16, 0, 0)
        expect(page.find("[name=maker][value=local]")).to_be_checked()
        change()
        expect(page.find("#result")).to_be_hidden()
        expect(page.find("#editor")).to_be_visible()
    page.page.set_input_files("#file", page.photo(50, 40, "other.jpg"))
    expect(page.find("#size")).to_contain_text("50 × 40")
    page.page.click("#strip li:first-child button")
    expect(page.find("#download")).to_have_attribute("download", "photo-uncrop.jpg")
    page.page.click("#edit")
    expect(page.find("#size")).to_contain_text(f"{WIDTH} × {HEIGHT} → {WIDER} × {HEIGHT}")
    expect(page.find("#extend")).to_be_focused()


@pytest.mark.slow
def test_a_large_photo_does_not_freeze_the_page(visit: Callable[..., Visit], house: House) -> None:
    page = visit()
    page.page.evaluate(
        """() => { window.longest = 0; new PerformanceObserver((list) => {
          for (const each of list.getEntries()) window.longest = Math.max(window.longest, each.duration);
        }).observe({type: "longtask"}); }"""
    )
    page.choose(page.photo(4000, 3000))
    expect(page.find("#photo")).to_have_js_property("width", 2048)
    expect(page.find("#size")).to_contain_text("4000 × 3000 → 5334 × 3000")
    # Decoding it takes longer than this on any machine; it is done elsewhere.
    assert page.page.evaluate("() => window.longest") < 400
