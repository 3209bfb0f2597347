"""How long serving waits for the language model's table: the look-up alone, and all that the planner does."""

import ctypes
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from agents.llm.planner import LLMTablePlanner
from agents.llm.table import TransitionTable
from experiments.benchmark.llm import authored_clusters
from experiments.benchmark.rows import Row, benchmark_row
from sim.arrays import IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords
from sim.random import RandomStream

BATCH = 1000
"""Users at once."""

CALLS = 1000
"""Measured calls, of which the 99th percentile is reported."""

COLD_CALLS = 30
"""Calls that find none of the table in memory: each first empties it and maps the file again."""

BOUND = 1.0
"""What the look-up's 99th percentile should stay under, ms."""

_TOP_N = 10
_SLOTS = 2
_HISTORY = 50  # watched items a user, as conf/world/base.yaml has it


def lookup_rows(num_clusters: int, calls: int = CALLS) -> list[Row]:
    """Time look-ups in a table of ``num_clusters`` clusters and random content, in one thread.

    Beside each row's median and 99th percentile (``p99``, of wall-clock time) stands ``p99_processor``, that of the
    thread's own processor time, which others on the machine do not lengthen.
    """
    clusters = authored_clusters(num_clusters)
    generator = RandomStream(0, "benchmark lookup").generator()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "table"
        shape = (num_clusters**2, _TOP_N)
        TransitionTable.write(
            folder,
            generator.integers(0, num_clusters, shape),
            generator.random(shape, np.float32),
            {"clusters_digest": clusters.digest},
        )
        table = TransitionTable.open(folder)
        pairs = generator.integers(0, num_clusters, (calls, 2, BATCH))
        records = _watched(clusters, generator)
        planner = LLMTablePlanner(str(folder))
        planner.fit(Platform(records), InteractionLog.concatenate([]), RandomStream(0, "benchmark"))
        requests = records.requests(np.arange(BATCH), _SLOTS)
        with tqdm(total=2 * calls + COLD_CALLS, desc="look-up", unit="call", dynamic_ncols=True) as bar:
            looked_up = _timed(lambda n: table.lookup(*pairs[n]), calls, bar)
            planned = _timed(lambda n: planner.propose(requests, RandomStream(n, "benchmark")), calls, bar)
            cold = _cold(folder, num_clusters, pairs[:COLD_CALLS], bar)
    of = f"of {BATCH:,} users at once, {num_clusters} clusters"
    rows = [_row(f"look-up {of}", looked_up), _row(f"plan for {_SLOTS} slots {of}", planned)]
    rows[0] |= {"bound": BOUND, "of_bound": rows[0]["p99"] / BOUND}
    if cold is not None:
        rows.append(_row(f"look-up {of}, table not in memory", cold))
    return rows


Times = list[tuple[float, float]]
"""(wall-clock, processor) ms of each call."""


def _timed(call: Callable[[int], Any], calls: int, bar: Any) -> Times:
    call(0)
    spent = []
    for number in range(calls):
        spent.append(_milliseconds(lambda: call(number)))  # noqa: B023  called at once
        bar.update()
    return spent


def _milliseconds(call: Callable[[], Any]) -> tuple[float, float]:
    begun, worked = time.perf_counter(), time.thread_time()
    call()
    return 1000 * (time.perf_counter() - begun), 1000 * (time.thread_time() - worked)


def _cold(folder: Path, num_clusters: int, pairs: IntArray, bar: Any) -> Times | None:
    """Look-ups in a table just dropped from the page cache; None where that is not possible."""
    names = ("clusters", "log_probability")
    manifest = {"num_clusters": num_clusters, "past_clusters": 2}
    spent = []
    for first, second in pairs:
        for name in names:
            _forget(folder / f"{name}.npy")
        arrays = [np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in names]
        if any(_share_in_memory(array) > 0.01 for array in arrays):
            return None
        table = TransitionTable(arrays[0], arrays[1], manifest)
        spent.append(_milliseconds(lambda: table.lookup(first, second)))  # noqa: B023  called at once
        bar.update()
    return spent


def _forget(path: Path) -> None:
    """Ask that none of a file stay in the page cache; works while nobody maps it and it is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _share_in_memory(array: Any) -> float:
    """Share of a mapped array's pages that are in memory: mincore(2)."""
    start = array.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    length = array.ctypes.data + array.nbytes - start
    pages = (ctypes.c_ubyte * -(-length // mmap.PAGESIZE))()
    if ctypes.CDLL(None).mincore(ctypes.c_void_p(start), ctypes.c_size_t(length), pages) != 0:
        return 1.0
    return float(np.mean(np.frombuffer(pages, np.uint8) & 1))


def _row(case: str, spent: Times) -> Row:
    wall, processor = np.array(spent).T
    row = benchmark_row("llm", case, wall.tolist(), "ms")
    return row | {"p99": float(np.percentile(wall, 99)), "p99_processor": float(np.percentile(processor, 99))}


def _watched(clusters: InterestClusters, generator: np.random.Generator) -> PlatformRecords:
    """A platform whose users have each watched ``_HISTORY`` items of random clusters."""
    num = clusters.num_clusters
    one_term = np.zeros((num, 1), np.int32)
    catalog = Catalog(
        creator=np.zeros(num, np.int32),
        length=np.ones(num, np.float32),
        upload_day=np.zeros(num, np.int32),
        expiry_day=np.ones(num, np.int32),
        embedding=np.array(clusters.centroid, np.float16),
        title_terms=one_term,
        hashtag_terms=one_term,
        vocabulary=("a",),
    )
    records = PlatformRecords(BATCH, catalog, clusters, _HISTORY, history_days=30, seen_length=0)
    items = generator.integers(0, num, (BATCH, _HISTORY))
    yes = np.ones(items.shape, bool)
    positive = generator.random(items.shape) < 0.5
    records.record(np.arange(BATCH), items, yes, yes, np.ones(items.shape, np.float32), positive)
    return records
