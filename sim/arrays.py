"""Array types used in signatures. Shapes stand in docstrings and comments."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]


def readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of ``array`` that cannot be written to; ``array`` itself if it is one already.

    A plain read-only view gives way: ``setflags(write=True)`` or ``.base`` leads back to what can be
    written to. This one lies over an Arrow buffer that lets nobody write, without a copy (unless
    ``array`` is not contiguous). Who holds ``array`` itself can still change it.
    """
    if not array.flags.writeable and isinstance(_owner(array), (pa.Buffer, bytes)):
        return array
    closed = np.ascontiguousarray(array).view()
    closed.flags.writeable = False
    return np.frombuffer(pa.py_buffer(closed), array.dtype).reshape(array.shape)


def _owner(array: npt.NDArray[Any]) -> object:
    """What holds the memory that an array shows; None if the array does."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base
