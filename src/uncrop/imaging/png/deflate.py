"""Bytes to a zlib stream (RFC 1950), quickly, and always to the same one.

igzip alone does not always write the same. Where a stream has no history, its quickest levels take one hash of the
first bytes from a register that nobody has set (``.write_first_byte`` in ISA-L's ``igzip_icf_body_h1_gr_bt.asm`` and
``igzip_body.asm``): a repetition is then found or not by where the compressor lies in memory. So it is given a
history: the first bytes are stored as they are, and named to it as what came before (docs/decisions/0030).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Level = Literal[0, 1, 2, 3]

HEADER = b"\x78\x01"  # deflate with a window of 32 KiB, packed quickly
NO_HEADER = -15  # the same window, without header and checksum
STORED_BYTES = 16


def deflate(parts: Iterable[memoryview], level: Level = 1) -> Iterator[bytes]:
    """Pack what comes in parts, in C order; each is used up before the next one is asked for.

    Parameters
    ----------
    parts
        At least one.
    level
        igzip's, 0 (quickest) to 3 (smallest).
    """
    rest = iter(parts)
    data = next(rest).cast("B")
    checksum = isal_zlib.adler32(data)
    first = bytes(data[:STORED_BYTES])
    packer = isal_zlib.compressobj(level, wbits=NO_HEADER, zdict=first)
    packed = HEADER + _stored(first) + packer.compress(data[STORED_BYTES:])
    for part in rest:
        yield packed
        data = part.cast("B")
        checksum = isal_zlib.adler32(data, checksum)
        packed = packer.compress(data)
    yield packed + packer.flush() + checksum.to_bytes(4, "big")


def _stored(data: bytes) -> bytes:
    """Write a block that is not packed and not the last (RFC 1951, 3.2.4)."""
    return b"\0" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data
