"""A colour-managed viewer for tests: what a picture's file shows, as sRGB.

ICC profiles are applied by LittleCMS through Pillow's ImageCms. What PNG's own chunks and EXIF tell is computed here by
the formulas of their standards, so that nothing of the code under test has a part in it.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_PRIMARIES = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3_PRIMARIES = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
D65 = (0.3127, 0.329)
ADOBE_GAMMA = 563 / 256


def view(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours that are seen, (height, width, 3) of 0..255, and where the picture is wholly opaque."""
    image = Image.open(io.BytesIO(data))
    image.load()
    image, opaque = _plain(image)
    chunks = _chunks(data) if image.format == "PNG" or data[:4] == b"\x89PNG" else {}
    icc = image.info.get("icc_profile")
    if b"cICP" in chunks and chunks[b"cICP"][:2] == bytes((12, 13)):
        return _shown(_rgb(image), P3_PRIMARIES, None), opaque
    if icc:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        return np.asarray(ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")).astype(float), opaque
    if b"sRGB" not in chunks and (b"gAMA" in chunks or b"cHRM" in chunks):
        gamma = 100_000 / struct.unpack(">I", chunks[b"gAMA"])[0] if b"gAMA" in chunks else None
        primaries = SRGB_PRIMARIES
        if b"cHRM" in chunks:
            primaries = tuple(value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"])[2:])
        return _shown(_rgb(image), primaries, gamma), opaque
    if _is_adobe_by_exif(image):
        return _shown(_rgb(image), ADOBE_PRIMARIES, ADOBE_GAMMA), opaque
    return _rgb(image), opaque


def _plain(image: Image.Image) -> tuple[Image.Image, np.ndarray]:
    """Take alpha, palette and 16 bits away."""
    info, original = image.info, image.format
    opaque = np.ones((image.height, image.width), bool)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in info:
        opaque = np.asarray(image.convert("RGBA"))[:, :, 3] == 255
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(float) / 257).round().astype(np.uint8))
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode in ("LA", "1") else "RGB")
    image.info, image.format = info, original
    return image, opaque


def _rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(float)


def _shown(numbers: np.ndarray, primaries: tuple[float, ...], gamma: float | None) -> np.ndarray:
    """Show numbers of a space with white D65 by primaries and exponent, sRGB's curve where there is none."""
    samples = numbers / 255
    curved = np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)
    light = samples**gamma if gamma is not None else curved
    linear = light @ (np.linalg.inv(_matrix(SRGB_PRIMARIES)) @ _matrix(primaries)).T
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _matrix(primaries: tuple[float, ...]) -> np.ndarray:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in zip(primaries[::2], primaries[1::2], strict=True)]).T
    white = np.array((D65[0] / D65[1], 1, (1 - sum(D65)) / D65[1]))
    return columns * np.linalg.solve(columns, white)


def _is_adobe_by_exif(image: Image.Image) -> bool:
    if image.format != "JPEG":
        return False
    return image.getexif().get_ifd(0xA005).get(1) == "R03"


def _chunks(data: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.setdefault(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return found
