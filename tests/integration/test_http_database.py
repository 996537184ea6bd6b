"""A database that cannot be written, against the real service: told soon, also by readiness; what is paid is kept."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_http import Refusal, ask, check, clipdrop_form
from fixtures_server import Real, real, wait_until
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORM = clipdrop_form(photo_jpeg(64, 48))
UNUSABLE = Refusal(
    status=503,
    code="SERVER_BUSY",
    message="The server cannot use its database at the moment; try again later",
    system_message="The database could not be used",
    type="server_error",
)


@pytest.fixture
def house(tmp_path: Path, kernels: Path) -> Iterator[Real]:
    (tmp_path / "kernels").symlink_to(kernels)
    with real(tmp_path) as house:
        yield house


def lock(folder: Path) -> Any:
    """Hold the database as another program does."""
    other = sqlite3.connect(folder / "uncrop.db", isolation_level=None, timeout=10, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return closing(other)


def test_a_locked_database_is_told_and_not_waited_for_in_a_row(house: Real, tmp_path: Path) -> None:
    with lock(tmp_path), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(house.url, FORM, key=house.key), range(8)))
    for answer in answers:
        check(answer, UNUSABLE)
        assert answer.headers["retry-after"] == "5"
    assert (house.calls(), house.booked()) == (0, 0)
    assert ask(house.url, FORM, key=house.key).status_code == 200


def test_readiness_writes(house: Real, tmp_path: Path) -> None:
    wait_until(lambda: httpx2.get(house.url + "/readyz").status_code == 200)
    with lock(tmp_path):
        wait_until(lambda: httpx2.get(house.url + "/readyz").status_code == 503)
        checks = httpx2.get(house.url + "/readyz").json()["error"]["details"]["checks"]
        assert checks == {"database": False, "engine": True, "decoders": True}
        assert httpx2.get(house.url + "/livez").status_code == 200
    wait_until(lambda: httpx2.get(house.url + "/readyz").status_code == 200)


def test_a_picture_that_was_made_and_cannot_be_booked_is_delivered(
    house: Real, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    house.clipdrop.script(outcomes.hold(release))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, house.url, FORM, key=house.key)
        house.clipdrop.wait_for_calls(1)
        with lock(tmp_path):
            release.set()
            answer = asked.result()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "usage not booked" in caplog.text
    assert house.booked() == 0
