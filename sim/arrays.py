"""Array types used in signatures. Shapes stand in docstrings and comments."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, get_type_hints

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import load_file, save_file

from sim.errors import InvalidInput

IntArray = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

# Columns of a table that says what type each is of.
Int8 = Annotated[IntArray, np.int8]
Int32 = Annotated[IntArray, np.int32]
Int64 = Annotated[IntArray, np.int64]
Float32 = Annotated[FloatArray, np.float32]
Bool = Annotated[BoolArray, np.bool_]


class Columns:
    """The base of dataclasses whose fields are all arrays with one row for each of the same n things."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays, by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def where(self, rows: npt.NDArray[Any] | slice) -> Self:
        """The rows that a boolean mask, an index array or a slice selects; of a slice, a view."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    def copy(self) -> Self:
        """The same in arrays of its own."""
        return type(self)(**{name: column.copy() for name, column in self.columns().items()})

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """Join tables, in the order given; where columns say their types, none give an empty one."""
        columns = [part.columns() for part in parts]
        if not columns:
            return cls(**{name: np.empty(0, dtype) for name, dtype in cls.dtypes().items()})
        return cls(**{name: np.concatenate([each[name] for each in columns]) for name in cls.__dataclass_fields__})

    def save(self, path: Path) -> None:
        """Write every column as safetensors."""
        save_file({name: np.ascontiguousarray(column) for name, column in self.columns().items()}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote."""
        return cls(**load_file(path))

    @classmethod
    @cache
    def dtypes(cls) -> dict[str, type[np.generic]]:
        """The columns' types (``Int32``, ...), where the fields name them."""
        hints = get_type_hints(cls, include_extras=True)
        return {name: hints[name].__metadata__[0] for name in cls.__dataclass_fields__}

    def _set_types(self, called: str) -> None:
        """Make every column of the type that its field names.

        Raises:
            InvalidInput: they differ in length; the message names ``called`` and the column.
        """
        first, *_ = self.__dataclass_fields__
        for name, dtype in self.dtypes().items():
            column = np.ascontiguousarray(getattr(self, name), dtype)
            if len(column) != len(self):
                raise InvalidInput(f"{called}.{name}", len(column), f"must have {len(self)} rows as column {first} has")
            object.__setattr__(self, name, column)


def readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of ``array`` that cannot be written to; ``array`` itself if it is one already.

    A plain NumPy read-only view can be made writable again by ``setflags(write=True)`` or ``.base``. This
    view is over an Arrow buffer, which cannot, without a copy (unless ``array`` is not contiguous).
    Code that holds ``array`` itself can still change it.
    """
    if not array.flags.writeable and isinstance(_owner(array), (pa.Buffer, bytes)):
        return array
    closed = np.ascontiguousarray(array).view()
    closed.flags.writeable = False
    return np.frombuffer(pa.py_buffer(closed), array.dtype).reshape(array.shape)


def dot(x: FloatArray, y: FloatArray) -> float:
    """Sum of the products of two vectors (n,), the same to the last bit whatever the number of threads.

    BLAS, which ``x @ y`` calls, splits vectors of more than 10,000 among its threads, and rounds by the split.
    """
    return float((x * y).sum())


def repeats(values: IntArray) -> BoolArray:
    """(B, n) bool: whether the same value stands further left in the row of (B, n) ``values``."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    again = np.zeros(values.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return again


def _owner(array: npt.NDArray[Any]) -> object:
    """The object that owns an array's memory; None if the array owns it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base
