"""The editor: photos come in, shapes and anchors, handles under the pointer, numbers that live both ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.visit import HEIGHT, SIDES, WIDTH, Visit, middle
from fixtures_server import wait_until
from uncrop.geometry.notations import parse_ratio, placement_of_ratio, sides_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator

Begin = Callable[..., Visit]
SIXTH = round(WIDTH / 6)


def drag(visit: Visit, target: Locator, across: float, down: float, *, steps: int = 5) -> None:
    x, y = middle(target)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x + across, y + down, steps=steps)


# --- photos come in --------------------------------------------------------------------------------------------------


def test_a_photo_is_chosen_and_another_one_takes_its_place(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    expect(page.find("#size")).to_have_text(f"{WIDTH} × {HEIGHT} → {WIDTH + 2 * SIXTH} × {HEIGHT} pixels")
    with page.page.expect_file_chooser() as chooser:
        page.page.click("#another")
    chooser.value.set_files(page.photo(48, 64, "second.jpg"))
    expect(page.find("#size")).to_contain_text("48 × 64")


def test_the_example_is_at_hand(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.page.click("#example")
    expect(page.find("#size")).to_contain_text("451 × 300")


PASTE = """([name, type, bytes]) => {
  const data = new DataTransfer();
  if (bytes) data.items.add(new File([new Uint8Array(bytes)], name, {type}));
  else data.setData("text/plain", "words");
  const kind = window.kindOfEvent;
  const event = kind === "drop" ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
    : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
  document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_photos_are_pasted_and_dropped_and_what_is_none_is_told(visit: Callable[..., Visit], kind: str) -> None:
    page = visit()
    page.page.evaluate("(kind) => { window.kindOfEvent = kind }", kind)
    page.page.evaluate(PASTE, ["words", "text/plain", None])
    expect(page.find("#error")).to_contain_text("no picture" if kind == "paste" else "no file")
    page.page.evaluate(PASTE, ["x.jpg", "image/jpeg", list(b"broken")])
    expect(page.find("#error")).to_contain_text("x.jpg cannot be shown")
    page.page.evaluate(PASTE, ["x.txt", "text/plain", list(b"words")])
    expect(page.find("#error")).to_contain_text("no picture")
    page.page.evaluate(PASTE, ["x.jpg", "image/jpeg", list(page.photo().read_bytes())])
    expect(page.find("#size")).to_contain_text(f"{WIDTH} × {HEIGHT}")
    # An error does not outlive what comes after it.
    expect(page.find("#error")).to_be_empty()


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_shapes_come_to_the_servers_numbers(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose(page.photo(97, 61))
    for anchor in ("center", "top-left", "bottom"):
        page.find(f"[name=anchor][value={anchor}]").check(force=True)
        for shape in ("1:1", "4:5", "3:2", "16:9", "9:16"):
            page.find(f'[name=shape][value="{shape}"]').check(force=True)
            expected = sides_of(placement_of_ratio(97, 61, parse_ratio(shape), anchor), 97, 61)
            assert page.sides() == (expected.left, expected.right, expected.up, expected.down), (anchor, shape)


def test_a_shape_of_ones_own_and_the_photos_own(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose(page.photo(97, 61))
    page.find("[name=shape][value=own]").check(force=True)
    page.page.fill("#ratio-across", "3")
    page.page.fill("#ratio-down", "1")
    expected = sides_of(placement_of_ratio(97, 61, parse_ratio("3:1")), 97, 61)
    assert page.sides() == (expected.left, expected.right, expected.up, expected.down)
    page.page.fill("#ratio-down", "0")
    expect(page.find("#ratio-down")).to_have_attribute("aria-invalid", "true")
    page.find("[name=shape][value=original]").check(force=True)
    left, right, up, down = page.sides()
    assert ((97 + left + right), (61 + up + down)) == (121, 76)


def test_the_grid_of_anchors_places_the_photo_in_its_canvas(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    for anchor, expected in {"left": (0, 32), "right": (32, 0), "center": (16, 16)}.items():
        page.find(f"[name=anchor][value={anchor}]").check(force=True)
        assert page.sides() == (*expected, 0, 0)


# --- pixels ----------------------------------------------------------------------------------------------------------


def test_fields_and_frame_live_both_ways_and_say_the_same(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.page.fill("[name=up]", "3000")
    expect(page.find("#size")).to_contain_text(f"{WIDTH + 2 * SIXTH} × {HEIGHT + 3000} pixels")
    expect(page.handle("Up")).to_have_attribute("aria-valuenow", "3000")
    page.quoted()
    # More than the fields of sides take is asked for as a canvas.
    expect(page.find("#extend")).to_be_enabled()
    page.page.fill("[name=up]", "99999999")
    expect(page.find("#sides-error")).to_contain_text("whole number")
    page.find("[name=up]").blur()
    expect(page.find("[name=up]")).to_have_value("3000")


def test_sides_that_leave_nothing_are_told_and_nothing_can_be_sent(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.page.fill("[name=left]", str(-WIDTH))
    expect(page.find("#sides-error")).to_have_text("The sides leave nothing of the photo.")
    expect(page.find("#extend")).to_be_disabled()
    page.page.fill("[name=left]", "16")
    expect(page.find("#sides-error")).to_be_empty()
    expect(page.find("#extend")).to_be_enabled()
    for side in SIDES:
        page.page.fill(f"[name={side}]", "0")
    expect(page.find("#quote")).to_contain_text("Add some pixels")
    expect(page.find("#extend")).to_be_disabled()


# --- handles ---------------------------------------------------------------------------------------------------------


PULLS = [
    ("Left", -60, 0),
    ("Right", 60, 0),
    ("Up", 0, -40),
    ("Down", 0, 40),
    ("Top left corner", -50, -30),
    ("Top right corner", 30, -20),
    ("Bottom left corner", -20, 30),
    ("Bottom right corner", 40, 50),
    ("Right", -90, 0),
]


def test_handles_follow_the_pointer_and_the_scale_is_frozen(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    for name, across, down in PULLS:
        handle, photo = page.handle(name), page.find("#photo")
        before, size = middle(handle), photo.bounding_box()
        assert size is not None
        drag(page, handle, across, down)
        during = middle(handle)
        # To a pixel of the photo, since sides are whole.
        scale = size["width"] / WIDTH
        assert abs(during[0] - before[0] - across) <= scale, name
        assert abs(during[1] - before[1] - down) <= scale, name
        assert photo.bounding_box() == size, name
        sides = page.sides()
        page.page.mouse.up()
        assert page.sides() == sides, name
        # Fitted anew: the whole frame is inside the stage again.
        stage, frame = page.find("#editor").bounding_box(), page.find("#frame").bounding_box()
        assert stage is not None
        assert frame is not None
        assert frame["x"] >= stage["x"], name
        assert frame["x"] + frame["width"] <= stage["x"] + stage["width"], name


def test_a_handle_has_room_and_crops_inward_but_leaves_something(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    for handle in page.find(".handle").all():
        box = handle.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
    drag(page, page.handle("Left"), 3000, 0)
    page.page.mouse.up()
    assert page.sides()[0] == 16 - WIDTH


def test_a_shape_is_kept_while_a_handle_is_pulled(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.find('[name=shape][value="16:9"]').check(force=True)
    drag(page, page.handle("Right"), 70, 0)
    page.page.mouse.up()
    left, right, up, down = page.sides()
    assert abs((WIDTH + left + right) / (HEIGHT + up + down) - 16 / 9) < 0.02
    assert up + down > 0
    expect(page.find('[name=shape][value="16:9"]')).to_be_checked()


def test_the_photo_is_moved_inside_its_frame(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    frame = page.find("#frame").bounding_box()
    drag(page, page.find("#photo"), 25, 0)
    assert page.find("#frame").bounding_box() == frame
    left, right, up, down = page.sides()
    assert left > SIXTH
    assert (left + right, up, down) == (2 * SIXTH, 0, 0)
    page.page.mouse.up()


def test_everything_can_be_done_with_the_keyboard(visit: Callable[..., Visit]) -> None:
    page = visit()
    page.choose()
    page.handle("Left").focus()
    page.page.keyboard.press("ArrowLeft")
    assert page.sides() == (SIXTH + 16, SIXTH, 0, 0)
    page.page.keyboard.press("PageDown")
    assert page.sides() == (SIXTH + 16 - 64, SIXTH, 0, 0)
    page.handle("Bottom right corner").focus()
    page.page.keyboard.press("Shift+ArrowDown")
    page.page.keyboard.press("ArrowRight")
    assert page.sides() == (SIXTH + 16 - 64, SIXTH + 16, 0, 64)
    for name in ("Left", "Bottom right corner"):
        handle = page.handle(name)
        expect(handle).to_have_attribute("aria-valuetext", re.compile("pixels"))
        for attribute in ("aria-valuenow", "aria-valuemin", "aria-valuemax"):
            expect(handle).to_have_attribute(attribute, re.compile(r"-?\d+"))
    page.page.fill("[name=left]", "32")
    page.find(".grip").focus()
    page.page.keyboard.press("ArrowRight")
    assert page.sides() == (48, SIXTH, 0, 64)


# --- fingers ---------------------------------------------------------------------------------------------------------


def touch(page: Visit, start: tuple[float, float], end: tuple[float, float]) -> None:
    devtools = page.page.context.new_cdp_session(page.page)
    points = [(start[0] + (end[0] - start[0]) * n / 8, start[1] + (end[1] - start[1]) * n / 8) for n in range(9)]
    for number, (x, y) in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        devtools.send("Input.dispatchTouchEvent", {"type": f"{kind}", "touchPoints": [{"x": x, "y": y}]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_fingers_pull_handles_and_scroll_elsewhere(visit: Callable[..., Visit], tmp_path: Path) -> None:
    page = visit(size=(375, 667), has_touch=True, is_mobile=True)
    page.choose()
    for handle in page.find(".handle").all():
        box = handle.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    x, y = middle(page.handle("Right"))
    touch(page, (x, y), (x + 30, y))
    assert page.sides()[1] > SIXTH
    scrolled = page.page.evaluate("() => scrollY")
    assert scrolled == 0
    x, y = middle(page.find("#size"))
    touch(page, (x, y), (x, y - 200))
    wait_until(lambda: page.page.evaluate("() => scrollY") > 0)
    page.page.evaluate("() => scrollTo(0, 0)")
    x, y = middle(page.find("#photo"))
    touch(page, (x - 25, y + 20), (x - 25, y - 150))
    wait_until(lambda: page.page.evaluate("() => scrollY") > 0)
