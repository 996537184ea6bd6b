"""A JPEG's coefficients, read from its scans: sequential or progressive, with or without restart intervals."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidImage
from uncrop.imaging.jpeg.coefficients.blocks import Coefficients, make_grid
from uncrop.imaging.jpeg.coefficients.huffman import Codes, no_codes, read_tables
from uncrop.imaging.jpeg.layout import APP0, APP14, DHT, DQT, DRI, KNOWN_FRAMES, SOS
from uncrop.imaging.jpeg.metadata import JFIF_PREFIX, payloads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.blocks import BlockGrid
    from uncrop.imaging.jpeg.layout import JpegLayout, Segment

_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_ADOBE_TRANSFORM = 6  # the place, behind the segment's name, of the byte that tells the colour transform
_MOST_BITS = 13  # that later scans may bring to a level (T.81, table B.3)


@dataclass(kw_only=True, slots=True)
class _Tables:
    """What the segments before a scan set for it."""

    codes: Codes = field(default_factory=no_codes)
    restart: int = 0  # MCUs from one restart to the next; 0 where there is none


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scan:
    """A scan's header, and its data by restart intervals: joined, without stuffed zeros."""

    planes: tuple[int, ...]
    tables: tuple[tuple[int, int], ...]  # of each component, the numbers of its tables for DC and AC
    band: tuple[int, int]
    low: int
    refines: bool
    data: NDArray[np.uint8]
    bounds: NDArray[np.int64]


def read(data: bytes, layout: JpegLayout) -> Coefficients:
    """Read all coefficients of a file that was decoded whole before.

    Raises
    ------
    InvalidImage
        When the scans are not what their headers say, or levels are larger than 8-bit samples make them.
    """
    grid = grid_of(data, layout)
    result = Coefficients(grid=grid, levels=np.zeros((grid.count, 64), np.int16))
    ids, tables = [component[0] for component in _components(data, layout)], _Tables()
    for segment in layout.segments:
        if segment.marker == DHT:
            read_tables(data[segment.payload : segment.end], tables.codes)
        elif segment.marker == DRI:
            (tables.restart,) = struct.unpack_from(">H", data, segment.payload)
        elif segment.marker == SOS:
            progressive = layout.facts.progressive
            scan = _scan(data, segment, ids, progressive=progressive, restarts=tables.restart > 0)
            if not _read_scan(scan, tables, result, progressive=progressive):
                raise InvalidImage(system_message="a JPEG scan is not what its header says")
    return result


def grid_of(data: bytes, layout: JpegLayout) -> BlockGrid:
    """Tell from its headers how a file is cut into blocks.

    Raises
    ------
    InvalidImage
        When a quantisation table comes behind the first scan.
    """
    steps = _steps(data, layout)
    numbers = [component[2] for component in _components(data, layout)]
    if any(number not in steps for number in numbers):
        raise InvalidImage(system_message="a JPEG quantisation table comes behind the first scan")
    planes = ((x, y, steps[number]) for (x, y), number in zip(layout.factors, numbers, strict=True))
    return make_grid(layout.width, layout.height, planes)


def is_ycbcr(data: bytes, layout: JpegLayout) -> bool:
    """Tell whether three components are YCbCr, as nearly always, and not RGB; by the rules of libjpeg."""
    if next(payloads(data, layout, APP0, JFIF_PREFIX), None) is not None:
        return True
    adobe = next(payloads(data, layout, APP14, b"Adobe"), b"")
    if len(adobe) > _ADOBE_TRANSFORM:
        return adobe[_ADOBE_TRANSFORM] != 0
    return bytes(component[0] for component in _components(data, layout)) != b"RGB"


def _components(data: bytes, layout: JpegLayout) -> list[bytes]:
    """Return three bytes for each component of the frame: id, sampling factors, quantisation table."""
    frame = next(segment for segment in layout.segments if segment.marker in KNOWN_FRAMES)
    start = frame.payload + 6
    return [data[start + 3 * index : start + 3 * index + 3] for index in range(layout.components)]


