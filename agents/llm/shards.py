"""Work cut into shards, each a file that is written when it is done: a killed run goes on where it was.

Every shard is computed by one thread, so what it holds does not depend on the number of workers, nor on
which of several machines that share the folder computed it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import load_file, save
from tqdm import tqdm

from agents.llm.files import check_tensors
from agents.processes import side_by_side
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


def prior_file(folder: Path) -> Path:
    """What is written to that all shards need."""
    return folder / "prior.safetensors"


def fill_shards(
    work: Work, shards: Sequence[range], rows: Callable[[range], int], workers: int, backend: str, unit: str
) -> None:
    """Compute the shards that are not there yet, with a progress bar.

    Args:
        work: what to do.
        shards: blocks of whatever the work is cut by.
        rows: how many rows of the table a block is.
        workers, backend: see ``agents.processes.side_by_side``.
        unit: what the rows are called.
    """
    missing = [block for block in shards if not shard_file(work.folder, block).is_file()]
    total = sum(map(rows, shards))
    with tqdm(
        total=total, initial=total - sum(map(rows, missing)), desc="filling the table", unit=unit, dynamic_ncols=True
    ) as bar:
        try:
            if missing and not prior_file(work.folder).is_file():
                list(side_by_side({"prior": partial(_write_prior, work)}, 1))
            if workers > 1:
                _scorers.clear()  # the workers load their own
            jobs = {block: partial(_write_shard, work, block) for block in missing}
            for _, done in side_by_side(jobs, workers, backend):
                bar.update(done)
        finally:
            _scorers.clear()


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


_scorers: dict[Path, Scorer] = {}
"""This process's own, by the folder that it works for: a worker loads the model once."""


def _scorer(work: Work) -> Scorer:
    if work.folder not in _scorers:
        _scorers.clear()
        _scorers[work.folder] = work.scorer()
    return _scorers[work.folder]


def _write_prior(work: Work) -> None:
    _scorer(work).write_prior()


def _write_shard(work: Work, block: range) -> int:
    return _scorer(work).write_shard(block)
