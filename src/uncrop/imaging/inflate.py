"""Undoing zlib's compression with a bound on what comes out."""

from __future__ import annotations

from isal import isal_zlib

# The package's type stub calls the exception class an instance of one.
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]


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
