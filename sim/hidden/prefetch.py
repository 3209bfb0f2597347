"""A hint to the processor that compiled code will soon read an array element."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sim.hidden.compiled import compiled

CACHE_LINE = 64  # bytes that are fetched together


def _declare_fetch(typing_context: Any, address: Any) -> Any:
    """Fetch the cache line of an address, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        name = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch.p0", (), name)
        read, keep, data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(hint, [builder.inttoptr(arguments[0], pointer), read, keep, data])
        return context.get_dummy_value()

    return types.void(types.uintp), generate


_fetch: Any = intrinsic(_declare_fetch)


@compiled
def prefetch_row(array: Any, row: int) -> None:
    """Fetch ``array[row]`` of a C-contiguous array before it is used."""
    start = array.ctypes.data + row * array.strides[0]
    for offset in range(0, array.strides[0], CACHE_LINE):
        _fetch(start + offset)
