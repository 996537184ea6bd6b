"""The snippets for nginx and Caddy, with a real server behind: prefix, bodies, early refusals, what is hidden."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from fixtures_http import ask, clipdrop_form
from fixtures_server import PATH, Real, wait_until
from processes import accepts, free_port
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
OURS = "127.0.0.1:8000"
MEGABYTE = 1_000_000
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; include {folder}/snippet; }}
}}
"""
CADDY = "{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n import {folder}/snippet\n}}\n"


@contextmanager
def proxy(name: str, house: Real) -> Iterator[str]:
    """Start a proxy with our snippet alone in its site, and return the address under its prefix."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed; on Debian: apt-get install {name}")
    port = free_port()
    # Not in pytest's folder: nginx and Caddy open paths of their own in it.
    with tempfile.TemporaryDirectory(prefix="uncrop-proxy-") as place:
        folder = Path(place)
        snippet = (DEPLOY / {"nginx": "nginx.conf", "caddy": "Caddyfile"}[name]).read_text()
        assert OURS in snippet
        (folder / "snippet").write_text(snippet.replace(OURS, house.url.removeprefix("http://")))
        configuration = folder / "configuration"
        configuration.write_text({"nginx": NGINX, "caddy": CADDY}[name].format(folder=folder, port=port))
        command = {
            "nginx": [program, "-c", str(configuration), "-p", place, "-e", "stderr"],
            "caddy": [program, "run", "--config", str(configuration), "--adapter", "caddyfile"],
        }[name]
        log = folder / "log"
        environment = {"HOME": place, "XDG_DATA_HOME": place, "XDG_CONFIG_HOME": place}
        with log.open("w") as lines:
            started = subprocess.Popen(command, stdout=lines, stderr=lines, cwd=place, env=environment)
            try:
                wait_until(lambda: accepts(port) or started.poll() is not None)
                assert started.poll() is None, log.read_text()
                yield f"http://127.0.0.1:{port}/uncrop"
            finally:
                started.terminate()
                started.wait()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def behind(request: pytest.FixtureRequest, house: Real) -> Iterator[tuple[str, Real]]:
    with proxy(request.param, house) as url:
        yield url, house


def test_the_page_works_under_the_prefix(behind: tuple[str, Real]) -> None:
    url, _ = behind
    moved = httpx2.get(url)
    assert moved.status_code == 308
    assert moved.headers["location"].removeprefix(url.removesuffix("/uncrop")) == "/uncrop/"
    page = httpx2.get(f"{url}/")
    assert page.status_code == 200
    assert "frame-ancestors" in page.headers["content-security-policy"]
    for name in ("api/v1/providers", "openapi.json", "docs", "readyz"):
        assert httpx2.get(f"{url}/{name}").status_code in {200, 503}, name


def test_figures_are_not_for_everybody(behind: tuple[str, Real]) -> None:
    url, house = behind
    assert httpx2.get(f"{url}/metrics").status_code == 404
    assert httpx2.get(f"{house.url}/metrics").status_code == 200


def test_a_picture_comes_through_with_its_headers(behind: tuple[str, Real]) -> None:
    url, house = behind
    answer = ask(url, clipdrop_form(photo_jpeg(64, 48)), key=house.key, headers={"X-Request-Id": "mine"})
    assert answer.status_code == 200
    assert answer.content[:2] == b"\xff\xd8"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-canvas"] == "80x48+16+0"


def test_what_is_too_large_is_refused_by_us_and_with_a_code(behind: tuple[str, Real]) -> None:
    url, house = behind
    answer = ask(url, clipdrop_form(bytes(56 * MEGABYTE)), key=house.key)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "REQUEST_TOO_LARGE"


def test_a_request_without_a_key_is_refused(behind: tuple[str, Real]) -> None:
    answer = ask(behind[0], clipdrop_form(bytes(MEGABYTE)), key=None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTHENTICATION_REQUIRED")


def test_nginx_hands_a_refusal_on_before_the_photo_is_sent(house: Real) -> None:
    # Caddy hands it on once it has read the body: Go's server does.
    with proxy("nginx", house) as url:
        host, port = httpx2.URL(url).netloc.decode(), httpx2.URL(url).port
        head = f"POST /uncrop{PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
            raw.sendall(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
            assert raw.recv(65536).split()[1] == b"401"
