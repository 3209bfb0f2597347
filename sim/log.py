"""The interaction log: one row an impression, columnar, Parquet in and out."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.lib
import pyarrow.parquet as pq

from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.files import write_parquet

PRODUCTION, AGENT = 0, 1
"""Values of ``InteractionLog.source``: whose slot the impression was."""


@dataclass(frozen=True)
class InteractionLog:
    """Impressions in the order in which they happened (day, step, user, slot).

    Only items that the user examined are impressions; the rest of a slate that the user left is
    not logged.

    Attributes:
        user: (R,) int64.
        day: (R,) int32, days since the world began.
        step: (R,) int32, the user's request within the day.
        slot: (R,) int32, position in the slate.
        item: (R,) int64.
        cluster: (R,) int32, the item's level-2 cluster.
        watch_seconds: (R,) float32.
        watch_fraction: (R,) float32, of the item's length; above 1 on replays.
        liked, disliked: (R,) bool.
        positive: (R,) bool, a long view (at least 18 s, or complete) or a like, and no dislike.
        consumed: (R,) bool, a valid play (more than 7 s, or complete) or a like: what makes an
            interest no longer novel. Definitions of ``long_view`` and ``valid_play`` after
            KuaiRand (Gao et al. 2022).
        propensity: (R,) float32, probability with which the recommender put that item in that
            slot given the slots before it; NaN where the recommender does not say.
        source: (R,) int8, ``PRODUCTION`` or ``AGENT``: who filled the slot.
        planned: (R,) int32, the level-2 cluster that a planner meant to show, -1 where none did.
    """

    user: IntArray
    day: IntArray
    step: IntArray
    slot: IntArray
    item: IntArray
    cluster: IntArray
    watch_seconds: FloatArray
    watch_fraction: FloatArray
    liked: BoolArray
    disliked: BoolArray
    positive: BoolArray
    consumed: BoolArray
    propensity: FloatArray
    source: IntArray
    planned: IntArray

    def __post_init__(self) -> None:
        for name, dtype in DTYPES.items():
            column = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            if len(column) != len(self.user):
                raise InvalidInput(f"log.{name}", len(column), f"must have {len(self.user)} rows as column user has")
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.user)

    def where(self, rows: npt.NDArray[Any]) -> "InteractionLog":
        """The rows that a boolean mask or an index array selects."""
        return InteractionLog(**{name: getattr(self, name)[rows] for name in DTYPES})

    def with_clusters(self, cluster_of_item: IntArray) -> "InteractionLog":
        """The same log, its items filed under other clusters; ``cluster_of_item`` is (n,) int32."""
        columns = {name: getattr(self, name) for name in DTYPES}
        return InteractionLog(**{**columns, "cluster": cluster_of_item[self.item]})

    def digest(self) -> str:
        """SHA-256 over all columns: two runs with the same digest had the same log, byte for byte."""
        content = hashlib.sha256()
        for name in DTYPES:
            content.update(getattr(self, name).tobytes())
        return content.hexdigest()

    @staticmethod
    def concatenate(logs: Iterable["InteractionLog"]) -> "InteractionLog":
        """Join logs, in the order given; no logs give an empty one."""
        parts = list(logs)
        return InteractionLog(
            **{
                name: np.concatenate([getattr(p, name) for p in parts]) if parts else np.empty(0, dtype)
                for name, dtype in DTYPES.items()
            }
        )

    def write(self, path: Path) -> None:
        """Write Parquet, whole or not at all."""
        write_parquet(path, pa.table({name: pa.array(getattr(self, name)) for name in DTYPES}))

    @staticmethod
    def read(path: Path) -> "InteractionLog":
        """Read what ``write`` wrote.

        Raises:
            InvalidInput: not a Parquet file, or a column is missing or of another type.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pyarrow.lib.ArrowException) as error:
            raise InvalidInput("log file", str(path), f"must be a readable Parquet file ({error})") from None
        columns = {}
        for name, dtype in DTYPES.items():
            if name not in table.column_names:
                raise InvalidInput("log file", str(path), f"must have a column {name!r} of type {np.dtype(dtype)}")
            column = table.column(name).to_numpy()
            if column.dtype != dtype:
                raise InvalidInput(
                    "log file", str(path), f"column {name!r} must be {np.dtype(dtype)}, not {column.dtype}"
                )
            columns[name] = column
        return InteractionLog(**columns)


def check_order(log: InteractionLog) -> None:
    """Check that rows ascend by (day, step, user, slot), and that no two stand at the same place.

    Whoever reads a log takes neighbouring rows of a user, day and step for one request, and earlier rows for
    the user's past: rows in another order, or twice, would give other figures.

    Raises:
        InvalidInput: how many rows are not so, and the first of them.
    """
    ahead = np.zeros(max(len(log) - 1, 0), np.int8)  # sign of the first column that differs from the row before
    for column in (log.slot, log.user, log.step, log.day):
        change = (column[1:] > column[:-1]).astype(np.int8) - (column[1:] < column[:-1])
        ahead = np.where(change != 0, change, ahead)
    for wrong, expected in (
        (ahead < 0, "must not go backwards: sort the rows by day, step, user and slot"),
        (ahead == 0, "must not stand twice: a row is one slot of one request"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) + 1
            place = ", ".join(f"{name} {getattr(log, name)[row]}" for name in ("day", "step", "user", "slot"))
            count = f"{int(wrong.sum()):,} of {len(log):,} rows are not so"
            raise InvalidInput("log", f"{place} in row {row}", f"{expected}; {count}")


DTYPES: dict[str, type[np.generic]] = {
    "user": np.int64,
    "day": np.int32,
    "step": np.int32,
    "slot": np.int32,
    "item": np.int64,
    "cluster": np.int32,
    "watch_seconds": np.float32,
    "watch_fraction": np.float32,
    "liked": np.bool_,
    "disliked": np.bool_,
    "positive": np.bool_,
    "consumed": np.bool_,
    "propensity": np.float32,
    "source": np.int8,
    "planned": np.int32,
}
"""The log's columns and their types, in the order of ``InteractionLog``'s fields."""

assert tuple(DTYPES) == tuple(f.name for f in fields(InteractionLog))
