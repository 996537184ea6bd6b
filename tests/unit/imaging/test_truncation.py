"""No file that was cut off is taken for a whole one, however its end was made to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fixtures_imaging import pillow

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.testing import pictures

if TYPE_CHECKING:
    from fixtures_torture import Cases

CUTS = 120
PHOTO = pictures.photo(151, 103)
FILES = {
    "baseline": pictures.photo_jpeg(151, 103),
    "progressive": pillow(PHOTO, "JPEG", progressive=True, quality=90),
    "restarts": pillow(PHOTO, "JPEG", quality=90, restart_marker_rows=1),
    "png": pictures.photo_png(151, 103),
    "deep png": pictures.photo_png(151, 103, bits=16),
    "palette png": pillow(PHOTO, "PNG", "P"),
    "lossy webp": pictures.photo_webp(151, 103),
    "webp with alpha": pictures.photo_webp(151, 103, channels=4),
    "lossless webp": pictures.photo_webp(151, 103, lossless=True),
}


def _is_accepted(data: bytes) -> bool:
    try:
        codec.decode(open_file(data))
    except (InvalidImage, UnsupportedImageFormat):
        return False
    return True


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("forged_end", [False, True])
def test_no_cut_is_accepted(name: str, forged_end: bool, cases: Cases) -> None:
    whole = FILES[name]
    assert _is_accepted(whole)
    # A forged end puts a missing last byte right, so only an honest cut may be that small. What alone may be missing is
    # what holds nothing of the picture: a JPEG's end marker, two bytes, and a PNG's end chunk, twelve.
    least = {b"\xff\xd8": 3, b"\x89P": 13}.get(whole[:2], 1)
    cuts = [number / CUTS for number in range(CUTS)] + ([] if forged_end else [1 - least / len(whole)])
    accepted = [cut for cut in cuts if _is_accepted(pictures.truncated(whole, cut, forged_end=forged_end))]
    cases.ran(len(cuts))
    assert accepted == []


@pytest.mark.parametrize("name", ["baseline", "progressive"])
def test_the_last_bytes_of_a_jpeg(name: str, cases: Cases) -> None:
    whole = FILES[name]
    cases.ran(200 - 6)
    for missing in range(6, 200):
        assert not _is_accepted(whole[:-missing] + b"\xff\xd9")
