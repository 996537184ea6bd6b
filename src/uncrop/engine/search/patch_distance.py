"""The innermost loop: squared differences of whole patches, 7 x 7 pixels of 4 bytes, in vector registers.

LLVM does not turn the plain loop over 28 bytes into good vector code. Written as one vector of 32 lanes of 16 bits, a
row takes one or two multiply-and-add instructions, and a whole patch less than 10 ns instead of 70; an early exit could
save nothing. The eighth pixel is read but does not count, which is why every array has ``PADDING`` bytes behind its
last row. These functions check nothing: the caller makes sure that the patch lies inside its array.

Channel k of a patch's pixels lies in the lanes k, 4 + k, 8 + k, and so on. Folding a vector in half three times leaves
the sums of the channels in four lanes. So the best colour shift of a patch takes only a few instructions more, and no
sums need to be stored.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from uncrop.engine.prepare.patch import CHANNELS, PATCH, SIZE

RUN = 32  # bytes read of each row
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_SEVEN_PIXELS = ir.Constant(ir.VectorType(_I16, RUN), [-1] * 28 + [0] * 4)


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    """Load 32 unaligned integers."""
    loaded = builder.load(builder.bitcast(pointer, ir.VectorType(kind, RUN).as_pointer()))
    loaded.align = kind.width // 8
    return loaded


def _element(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Return the pointer to the array's element at ``offset``."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def _difference(builder: Any, a: Any, b: Any) -> Any:
    """Return a - b in 16 bits, byte by byte."""
    wide = ir.VectorType(_I16, RUN)
    return builder.sub(builder.zext(_load(builder, a, _I8), wide), builder.zext(_load(builder, b, _I8), wide))


def _products(builder: Any, a: Any, b: Any) -> Any:
    """Return a * b in 32 bits, lane by lane; LLVM fuses this with the sum into one multiply-and-add instruction."""
    wide = ir.VectorType(_I32, RUN)
    return builder.mul(builder.sext(a, wide), builder.sext(b, wide))


def _total(builder: Any, vectors: list[Any]) -> Any:
    """Return the sum over all lanes of all vectors."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = builder.add(total, vector)
    kind = ir.FunctionType(_I32, [total.type])
    insert: Any = cgutils.get_or_insert_function
    reduce = insert(builder.module, kind, f"llvm.vector.reduce.add.v{total.type.count}i32")
    return builder.call(reduce, [total])


def _step(builder: Any, pointer: Any, distance: Any, times: int) -> Any:
    """Return the pointer advanced by ``times`` rows of ``distance`` elements."""
    return builder.gep(pointer, [builder.mul(distance, ir.Constant(_I64, times))])


def _patch_rows(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return the differences of two patches, row by row in 16 bits.

    ``arguments`` are a, i, step_a, b, j, step_b. ``a`` and ``b`` are flat uint8; the patches' first bytes are a[i] and
    b[j]; ``step_a`` and ``step_b`` are the bytes from one row to the next.
    """
    first = _element(context, builder, signature.args[0], arguments[0], arguments[1])
    second = _element(context, builder, signature.args[3], arguments[3], arguments[4])
    return [
        builder.and_(
            _difference(builder, _step(builder, first, arguments[2], n), _step(builder, second, arguments[5], n)),
            _SEVEN_PIXELS,
        )
        for n in range(SIZE)
    ]


def _channel_sums(builder: Any, rows: list[Any]) -> Any:
    """Return the sums of the four channels over all rows, at most 49 * 255 each, in 32 bits."""
    total = rows[0]
    for row in rows[1:]:
        total = builder.add(total, row)
    lanes = RUN
    while lanes > CHANNELS:
        lanes //= 2
        low, high = (ir.Constant(ir.VectorType(_I32, lanes), [*range(at, at + lanes)]) for at in (0, lanes))
        total = builder.add(builder.shuffle_vector(total, total, low), builder.shuffle_vector(total, total, high))
    return builder.sext(total, ir.VectorType(_I32, CHANNELS))


def _shifted_difference(_context: Any, a: Any, i: Any, step_a: Any, b: Any, j: Any, step_b: Any, bound: Any) -> Any:  # noqa: ARG001
    """Return the squared difference of two patches after the best shift of each channel by at most ``bound`` levels.

    ``bound`` (4) is int32, the other arguments are those of ``_patch_rows``. Let s be the sum of a channel's
    differences: the best shift reduces its squared difference by (s² - max(0, |s| - 49 bound)²) / 49, rounded down.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _patch_rows(context, builder, signature, arguments)
        sums, kind = _channel_sums(builder, rows), ir.VectorType(_I32, CHANNELS)
        pointer = _element(context, builder, signature.args[6], arguments[6], ir.Constant(_I64, 0))
        bounds = builder.load(builder.bitcast(pointer, kind.as_pointer()))
        bounds.align = 4
        zero, patch = ir.Constant(kind, [0] * CHANNELS), ir.Constant(kind, [PATCH] * CHANNELS)
        size = builder.select(builder.icmp_signed("<", sums, zero), builder.sub(zero, sums), sums)
        left = builder.sub(size, builder.mul(bounds, patch))
        left = builder.select(builder.icmp_signed("<", left, zero), zero, left)
        free = builder.udiv(builder.sub(builder.mul(size, size), builder.mul(left, left)), patch)
        total = _total(builder, [_products(builder, row, row) for row in rows])
        return builder.sub(total, _total(builder, [free]))

    return types.int32(a, types.int64, types.int64, b, types.int64, types.int64, bound), generate


def _difference_sums(_context: Any, a: Any, i: Any, step_a: Any, b: Any, j: Any, step_b: Any, out: Any) -> Any:  # noqa: ARG001
    """Write the sums of each channel's differences into ``out`` (4) int32; see ``_patch_rows`` for the rest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = _channel_sums(builder, _patch_rows(context, builder, signature, arguments))
        pointer = _element(context, builder, signature.args[6], arguments[6], ir.Constant(_I64, 0))
        builder.store(sums, builder.bitcast(pointer, sums.type.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(a, types.int64, types.int64, b, types.int64, types.int64, out), generate


def _weighted_difference(_context: Any, w: Any, a: Any, b: Any, j: Any, step: Any) -> Any:  # noqa: ARG001
    """Return the weighted squared difference of the context ``a`` and the patch of ``b`` whose first byte is b[j].

    ``w`` (7 * 32) int16 holds weights of 0 to 128. ``a`` (7 * 32) and ``b`` are flat uint8. ``step`` is the number of
    bytes from one row of ``b`` to the next.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(_I64, 0)
        weights = _element(context, builder, signature.args[0], arguments[0], zero)
        first = _element(context, builder, signature.args[1], arguments[1], zero)
        second = _element(context, builder, signature.args[2], arguments[2], arguments[3])
        rows = []
        for n in range(SIZE):
            at = ir.Constant(_I64, n * RUN)
            d = _difference(builder, builder.gep(first, [at]), _step(builder, second, arguments[4], n))
            weight = _load(builder, builder.gep(weights, [at]), _I16)
            rows.append(_products(builder, builder.mul(d, weight), d))
        return _total(builder, rows)

    return types.int32(w, a, b, types.int64, types.int64), generate


shifted_difference: Any = intrinsic(_shifted_difference)
difference_sums: Any = intrinsic(_difference_sums)
weighted_difference: Any = intrinsic(_weighted_difference)
