"""Files to pixels and back. The only module that imports Pillow, which does WebP, colour profiles and resampling."""

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
from uncrop.imaging.header import SIDEWAYS
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.imaging.jpeg.layout import JpegLayout, icc_of, with_metadata
from uncrop.imaging.limits import MAX_SIDES
from uncrop.imaging.metadata.icc import icc_channels
from uncrop.imaging.metadata.kept import NO_METADATA
from uncrop.imaging.png import read as png_read
from uncrop.imaging.png import write as png_write
from uncrop.imaging.png.layout import PngLayout
from uncrop.imaging.webp.layout import WebpLayout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageFormat, ImageHeader, JpegFacts, Metadata, OpenedFile, Pixels

WEBP_QUALITY = 90
# Methods 1 and 2 take a fifth and a third longer for files that are hardly smaller.
WEBP_METHOD = 0
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
        not always writable.

    Raises
    ------
    InvalidImage
        When the file is damaged or cut off anywhere, even where a lenient decoder would show something.
    """
    header = file.header
    pixels = _decode(file)
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
        case WebpLayout():
            return _decode_webp(file.data, file.header)
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
) -> bytes:
    """Encode pixels of any kind.

    Parameters
    ----------
    pixels
        (height, width, 1..4), 8 or 16 bits. JPEG lays alpha on white; JPEG and WebP reduce to 8 bits; PNG keeps all.
    format
        What to write.
    jpeg
        How the original was compressed: the floor for JPEG's quality and subsampling.
    metadata
        Written as it is, except for a colour profile that does not fit the channels.
    lossless
        Whether a WebP keeps every pixel exactly.

    Raises
    ------
    ImageTooLarge
        When the format cannot name a picture of that size.
    """
    _check_sides(pixels, format)
    if metadata.icc is not None and icc_channels(metadata.icc) != (1 if pixels.shape[2] < 3 else 3):
        metadata = replace(metadata, icc=None)
    if format == "PNG":
        return png_write.write(pixels, metadata)
    if format == "JPEG":
        return _encode_jpeg(pixels, jpeg, metadata)
    return _encode_webp(pixels, metadata, lossless=lossless)


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
    return _cmyk_to_rgb(pixels, icc_of(data, layout), inverted=layout.adobe)


def _decode_webp(data: bytes, header: ImageHeader) -> NDArray[np.uint8]:
    try:
        with WebPImageFile(io.BytesIO(data)) as image:
            mode = "RGBA" if header.channels == 4 else "RGB"
            return np.asarray(image if image.mode == mode else image.convert(mode))
    except DECODER_ERRORS as error:
        raise InvalidImage(system_message="the WebP's picture data is corrupt or incomplete") from error


def _cmyk_to_rgb(pixels: NDArray[np.uint8], icc: bytes | None, *, inverted: bool) -> NDArray[np.uint8]:
    """Convert through the file's own profile to sRGB, or plainly where it has none. Adobe stores CMYK inverted."""
    image = Image.fromarray(255 - pixels if inverted else pixels, "CMYK")
    if icc is not None and icc_channels(icc) == 4:
        from PIL import ImageCms

        try:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, *DECODER_ERRORS):
            converted = None
        if converted is not None:
            return np.asarray(converted)
    return np.asarray(image.convert("RGB"))


def _encode_jpeg(pixels: Pixels, facts: JpegFacts | None, metadata: Metadata) -> bytes:
    flat = np.ascontiguousarray(arrays.to_8bit(arrays.flatten(pixels)))
    written = jpeg_pixels.encode(flat, facts)
    return with_metadata(written, icc=metadata.icc, exif=metadata.exif, xmp=metadata.xmp)


def _encode_webp(pixels: Pixels, metadata: Metadata, *, lossless: bool) -> bytes:
    small = arrays.to_8bit(pixels)
    image = _image(arrays.to_rgba8(small) if arrays.has_alpha(small) else arrays.to_rgb8(small))
    file = io.BytesIO()
    image.save(
        file,
        "WEBP",
        quality=0 if lossless else WEBP_QUALITY,
        method=WEBP_METHOD,
        lossless=lossless,
        exact=True,  # colours under transparent pixels stay what they are
        icc_profile=metadata.icc or b"",
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
    )
    return file.getvalue()


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
