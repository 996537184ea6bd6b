"""Files to pixels and back."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from uncrop.errors import ImageTooLarge, InvalidImage
from uncrop.imaging import arrays, text
from uncrop.imaging import resample as resampling
from uncrop.imaging.colour import convert
from uncrop.imaging.jpeg import kept as jpeg_kept
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.imaging.jpeg.layout import JpegLayout
from uncrop.imaging.jpeg.metadata import with_metadata
from uncrop.imaging.limits import MAX_SIDES
from uncrop.imaging.metadata.kept import NO_METADATA, SIDEWAYS, fitted
from uncrop.imaging.png import read as png_read
from uncrop.imaging.png import write as png_write
from uncrop.imaging.png.layout import PngLayout
from uncrop.imaging.webp import write as webp_write
from uncrop.imaging.webp.layout import WebpLayout, still

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.kept import Kept, ReadsOwn
    from uncrop.model import ImageFormat, ImageHeader, JpegFacts, Metadata, OpenedFile, Pixels, Placement

# What Pillow's readers are known to raise on broken files.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
)


def decode(file: OpenedFile) -> Pixels:
    """Decode the whole file and turn the picture upright.

    Returns
    -------
    Pixels
        (header.height, header.width, header.channels), ``uint8`` or, where ``header.bits`` is 16, ``uint16``;
        not always writable. CMYK, and grey where the header says RGB, are converted by ``header.source_icc``.

    Raises
    ------
    InvalidImage
        When the file is damaged or cut off anywhere, even where a lenient decoder would show something.
    """
    header = file.header
    pixels = _decode(file)
    if pixels.shape[2] < 3 <= header.channels and header.source_icc is not None:
        pixels = convert.grey_to_rgb(pixels, header.source_icc)
    width, height = header.width, header.height
    if header.orientation in SIDEWAYS:
        width, height = height, width
    if pixels.shape != (height, width, header.channels):
        raise InvalidImage(system_message="the picture's size is not what its header says")
    return arrays.upright(pixels, header.orientation)


def _decode(file: OpenedFile) -> Pixels:
    match file.layout:
        case JpegLayout() as layout:
            return _decode_jpeg(file.data, file.header, layout)
        case PngLayout() as layout:
            return png_read.read_pixels(file.data, layout)
        case WebpLayout() as layout:
            return _decode_webp(file.data, file.header, layout)
        case other:
            raise TypeError(f"no layout of a file: {type(other).__name__}")


def decode_8bit(file: OpenedFile) -> NDArray[np.uint8]:
    """Decode the whole file as ``decode`` does, and round its samples to 8 bits."""
    return arrays.to_8bit(decode(file))


def encode(
    pixels: Pixels,
    format: ImageFormat,  # noqa: A002
    *,
    jpeg: JpegFacts | None = None,
    metadata: Metadata = NO_METADATA,
    lossless: bool = False,
    webp_quality: int | None = None,
) -> bytes:
    """Encode pixels of any kind.

    Parameters
    ----------
    pixels
        (height, width, 1..4), 8 or 16 bits. JPEG lays alpha on white; JPEG and WebP reduce to 8 bits; PNG keeps all.
    format
        What to write.
    jpeg
        How the original was compressed: the floor for the quality, and for JPEG's subsampling.
    metadata
        Written in the form that the format has for it; see ``fitted``.
    lossless
        Whether a WebP keeps every pixel exactly.
    webp_quality
        How the original was compressed where it was a lossy WebP: the floor for the quality. The two formats' scales
        are near enough to stand for one another.

    Raises
    ------
    ImageTooLarge
        When the format cannot name a picture of that size, or its encoder fails whatever it is asked for.
    """
    _check_sides(pixels, format)
    metadata = fitted(metadata, format, channels=pixels.shape[2])
    if format == "PNG":
        return png_write.write(pixels, metadata)
    finest = max(webp_quality or 0, jpeg.quality if jpeg else 0)
    if format == "JPEG":
        written = _encode_jpeg(pixels, jpeg, metadata, least=finest)
    else:
        written = _encode_webp(pixels, metadata, lossless=lossless, least=finest)
    if written is None:
        height, width = pixels.shape[:2]
        raise ImageTooLarge(
            f"The picture cannot be written as {format}; another output format may hold it",
            details={"width": width, "height": height, "format": format},
        )
    return written


def encode_kept(
    file: OpenedFile, photo: Pixels, pixels: Pixels, placement: Placement, *, reads_own: ReadsOwn
) -> Kept | None:
    """Encode an extended photo as a JPEG that keeps the photo's own coefficients, with its metadata.

    Returns
    -------
    Kept or None
        ``None`` where they cannot be kept, as ``uncrop.imaging.jpeg.kept`` tells.
    """
    kept = jpeg_kept.keep(file, photo, pixels, placement, reads_own=reads_own)
    if kept is None:
        return None
    metadata = fitted(file.header.metadata, "JPEG", channels=pixels.shape[2])
    return replace(kept, data=with_metadata(kept.data, metadata))


Box: TypeAlias = tuple[float, float, float, float]


@overload
def resize(pixels: NDArray[np.uint8], width: int, height: int, *, box: Box | None = None) -> NDArray[np.uint8]: ...
@overload
def resize(pixels: Pixels, width: int, height: int, *, box: Box | None = None) -> Pixels: ...
def resize(pixels: Pixels, width: int, height: int, *, box: Box | None = None) -> Pixels:
    """Resample to ``width`` x ``height`` with a Lanczos filter of three lobes; alpha is respected, depth kept.

    ``box`` is the part to resample: left, top, right and bottom in pixels, fractions included; all of it when absent.
    """
    if box is None and pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3):
        return resampling.resample(pixels, width, height, box=box)  # type: ignore[arg-type]
    if pixels.dtype == np.uint8:
        small = _image(pixels).resize((width, height), Image.Resampling.LANCZOS, box=box)
        return np.asarray(small).reshape(height, width, -1)
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS, box=box))
        for plane in np.moveaxis(pixels, 2, 0)
    ]
    return np.stack(planes, axis=2).round().clip(0, 65535).astype(np.uint16)


def warm_up() -> None:
    """Compile this package's kernels ahead of the first picture, which otherwise waits some seconds for them."""
    jpeg_kept.warm_up()
    png_read.warm_up()
    resampling.warm_up()
    text.warm_up()


