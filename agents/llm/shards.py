"""Work cut into shards, each a file that is written when it is done: a killed run goes on where it was.

Every shard is computed by one thread, so what it holds does not depend on the number of workers, nor on
which of several machines that share the folder computed it.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.numpy import load_file, save
from tqdm import tqdm

from agents.llm.files import check_tensors
from agents.processes import end_with_parent
from sim.arrays import FloatArray, IntArray
from sim.files import written_whole


class Scorer(Protocol):
    """A model, and what it computes."""

    def write_prior(self) -> None:
        """Write what all shards need, unless it is there."""

    def write_shard(self, block: range) -> int:
        """Compute and write one shard; gives its number of rows."""


class Work(Protocol):
    """What a worker process needs, small enough to send."""

    @property
    def folder(self) -> Path:
        """Where the shards go."""

    def scorer(self) -> Scorer:
        """Load the model."""


def shard_file(folder: Path, block: range) -> Path:
    """What a shard is written to."""
    return folder / f"shard-{block.start:05d}.safetensors"


def fill_shards(work: Work, shards: Sequence[range], rows: Callable[[range], int], workers: int, unit: str) -> None:
    """Compute the shards that are not there yet, with a progress bar.

    Args:
        work: what to do.
        shards: blocks of whatever the work is cut by.
        rows: how many rows of the table a block is.
        workers: processes, of one thread each.
        unit: what the rows are called.
    """
    missing = [block for block in shards if not shard_file(work.folder, block).is_file()]
    total = sum(map(rows, shards))
    with tqdm(
        total=total, initial=total - sum(map(rows, missing)), desc="filling the table", unit=unit, dynamic_ncols=True
    ) as bar:
        if missing:
            compute = _in_processes if workers > 1 and len(missing) > 1 else _in_this_process
            for done in compute(work, missing, workers):
                bar.update(done)


def read_shards(folder: Path, shards: Sequence[range]) -> tuple[IntArray, FloatArray]:
    """Join finished shards.

    Returns:
        (R, n) clusters and (R, n) float32 log-probabilities, in the order of ``shards``.

    Raises:
        InvalidInput: one is truncated.
    """
    files = [shard_file(folder, block) for block in shards]
    for file in files:
        check_tensors(file, "delete it and run again")
    parts = [load_file(file) for file in files]
    return tuple(np.concatenate([part[name] for part in parts]) for name in ("clusters", "log_probability"))  # type: ignore[return-value]


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write safetensors, whole or not at all; other processes and machines may write the same file."""
    with written_whole(path, many_writers=True) as temporary:
        temporary.write_bytes(save(arrays))


def _in_this_process(work: Work, missing: list[range], workers: int) -> Iterator[int]:
    """Compute shards one after the other; yields the number of rows of each when it is done."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers: another number of threads rounds differently
    try:
        scorer = work.scorer()
        scorer.write_prior()
        for block in missing:
            yield scorer.write_shard(block)
    finally:
        torch.set_num_threads(threads)


def _in_processes(work: Work, missing: list[range], workers: int) -> Iterator[int]:
    """Like ``_in_this_process``, in several processes, in the order in which they finish."""
    # Spawned, not forked: a forked copy of torch's thread pool hangs.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(missing)), context, _start_worker, (work,)) as pool:
        pool.submit(_write_prior).result()
        futures = [pool.submit(_write_shard, block) for block in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


_worker: Scorer | None = None
"""The worker process's own; None in the parent."""


def _start_worker(work: Work) -> None:
    global _worker
    end_with_parent()
    torch.set_num_threads(1)
    _worker = work.scorer()


def _write_prior() -> None:
    assert _worker is not None
    _worker.write_prior()


def _write_shard(block: range) -> int:
    assert _worker is not None
    return _worker.write_shard(block)
