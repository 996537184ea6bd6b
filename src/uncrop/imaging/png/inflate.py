"""Undoing zlib's compression with a bound on what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

# So much is inflated at a time that it is still in the processor's cache when it is used.
BAND_BYTES = 1 << 18
# Handed over at a time: what is left of it is copied whenever a band is full.
PIECE_BYTES = 1 << 16

# The package's type stub calls the exception class an instance of one.
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]


class BrokenStream(Exception):
    """The compressed stream is cut off, corrupt, too short or too long, or not alone."""


def inflate(packed: bytes, limit: int, *, padding: int = 0) -> bytes | None:
    """Return the content of one whole stream, or ``None`` if it is cut off, corrupt, too long, or not alone.

    Parameters
    ----------
    packed
        The stream, and at most ``padding`` bytes behind it.
    limit
        Most bytes that the content may have.
    padding
        Most bytes that may follow.
    """
    inflater = isal_zlib.decompressobj()
    try:
        content = inflater.decompress(packed, max(1, limit))
        # One byte more is asked for, so that the stream's end and its checksum are reached.
        surplus = b"" if inflater.eof else inflater.decompress(inflater.unconsumed_tail, 1)
    except _IsalError:
        return None
    is_whole = inflater.eof and not surplus and len(inflater.unused_data) <= padding
    return content if is_whole else None


def inflate_rows(
    parts: Iterable[memoryview], height: int, length: int, *, padding: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """Yield ``height`` rows of ``length`` bytes, some at a time, out of one whole stream.

    Parameters
    ----------
    parts
        The stream, cut anywhere, and at most ``padding`` bytes behind it.

    Yields
    ------
    ndarray
        (rows, length); its bytes are lost with the next step.

    Raises
    ------
    BrokenStream
        At the end, or as soon as it is found; the rows until then were yielded.
    """
    inflater = isal_zlib.decompressobj()
    band = np.empty((max(1, min(height, BAND_BYTES // length)), length), np.uint8)
    room, filled, missing = band.reshape(-1), 0, height * length
    behind = 0
    try:
        for piece in _pieces(parts):
            if inflater.eof:
                behind += len(piece)
                continue
            packed: bytes | memoryview = piece
            more = True
            while more and not inflater.eof:
                # One byte more than there should be is asked for, so that the end and its checksum are reached.
                wanted = min(len(room) - filled, missing) or 1
                content = inflater.decompress(packed, wanted)
                packed = inflater.unconsumed_tail
                more = bool(packed) or len(content) == wanted  # what has been taken in may not all have come out
                if len(content) > missing:
                    raise BrokenStream
                room[filled : filled + len(content)] = np.frombuffer(content, np.uint8)
                filled, missing = filled + len(content), missing - len(content)
                if filled and (filled == len(room) or not missing):
                    yield band[: filled // length]
                    filled = 0
    except _IsalError as error:
        raise BrokenStream from error
    if not inflater.eof or missing or behind + len(inflater.unused_data) > padding:
        raise BrokenStream


def _pieces(parts: Iterable[memoryview]) -> Iterator[memoryview]:
    for part in parts:
        for start in range(0, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]
