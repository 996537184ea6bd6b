"""What decoding takes is predicted from the header, and never less than it takes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.decoding import files

from uncrop.errors import ImageTooLarge
from uncrop.imaging.cost import MAX_PEAK_BYTES, Cost, check_cost, cost_of
from uncrop.imaging.header import open_file
from uncrop.testing.pictures import photo_jpeg, photo_png, photo_webp
from uncrop.workers.decoding.sandboxed import SLACK_BYTES, SandboxedDecoder
from uncrop.workers.decoding.starting import start_fork_server

if TYPE_CHECKING:
    from uncrop.model import OpenedFile

# What a decoder's process takes for itself, whatever the picture: room that its allocator asks for ahead.
ITS_OWN = 24_000_000


def sized(file: OpenedFile, width: int, height: int, **changes: Any) -> OpenedFile:
    return replace(file, header=replace(file.header, width=width, height=height, **changes))


PNG, JPEG, WEBP = (open_file(make(16, 16)) for make in (photo_png, photo_jpeg, photo_webp))


def test_pixels_are_those_of_the_header() -> None:
    assert cost_of(sized(PNG, 1000, 500)).pixel_bytes == 1000 * 500 * 3
    assert cost_of(sized(PNG, 1000, 500, channels=4, bits=16)).pixel_bytes == 1000 * 500 * 8


@pytest.mark.parametrize("file", [PNG, JPEG, WEBP])
def test_more_pixels_depth_and_turning_cost_more(file: OpenedFile) -> None:
    small, large = cost_of(sized(file, 100, 100)), cost_of(sized(file, 1000, 1000))
    deep, turned = cost_of(sized(file, 100, 100, bits=16)), cost_of(sized(file, 100, 100, orientation=6))
    assert small.peak_bytes >= small.pixel_bytes
    assert large.peak_bytes > 90 * (small.peak_bytes - 2 * len(file.data))
    assert min(deep.peak_bytes, turned.peak_bytes) > small.peak_bytes


def test_scans_cost_time() -> None:
    layout: Any = JPEG.layout
    once, often = (cost_of(replace(sized(JPEG, 5000, 5000), layout=replace(layout, scans=scans))) for scans in (1, 100))
    assert often.cpu_s > 10 * once.cpu_s


@pytest.mark.parametrize(("file", "most"), [(JPEG, 50_000_000), (PNG, 50_000_000), (WEBP, 33_000_000)])
def test_what_takes_too_much_is_refused_with_the_number(file: OpenedFile, most: int) -> None:
    check_cost(sized(file, most // 1000, 1000))
    large = sized(file, 400_000, 1000)
    with pytest.raises(ImageTooLarge) as caught:
        check_cost(large)
    assert caught.value.details == {
        "width": 400_000,
        "height": 1000,
        "needed": -(-cost_of(large).peak_bytes // 1_000_000),
        "max_allowed": MAX_PEAK_BYTES // 1_000_000,
        "unit": "megabytes",
    }


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_decoders_have_enough_with_what_is_predicted(share: float) -> None:
    """And not with a tenth of it, so that the limit is one."""

    def cost(file: OpenedFile) -> Cost:
        whole = cost_of(file)
        return replace(whole, peak_bytes=int(share * whole.peak_bytes) + ITS_OWN - SLACK_BYTES)

    refused = []
    with SandboxedDecoder(partial(start_fork_server, None), cost=cost) as decoder:
        kinds = dict(files(12.0))
        for name, file in kinds.items():
            try:
                decoder.answer(file, file.header)
                decoder.photo(file)
            except Exception:  # noqa: BLE001 - whatever a decoder makes of it
                refused.append(name)
    assert refused == ([] if share == 1 else list(kinds))
