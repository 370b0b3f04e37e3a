"""Find the first of many numbers that is low enough, without guessing.

A trade crosses some 30 levels at instants that nobody can predict. A loop that looks at one candle after the other makes the processor
guess at each of them, and wrong guesses are what a replay's time would go into. Comparing a block of candles at once and counting the
zeros before the first hit needs no guess. LLVM's compiler unrolls such loops before it could see that, so it is told in its own words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

BLOCK = 16
"""Candles in a block: as many float32 as a wide register holds."""
BLOCKS = 32
"""Blocks that are looked up at once."""


def _first_of(lanes: int) -> Any:
    vector, wide = ir.VectorType(ir.FloatType(), lanes), ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, start, level = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        numbers = builder.load(builder.bitcast(builder.gep(data, [start]), vector.as_pointer()), align=np.dtype(np.float32).itemsize)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), level, ir.Constant(ir.IntType(32), 0))
        levels = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))
        hits = builder.zext(builder.bitcast(builder.fcmp_ordered("<=", numbers, levels), ir.IntType(lanes)), wide)
        # A bit beyond the last lane answers for "none".
        return builder.cttz(builder.or_(hits, ir.Constant(wide, 1 << lanes)), ir.Constant(ir.IntType(1), 1))

    return generate


def _in_block(typing_context: Any, numbers: Any, start: Any, level: Any) -> Any:  # noqa: ARG001
    """Return how many of `BLOCK` numbers from `start` on stand before the first that is <= level; `BLOCK` if none is.

    The array is float32, contiguous, and holds them all: nobody checks.
    """
    return types.intp(numbers, types.intp, types.float32), _first_of(BLOCK)


def _of_blocks(typing_context: Any, numbers: Any, start: Any, level: Any) -> Any:  # noqa: ARG001
    """Return the same for `BLOCKS` numbers."""
    return types.intp(numbers, types.intp, types.float32), _first_of(BLOCKS)


def _soon(typing_context: Any, numbers: Any, place: Any) -> Any:  # noqa: ARG001
    """Ask for a number before it is needed, so that nobody waits for the memory then."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        read, keep, is_data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(prefetch, [builder.bitcast(builder.gep(data, [arguments[1]]), byte), read, keep, is_data])
        return context.get_dummy_value()

    return types.void(numbers, types.intp), generate


first_in_block: Any = intrinsic(_in_block)
first_block: Any = intrinsic(_of_blocks)
soon: Any = intrinsic(_soon)
