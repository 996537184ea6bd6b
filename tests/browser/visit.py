"""One visit to the page: what somebody does there, and what the browser says of it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import expect

from fixtures_server import ORGANIZATION
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request

    from fixtures_server import Real

WIDTH, HEIGHT = 96, 72
SIDES = ("left", "right", "up", "down")


@dataclass(frozen=True, kw_only=True)
class House:
    """A server, and the emulators behind it by name."""

    server: Real
    emulators: dict[str, Any]

    @property
    def running(self) -> int:
        """How many requests hold a turn."""
        return int(self.server.server.service.capacity.slots.running)

    @property
    def address(self) -> str:
        """The page's address with the key in it, as ``uncrop serve`` prints it."""
        return f"{self.server.url}/#organization={ORGANIZATION}&key={self.server.key}"


@dataclass(kw_only=True)
class Visit:
    """An open page.

    Attributes
    ----------
    problems
        What the console called an error, and what left this server; empty at the end.
    expected
        What the console may say, as a regular expression, because the test provokes it.
    """

    page: Page
    house: House
    folder: Path
    problems: list[str] = field(default_factory=list)
    expected: str = "(?!)"

    @classmethod
    @contextmanager
    def begin(
        cls,
        browser: Browser,
        house: House,
        folder: Path,
        *,
        address: str | None = None,
        size: tuple[int, int] = (1280, 800),
        **options: Any,
    ) -> Iterator[Visit]:
        """Open the page in a browser context of its own."""
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
        context.set_default_timeout(60_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=house.server.url)
        visit = cls(page=context.new_page(), house=house, folder=folder)
        visit.page.on("console", visit._heard)
        visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
        visit.page.on("request", visit._asked)
        visit.page.goto(address or house.address)
        expect(visit.page.locator(".maker").first).to_be_visible()
        yield visit
        context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"} and f"{parts.scheme}://{parts.netloc}" != self.house.server.url:
            self.problems.append(f"asked {request.url}")

    def check(self) -> None:
        """Nothing went wrong but what was expected to."""
        assert [problem for problem in self.problems if not re.search(self.expected, problem)] == []

    # --- what somebody does -------------------------------------------------------------------------------------------

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def photo(self, width: int = WIDTH, height: int = HEIGHT, name: str = "photo.jpg") -> Path:
        """Write a photo."""
        path = self.folder / name
        path.write_bytes(photo_jpeg(width, height))
        return path

    def choose(self, path: Path | None = None) -> None:
        """Choose a photo, and wait until it is shown and its quote is told."""
        self.page.set_input_files("#file", path or self.photo())
        expect(self.find("#editor")).to_be_visible()
        self.quoted()

    def quoted(self) -> None:
        """Wait for the quote of what is set now."""
        expect(self.find("#quote")).not_to_have_text("…")

    def sides(self) -> tuple[int, ...]:
        """The four fields."""
        return tuple(int(self.find(f"[name={side}]").input_value()) for side in SIDES)

    def handle(self, name: str) -> Locator:
        return self.page.get_by_role("slider", name=name, exact=True)

    def make(self) -> None:
        """Extend, and wait for the picture."""
        self.page.click("#extend")
        expect(self.find("#result")).to_be_visible()


def middle(target: Locator) -> tuple[float, float]:
    """Where an element's middle is on the screen."""
    box = target.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
