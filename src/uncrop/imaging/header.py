"""Opening a file: what it says about itself, and where everything lies in it, found in one walk without decoding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from uncrop.errors import ImageTooLarge, InvalidImage, UnsupportedImageFormat
from uncrop.imaging.colour import png as png_colour
from uncrop.imaging.colour.profiles import ADOBE_CURVE, ADOBE_PRIMARIES
from uncrop.imaging.colour.profiles import made as made_profile
from uncrop.imaging.foreign import unknown_format
from uncrop.imaging.jpeg import layout as jpeg
from uncrop.imaging.jpeg import metadata as jpeg_metadata
from uncrop.imaging.limits import MAX_PIXELS, MAX_SIDES
from uncrop.imaging.metadata.density import read_phys
from uncrop.imaging.metadata.exif import ExifFacts, read_exif
from uncrop.imaging.metadata.icc import sound_icc
from uncrop.imaging.metadata.iptc import build_iptc, read_iptc
from uncrop.imaging.metadata.kept import SIDEWAYS, kept_exif, upright_density
from uncrop.imaging.metadata.xmp import kept_xmp
from uncrop.imaging.png import layout as png
from uncrop.imaging.png.raw_profiles import raw_profile
from uncrop.imaging.webp import layout as webp
from uncrop.imaging.webp.quality import estimate_quality
from uncrop.model import ImageHeader, Metadata, OpenedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import ImageFormat

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
        raise unknown_format(data)
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
    exif = read_exif(jpeg_metadata.exif_of(data, layout))
    channels: Literal[1, 3] = 1 if layout.components == 1 else 3
    width, height = _upright(layout.width, layout.height, exif)
    icc = jpeg_metadata.icc_of(data, layout)
    # Editors give grey JPEGs profiles for RGB, and readers apply them to three equal channels.
    own = sound_icc(icc, *((1, 3) if channels == 1 else (3,))) if layout.components != 4 else None
    told_by_exif = own is None and exif.adobe_rgb and layout.components != 4
    if not told_by_exif:
        exif = replace(exif, adobe_rgb=False)
    header = ImageHeader(
        format="JPEG",
        width=width,
        height=height,
        channels=channels,
        bits=8,
        mode={1: "L", 3: "RGB", 4: "CMYK"}[layout.components],
        orientation=exif.orientation,
        jpeg=layout.facts,
        metadata=Metadata(
            icc=made_profile(ADOBE_PRIMARIES, ADOBE_CURVE, channels) if told_by_exif else own,
            exif=kept_exif(exif),
            xmp=kept_xmp(jpeg_metadata.xmp_of(data, layout)),
            iptc=build_iptc(read_iptc(jpeg_metadata.iptc_of(data, layout))),
            density=upright_density(jpeg_metadata.density_of(data, layout), exif),
            told_by_exif=told_by_exif,
        ),
        source_icc=sound_icc(icc, 4) if layout.components == 4 else None,
    )
    return OpenedFile(data=data, header=header, layout=layout)


def _png(data: bytes) -> OpenedFile:
    layout = png.read_layout(data)
    _check_still("PNG", layout.frames)
    check_size("PNG", layout.width, layout.height)
    exif = replace(_png_exif(data, layout), adobe_rgb=False)
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
        metadata=Metadata(
            icc=png_colour.profile_of(data, layout, colours=colours),
            exif=kept_exif(exif),
            xmp=kept_xmp(png.xmp_of(data, layout)),
            iptc=build_iptc(read_iptc(raw_profile(data, layout, b"iptc", b"8bim"))),
            density=upright_density(read_phys(layout.leading(data, b"pHYs")), exif),
            png_colour=png_colour.kept_chunks(data, layout, colours=colours),
        ),
        lossless=True,
    )
    return OpenedFile(data=data, header=header, layout=layout)


def _png_exif(data: bytes, layout: png.PngLayout) -> ExifFacts:
    """Read EXIF from its chunk, or from the text in which older writers hid it, whose orientation no viewer heeds."""
    block = png.exif_of(data, layout)
    if block is not None:
        return read_exif(block)
    return replace(read_exif(raw_profile(data, layout, b"exif", b"APP1")), orientation=1)


def _webp(data: bytes) -> OpenedFile:
    layout = webp.read_layout(data)
    _check_still("WEBP", layout.frames)
    check_size("WEBP", layout.width, layout.height)
    exif = replace(read_exif(layout.payload(data, b"EXIF")), adobe_rgb=False)
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
        metadata=Metadata(
            icc=sound_icc(layout.payload(data, b"ICCP"), 3),
            exif=kept_exif(exif),
            xmp=kept_xmp(layout.payload(data, b"XMP ")),
            density=upright_density(None, exif),
        ),
        lossless=layout.lossless,
        webp_quality=None if layout.lossless else estimate_quality(layout.payload(data, b"VP8 ") or b""),
    )
    return OpenedFile(data=data, header=header, layout=layout)


_OPENERS: dict[ImageFormat, Callable[[bytes], OpenedFile]] = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}


def _check_still(image_format: ImageFormat, frames: int) -> None:
    if frames > 1:
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
