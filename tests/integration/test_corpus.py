"""Replays public collections of odd and hostile images: each is a picture, or is refused for a stated reason."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from uncrop.errors import ImageTooLarge, InvalidImage, UnsupportedImageFormat
from uncrop.imaging import arrays, codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.upload import upload_bytes
from uncrop.testing import pictures

if TYPE_CHECKING:
    from fixtures_torture import Cases

REFUSALS = (InvalidImage, UnsupportedImageFormat, ImageTooLarge)
FORMATS = ("JPEG", "PNG", "WEBP")
# How many files of each collection are pictures; all others are refused. A change is to be looked at, file by file.
ACCEPTED = {
    "exif-orientation": 18,
    "gofuzz-gif": 0,
    "gofuzz-jpeg": 38,
    "gofuzz-png": 71,
    "gofuzz-webp": 52,
    "libpng-testpngs": 117,
    "pngsuite175": 161,
    "small": 1,
}
# Pillow compares a transparent level of 4 bits with levels that it has scaled to 8, and so finds nothing transparent.
MISREAD_BY_PILLOW = {"tbbn0g04.png"}

pytestmark = pytest.mark.corpus


def _decoded(data: bytes) -> np.ndarray | None:
    try:
        return codec.decode(open_file(data))
    except REFUSALS:
        return None


def _collection(corpus: dict[tuple[str, str], bytes], name: str) -> dict[str, bytes]:
    return {file: data for (collection, file), data in corpus.items() if collection == name}


def test_every_file_is_a_picture_or_is_refused(corpus: dict[tuple[str, str], bytes], cases: Cases) -> None:
    cases.ran(len(corpus))
    accepted = Counter(dict.fromkeys(ACCEPTED, 0))
    for (collection, _), data in corpus.items():
        pixels = _decoded(data)
        if pixels is None:
            continue
        accepted[collection] += 1
        header = read_header(data)
        for image_format in FORMATS:
            try:
                written = codec.encode(pixels, image_format, jpeg=header.jpeg, metadata=header.metadata)
            except ImageTooLarge:
                continue
            back = read_header(written)
            assert (back.width, back.height) == (header.width, header.height)
    assert dict(accepted) == ACCEPTED


def test_what_is_sent_is_the_same_picture(corpus: dict[tuple[str, str], bytes], cases: Cases) -> None:
    cases.ran(len(corpus))
    for data in corpus.values():
        pixels = _decoded(data)
        if pixels is None:
            continue
        file = open_file(data)
        stripped = strip(file)
        lying = codec.decode(open_file(stripped))
        assert np.array_equal(arrays.upright(lying, file.header.orientation), pixels)
        sent, image_format = upload_bytes(file, pixels, formats=frozenset(FORMATS))
        back = codec.decode(open_file(sent))
        assert back.shape[:2] == pixels.shape[:2]
        if image_format != "JPEG":
            assert np.array_equal(arrays.to_rgba8(back), arrays.to_rgba8(pixels))


def test_pngsuite(corpus: dict[tuple[str, str], bytes]) -> None:
    files = {name: data for name, data in _collection(corpus, "pngsuite175").items() if name.endswith(".png")}
    broken = {name for name in files if name.startswith("x")}
    assert len(broken) == 14
    assert {name for name, data in files.items() if _decoded(data) is None} == broken


def test_pngsuite_against_a_second_decoder(corpus: dict[tuple[str, str], bytes], cases: Cases) -> None:
    cases.ran(ACCEPTED["pngsuite175"])
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    differing = set()
    for name, data in _collection(corpus, "pngsuite175").items():
        pixels = _decoded(data)
        if pixels is None:
            continue
        image = Image.open(io.BytesIO(data))
        if pixels.dtype == np.uint16 and image.mode != "I;16":
            pixels = (pixels >> 8).astype(np.uint8)  # as Pillow does
        if image.mode == "I;16":
            expected, pixels = np.asarray(image), pixels[:, :, 0]
        else:
            expected = np.asarray(image.convert(modes[pixels.shape[2]])).reshape(pixels.shape)
        if not np.array_equal(pixels, expected):
            differing.add(name)
    assert differing == MISREAD_BY_PILLOW


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_photos_of_all_orientations_stand_upright(corpus: dict[tuple[str, str], bytes], shape: str) -> None:
    files = _collection(corpus, "exif-orientation")
    upright = _decoded(files[f"{shape}_1.jpg"])
    assert upright is not None
    for orientation in range(2, 9):
        data = files[f"{shape}_{orientation}.jpg"]
        assert read_header(data).orientation == orientation
        turned = _decoded(data)
        assert turned is not None
        assert turned.shape == upright.shape
        # The files differ by their label, a large digit, and by having been compressed after turning.
        assert np.median(np.abs(turned.astype(int) - upright)) <= 2
        mirrored = turned[:, ::-1]
        assert psnr(turned, upright) > psnr(mirrored, upright) + 3


def test_cut_files_of_the_corpus_are_refused(corpus: dict[tuple[str, str], bytes]) -> None:
    whole = [data for data in _collection(corpus, "exif-orientation").values() if _decoded(data) is not None]
    for data in whole:
        for share in (0.3, 0.7, 0.99):
            assert _decoded(pictures.truncated(data, share)) is None
            assert _decoded(pictures.truncated(data, share, forged_end=True)) is None
