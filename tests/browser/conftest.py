"""A real Chromium against a real server, for all tests of the page.

Sync Playwright keeps an event loop running, which tests that are coroutines would meet; so it is open only while tests
of this package run.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from browser.visit import House, Visit
from fixtures_server import PROVIDER_KEY, real
from uncrop.testing.emulators import emulated, emulator_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

# As long as any test may take on a busy machine: what never comes about fails all the same.
expect.set_options(timeout=60_000)
# One that bills, and one that tells how far it is and can be held.
PROVIDERS = ("stability", "sdapi")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox; what it loads here is ours.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "kernels").symlink_to(kernels)
    with ExitStack() as stack:
        settings: dict[str, object] = {"rate_limit_per_minute": 100_000, "openai_api_key": None}
        emulators = {}
        for name in PROVIDERS:
            row = emulated()[name]
            key = PROVIDER_KEY if any(setting.name == "api_key" for setting in row.settings) else None
            emulators[name] = stack.enter_context(emulator_of(row)(api_key=key))
            settings |= {f"{name}_base_url": emulators[name].url, **({f"{name}_api_key": key} if key else {})}
        yield House(server=stack.enter_context(real(folder, settings=settings)), emulators=emulators)


@pytest.fixture
def visit(browser: Browser, house: House, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Open the page, as somebody with a key by default; at the end nothing may have gone wrong in any of them."""
    with ExitStack() as stack:
        visits: list[Visit] = []

        def begin(**options: object) -> Visit:
            visits.append(stack.enter_context(Visit.begin(browser, house, tmp_path, **options)))  # type: ignore[arg-type]
            return visits[-1]

        yield begin
        for each in visits:
            each.check()
