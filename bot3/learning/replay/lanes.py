"""Branch-free search for the first of many numbers that is at or below a level, with SIMD instructions.

A trade crosses about 30 levels at unpredictable instants. A loop over single candles has a branch for each of them, and mispredicted
branches would dominate the time of a replay. Comparing a block of candles at once and counting the zeros before the first hit needs no
branch. LLVM unrolls such loops before it can vectorise them, so this module generates the LLVM instructions itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

BLOCK = 16
"""Candles in a block: the number of float32 in a 512-bit register."""
BLOCKS = 32
"""Number of blocks searched at once."""


def _first_of(lanes: int) -> Any:
    # Build the code generator of a search in `lanes` numbers: load them as one vector, compare with the level in all lanes, convert the
    # result to a bit mask, and count its trailing zeros.
    vector, wide = ir.VectorType(ir.FloatType(), lanes), ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, start, level = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        numbers = builder.load(builder.bitcast(builder.gep(data, [start]), vector.as_pointer()), align=np.dtype(np.float32).itemsize)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), level, ir.Constant(ir.IntType(32), 0))
        levels = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))
        hits = builder.zext(builder.bitcast(builder.fcmp_ordered("<=", numbers, levels), ir.IntType(lanes)), wide)
        # An extra bit after the last lane gives the result `lanes` if there is no hit.
        return builder.cttz(builder.or_(hits, ir.Constant(wide, 1 << lanes)), ir.Constant(ir.IntType(1), 1))

    return generate


def _in_block(typing_context: Any, numbers: Any, start: Any, level: Any) -> Any:  # noqa: ARG001
    """Return the index of the first of `BLOCK` numbers from `start` on that is <= level, relative to `start`; `BLOCK` if there is none.

    The array must be float32, contiguous, and contain all these numbers; this is not checked.
    """
    return types.intp(numbers, types.intp, types.float32), _first_of(BLOCK)


def _of_blocks(typing_context: Any, numbers: Any, start: Any, level: Any) -> Any:  # noqa: ARG001
    """Return the index of the first of `BLOCKS` numbers from `start` on that is <= level, relative to `start`; else `BLOCKS`."""
    return types.intp(numbers, types.intp, types.float32), _first_of(BLOCKS)


def _soon(typing_context: Any, numbers: Any, place: Any) -> Any:  # noqa: ARG001
    """Prefetch a number into the CPU cache, so that a later read does not wait for memory."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        # Arguments of llvm.prefetch: read access, highest temporal locality, data cache.
        read, keep, is_data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(prefetch, [builder.bitcast(builder.gep(data, [arguments[1]]), byte), read, keep, is_data])
        return context.get_dummy_value()

    return types.void(numbers, types.intp), generate


first_in_block: Any = intrinsic(_in_block)
first_block: Any = intrinsic(_of_blocks)
soon: Any = intrinsic(_soon)
