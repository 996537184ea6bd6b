"""Files that are no PNG, JPEG or WebP, told by name: whoever reads the refusal knows what to convert.

Signatures after the formats' own specifications; of ISO base media files, the major brand (ISO 14496-12, 4.3).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from uncrop.errors import UnsupportedImageFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURES: Mapping[bytes, str] = MappingProxyType(
    {
        b"GIF87a": "GIF",
        b"GIF89a": "GIF",
        b"BM": "BMP",
        b"II*\0": "TIFF",
        b"MM\0*": "TIFF",
        b"II+\0": "BigTIFF",
        b"MM\0+": "BigTIFF",
        b"8BPS": "Photoshop file",
        b"%PDF": "PDF",
        b"\x8bJNG": "JNG",
        b"\x8aMNG": "MNG",
        b"\xff\x0a": "JPEG XL",
        b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
        b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
        b"\xff\x4f\xff\x51": "JPEG 2000",
        b"<svg": "SVG",
        b"\0\0\x01\0": "icon",
        b"DDS ": "DDS",
        b"v/1\x01": "OpenEXR",
        b"#?RADIANCE": "Radiance HDR",
        b"qoif": "QOI",
    }
)
BRANDS: Mapping[bytes, str] = MappingProxyType(
    {
        **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
        **dict.fromkeys((b"avif", b"avis"), "AVIF"),
        **dict.fromkeys((b"isom", b"mp41", b"mp42", b"qt  ", b"M4V "), "video"),
        b"crx ": "camera raw file",
    }
)


def format_name(data: bytes) -> str | None:
    """Tell a format that is not supported by its first bytes, or ``None`` where they are unknown."""
    if data[4:8] == b"ftyp":
        return BRANDS.get(data[8:12])
    return next((name for start, name in SIGNATURES.items() if data.startswith(start)), None)


def unknown_format(data: bytes) -> UnsupportedImageFormat:
    """Make the refusal of a file that is of none of the supported formats."""
    name = format_name(data)
    if name is None:
        return UnsupportedImageFormat()
    article = "an" if name[0] in "AEIO" or name == "SVG" or name == "MNG" else "a"
    return UnsupportedImageFormat(
        f"The image is not a PNG, JPEG or WebP but {article} {name}", details={"format": name}
    )
