"""The interaction log: one row an impression, columnar, Parquet in and out."""

import hashlib
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.lib
import pyarrow.parquet as pq

from sim.arrays import Bool, BoolArray, Columns, Float32, Int8, Int32, Int64, IntArray
from sim.errors import InvalidInput
from sim.files import write_parquet

PRODUCTION, AGENT, PRIOR, OWN = 0, 1, 2, 3
"""Values of ``InteractionLog.source``: who chose the item. ``PRIOR``: nobody's model, in the users' life before day 0
(``sim.hidden.prior``). ``OWN``: the user, by search or subscription. Neither has a propensity."""

NOT_ASKED = -1
"""Value of ``InteractionLog.survey`` where nobody was asked."""

SOURCE_NAMES = ("production", "agent", "prior", "own")
"""What people call the values of ``InteractionLog.source``."""


@dataclass(frozen=True)
class InteractionLog(Columns):
    """Impressions in the order in which they happened (day, step, user, slot).

    Only items that the user examined are impressions; the rest of a slate that the user left is
    not logged.

    Attributes:
        user, item: (R,) int64.
        day: (R,) int32, days since the experiment began; negative in the users' life before it.
        step: (R,) int32, the user's request within the day.
        slot: (R,) int32, position in the slate.
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
        source: (R,) int8, ``PRODUCTION``, ``AGENT``, ``PRIOR`` or ``OWN``: who filled the slot.
        planned: (R,) int32, the level-2 cluster that a planner meant to show, -1 where none did.
        survey: (R,) int8, what a user who was asked answered after the item: 1 cares for such videos, 0 does not;
            ``NOT_ASKED``, which is also what a log without the column is read as.
    """

    user: Int64
    day: Int32
    step: Int32
    slot: Int32
    item: Int64
    cluster: Int32
    watch_seconds: Float32
    watch_fraction: Float32
    liked: Bool
    disliked: Bool
    positive: Bool
    consumed: Bool
    propensity: Float32
    source: Int8
    planned: Int32
    survey: Int8 = field(default_factory=lambda: np.empty(0, np.int8))

    @property
    def recommended(self) -> BoolArray:
        """(R,) bool: rows that a recommender showed, not the users' own choices nor their life before day 0."""
        return ~np.isin(self.source, (OWN, PRIOR))

    def __post_init__(self) -> None:
        if not len(self.survey):
            object.__setattr__(self, "survey", np.full(len(self), NOT_ASKED, np.int8))
        self._set_types("log")

    def with_clusters(self, cluster_of_item: IntArray) -> "InteractionLog":
        """The same log, its items filed under other clusters; ``cluster_of_item`` is (n,) int32."""
        return replace(self, cluster=cluster_of_item[self.item])

    def digest(self) -> str:
        """SHA-256 over all columns: two runs with the same digest had the same log, byte for byte."""
        content = hashlib.sha256()
        for column in self.columns().values():
            content.update(column.tobytes())
        return content.hexdigest()

    def write(self, path: Path) -> None:
        """Write Parquet, whole or not at all."""
        write_parquet(path, pa.table({name: pa.array(column) for name, column in self.columns().items()}))

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
            if name == "survey" and name not in table.column_names:
                say_no_survey(f"log file {path}")
                continue
            if name not in table.column_names:
                raise InvalidInput("log file", str(path), f"must have a column {name!r} of type {np.dtype(dtype)}")
            column = table.column(name).to_numpy()
            if column.dtype != dtype:
                raise InvalidInput(
                    "log file", str(path), f"column {name!r} must be {np.dtype(dtype)}, not {column.dtype}"
                )
            columns[name] = column
        return InteractionLog(**columns)


def say_no_survey(place: str) -> None:
    """Say on stderr that the log that ``place`` names is from before the column ``survey``; it is read all the same."""
    print(f"{place}: has no column 'survey', as logs had none before; read as if nobody was asked", file=sys.stderr)


def check_order(log: InteractionLog) -> None:
    """Check that rows ascend by (day, step, user, slot), and that no two stand at the same place.

    Whoever reads a log takes neighbouring rows of a user, day and step for one request, and earlier rows for
    the user's past: rows in another order, or twice, would give other figures.

    Raises:
        InvalidInput: how many rows are not so, and the first of them.
    """
    order = np.zeros(max(len(log) - 1, 0), np.int8)  # sign of the first column that differs from the row before
    for column in (log.slot, log.user, log.step, log.day):
        change = (column[1:] > column[:-1]).astype(np.int8) - (column[1:] < column[:-1])
        order = np.where(change != 0, change, order)
    for wrong, expected in (
        (order < 0, "must not go backwards: sort the rows by day, step, user and slot"),
        (order == 0, "must not stand twice: a row is one slot of one request"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) + 1
            place = ", ".join(f"{name} {getattr(log, name)[row]}" for name in ("day", "step", "user", "slot"))
            count = f"{int(wrong.sum()):,} of {len(log):,} rows are not so"
            raise InvalidInput("log", f"{place} in row {row}", f"{expected}; {count}")


DTYPES = InteractionLog.dtypes()
"""The log's columns and their types, in the order of ``InteractionLog``'s fields."""
