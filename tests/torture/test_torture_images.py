"""Hostile images over HTTP: bombs, boundaries, flipped bits, polyglots, lies about the type."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from torture_files import CANARY, FORMATS, bombs, claiming, flipped, polyglots, seeds
from torture_http import Poster, posting
from torture_verdict import OF_IMAGES, check_none, miss_of

from uncrop.errors import ImageTooLarge, UncropError
from uncrop.imaging import codec
from uncrop.imaging.header import check_size, open_file
from uncrop.testing import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures_torture import Cases

# As they are documented.
MAX_PIXELS = {"JPEG": 100_000_000, "PNG": 100_000_000, "WEBP": 50_000_000}
MAX_SIDES = {"JPEG": 65_500, "PNG": 2**31 - 1, "WEBP": 16_383}
# What a small file may cost, in seconds of CPU time, of the server, the emulated provider and the client together.
MOST_CPU_S = 10.0


@pytest.fixture(scope="module")
def poster(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Poster]:
    with posting(tmp_path_factory.mktemp("images"), kernels) as started:
        yield started


def test_bombs_cost_little(poster: Poster, cases: Cases) -> None:
    misses = []
    files = cases.some(list(bombs()), 7)
    for name, data in files:
        begun = time.process_time()
        response = poster.post(data)
        spent = time.process_time() - begun
        miss = miss_of(response, codes=OF_IMAGES)
        if miss is None and response.status_code == 200:
            # What is answered has been decoded whole, and has the size that the header says.
            header, answer = open_file(data).header, open_file(response.content).header
            if (answer.width, answer.height) != (header.width + 8, header.height):
                miss = f"{answer.width} x {answer.height} of {header.width} x {header.height}"
        if miss is None and spent > MOST_CPU_S:
            miss = f"{spent:.1f} s of CPU time"
        if miss is not None:
            misses.append(f"{name}: {miss}")
    cases.ran(len(files))
    check_none(misses)


def test_a_claim_that_is_not_kept_is_refused(cases: Cases) -> None:
    misses, ran = [], 0
    for image_format, width, height in itertools.product(FORMATS, (0, 20, 39, 41, 65, 16_000), (0, 15, 29, 31, 62)):
        ran += 1
        data = claiming(image_format, width, height)
        try:
            pixels = codec.decode(open_file(data))
        except UncropError:
            continue
        # A decoder may be content with less; then the picture must be as large as its header says.
        header = open_file(data).header
        if pixels.shape[:2] != (header.height, header.width):
            misses.append(f"{image_format} {width} x {height}: {pixels.shape}")
        elif image_format != "WEBP" and -(-width // 16) * -(-height // 16) > 3 * 2:
            misses.append(f"{image_format} {width} x {height}: more pixels than there are data")
    cases.ran(ran)
    check_none(misses)


def test_the_limit_of_pixels_is_exact_whatever_the_shape(cases: Cases) -> None:
    misses, ran = [], 0
    for image_format in FORMATS:
        most, longest = MAX_PIXELS[image_format], MAX_SIDES[image_format]
        widths = [width for width in (1, 7, 1250, 5000, 10_000, 12_500) if most // width <= longest]
        for width in widths:
            for turned, extra in itertools.product((False, True), (-1, 0, 1)):
                ran += 1
                extent = (width, most // width + extra)
                allowed = extent[0] * extent[1] <= most
                if _is_let_through(image_format, *(extent[::-1] if turned else extent)) != allowed:
                    misses.append(f"{image_format} {extent}")
        for side, allowed in ((longest, True), (longest + 1, False)):
            ran += 1
            if _is_let_through(image_format, side, 1) != (allowed and side <= most):
                misses.append(f"{image_format}, one side of {side}")
    cases.ran(ran)
    check_none(misses)


def _is_let_through(image_format: str, width: int, height: int) -> bool:
    try:
        check_size(image_format, width, height)  # type: ignore[arg-type]
    except ImageTooLarge:
        return False
    return True


def test_flipped_bits_break_nothing(poster: Poster, cases: Cases) -> None:
    sound = seeds()
    assert len(sound) >= 20
    misses, ran = [], 0
    for seed in range(cases.number(40, 5000)):
        ran += 1
        response = poster.post(flipped(sound[seed % len(sound)], seed=seed))
        if (miss := miss_of(response, codes=OF_IMAGES)) is not None:
            misses.append(f"seed {seed}: {miss}")
    assert poster.post(sound[0]).status_code == 200
    cases.ran(ran)
    check_none(misses)


def test_of_a_polyglot_the_picture_alone_goes_on(poster: Poster, cases: Cases) -> None:
    files = cases.some(list(polyglots()), 16)
    misses = []
    for name, data in files:
        assert CANARY in data
        response, sent = poster.post_and_see(data)
        if response.status_code != 200:
            misses.append(f"{name}: status {response.status_code}")
            continue
        if any(CANARY in text for text in (response.content, *sent)):
            misses.append(f"{name}: its payload went on")
        if not response.headers["content-type"].startswith("image/"):
            misses.append(f"{name}: {response.headers['content-type']}")
    cases.ran(len(files))
    check_none(misses)


TYPES = [
    "image/jpeg",
    "image/jpg",
    "image/png",
    "image/webp",
    "image/svg+xml",
    "application/octet-stream",
    "text/html; charset=utf-8",
    "multipart/form-data; boundary=x",
    "image/" + "x" * 300,
    "nonsense",
]


def test_the_declared_type_says_nothing(poster: Poster, cases: Cases) -> None:
    misses = []
    pairs = cases.some(list(itertools.product(FORMATS, TYPES)), 10)
    for image_format, kind in pairs:
        image = pictures.photo_file(image_format, 40, 30)  # type: ignore[arg-type]
        response = poster.post(image, name="a", kind=kind)
        if response.status_code != 200 or response.headers["content-type"] != "image/jpeg":
            misses.append(f"{image_format} as {kind}: {response.status_code}")
        elif kind not in {"image/jpeg", "image/png", "image/webp"} and kind in str(response.headers):
            misses.append(f"{image_format} as {kind}: the type is echoed")
    cases.ran(len(pairs))
    check_none(misses)


def test_animations_are_refused_by_their_number_of_frames(poster: Poster, cases: Cases) -> None:
    misses, ran = [], 0
    for make, frames in itertools.product((pictures.animated_png, pictures.animated_webp), (1, 2, 60)):
        for extent in ((8, 8), (40, 30)):
            ran += 1
            response = poster.post(make(*extent, frames=frames))
            code = "" if response.status_code == 200 else response.json()["error"]["code"]
            if (frames == 1) != (response.status_code == 200) or (frames > 1 and code != "UNSUPPORTED_IMAGE_FORMAT"):
                misses.append(f"{make.__name__} of {frames} frames: {response.status_code} {code}")
    cases.ran(ran)
    check_none(misses)


def test_every_orientation_of_every_format_comes_out_upright(poster: Poster, cases: Cases) -> None:
    misses = []
    ways = cases.some(list(itertools.product(FORMATS, range(1, 9), ((48, 32), (32, 48)))), 16)
    for image_format, orientation, (width, height) in ways:
        data = pictures.rotated(image_format, orientation, width=width, height=height)  # type: ignore[arg-type]
        response = poster.post(data)
        answer = open_file(response.content)
        shown = codec.decode(answer)[:, 8:].astype(int)
        difference = np.abs(shown - pictures.photo(width, height)).mean()
        if answer.header.orientation != 1 or difference > 12:
            misses.append(f"{image_format} {orientation}: {difference:.0f} levels")
    cases.ran(len(ways))
    check_none(misses)
