"""Programs and libraries that people use post a photo by their natural way: to the server, and through nginx."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fixtures_server import ORGANIZATION, PATH, Real, real, wait_until
from processes import accepts, free_port
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing.pictures import photo, photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
LOCK = HERE.parents[1] / "requirements" / "old-requests.txt"
WIDTH, HEIGHT, LEFT = 96, 64, 16
WAYS = ("direct", "plain nginx", "upgrading nginx")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Client:
    """A program of this folder, what runs it, the Debian package that brings that, and options of its own."""

    command: tuple[str, ...]
    needs: str
    package: str
    options: tuple[str, ...] = ()


CLIENTS = {
    "curl": Client(("sh", "post_curl.sh"), "curl", "curl"),
    "curl --http2": Client(("sh", "post_curl.sh"), "curl", "curl", ("--http2",)),
    "curl --http1.0": Client(("sh", "post_curl.sh"), "curl", "curl", ("--http1.0",)),
    "curl, expecting": Client(("sh", "post_curl.sh"), "curl", "curl", ("--header", "Expect: 100-continue")),
    "curl, chunked": Client(("sh", "post_curl.sh"), "curl", "curl", ("--header", "Transfer-Encoding: chunked")),
    "Java HttpClient": Client(("java", "Post.java"), "javac", "default-jdk-headless"),
    "Go net/http": Client(("go", "run", "post.go"), "go", "golang-go"),
    "PHP curl": Client(("php", "post_curl.php"), "php", "php-cli php-curl"),
    "PHP streams": Client(("php", "post_streams.php"), "php", "php-cli"),
    "PHP streams 1.0": Client(("php", "post_streams.php"), "php", "php-cli", ("1.0",)),
    "Ruby Net::HTTP": Client(("ruby", "post.rb"), "ruby", "ruby"),
    "Node fetch": Client(("node", "post_fetch.mjs"), "node", "nodejs"),
    "Node http": Client(("node", "post_http.mjs"), "node", "nodejs"),
    ".NET's bytes": Client((sys.executable, "post_dotnet.py"), sys.executable, "python3"),
    "requests 2.20": Client(("python", "post_old_requests.py"), sys.executable, "python3"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "kernels").symlink_to(kernels)
    with real(folder, settings={"rate_limit_per_minute": 10_000}) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(house: Real, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start nginx, and give the address of each of its two servers."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx")
    folder = tmp_path_factory.mktemp("nginx")
    ports = {"PLAIN": free_port(), "UPGRADING": free_port(), "SERVER": house.server.port}
    text = (HERE / "nginx.conf").read_text().replace("FOLDER", str(folder))
    for name, port in ports.items():
        text = text.replace(name, str(port))
    (folder / "nginx.conf").write_text(text)
    # Started by root, its workers would be somebody else's, who may not look into the folder.
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log", *user])
    try:
        wait_until(lambda: process.poll() is not None or all(map(accepts, ports.values())))
        assert process.poll() is None, (folder / "error.log").read_text()
        yield {f"{name} nginx": f"http://127.0.0.1:{ports[name.upper()]}" for name in ("plain", "upgrading")}
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment with requests of 2018."""
    folder = tmp_path_factory.mktemp("old")
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--require-hashes", "-r", LOCK], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"requests 2.20 could not be installed: {done.stderr.strip().splitlines()[-1]}")
    return python


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_extends_a_photo(
    house: Real, name: str, way: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    client = CLIENTS[name]
    if shutil.which(client.needs) is None:
        pytest.skip(f"{client.needs} is not installed; on Debian: apt-get install {client.package}")
    url = house.url if way == "direct" else request.getfixturevalue("nginx")[way]
    first = request.getfixturevalue("old_python") if client.command[0] == "python" else client.command[0]
    (tmp_path / "photo.jpg").write_bytes(photo_jpeg(WIDTH, HEIGHT))
    command = [first, *client.command[1:], url + PATH, house.key, ORGANIZATION]
    environment = {**os.environ, "GOCACHE": str(HERE.parents[1] / ".venv" / "go-cache"), "GO111MODULE": "off"}
    done = subprocess.run(
        [*command, str(tmp_path / "photo.jpg"), str(tmp_path / "answer"), *client.options],
        cwd=HERE,
        env={key: value for key, value in environment.items() if "proxy" not in key.lower()},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["200"]), done.stdout + done.stderr
    answer = open_file((tmp_path / "answer").read_bytes())
    assert (answer.header.format, answer.header.width, answer.header.height) == ("JPEG", WIDTH + LEFT, HEIGHT)
    shown = codec.decode(answer)[:, LEFT:].astype(int)
    assert np.abs(shown - photo(WIDTH, HEIGHT)).mean() < 12
