"""Work cut into shards, each a file that is written when it is done: a killed run goes on where it was.

Every shard is computed by one thread, so what it holds does not depend on the number of workers, nor on
which of several machines that share the folder computed it.
"""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from safetensors.numpy import load_file, save
from tqdm import tqdm

from agents.llm.contexts import ContextScorer
from agents.llm.files import check_tensors
from agents.llm.prompt import PromptTokens
from agents.llm.ranking import best_labels
from agents.llm.settings import LLMSettings
from agents.processes import side_by_side
from sim.arrays import FloatArray, IntArray
from sim.files import written_whole


@dataclass(frozen=True)
class Work(abc.ABC):
    """What a worker process needs to score prompts for a table, small enough to send.

    Attributes:
        weights: folder of the model.
        settings: ``precision``, ``pmi_coefficient`` and ``encoder_weight`` are used.
        tokens: of the prompts of M clusters.
        similarity, top_n: see ``best_labels``.
        folder: of the shards.
    """

    weights: Path
    settings: LLMSettings
    tokens: PromptTokens
    similarity: FloatArray | None
    top_n: int
    folder: Path
    unit: ClassVar[str]
    """What the table's rows are called."""

    @abc.abstractmethod
    def scorer(self) -> "Scorer[Any]":
        """Load the model."""

    @abc.abstractmethod
    def shards(self) -> list[range]:
        """Blocks, of about ``pairs_per_shard`` rows each, of whatever the work is cut by."""

    @abc.abstractmethod
    def num_rows(self, block: range) -> int:
        """How many rows of the table a block is."""

    @abc.abstractmethod
    def cost(self) -> dict[str, float]:
        """Rows and tokens run through the model, without the tokens that fill batches up."""


W = TypeVar("W", bound=Work)


class Scorer(abc.ABC, Generic[W]):
    """The model, and what it computes for a table.

    Args:
        work: what to do.
        longest: most tokens that a prompt and a label have together.
    """

    def __init__(self, work: W, longest: int) -> None:
        self.work = work
        self.contexts = ContextScorer(work.weights, work.settings.precision, work.tokens, longest)

    @abc.abstractmethod
    def log_mean(self) -> FloatArray:
        """(M,) log of each label's mean probability over some prompts, those with the label itself left out."""

    @abc.abstractmethod
    def scored(self, block: range) -> Iterator[tuple[IntArray, FloatArray]]:
        """A block's pasts (n, K) and log-probabilities of all labels after them (n, M), part by part."""

    def write_prior(self) -> None:
        """Write what all shards need, unless it is there."""
        path = prior_file(self.work.folder)
        if not path.is_file():
            write_arrays(path, {"log_mean": self.log_mean()})

    def write_shard(self, block: range) -> int:
        """Compute and write one shard; gives its number of rows."""
        work, settings = self.work, self.work.settings
        correction = settings.pmi_coefficient * load_file(prior_file(work.folder))["log_mean"]  # (M,)
        rows = [
            best_labels(scores, correction, past, work.top_n, work.similarity, settings.encoder_weight)
            for past, scores in self.scored(block)
        ]
        best, log_probability = (np.concatenate(part) for part in zip(*rows, strict=True))
        write_arrays(shard_file(work.folder, block), {"clusters": best, "log_probability": log_probability})
        return len(best)


def shard_file(folder: Path, block: range) -> Path:
    """What a shard is written to."""
    return folder / f"shard-{block.start:05d}.safetensors"


def prior_file(folder: Path) -> Path:
    """What is written to that all shards need."""
    return folder / "prior.safetensors"


def fill_shards(work: Work, shards: Sequence[range], workers: int, backend: str) -> None:
    """Compute those of the work's shards that are not there yet, with a progress bar.

    Args:
        work: what to do.
        shards: some of its own, or all.
        workers, backend: see ``agents.processes.side_by_side``.
    """
    missing = [block for block in shards if not shard_file(work.folder, block).is_file()]
    total = sum(map(work.num_rows, shards))
    there = total - sum(map(work.num_rows, missing))
    with tqdm(total=total, initial=there, desc="filling the table", unit=work.unit, dynamic_ncols=True) as bar:
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


_scorers: dict[Path, Scorer[Any]] = {}
"""This process's own, by the folder that it works for: a worker loads the model once."""


def _scorer(work: Work) -> Scorer[Any]:
    if work.folder not in _scorers:
        _scorers.clear()
        _scorers[work.folder] = work.scorer()
    return _scorers[work.folder]


def _write_prior(work: Work) -> None:
    _scorer(work).write_prior()


def _write_shard(work: Work, block: range) -> int:
    return _scorer(work).write_shard(block)
