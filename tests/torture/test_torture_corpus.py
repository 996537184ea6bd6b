"""Whole collections of odd and hostile files, posted to the real server one after another."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from torture_http import Poster, posting
from torture_verdict import OF_IMAGES, check_none, miss_of

from uncrop.errors import UncropError
from uncrop.imaging.header import open_file, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_torture import Cases

pytestmark = pytest.mark.corpus
TYPES = (("photo.jpg", "image/png"), ("photo", "application/octet-stream"), ("..\\..\\photo.svg", "text/html"))


@pytest.fixture(scope="module")
def poster(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Iterator[Poster]:
    with posting(tmp_path_factory.mktemp("corpus"), kernels) as started:
        yield started


def test_every_file_is_extended_or_refused_for_a_stated_reason(
    poster: Poster, corpus: dict[tuple[str, str], bytes], more_files: dict[tuple[str, str], bytes], cases: Cases
) -> None:
    files = cases.some([*corpus.items(), *more_files.items()], 40)
    misses, outcomes = [], Counter[str]()
    for (collection, name), data in files:
        response = poster.post(data)
        outcomes[str(response.status_code)] += 1
        if (miss := miss_of(response, codes=OF_IMAGES)) is not None:
            misses.append(f"{collection}/{name}: {miss}")
    assert poster.post(_good(corpus)).status_code == 200
    cases.ran(len(files))
    check_none(misses)
    assert set(outcomes) == {"200", "422"}, outcomes


def _good(corpus: dict[tuple[str, str], bytes]) -> bytes:
    return corpus["exif-orientation", "Landscape_1.jpg"]


def test_the_content_decides_whatever_the_file_is_called(
    poster: Poster, corpus: dict[tuple[str, str], bytes], cases: Cases
) -> None:
    """The smallest files of 138 types, under wrong names and types; one PNG, JPEG or WebP among them is a picture."""
    files = cases.some([(name, data) for (collection, name), data in corpus.items() if collection == "small"], 20)
    misses, ran = [], 0
    for name, data in files:
        seen = set()
        for file in TYPES:
            response = poster.post(data, name=file[0], kind=file[1])
            ran += 1
            seen.add((response.status_code, response.json()["error"]["code"] if response.is_error else ""))
            if (miss := miss_of(response, codes=OF_IMAGES)) is not None:
                misses.append(f"{name} as {file}: {miss}")
        if len(seen) != 1:
            misses.append(f"{name}: {sorted(seen)}")
    cases.ran(ran)
    check_none(misses)


def test_two_decoders_agree_on_the_size_of_what_is_accepted(
    corpus: dict[tuple[str, str], bytes], more_files: dict[tuple[str, str], bytes], cases: Cases
) -> None:
    misses, ran = [], 0
    for (collection, name), data in cases.some([*corpus.items(), *more_files.items()], 300):
        try:
            header = open_file(data).header
        except UncropError:
            continue
        ran += 1
        sizes = {(header.width, header.height), (header.height, header.width)}
        try:
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, UserWarning, RuntimeWarning):
            continue  # Pillow refuses, or warns of, what is broken further on; here only the header was read.
        if size not in sizes:
            misses.append(f"{collection}/{name}: {header.width} x {header.height}, Pillow {size}")
    cases.ran(ran)
    check_none(misses)


def test_what_was_read_in_the_header_is_what_is_sent(poster: Poster, corpus: dict[tuple[str, str], bytes]) -> None:
    data = _good(corpus)
    response, sent = poster.post_and_see(data)
    assert response.status_code == 200
    header = read_header(data)
    headers = [read_header(part) for part in sent if part.startswith(b"\xff\xd8")]
    assert [(each.width, each.height) for each in headers] == [(header.width, header.height)]
