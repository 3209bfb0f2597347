"""How the world's inner loops are compiled."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit


def _cache_folder() -> Path:
    """Where machine code is kept, one folder for each state of this package's source.

    numba itself looks only at the file that a function stands in, and would go on using code into
    which an older version of another file's function has been put.
    """
    source = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source.update(path.name.encode() + path.read_bytes())
    name = f"compiled/{source.hexdigest()}"
    folder = Path(os.environ.get("INTERESTLAB_CACHE", "~/.cache/interestlab")).expanduser() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written to
        folder = Path(tempfile.gettempdir()) / "interestlab" / name
        folder.mkdir(parents=True, exist_ok=True)
    return folder


_CACHE_FOLDER = str(_cache_folder())


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = _CACHE_FOLDER  # type: ignore[attr-defined]
    try:
        return njit(cache=True, nogil=True, error_model="numpy", **options)(function)
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that reads and writes arrays, and makes none.

    The interpreter's lock is released, so that shards run side by side. Arrays are borrowed from the
    caller (``_nrt`` off): otherwise numba counts references atomically at every use of an array,
    which took half of the time.
    """
    return _compile(function, _nrt=False)


def compiled_into(function: Callable[..., Any]) -> Any:
    """``compiled`` and inlined into its callers, because a call would pass every array's descriptor."""
    return _compile(function, _nrt=False, forceinline=True)


def compiled_fast(function: Callable[..., Any]) -> Any:
    """``compiled``, with sums and minima in the order that suits vector instructions; no NaN may come."""
    return _compile(function, _nrt=False, fastmath={"reassoc", "contract", "nnan", "nsz"})


def compiled_with_arrays(function: Callable[..., Any]) -> Any:
    """Compile a function that makes arrays of its own."""
    return _compile(function)
