"""Opening a file: what it says about itself, and where everything lies in it, found in one walk without decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from uncrop.errors import ImageTooLarge, InvalidImage, UnsupportedImageFormat
from uncrop.imaging.jpeg import layout as jpeg
from uncrop.imaging.limits import MAX_PIXELS, MAX_SIDES
from uncrop.imaging.metadata.exif import ExifFacts, read_exif
from uncrop.imaging.metadata.kept import kept_metadata
from uncrop.imaging.png import layout as png
from uncrop.imaging.webp import layout as webp
from uncrop.model import ImageHeader, OpenedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import ImageFormat

# Orientations that swap width and height.
SIDEWAYS = (5, 6, 7, 8)
_PNG_MODES = {png.GREY: "L", png.RGB: "RGB", png.PALETTE: "P", png.GREY_ALPHA: "LA", png.RGBA: "RGBA"}


def open_file(data: bytes) -> OpenedFile:
    """Find out format, upright size, kind of pixels, what is kept of the metadata, and where everything lies.

    The format is told by the content. The file's structure is walked through from end to end, which finds most damage,
    but whether the picture is whole only decoding tells.

    Raises
    ------
    UnsupportedImageFormat
        When it is no PNG, JPEG or WebP, or has more than one frame.
    InvalidImage
        When the structure is broken.
    ImageTooLarge
        When it has more pixels than any decoder is given.
    """
    image_format = sniff(data)
    if image_format is None:
        if not data:
            raise InvalidImage("The image is empty")
        raise UnsupportedImageFormat
    return _OPENERS[image_format](data)


def read_header(data: bytes) -> ImageHeader:
    """Open a file for its header alone; see ``open_file``."""
    return open_file(data).header


def sniff(data: bytes) -> ImageFormat | None:
    """Tell the format by the first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(png.SIGNATURE):
        return "PNG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _jpeg(data: bytes) -> OpenedFile:
    layout = jpeg.read_layout(data)
    check_size("JPEG", layout.width, layout.height)
    exif = read_exif(jpeg.exif_of(data, layout))
    channels: Literal[1, 3] = 1 if layout.components == 1 else 3
    width, height = _upright(layout.width, layout.height, exif)
    header = ImageHeader(
        format="JPEG",
        width=width,
        height=height,
        channels=channels,
        bits=8,
        mode={1: "L", 3: "RGB", 4: "CMYK"}[layout.components],
        orientation=exif.orientation,
        jpeg=layout.facts,
        metadata=kept_metadata(
            icc=jpeg.icc_of(data, layout), exif=exif, xmp=jpeg.xmp_of(data, layout), colours=channels
        ),
    )
    return OpenedFile(data=data, header=header, layout=layout)


def _png(data: bytes) -> OpenedFile:
    layout = png.read_layout(data)
    _check_still("PNG", layout.frames, animated=layout.frames > 1)
    check_size("PNG", layout.width, layout.height)
    exif = read_exif(png.exif_of(data, layout))
    colours: Literal[1, 3] = 1 if layout.colour in (png.GREY, png.GREY_ALPHA) else 3
    alpha = layout.transparent or layout.colour in (png.GREY_ALPHA, png.RGBA)
    channels: Literal[1, 2, 3, 4] = (2 if alpha else 1) if colours == 1 else (4 if alpha else 3)
    width, height = _upright(layout.width, layout.height, exif)
    header = ImageHeader(
        format="PNG",
        width=width,
        height=height,
        channels=channels,
        bits=16 if layout.depth == 16 else 8,
        mode="1" if layout.depth == 1 and layout.colour == png.GREY else _PNG_MODES[layout.colour],
        orientation=exif.orientation,
        jpeg=None,
        metadata=kept_metadata(icc=png.icc_of(data, layout), exif=exif, xmp=png.xmp_of(data, layout), colours=colours),
        lossless=True,
    )
    return OpenedFile(data=data, header=header, layout=layout)


def _webp(data: bytes) -> OpenedFile:
    layout = webp.read_layout(data)
    _check_still("WEBP", layout.frames, animated=layout.animated)
    check_size("WEBP", layout.width, layout.height)
    exif = read_exif(layout.payload(data, b"EXIF"))
    width, height = _upright(layout.width, layout.height, exif)
    header = ImageHeader(
        format="WEBP",
        width=width,
        height=height,
        channels=4 if layout.alpha else 3,
        bits=8,
        mode="RGBA" if layout.alpha else "RGB",
        orientation=exif.orientation,
        jpeg=None,
        metadata=kept_metadata(
            icc=layout.payload(data, b"ICCP"), exif=exif, xmp=layout.payload(data, b"XMP "), colours=3
        ),
        lossless=layout.lossless,
    )
    return OpenedFile(data=data, header=header, layout=layout)


_OPENERS: dict[ImageFormat, Callable[[bytes], OpenedFile]] = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}


def _check_still(image_format: ImageFormat, frames: int, *, animated: bool) -> None:
    if animated:
        raise UnsupportedImageFormat(
            "Animated images are not supported",
            details={"format": image_format, "frames": frames, "max_allowed": 1},
        )


def check_size(image_format: ImageFormat, width: int, height: int) -> None:
    """Refuse a picture with more pixels, or longer sides, than are opened.

    Raises
    ------
    ImageTooLarge
    """
    if width * height > MAX_PIXELS[image_format]:
        raise ImageTooLarge(
            "The image has too many pixels",
            details={"width": width, "height": height, "max_allowed": MAX_PIXELS[image_format], "unit": "pixels"},
        )
    if max(width, height) > MAX_SIDES[image_format]:
        raise ImageTooLarge(
            "The image is too wide or too high",
            details={"width": width, "height": height, "max_allowed": MAX_SIDES[image_format], "unit": "pixels a side"},
        )


def _upright(width: int, height: int, exif: ExifFacts) -> tuple[int, int]:
    return (height, width) if exif.orientation in SIDEWAYS else (width, height)
