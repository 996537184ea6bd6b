"""The reference page as a browser gets it from a real server: everything from this server, and everything said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from fixtures_server import PROVIDER_KEY, Real, real
from uncrop.imaging.header import read_header
from uncrop.model import SCOPES
from uncrop.testing.emulators import emulated, emulator_of
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png

if TYPE_CHECKING:
    from collections.abc import Iterator

RENDER = Path(__file__).with_name("render_docs.mjs")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "kernels").symlink_to(kernels)
    with ExitStack() as stack:
        settings = {}
        for name, row in emulated().items():
            needs_key = any(setting.name == "api_key" for setting in row.settings)
            emulator = stack.enter_context(emulator_of(row)(api_key=PROVIDER_KEY if needs_key else None))
            settings |= {f"{name}_base_url": emulator.url, **({f"{name}_api_key": PROVIDER_KEY} if needs_key else {})}
        house = stack.enter_context(real(folder, settings=settings, jobs=True))
        house.key = house.new_key(scopes=SCOPES).key  # administration is shown too
        yield house


@pytest.fixture(scope="module")
def files(house: Real) -> dict[str, httpx2.Response]:
    """The page and what it loads, by path."""
    page = httpx2.get(f"{house.url}/docs")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    paths = {urlsplit(urljoin(f"{house.url}/docs", link)).path for link in links if not link.startswith("data:")}
    return {"/docs": page, **{path: httpx2.get(house.url + path) for path in sorted(paths)}}


@pytest.fixture(scope="module")
def shown(house: Real, files: dict[str, httpx2.Response], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's script makes of the document."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed; on Debian: apt-get install nodejs")
    script = tmp_path_factory.mktemp("script") / "docs.mjs"
    script.write_text(files["/page/docs.js"].text)
    done = subprocess.run([node, RENDER, house.url, script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_page_is_whole_and_names_no_other_host(files: dict[str, httpx2.Response]) -> None:
    assert set(files) == {"/docs", "/page/docs.css", "/page/docs.js", "/openapi.json"}
    for path, response in files.items():
        assert response.status_code == 200, path
        if path != "/openapi.json":
            assert response.headers["content-security-policy"] == POLICY
            assert re.findall(r"(?:[a-z]+:)?//[a-z0-9-]+\.[a-z]", response.text) == [], path
    assert not re.search(r"@import|url\(", files["/page/docs.css"].text)
    page = files["/docs"].text
    # Inline code would not run under the policy, and must not be there to tempt anybody to loosen it.
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", page) == []


def test_the_script_asks_its_own_server_alone(house: Real, shown: dict[str, Any]) -> None:
    assert shown["asked"] == [f"{house.url}/openapi.json", f"{house.url}/api/v1/providers"]
    assert shown["state"] == ""
    assert {"script", "iframe", "img", "link", "style"} & set(shown["tags"]) == set()
    assert [link for link in shown["links"] if not urljoin(f"{house.url}/docs", link).startswith(f"{house.url}/")] == []
    inside = {link.removeprefix("#") for link in shown["links"] if link.startswith("#")}
    assert inside <= set(shown["ids"])


def test_everything_in_the_document_is_shown(files: dict[str, httpx2.Response], shown: dict[str, Any]) -> None:
    document = files["/openapi.json"].json()
    schemas = document["components"]["schemas"]
    codes = set(shown["codes"])
    assert set(schemas["UncropForm"]["properties"]) <= codes
    for answered in ("PictureList", "PictureWithMap", "Quote"):
        assert set(schemas[answered]["properties"]) <= codes, answered
    assert set(schemas["Error"]["properties"]["error"]["properties"]["code"]["enum"]) - {"NOT_FOUND"} <= codes
    assert set(document["components"]["headers"]) - {"Retry-After", "WWW-Authenticate", "Allow"} <= codes
    for path, item in document["paths"].items():
        assert path in shown["text"]
        for operation in item.values():
            assert operation["summary"] in shown["text"]
    for name, field in schemas["UncropForm"]["properties"].items():
        said = [part.replace("`", "") for part in field["description"].split("\n\n")]
        assert [part for part in said if part not in shown["text"]] == [], name
        assert {str(value) for value in field.get("enum", [])} <= codes
    assert "undefined" not in shown["text"]
    assert "[object" not in shown["text"]


def test_what_each_provider_takes_is_shown(house: Real, shown: dict[str, Any]) -> None:
    for provider in httpx2.get(f"{house.url}/api/v1/providers").json()["providers"]:
        assert provider["name"] in shown["codes"]
        assert provider["sentence"] in shown["text"]
        assert f"at most {provider['upload']['max_bytes'] / 1e6:g} MB" in shown["text"]
        if provider["price"] is not None:
            assert "{amount} {unit} for each {per} ({date})".format(**provider["price"]) in shown["text"]
        for name, value in provider["geometry"].items():
            if isinstance(value, int) and value > 1:
                assert f"{name.replace('_', ' ')}: {value}" in shown["text"]


def test_the_commands_that_are_shown_work(house: Real, shown: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo_jpeg(160, 120))
    (tmp_path / "photo.png").write_bytes(photo_png(160, 120))
    (tmp_path / "mask.png").write_bytes(mask_png(160, 120))
    commands = [block for block in shown["blocks"] if block.startswith("curl ")]
    paths = httpx2.get(f"{house.url}/openapi.json").json()["paths"]
    providers = {found[1] for command in commands if (found := re.search(r"-F provider=(\w+)", command))}
    assert providers == {*house.server.service.registry.names(), "all"}
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", f"{command} --silent --show-error --write-out ' %{{http_code}}'"],
            cwd=tmp_path,
            env={**os.environ, "UNCROP_KEY": house.key},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        body, _, status = done.stdout.rpartition(" ")
        address = command.split(" \\\n")[0].rsplit(" ", 1)[-1]
        expected = {"202" if address.endswith("/jobs") and "-F" in command else "200"}
        if "/readyz" in command:
            expected |= {"503"}  # whether the engine is compiled on this machine is not what is tested
        if urlsplit(address).path not in paths:
            expected |= {"404"}  # what an example in the address names is not there
        assert status in expected, (command, done.stdout)
        if status == "404":
            assert json.loads(body)["error"]["code"] == "NOT_FOUND", (command, done.stdout)
        if "-o wide" in command:
            assert read_header((tmp_path / "wide").read_bytes()).width >= 64
