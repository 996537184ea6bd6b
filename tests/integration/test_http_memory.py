"""Memory of a server with all its processes, beside the formula of docs/how-to/production.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import numpy as np
import pytest

from fixtures_server import PATH, wait_until
from uncrop.imaging import codec
from uncrop.imaging.png.layout import SIGNATURE, chunk
from uncrop.settings import PIXEL_MEGABYTES
from uncrop.testing.pictures import photo

if TYPE_CHECKING:
    from collections.abc import Iterator


WORKERS, AT_ONCE = 1, 16
PROCESSES = 300 + 120 + 220 * WORKERS  # the server, what starts decoders, and the engine
DECODING, BODIES = 1000, 512
FORMULA = PROCESSES + PIXEL_MEGABYTES * (1 + WORKERS) + DECODING + BODIES
MEGABYTE = 1_000_000


class Watched:
    """A server in a process of its own, whose memory is looked at all the time."""

    def __init__(self, pid: int, url: str, key: str, organization: str) -> None:
        self._pid = pid
        self._client = httpx2.Client(
            base_url=url, headers={"X-API-Key": key}, timeout=600, trust_env=False, limits=httpx2.Limits()
        )
        self._fields = {"provider": "local", "organization_id": organization, "quality": "fast"}
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def extend(self, image: bytes, **fields: str) -> httpx2.Response:
        return self._client.post(PATH, data={**self._fields, **fields}, files={"image_file": ("photo", image)})

    def wait_until_ready(self) -> None:
        wait_until(lambda: self._client.get("/readyz").status_code == 200)

    def now(self) -> int:
        """Return the megabytes of the server and its processes, what they share counted once."""
        return sum(map(proportional_bytes, descendants(self._pid))) // MEGABYTE

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, self.now())


def descendants(pid: int) -> list[int]:
    try:
        children = [
            child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(each for child in children for each in descendants(int(child)))]


def proportional_bytes(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * int(found[1]) if found else 0


@contextmanager
def watched(folder: Path, kernels: Path) -> Iterator[Watched]:
    (folder / "kernels").symlink_to(kernels)
    environment = {
        **os.environ,
        "UNCROP_DATA_DIR": str(folder),
        "UNCROP_ENGINE_WORKERS": str(WORKERS),
        "UNCROP_RATE_LIMIT_PER_MINUTE": "100000",
        "UNCROP_PROVIDER_TIMEOUT_S": "600",
    }
    command = [sys.executable, "-m", "uncrop", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=-1, stderr=-1) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            while not (line := server.stderr.readline().decode()).startswith("uncrop: listening on"):
                assert line, "the server ended"
            shown = os.read(server.stdout.fileno(), 10_000).decode()
            threading.Thread(target=server.stderr.read, daemon=True).start()
            names = ("key", "organization")
            key, organization = (re.search(rf"^  {name} +(\S+)", shown, re.MULTILINE) for name in names)
            assert key is not None
            assert organization is not None
            seen = Watched(server.pid, line.split()[-1], key[1], organization[1])
            try:
                seen.wait_until_ready()
                yield seen
            finally:
                seen.close()
        finally:
            server.terminate()


def deep_png(width: int, height: int) -> bytes:
    """Make a PNG of one colour, 16-bit RGBA, without ever holding its pixels."""
    import zlib

    packer = zlib.compressobj(1)
    row = bytes(1 + 8 * width)
    data = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((16, 6, 0, 0, 0))
    return b"".join((SIGNATURE, chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")))


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at the memory of processes that nobody may trace")
def test_a_small_file_of_a_giant_costs_nothing(tmp_path: Path, kernels: Path) -> None:
    with watched(tmp_path, kernels) as server:
        before = server.now()
        giant = deep_png(10_000, 10_000)
        assert len(giant) < 5_000_000
        response = server.extend(giant, extend_left="-2000", extend_right="-2000", extend_up="10")
        assert (response.status_code, response.json()["error"]["code"]) == (422, "IMAGE_TOO_LARGE")
        assert response.json()["error"]["details"]["max_allowed"] == 25_000_000
        assert server.peak - before < 100


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at the memory of processes that nobody may trace")
@pytest.mark.parametrize("kind", ["deep", "PNG", "JPEG", "WEBP"])
def test_the_largest_legal_pictures_at_once_stay_under_the_formula(tmp_path: Path, kernels: Path, kind: str) -> None:
    image = deep_png(5000, 5000) if kind == "deep" else _striped(6000 if kind == "WEBP" else 8000, kind)
    fields = {"extend_left": "-2000", "extend_right": "-2000", "extend_up": "-2000", "extend_down": "16"}
    with watched(tmp_path, kernels) as server, ThreadPoolExecutor(AT_ONCE) as clients:
        before = server.now()
        post = partial(server.extend, image, output_format="png", **fields)
        answers = list(clients.map(lambda _number: post(), range(AT_ONCE)))
        assert {answer.status_code: answer.text[:200] for answer in answers if answer.status_code != 200} == {}
        assert before + 200 < server.peak < FORMULA


def _striped(width: int, kind: str) -> bytes:
    pixels = np.repeat(photo(width, 50), 100, axis=0)
    if kind == "WEBP":
        return codec.encode(pixels, "WEBP", lossless=True)
    return codec.encode(pixels, "PNG" if kind == "PNG" else "JPEG")
