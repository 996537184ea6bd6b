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
        b"\0\0\x01\0": "icon",
        b"DDS ": "DDS",
        b"v/1\x01": "OpenEXR",
        b"#?RADIANCE": "Radiance HDR",
        b"qoif": "QOI",
        b"II\xbc\x01": "JPEG XR",
        b"FUJIFILMCCD-RAW": "camera raw file",
        b"PK\x03\x04": "ZIP archive",
        b"\x1f\x8b": "gzip archive",
        # Pictures as text: of a field of JSON or a page, which was not decoded.
        b"data:": "data address",
        b"/9j/": "text in base64",
        b"iVBORw0KGgo": "text in base64",
        b"UklGR": "text in base64",
        # What stands in a picture's place when it could not be had.
        b"version https://git-lfs": "Git LFS pointer",
        b'{"': "text in JSON",
    }
)
MARKUP: Mapping[bytes, str] = MappingProxyType(
    {b"<svg": "SVG", b"<html": "HTML page", b"<!doctype html": "HTML page", b"<?xml": "text in XML"}
)
# Editors and scripts put these before a file that they take for text.
BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
BEGINNING = 2048  # bytes
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
    if (name := next((name for start, name in SIGNATURES.items() if data.startswith(start)), None)) is not None:
        return name
    beginning = data[:BEGINNING].lstrip(BEFORE_TEXT)
    if beginning.startswith(PICTURES):
        return "picture with other bytes before it"
    markup = beginning.lower()
    if markup.startswith(b"<") and b"<svg" in markup:  # behind a declaration and comments
        return "SVG"
    return next((name for start, name in MARKUP.items() if markup.startswith(start)), None)


def unknown_format(data: bytes) -> UnsupportedImageFormat:
    """Make the refusal of a file that is of none of the supported formats."""
    name = format_name(data)
    if name is None:
        return UnsupportedImageFormat()
    if name.startswith("text"):
        return UnsupportedImageFormat(f"The image is not a PNG, JPEG or WebP but {name}", details={"format": name})
    article = "an" if name[0] in "AEIOi" or name in {"SVG", "MNG", "HTML page"} else "a"
    return UnsupportedImageFormat(
        f"The image is not a PNG, JPEG or WebP but {article} {name}", details={"format": name}
    )
