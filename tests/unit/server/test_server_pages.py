"""The pages' files, as they are served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from uncrop.server.pages import page_files, takes_gzip

if TYPE_CHECKING:
    from fixtures_server import Running

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@pytest.mark.parametrize("path", [path for path, _ in page_files()])
@pytest.mark.parametrize("coding", ["gzip, br", "identity"])
def test_the_page_is_served_with_its_own_policy(fake_server: Running, path: str, coding: str) -> None:
    file = dict(page_files())[path]
    response = httpx2.get(fake_server.url + path, headers={"Accept-Encoding": coding})
    assert (response.status_code, response.content) == (200, file.read_bytes())
    assert response.headers["content-type"] == KINDS.get(file.suffix, "image/jpeg")
    # A picture is compressed already.
    packed = coding != "identity" and file.suffix in KINDS
    assert response.headers.get("content-encoding") == ("gzip" if packed else None)
    assert response.headers.get("vary") == ("Accept-Encoding" if file.suffix in KINDS else None)
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-cache"
    known = response.headers["etag"]
    for tags in (known, f'"other", W/{known}'):
        again = httpx2.get(fake_server.url + path, headers={"If-None-Match": tags, "Accept-Encoding": coding})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", known)
    only_head = httpx2.head(fake_server.url + path, headers={"Accept-Encoding": coding})
    assert (only_head.status_code, only_head.content) == (200, b"")
    assert only_head.headers["content-length"] == response.headers["content-length"]


def test_the_page_is_small(fake_server: Running) -> None:
    paths = [path for path, file in page_files() if not file.stem.startswith("docs") and file.suffix in KINDS]
    sizes = [int(httpx2.head(fake_server.url + path).headers["content-length"]) for path in paths]
    assert 5_000 < sum(sizes) < 60_000


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("*;q=1, gzip;q=0.000", False),
        ("br", False),
        ("", False),
    ],
)
def test_the_page_is_compressed_for_those_who_take_it(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


def test_the_example_is_the_one_that_the_readme_extends() -> None:
    assert dict(page_files())["/page/example.jpg"].read_bytes() == (EXAMPLES / "cat.jpg").read_bytes()
