"""Pictures: their pixels, their formats, and what a file says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
    Mask: TypeAlias = NDArray[np.bool_]
    ConfidenceMap: TypeAlias = NDArray[np.uint8]  # (canvas.height, canvas.width), 0..255; 255 on the photo itself

ImageFormat: TypeAlias = Literal["JPEG", "PNG", "WEBP"]
Quality: TypeAlias = Literal["fast", "standard", "best"]
Progress: TypeAlias = Callable[[float, str], None]  # told 0..1 and the step that begins; what it raises ends the work
MEDIA_TYPES: Mapping[ImageFormat, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class JpegFacts:
    """How a JPEG was compressed: the floor for what is written back."""

    quality: int  # 1..100, estimated from the quantisation tables
    subsampling: Literal["444", "422", "420", "440", "411", "grey"]
    progressive: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Density:
    """How densely the pixels lie: pixels an inch, or, where it is not ``physical``, the aspect of a pixel alone."""

    x: float
    y: float
    physical: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The photo's metadata that goes into the picture: what its numbers mean, and whose it is. Never GPS or thumbnails.

    Attributes
    ----------
    icc
        The profile that says what the numbers mean: the file's own, or one made from what the file says otherwise.
    exif
        Creator, rights, capture date, camera, and a colour space told by EXIF; without the prefix ``Exif``.
    xmp, iptc
        Creator and rights; ``iptc`` as Photoshop's image resources.
    density
        Pixels a length.
    png_colour
        A PNG's own chunks about colours, name and payload, which another PNG holds in place of ``icc``. The payload of
        iCCP is here the bare profile.
    told_by_exif
        Whether EXIF alone tells the colour space, so that a JPEG needs no ``icc``.
    """

    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    density: Density | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    told_by_exif: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageHeader:
    """What a file says about itself before any pixel is decoded. Width and height are upright, in pixels."""

    format: ImageFormat
    width: int
    height: int
    channels: Literal[1, 2, 3, 4]  # after decoding: grey, grey + alpha, RGB, RGBA
    bits: Literal[8, 16]
    mode: str  # the codec's own word, for example "CMYK" or "P"
    orientation: int  # EXIF, 1..8; 1 is upright
    jpeg: JpegFacts | None
    metadata: Metadata
    lossless: bool = False  # the file holds its pixels exactly, as every PNG does
    source_icc: bytes | None = field(default=None, repr=False)  # by which decoding turns grey or CMYK into sRGB
    webp_quality: int | None = None  # 0..100, of a lossy WebP, estimated from its quantiser: the floor for another one


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedFile:
    """A picture's file, opened once: its bytes, what they say, and where everything lies in them.

    ``layout`` is what the walk through the file's structure found: a ``JpegLayout``, ``PngLayout`` or ``WebpLayout`` of
    ``uncrop.imaging``, the only package that looks into it.
    """

    data: bytes = field(repr=False)
    header: ImageHeader
    layout: object = field(repr=False)
