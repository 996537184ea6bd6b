"""Colour profiles, made from a curve and, for RGB, from primaries: matrix and curve, no tables.

After ICC.1:2022 (version 4): sections 7.2 (header), 9.2 (tags), 10.18 (parametric curves); the adaptation to D50 is the
linear Bradford transform of annex E.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np

Point: TypeAlias = tuple[float, float]
# The profile connection space's illuminant, as ICC writes it.
D50 = (0.9642, 1.0, 0.8249)
D65: Point = (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# A triangle of primaries with less area than this is no colour space.
_MIN_AREA = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Primaries:
    """Chromaticities, CIE x and y, of red, green, blue and white."""

    red: Point
    green: Point
    blue: Point
    white: Point = D65


@dataclass(frozen=True, slots=True)
class Curve:
    """How a sample from 0 to 1 becomes light: ICC's parametric curve of type 0 (one parameter) or 3 (five)."""

    parameters: tuple[float, ...]


SRGB_PRIMARIES = Primaries(red=(0.64, 0.33), green=(0.30, 0.60), blue=(0.15, 0.06))
ADOBE_PRIMARIES = Primaries(red=(0.64, 0.33), green=(0.21, 0.71), blue=(0.15, 0.06))
SRGB_CURVE = Curve((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
# Adobe RGB (1998), section 4.3.4.2.
ADOBE_CURVE = Curve((563 / 256,))


def made(primaries: Primaries, curve: Curve, colours: Literal[1, 3]) -> bytes | None:
    """Make the profile for so many colour channels; ``None`` when the primaries span no colour space."""
    return grey_profile(curve) if colours == 1 else rgb_profile(primaries, curve)


@cache
def rgb_profile(primaries: Primaries, curve: Curve) -> bytes | None:
    """Make a display profile for RGB; ``None`` when the primaries span no colour space."""
    columns = _adapted(primaries)
    if columns is None:
        return None
    tags = [(f"{name}XYZ".encode(), _xyz(columns[:, number])) for number, name in enumerate("rgb")]
    tags += [(f"{name}TRC".encode(), _parametric(curve)) for name in "rgb"]
    return _profile(b"RGB ", tags)


@cache
def grey_profile(curve: Curve) -> bytes:
    """Make a display profile for grey."""
    return _profile(b"GRAY", [(b"kTRC", _parametric(curve))])


def _adapted(primaries: Primaries) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
    """Return the primaries' XYZ, in columns, at such strengths that together they make white, adapted to D50."""
    points = [primaries.red, primaries.green, primaries.blue]
    (rx, ry), (gx, gy), (bx, by) = points
    area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry)) / 2
    if area < _MIN_AREA or any(y <= 0 for _, y in (*points, primaries.white)):
        return None
    matrix = np.array([_xyz_of(point) for point in points]).T
    white = np.array(_xyz_of(primaries.white))
    strengths = np.linalg.solve(matrix, white)
    if (strengths <= 0).any():
        return None
    scale = np.diag((_BRADFORD @ np.array(D50)) / (_BRADFORD @ white))
    adapted: np.ndarray[tuple[int, int], np.dtype[np.float64]] = (
        np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ (matrix * strengths)
    )
    # What does not fit the profile's numbers is nothing that a file means.
    return adapted if np.isfinite(adapted).all() and np.abs(adapted).max() < 2**15 else None


def _xyz_of(point: Point) -> tuple[float, float, float]:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _profile(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    texts = [(b"desc", _text("Made from what the file says")), (b"cprt", _text("No copyright"))]
    tags = [*texts, (b"wtpt", _xyz(D50)), *tags]
    directory, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, payload in tags:
        directory += struct.pack(">4sII", name, start + len(body), len(payload))
        body += payload + b"\0" * (-len(payload) % 4)
    size = start + len(body)
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"\0" * 4, 0x04300000, b"mntr", space, b"XYZ ", date, b"acsp")
    return header.ljust(68, b"\0") + _fixed(*D50).ljust(60, b"\0") + directory + body


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _xyz(values: tuple[float, ...] | np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _parametric(curve: Curve) -> bytes:
    kind = 0 if len(curve.parameters) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(*curve.parameters)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
