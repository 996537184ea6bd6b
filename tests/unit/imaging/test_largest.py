"""Pictures near the largest that each format can hold are written, whatever they show."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.webp import write as webp_write
from uncrop.model import Metadata
from uncrop.testing import pictures

# Fine detail, which is what fills libwebp's first partition.
TILE = np.concatenate((pictures.noise(512, 256), pictures.photo(512, 256)), axis=0)
# Each reaches the format's longest side, or its decoder's most pixels, one way up or the other.
LARGEST = {
    "JPEG": [(65_500, 600), (600, 65_500), (7000, 5700)],
    "PNG": [(200_000, 190), (190, 200_000), (7000, 5700)],
    "WEBP": [(16_383, 2440), (2440, 16_383), (7000, 5700)],
}


def tiled(width: int, height: int) -> np.ndarray:
    rows, columns = -(-height // TILE.shape[0]), -(-width // TILE.shape[1])
    return np.ascontiguousarray(np.tile(TILE, (rows, columns, 1))[:height, :width])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("image_format", "size"), [(name, size) for name, sizes in LARGEST.items() for size in sizes])
def test_the_largest_pictures_are_written(image_format: str, size: tuple[int, int]) -> None:
    pixels = tiled(*size)
    data = codec.encode(pixels, image_format)  # type: ignore[arg-type]
    header = read_header(data)
    assert (header.width, header.height) == size
    back = codec.decode(open_file(data))
    if image_format == "PNG":
        assert np.array_equal(back[::7, ::7], pixels[::7, ::7])
    else:
        # No format keeps the colours of noise, so that only the photo's rows tell.
        rows = np.flatnonzero(np.arange(size[1]) % len(TILE) >= len(TILE) // 2)[::7]
        assert psnr(back[rows, ::7], pixels[rows, ::7]) > 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_libwebps_quickest_method_fails_on_one_of_them() -> None:
    """Negative control: without the other methods there would be no picture."""
    pixels = tiled(7000, 5700)
    quickest = webp_write._Attempt(quality=webp_write.MIN_QUALITY, method=0)
    assert webp_write._write(pixels, Metadata(), quickest) is None
