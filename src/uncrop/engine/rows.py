"""The innermost loop: squared differences of whole patches, 7 x 7 pixels of 4 bytes, in vector registers.

LLVM does not turn the plain loop over 28 bytes into good vector code. Said as one vector of 32 lanes of 16 bits, a row
is a multiply-and-add or two: a whole patch takes less than 10 ns instead of 70, which leaves nothing to an early exit.
The eighth pixel is read too, but does not count; hence every array needs ``PADDING`` bytes behind its last row. The
functions check nothing: the caller makes sure that the patch lies inside its array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

RUN = 32  # bytes read of each row
PADDING = 4  # bytes read behind a patch's row
ROWS = 7
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
    """Return a * b in 32 bits, lane by lane; LLVM joins this with the sum into one multiply-and-add instruction."""
    wide = ir.VectorType(_I32, RUN)
    return builder.mul(builder.sext(a, wide), builder.sext(b, wide))


def _total(builder: Any, vectors: list[Any]) -> Any:
    """Return the sum over all lanes of all vectors."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = builder.add(total, vector)
    kind = ir.FunctionType(_I32, [total.type])
    insert: Any = cgutils.get_or_insert_function
    reduce = insert(builder.module, kind, f"llvm.vector.reduce.add.v{RUN}i32")
    return builder.call(reduce, [total])


def _step(builder: Any, pointer: Any, distance: Any, times: int) -> Any:
    """Return the pointer moved on by ``times`` rows of ``distance`` elements."""
    return builder.gep(pointer, [builder.mul(distance, ir.Constant(_I64, times))])


def _patch_difference(_context: Any, a: Any, i: Any, step_a: Any, b: Any, j: Any, step_b: Any) -> Any:  # noqa: ARG001
    """Return the squared difference of two patches whose first bytes are a[i] and b[j].

    ``a`` and ``b`` are flat uint8, ``step_a`` and ``step_b`` the bytes from one of their rows to the next.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first = _element(context, builder, signature.args[0], arguments[0], arguments[1])
        second = _element(context, builder, signature.args[3], arguments[3], arguments[4])
        rows = []
        for n in range(ROWS):
            d = _difference(builder, _step(builder, first, arguments[2], n), _step(builder, second, arguments[5], n))
            d = builder.and_(d, _SEVEN_PIXELS)
            rows.append(_products(builder, d, d))
        return _total(builder, rows)

    return types.int32(a, types.int64, types.int64, b, types.int64, types.int64), generate


def _weighted_difference(_context: Any, w: Any, a: Any, b: Any, j: Any, step: Any) -> Any:  # noqa: ARG001
    """Return the weighted squared difference of the context ``a`` and the patch of ``b`` whose first byte is b[j].

    ``w`` (7 * 32) flat int16 holds weights of 0 to 128, ``a`` (7 * 32) and ``b`` are flat uint8, ``step`` is the bytes
    from one row of ``b`` to the next.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(_I64, 0)
        weights = _element(context, builder, signature.args[0], arguments[0], zero)
        first = _element(context, builder, signature.args[1], arguments[1], zero)
        second = _element(context, builder, signature.args[2], arguments[2], arguments[3])
        rows = []
        for n in range(ROWS):
            at = ir.Constant(_I64, n * RUN)
            d = _difference(builder, builder.gep(first, [at]), _step(builder, second, arguments[4], n))
            weight = _load(builder, builder.gep(weights, [at]), _I16)
            rows.append(_products(builder, builder.mul(d, weight), d))
        return _total(builder, rows)

    return types.int32(w, a, b, types.int64, types.int64), generate


patch_difference: Any = intrinsic(_patch_difference)
weighted_difference: Any = intrinsic(_weighted_difference)
