"""What decoding a file takes, predicted from its header before any pixel is decoded.

Bytes a pixel were measured, for each kind of file, as the least address space in which a decoder's process succeeds
(``benchmarks/decoding.py``); they are rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.errors import ImageTooLarge
from uncrop.imaging.jpeg.layout import JpegLayout
from uncrop.imaging.png.layout import PALETTE, SAMPLES, PngLayout

if TYPE_CHECKING:
    from uncrop.model import ImageHeader, OpenedFile

MEGAPIXEL = MEGABYTE = 1_000_000
# What takes more is not decoded: 50 megapixels of JPEG or PNG in 8 bits take less, 33 of WebP take it.
MAX_PEAK_BYTES = 1_000_000_000
# libwebp's planes, Pillow's picture of four bytes a pixel, and twice the bytes that go on.
WEBP = 24
# CMYK as it lies in the file, as ink, as Pillow's picture, as Pillow's RGB of four bytes, and as RGB.
CMYK = 20
# Two decodes of a JPEG with unusual sampling factors are compared, each with Pillow's picture.
OTHER_SAMPLING = 16
COEFFICIENT = 2  # bytes, one for each sample; a progressive JPEG's are held until the last scan
COLOURS = 3
# Seconds a megapixel on a machine that is ten times slower than the one on which it was measured.
SECONDS = {"JPEG": 0.2, "PNG": 0.3, "WEBP": 0.6}
LEAST_SECONDS = 5
FASTER_SCANS = 4  # of a progressive JPEG take about as long as the only one of another


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What decoding one file takes at most.

    Attributes
    ----------
    peak_bytes
        Of the process that decodes, on top of what it has before: the file, the pixels, and all on the way to them.
    pixel_bytes
        Of the pixels that are handed over.
    cpu_s
        Seconds of processor time after which it hangs.
    """

    peak_bytes: int
    pixel_bytes: int
    cpu_s: int


def cost_of(file: OpenedFile) -> Cost:
    """Predict what decoding takes, conversions to the picture's or another's colour space included."""
    header = file.header
    extent = header.width * header.height
    # 2: the file is copied once, and mended or put together in another copy.
    peak = 2 * len(file.data) + extent * (_decoded(file) + _turned(header) + _converted(header))
    return Cost(peak_bytes=peak, pixel_bytes=extent * _pixel(header), cpu_s=_seconds(file, extent))


def check_cost(file: OpenedFile) -> None:
    """Refuse a file that would take too much memory.

    Raises
    ------
    ImageTooLarge
    """
    peak = cost_of(file).peak_bytes
    if peak > MAX_PEAK_BYTES:
        raise ImageTooLarge(
            "Decoding the image would take too much memory",
            details={
                "width": file.header.width,
                "height": file.header.height,
                "needed": -(-peak // MEGABYTE),
                "max_allowed": MAX_PEAK_BYTES // MEGABYTE,
                "unit": "megabytes",
            },
        )


def _pixel(header: ImageHeader) -> int:
    return header.channels * header.bits // 8


def _decoded(file: OpenedFile) -> int:
    """Return the bytes for each pixel on the way from the file to pixels as they lie in it."""
    match file.layout:
        case JpegLayout() as layout:
            return _jpeg(layout)
        case PngLayout() as layout:
            return _png(layout, file.header)
        case _:
            return WEBP


def _jpeg(layout: JpegLayout) -> int:
    components: int = layout.components
    coefficients = COEFFICIENT * components if layout.facts.progressive else 0
    pixels = CMYK if components == len("CMYK") else components
    if has_other_sampling(layout):
        pixels = max(pixels, OTHER_SAMPLING)
    return pixels + coefficients


def has_other_sampling(layout: JpegLayout) -> bool:
    """Tell whether a JPEG's sampling factors have, or may have, no name in TurboJPEG, so that it is decoded often."""
    alike = len(set(layout.factors)) == 1
    return layout.components != 1 and not alike and layout.facts.subsampling == "444"


def _png(layout: PngLayout, header: ImageHeader) -> int:
    pixel = _pixel(header)
    samples = SAMPLES[layout.colour] * max(1, layout.depth // 8)
    if layout.colour == PALETTE:
        pixel += samples
    elif layout.transparent:
        # The picture without alpha, which samples differ from the key, and the alpha.
        pixel += 2 * samples + SAMPLES[layout.colour]
    if layout.depth < 8:
        pixel += 2 * samples  # some rows at a time, as bits
    return pixel + (2 * samples if layout.interlaced else 0)


def _turned(header: ImageHeader) -> int:
    return 0 if header.orientation == 1 else _pixel(header)


def _converted(header: ImageHeader) -> int:
    """Return the bytes for each pixel of the same in 8 bits, as RGB and in another colour space."""
    eight_bits = header.channels if header.bits == 16 else 0
    return eight_bits + (COLOURS if header.channels == COLOURS else 2 * COLOURS)


def _seconds(file: OpenedFile, extent: int) -> int:
    seconds = SECONDS[file.header.format] * extent / MEGAPIXEL
    if isinstance(file.layout, JpegLayout):
        seconds *= max(1, file.layout.scans / FASTER_SCANS) * (10 if has_other_sampling(file.layout) else 1)
    return LEAST_SECONDS + round(seconds)
