"""Memory of a server with all its processes, beside the formula of docs/how-to/production.md."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fixtures_processes import watched
from uncrop.imaging import codec
from uncrop.imaging.png.layout import SIGNATURE, chunk
from uncrop.settings import PIXEL_MEGABYTES
from uncrop.testing.pictures import photo

if TYPE_CHECKING:
    from pathlib import Path


# One engine makes sixteen pictures, one after the other, whatever else the machine does.
pytestmark = pytest.mark.timeout(1800)
WORKERS, AT_ONCE = 1, 16
PROCESSES = 300 + 120 + 220 * WORKERS  # the server, what starts decoders, and the engine
DECODING, BODIES = 1000, 512
FORMULA = PROCESSES + PIXEL_MEGABYTES * (1 + WORKERS) + DECODING + BODIES
WATCHED = {
    "UNCROP_ENGINE_WORKERS": str(WORKERS),
    "UNCROP_RATE_LIMIT_PER_MINUTE": "100000",
    "UNCROP_PROVIDER_TIMEOUT_S": "1500",
}
FIELDS = {"provider": "local", "quality": "fast"}


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
    with watched(tmp_path, kernels, WATCHED) as server:
        before = server.now()
        giant = deep_png(10_000, 10_000)
        assert len(giant) < 5_000_000
        response = server.extend(giant, **FIELDS, extend_left="-2000", extend_right="-2000", extend_up="10")
        assert (response.status_code, response.json()["error"]["code"]) == (422, "IMAGE_TOO_LARGE")
        assert response.json()["error"]["details"]["max_allowed"] == 25_000_000
        assert server.peak - before < 100


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at the memory of processes that nobody may trace")
@pytest.mark.parametrize("kind", ["deep", "PNG", "JPEG", "WEBP"])
def test_the_largest_legal_pictures_at_once_stay_under_the_formula(tmp_path: Path, kernels: Path, kind: str) -> None:
    image = deep_png(5000, 5000) if kind == "deep" else _striped(6000 if kind == "WEBP" else 8000, kind)
    fields = {"extend_left": "-2000", "extend_right": "-2000", "extend_up": "-2000", "extend_down": "16"}
    with watched(tmp_path, kernels, WATCHED) as server, ThreadPoolExecutor(AT_ONCE) as clients:
        before = server.now()
        post = partial(server.extend, image, **FIELDS, output_format="png", **fields)
        answers = list(clients.map(lambda _number: post(), range(AT_ONCE)))
        assert {answer.status_code: answer.text[:200] for answer in answers if answer.status_code != 200} == {}
        assert before + 200 < server.peak < FORMULA


def _striped(width: int, kind: str) -> bytes:
    pixels = np.repeat(photo(width, 50), 100, axis=0)
    if kind == "WEBP":
        return codec.encode(pixels, "WEBP", lossless=True)
    return codec.encode(pixels, "PNG" if kind == "PNG" else "JPEG")
