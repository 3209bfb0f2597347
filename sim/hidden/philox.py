"""Philox-4x64 counters in compiled code, number for number those of ``numpy.random.Philox``.

Ten rounds of Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (section 3.3 and
table 2). Compiled loops over users draw here what they need where they need it; tests hold that
``sim.random.RandomStream`` yields the same numbers.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sim.arrays import IntArray
from sim.hidden.compiled import compiled

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_UNUSED_BITS, _HALF_WORD, _LOW_WORD = np.uint64(11), np.uint64(32), np.uint64(0xFFFFFFFF)
_TINY = 2.0**-54


def _declare_high_product(typing_context: Any, a: Any, b: Any) -> Any:
    """The upper 64 bits of a 128-bit product of two uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


_high_product: Any = intrinsic(_declare_high_product)


@compiled
def block(counter: Any, key_0: Any, key_1: Any) -> tuple[Any, Any, Any, Any]:
    """The four uint64 that counter value ``(counter, 0, 0, 0)`` yields under a key."""
    c0, c1, c2, c3 = counter, _ZERO, _ZERO, _ZERO
    for _ in range(_ROUNDS):
        high_0, low_0 = _high_product(_MULTIPLIER_0, c0), _MULTIPLIER_0 * c0
        high_1, low_1 = _high_product(_MULTIPLIER_1, c2), _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = high_1 ^ c1 ^ key_0, low_1, high_0 ^ c3 ^ key_1, low_0
        key_0 += _WEYL_0
        key_1 += _WEYL_1
    return c0, c1, c2, c3


@compiled
def double(word: Any) -> float:
    """A uint64 as a uniform in (0, 1), as ``RandomStream.uniform`` makes it."""
    return max(float(word >> _UNUSED_BITS) * 2.0**-53, _TINY)


@compiled
def fill_uniforms(key: IntArray, rows: IntArray, start: int, stop: int, draws: Any) -> None:
    """Fill ``draws`` (at least stop - start, S, 5) float64 for ``rows[start:stop]``.

    One block of four words a slot makes five uniforms: the first three words one of 53 bits each,
    the halves of the fourth one of 32 bits each. Row ``r``'s slot ``s`` is at counter ``r * S + s``.
    """
    num_slots = draws.shape[1]
    for i in range(stop - start):
        first = np.uint64(rows[start + i]) * np.uint64(num_slots) + _ONE  # numpy's counter starts at one
        for s in range(num_slots):
            w0, w1, w2, w3 = block(first + np.uint64(s), key[0], key[1])
            draws[i, s, 0], draws[i, s, 1], draws[i, s, 2] = double(w0), double(w1), double(w2)
            draws[i, s, 3] = (float(w3 >> _HALF_WORD) + 0.5) * 2.0**-32
            draws[i, s, 4] = (float(w3 & _LOW_WORD) + 0.5) * 2.0**-32