def _check_sides(pixels: Pixels, image_format: ImageFormat) -> None:
    height, width = pixels.shape[:2]
    limit = MAX_SIDES[image_format]
    if max(width, height) > limit:
        raise ImageTooLarge(
            f"The picture is too large for {image_format}",
            details={"width": width, "height": height, "max_allowed": limit, "unit": "pixels a side"},
        )


def _decode_jpeg(data: bytes, header: ImageHeader, layout: JpegLayout) -> NDArray[np.uint8]:
    pixels = jpeg_pixels.decode(data, header, layout)
    if header.mode != "CMYK":
        return pixels
    inks = 255 - pixels if layout.adobe else pixels  # Adobe stores CMYK inverted
    converted = None if header.source_icc is None else convert.to_srgb(inks, header.source_icc)
    return np.asarray(Image.fromarray(inks, "CMYK").convert("RGB")) if converted is None else converted


def _decode_webp(data: bytes, header: ImageHeader, layout: WebpLayout) -> NDArray[np.uint8]:
    mode = "RGBA" if header.channels == 4 else "RGB"
    try:
        with WebPImageFile(io.BytesIO(still(data, layout) if layout.animated else data)) as image:
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except DECODER_ERRORS as error:
        raise InvalidImage(system_message="the WebP's picture data is corrupt or incomplete") from error
    if layout.fills:
        return pixels
    x, y, width, height = layout.frame
    canvas = np.zeros((layout.height, layout.width, 4), np.uint8)
    canvas[y : y + height, x : x + width] = pixels
    return canvas


def _encode_jpeg(pixels: Pixels, facts: JpegFacts | None, metadata: Metadata, *, least: int) -> bytes | None:
    flat = np.ascontiguousarray(arrays.to_8bit(arrays.flatten(pixels)))
    written = jpeg_pixels.encode(flat, facts, least=least)
    return None if written is None else with_metadata(written, metadata)


def _encode_webp(pixels: Pixels, metadata: Metadata, *, lossless: bool, least: int) -> bytes | None:
    small = arrays.to_8bit(pixels)
    plain = arrays.to_rgba8(small) if arrays.has_alpha(small) else arrays.to_rgb8(small)
    return webp_write.encode(plain, metadata, lossless=lossless, least=least)


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
