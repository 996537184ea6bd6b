"""How strongly a lossy WebP was compressed, told from its quantiser.

VP8's frame header after RFC 6386, sections 7.3 (boolean decoder), 9.2 to 9.6 and 19.2. The relation between libwebp's
quality and the quantiser is that of its function ``QualityToCompression``; nearly all WebPs are written by libwebp.
"""

from __future__ import annotations

# Where the first partition, which the boolean decoder reads, begins: behind the frame tag, start code and extent.
FIRST_PARTITION = 10
SEGMENTS = 4
QUANTISERS = 127


class _Bits:
    """The boolean decoder, for bits of even probability alone, which is all that the header needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._value = int.from_bytes(data[:2].ljust(2, b"\0"), "big")
        self._at, self._range, self._shifts = 2, 255, 0

    def flag(self) -> int:
        split = 1 + ((self._range - 1) * 128 >> 8)
        bit = int(self._value >= split << 8)
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value, self._range, self._shifts = self._value << 1, self._range << 1, self._shifts + 1
            if self._shifts == 8:
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at, self._shifts = self._at + 1, 0
        return bit

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def optional(self, bits: int) -> int:
        """Read a number with its sign behind a flag that says whether there is one; else 0."""
        if not self.flag():
            return 0
        value = self.number(bits)
        return -value if self.flag() else value


def estimate_quality(picture: bytes) -> int:
    """Return the quality, 0..100, at which libwebp quantises as finely as the file's finest segment, or just finer.

    Where several qualities do, it is the highest.

    Parameters
    ----------
    picture
        Payload of the ``VP8 `` chunk.
    """
    finest = _finest_quantiser(picture[FIRST_PARTITION:])
    nearest = max(_quantiser(quality) for quality in range(101) if _quantiser(quality) <= finest)
    return max(quality for quality in range(101) if _quantiser(quality) == nearest)


def _quantiser(quality: int) -> int:
    """Return the quantiser's index that libwebp takes for a quality, 0 (finest) to 127."""
    linear = quality / 100
    linear = linear * 2 / 3 if linear < 0.75 else 2 * linear - 1
    return int(QUANTISERS * (1 - linear ** (1 / 3)))


def _finest_quantiser(partition: bytes) -> int:
    bits = _Bits(partition)
    bits.number(2)  # colour space, clamping
    changes, absolute = _segment_quantisers(bits)
    bits.number(1 + 6 + 3)  # the loop filter's kind, level and sharpness
    if bits.flag() and bits.flag():
        for _ in range(4 + 4):
            bits.optional(6)
    bits.number(2)  # count of partitions
    base = bits.number(7)
    levels = changes if absolute else [base + change for change in changes]
    return min(max(min(levels or [base]), 0), QUANTISERS)


def _segment_quantisers(bits: _Bits) -> tuple[list[int], bool]:
    """Read what the segments' quantisers are, or by how much they differ from the base, and which of the two it is."""
    if not bits.flag():
        return [], False
    has_map, has_data = bits.flag(), bits.flag()
    changes, absolute = [], False
    if has_data:
        absolute = bool(bits.flag())
        changes = [bits.optional(7) for _ in range(SEGMENTS)]
        for _ in range(SEGMENTS):
            bits.optional(6)
    if has_map:
        for _ in range(SEGMENTS - 1):
            if bits.flag():
                bits.number(8)
    return changes, absolute
