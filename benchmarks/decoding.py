"""What it costs to decode a file in a process of its own, and what decoding takes: ``python -m benchmarks.decoding``.

In pairs of the same file with and without: processor time, of all processes that take part; and with ``--latency`` what
whoever asks waits for, when files come one at a time with a pause between, as in a server that is not overloaded. That
depends on what else the machine does. With ``--memory`` the least address space in which each kind of file is decoded,
beside what was predicted for it.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from uncrop.errors import InvalidRequest
from uncrop.imaging import arrays, codec
from uncrop.imaging.colour.profiles import ADOBE_CURVE, ADOBE_PRIMARIES, made
from uncrop.imaging.cost import cost_of
from uncrop.imaging.header import open_file
from uncrop.testing.pictures import photo
from uncrop.workers.decoding.sandboxed import SLACK_BYTES, SandboxedDecoder
from uncrop.workers.decoding.starting import Started, start_fork_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from uncrop.imaging.cost import Cost
    from uncrop.model import OpenedFile, Pixels

TICKS = 100  # a second, in which the kernel tells the time of other processes
NEAR = 2_000_000  # bytes
PAUSE_S = 0.03


def main() -> None:
    """Measure what the arguments say and print a line for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--files", type=int, default=50, help="in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--latency", action="store_true")
    asked = parser.parse_args()
    kinds = dict(files(asked.megapixels))
    if asked.memory:
        print_memory(kinds)
    else:
        some = {name: kinds[name] for name in ("jpeg", "png rgb", "webp lossy")}
        print_time(some, asked.files, asked.rounds, _waited if asked.latency else _each)


def files(megapixels: float) -> Iterator[tuple[str, OpenedFile]]:
    """Yield one file of each kind that takes memory in its own way."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    pixels = photo(round(1.5 * height), height)
    alpha = arrays.to_rgba8(pixels)
    turned = Image.Exif()
    turned[274] = 6
    written: Mapping[str, Mapping[str, Any]] = {
        "jpeg": {},
        "jpeg 4:4:4": {"subsampling": 0},
        "jpeg progressive": {"subsampling": 0, "progressive": True},
        "jpeg turned": {"exif": turned},
    }
    for name, options in written.items():
        yield name, _by_pillow(pixels, "RGB", "JPEG", **options)
    yield "jpeg cmyk", _by_pillow(pixels, "CMYK", "JPEG")
    yield "jpeg cmyk progressive", _by_pillow(pixels, "CMYK", "JPEG", progressive=True)
    yield "webp lossy", _by_pillow(pixels, "RGB", "WEBP")
    yield "webp lossless", _by_pillow(pixels, "RGB", "WEBP", lossless=True, method=0)
    yield "webp alpha", _by_pillow(alpha, "RGBA", "WEBP", lossless=True, method=0)
    yield "png rgb", open_file(codec.encode(pixels, "PNG"))
    yield "png rgba", open_file(codec.encode(alpha, "PNG"))
    yield "png rgb 16", open_file(codec.encode(_deep(pixels), "PNG"))
    yield "png rgba 16", open_file(codec.encode(_deep(alpha), "PNG"))
    yield "png turned", _by_pillow(pixels, "RGB", "PNG", exif=turned)
    yield "png palette", _by_pillow(pixels, "P", "PNG", transparency=3)
    yield "png key", _by_pillow(pixels, "RGB", "PNG", transparency=(1, 2, 3))


def _deep(pixels: Pixels) -> NDArray[np.uint16]:
    return pixels.astype(np.uint16) * np.uint16(257)


def _by_pillow(pixels: Any, mode: str, image_format: str, **options: Any) -> OpenedFile:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, image_format, **options)
    return open_file(file.getvalue())


class Watched:
    """A decoder whose processes' time can be told."""

    def __init__(self, *, cost: Callable[[OpenedFile], Cost] = cost_of) -> None:
        self.decoder = SandboxedDecoder(self._start, cost=cost)
        self.decoder.warm_up()

    def _start(self) -> Started:
        self._started = start_fork_server(None)
        return self._started

    def seconds(self) -> float:
        """Return the processor time of this process, of the one that starts decoders, and of all that have ended."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        fields = Path(f"/proc/{self._started.process.pid}/stat").read_text().rpartition(")")[2].split()
        return own.ru_utime + own.ru_stime + sum(map(int, fields[11:15])) / TICKS


def print_time(
    kinds: Mapping[str, OpenedFile],
    count: int,
    rounds: int,
    measure: Callable[[Watched, Callable[[], object], int], float],
) -> None:
    """Print what a file costs with and without a process of its own, in milliseconds."""
    watched = Watched()
    with watched.decoder as decoder:
        for name, file in kinds.items():
            ways: tuple[Callable[[], object], ...] = (partial(decoder.photo, file), partial(codec.decode, file))
            apart, here = zip(*([measure(watched, way, count) for way in ways] for _ in range(rounds)), strict=True)
            more = [a - b for a, b in zip(apart, here, strict=True)]
            print(
                f"{name:12} apart {statistics.median(apart):6.2f} ms  here {statistics.median(here):6.2f} ms  "
                f"more: median {statistics.median(more):5.2f}, least {min(more):5.2f}, most {max(more):5.2f} ms",
                flush=True,
            )


def _each(watched: Watched, decode: Callable[[], object], count: int) -> float:
    decode()
    before = watched.seconds()
    for _ in range(count):
        decode()
    return (watched.seconds() - before) / count * 1000


def _waited(_watched: Watched, decode: Callable[[], object], count: int) -> float:
    """Return the median."""
    decode()
    took = []
    for _ in range(count):
        time.sleep(PAUSE_S)
        begun = time.perf_counter()
        decode()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def print_memory(kinds: Mapping[str, OpenedFile]) -> None:
    """Print the bytes a pixel that decoding needs, in its own colours and in others, and what was predicted."""
    allowed = [0]
    watched = Watched(cost=lambda file: replace(cost_of(file), peak_bytes=allowed[0] - SLACK_BYTES))
    profile = made(ADOBE_PRIMARIES, ADOBE_CURVE, 3)
    with watched.decoder as decoder:
        for name, file in kinds.items():
            extent = file.header.width * file.header.height
            header = replace(file.header, metadata=replace(file.header.metadata, icc=profile))
            needed = max(
                _least(allowed, partial(decoder.photo, file)),
                _least(allowed, partial(decoder.answer, replace(file, header=header), file.header)),
            )
            predicted = cost_of(file).peak_bytes
            print(
                f"{name:22} needs {needed / extent:6.2f}  predicted {predicted / extent:6.2f} bytes a pixel", flush=True
            )


def _least(allowed: list[int], decode: Callable[[], object]) -> int:
    low, high = 0, 2_000_000_000
    while high - low > NEAR:
        allowed[0] = (low + high) // 2
        try:
            decode()
        except InvalidRequest:
            low = allowed[0]
        else:
            high = allowed[0]
    return high


if __name__ == "__main__":
    main()
