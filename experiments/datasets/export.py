"""Helpers that the writers to other formats share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiments.datasets.dataset import LoggedDataset
from experiments.datasets.requests import DAY
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.files import written_whole
from sim.log import InteractionLog

FIRST_DAY = "2022-04-08"
"""On which day 0 of a log falls in formats that need dates; KuaiRand's first."""

_STEPS = DAY // 1000
_ROWS = 1_000_000  # turned into text at a time


def clock(log: InteractionLog) -> IntArray:
    """(R,) int64 milliseconds of local time: a request every second from midnight.

    Raises:
        InvalidInput: more requests than a day has seconds.
    """
    steps = int(log.step.max(initial=-1)) + 1
    if steps > _STEPS:
        raise InvalidInput("log.step", steps, f"must be at most {_STEPS:,} requests of a user on a day")
    start = np.datetime64(FIRST_DAY, "ms").astype(np.int64)
    return np.asarray(start + log.day.astype(np.int64) * DAY + log.step.astype(np.int64) * 1000)


def beijing_date(time: IntArray) -> IntArray:
    """(R,) int64, such as 20220408, of milliseconds of local time."""
    days = (time // DAY).astype("datetime64[D]")
    year, month = days.astype("datetime64[Y]"), days.astype("datetime64[M]")
    number = (year.astype(np.int64) + 1970) * 10_000 + (month.astype(np.int64) % 12 + 1) * 100
    return np.asarray(number + (days - month).astype(np.int64) + 1)


def tag_codes(data: LoggedDataset, separator: str) -> Any:
    """(n,) text: each item's level-1 and level-2 cluster as two codes that no other has."""
    cluster = data.cluster_of_item
    theme = data.clusters.parent[cluster].astype(str)
    own = (cluster + data.clusters.level_sizes[0]).astype(str)
    return np.char.add(np.char.add(theme, separator), own)


def write_csv(path: Path, columns: Mapping[str, Any]) -> None:
    """Write comma-separated values, quoted where they must be, whole or not at all."""
    num = len(next(iter(columns.values())))
    lines = [pa.array([",".join(columns)])]
    for start in range(0, num, _ROWS):
        texts = [_field(column[start : start + _ROWS]) for column in columns.values()]
        lines.append(pc.binary_join_element_wise(*texts, ","))
    write_lines(path, pa.chunked_array(lines))


def _field(column: Any) -> pa.Array:
    """(n,) text, in quotation marks where it holds a comma, a quotation mark or a line break."""
    text = pc.cast(pa.array(column), pa.string())
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(text, '[",\n]'), quoted, text)


def write_lines(path: Path, lines: pa.Array | pa.ChunkedArray) -> None:
    """Write lines of text, whole or not at all."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for start in range(0, len(lines), 100_000):
            file.writelines(f"{line}\n" for line in lines.slice(start, 100_000).to_pylist())
