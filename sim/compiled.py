"""How the world's inner loops are compiled."""

from collections.abc import Callable
from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that reads and writes arrays, and makes none.

    Machine code is cached beside the module. The interpreter's lock is released, so that shards run
    side by side. Arrays are borrowed from the caller (``_nrt`` off): without this, numba counts
    references atomically wherever an array is named, which took half of the time.
    """
    return njit(**_OPTIONS)(function)


def compiled_fast(function: Callable[..., Any]) -> Any:
    """``compiled``, with sums and minima in the order that suits vector instructions; no NaN may come."""
    return njit(fastmath={"reassoc", "contract", "nnan", "nsz"}, **_OPTIONS)(function)