def _steps(data: bytes, layout: JpegLayout) -> dict[int, tuple[int, ...]]:
    """Return the quantisation tables that stand before the first scan, by number, in zigzag order."""
    steps: dict[int, tuple[int, ...]] = {}
    for segment in layout.segments:
        if segment.marker == SOS:
            break
        at = segment.payload
        while segment.marker == DQT and at < segment.end:
            wide, number = data[at] >> 4, data[at] & 15
            steps[number] = struct.unpack_from(">64H" if wide else ">64B", data, at + 1)
            at += 1 + (128 if wide else 64)
    return steps


def _scan(data: bytes, segment: Segment, ids: list[int], *, progressive: bool, restarts: bool) -> _Scan:
    at = segment.payload
    count = data[at]
    chosen = [(data[at + 1 + 2 * place], data[at + 2 + 2 * place]) for place in range(count)]
    # A sequential file may say anything about its band.
    first, last, bits = data[at + 1 + 2 * count : at + 4 + 2 * count] if progressive else (0, 63, 0)
    if not count or any(one not in ids for one, _ in chosen) or not first <= last < 64 or bits & 15 > _MOST_BITS:
        raise InvalidImage(system_message="a JPEG scan header is not valid")
    if first and count > 1:
        raise InvalidImage(system_message="a JPEG scan of a band has more than one component")
    joined, bounds = _stretches(data[at + 4 + 2 * count : segment.end], restarts=restarts)
    return _Scan(
        planes=tuple(ids.index(one) for one, _ in chosen),
        tables=tuple(((both >> 4) & 3, both & 3) for _, both in chosen),
        band=(first, last),
        low=bits & 15,
        refines=bits >> 4 > 0,
        data=joined,
        bounds=bounds,
    )


def _stretches(coded: bytes, *, restarts: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Join the data of the restart intervals without stuffed zeros; return them, with a margin, and their bounds."""
    from uncrop.imaging.jpeg.coefficients.read_kernels import MARGIN

    parts = [part.replace(b"\xff\0", b"\xff") for part in (_RESTART.split(coded) if restarts else (coded,))]
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    bounds = np.stack([ends - [len(part) for part in parts], ends], axis=1)
    return np.frombuffer(b"".join((*parts, bytes(MARGIN))), np.uint8), np.ascontiguousarray(bounds)


def _read_scan(scan: _Scan, tables: _Tables, result: Coefficients, *, progressive: bool) -> bool:
    grid = result.grid
    alone = len(scan.planes) == 1
    across, down = grid.extent(grid.planes[scan.planes[0]]) if alone else grid.units
    interval = tables.restart or across * down
    if len(scan.bounds) < -(-across * down // interval):
        return False
    if scan.band[0]:
        return _read_bands(scan, tables.codes, (across, down, interval), result)
    return _read_units(scan, tables.codes, (across, down, interval), result, whole=not progressive)


def _read_units(scan: _Scan, codes: Codes, walk: tuple[int, int, int], result: Coefficients, *, whole: bool) -> bool:
    from uncrop.imaging.jpeg.coefficients.read_kernels import read_units

    grid, alone = result.grid, len(scan.planes) == 1
    places = [
        (plane.first, plane.columns, *((1, 1) if alone else (plane.across, plane.down)), dc, 4 + ac)
        for plane, (dc, ac) in zip((grid.planes[number] for number in scan.planes), scan.tables, strict=True)
    ]
    return bool(
        read_units(
            scan.data,
            scan.bounds,
            codes,
            np.array(places, np.int64),
            np.array((*walk, whole, scan.low, scan.refines), np.int64),
            np.zeros(len(places), np.int64),
            result.levels,
        )
    )


def _read_bands(scan: _Scan, codes: Codes, walk: tuple[int, int, int], result: Coefficients) -> bool:
    from uncrop.imaging.jpeg.coefficients.read_kernels import read_bands

    plane = result.grid.planes[scan.planes[0]]
    return bool(
        read_bands(
            scan.data,
            scan.bounds,
            codes,
            np.array((plane.first, plane.columns), np.int64),
            np.array((*walk, *scan.band, scan.low, scan.refines, 4 + scan.tables[0][1]), np.int64),
            result.levels,
        )
    )
