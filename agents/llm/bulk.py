"""Bulk inference: all ordered pairs of clusters through the model, into a ``TransitionTable``.

All pairs (c1, .) share one cache of keys and values for instruction + c1; each pair then costs
the tokens of c2, the cue and the labels' branching tokens (``prompt.cluster_texts`` sees to it that
there are hardly any). Blocks of c1 ("shards") are written as
they finish, so a killed run goes on where it was; every shard is computed by one thread and in
the same batches, so the table does not depend on the number of workers.
"""

import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save
from tqdm import tqdm

from agents.llm.files import check_tensors
from agents.llm.fused import FusedModel, fusible
from agents.llm.model import check_context, compute_dtype, load_config, load_model, load_tokenizer
from agents.llm.prompt import PromptTokens, tokenise_prompts
from agents.llm.scoring import PrefixCache, label_log_probabilities, label_prior, mask_inputs, mixed, random_pairs
from agents.llm.settings import LLMSettings
from agents.llm.table import TransitionTable, check_num_clusters, finished_table, label_skew
from agents.llm.trie import LabelTrie
from agents.llm.weights import weights_digest
from agents.text_encoder import embed_texts, encoder_digest, label_similarity
from sim.arrays import FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.random import RandomStream

PRIOR_PAIRS = 256
"""Random pairs over which a label's mean probability is taken (chosen; 64 or more do)."""

_BATCH = 32  # pairs a forward pass by transformers: some 500 tokens, which stay in the processor's cache
_CHUNK = 1024  # tokens a fused forward pass: from there on the products are as fast as they get (measured)


@dataclass(frozen=True)
class _Task:
    """What a worker needs, small enough to send."""

    weights: Path
    precision: str
    prompts: PromptTokens
    pmi_coefficient: float
    encoder_weight: float
    similarity: FloatArray | None  # (M, M) of clusters (rows) and labels, by the sentence encoder
    top_n: int
    folder: Path

    @property
    def prior_file(self) -> Path:
        """The labels' mean probabilities."""
        return self.folder / "prior.safetensors"

    def shard_file(self, block: range) -> Path:
        """What a shard is written to."""
        return self.folder / f"shard-{block.start:05d}.safetensors"


def fill_table(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    workers: int = 1,
) -> TransitionTable:
    """Compute the table for all M^2 ordered pairs, (c, c) included, or go on with it.

    A label's score is log P(label | pair) - ``pmi_coefficient`` x log of its mean probability
    over ``PRIOR_PAIRS`` random pairs: what the pair adds to the label's general appeal. With
    ``encoder_weight`` above 0 a sentence encoder has a say too; see ``mixed``. The pair's own
    clusters are never labels.

    Args:
        weights: folder of the (fine-tuned) model.
        clusters: the interest clusters.
        settings: ``num_keywords``, ``precision``, ``pmi_coefficient``, ``encoder_weight``, ``top_n``,
            ``pairs_per_shard`` are used.
        folder: of the table; an existing one is opened, not overwritten. Unfinished work is kept
            next to it.
        rng: the choice of the random pairs.
        workers: processes, of one thread each.

    Raises:
        InvalidInput: fewer than 3 clusters, or the folder holds a damaged table or one of other inputs.
    """
    num = clusters.num_clusters
    check_num_clusters(num)
    prompts = tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(weights))
    check_context(weights, prompts.longest)
    dtype = compute_dtype(settings.precision)
    inputs = {
        "weights_digest": weights_digest(weights),
        "prompts_digest": prompts.digest,
        "clusters_digest": clusters.digest,
        "precision": str(dtype).removeprefix("torch."),
        "forward": "fused" if fusible(load_config(weights), dtype) else "transformers",
        "pmi_coefficient": settings.pmi_coefficient,
        "pairs_per_shard": settings.pairs_per_shard,
        "prior_pairs": list(rng.path),
    }
    if settings.encoder_weight:
        inputs |= {"encoder_weight": settings.encoder_weight, "encoder_digest": encoder_digest()}
    top_n = min(settings.top_n, num - 2)
    if (table := finished_table(folder, inputs, top_n)) is not None:
        return table
    name = hashlib.sha256(json.dumps([inputs, top_n]).encode()).hexdigest()[:16]
    unfinished = folder.with_name(f"{folder.name}.shards-{name}")
    unfinished.mkdir(parents=True, exist_ok=True)
    similarity = None
    if settings.encoder_weight:
        similarity = label_similarity(embed_texts(prompts.text))
    task = _Task(
        weights,
        settings.precision,
        prompts,
        settings.pmi_coefficient,
        settings.encoder_weight,
        similarity,
        top_n,
        unfinished,
    )
    files = _fill_shards(task, _shards(num, settings.pairs_per_shard), rng, workers)
    _assemble(folder, files, inputs, prompts)
    shutil.rmtree(unfinished)
    return TransitionTable.open(folder)


def _shards(num_clusters: int, pairs_per_shard: int) -> list[range]:
    """Blocks of first clusters."""
    size = max(1, pairs_per_shard // num_clusters)
    return [range(start, min(start + size, num_clusters)) for start in range(0, num_clusters, size)]


def _fill_shards(task: _Task, shards: list[range], rng: RandomStream, workers: int) -> list[Path]:
    """Compute the shards that are not there yet; gives the files of all."""
    num = len(task.prompts)
    missing = [block for block in shards if not task.shard_file(block).is_file()]
    done = num * (num - sum(map(len, missing)))
    with tqdm(total=num * num, initial=done, desc="filling the table", unit="pair") as bar:
        if missing:
            first, second = random_pairs(num, PRIOR_PAIRS, rng)
            parallel = workers > 1 and len(missing) > 1
            compute = _in_processes if parallel else _in_this_process
            for pairs in compute(task, first, second, missing, workers):
                bar.update(pairs)
    return [task.shard_file(block) for block in shards]


def _in_this_process(
    task: _Task, first: IntArray, second: IntArray, missing: list[range], workers: int
) -> Iterator[int]:
    """Compute shards one after the other; yields the number of pairs of each when it is done."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers: another number of threads rounds differently
    try:
        scorer = _Scorer(task)
        scorer.write_prior(first, second)
        for block in missing:
            yield scorer.write_shard(block)
    finally:
        torch.set_num_threads(threads)


def _in_processes(task: _Task, first: IntArray, second: IntArray, missing: list[range], workers: int) -> Iterator[int]:
    """Like ``_in_this_process``, in several processes, in the order in which they finish."""
    # Spawned, not forked: a forked copy of torch's thread pool hangs.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(missing)), context, _start_worker, (task,)) as pool:
        pool.submit(_write_prior, first, second).result()
        futures = [pool.submit(_write_shard, block) for block in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


class _Scorer:
    """The model, and what it computes for a table."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.trie = LabelTrie.build(task.prompts.label)
        self.model = load_model(task.weights, compute_dtype(task.precision))
        fused = fusible(self.model.config, self.model.dtype)
        self.fused = FusedModel(self.model, task.prompts.longest) if fused else None

    def write_prior(self, first: IntArray, second: IntArray) -> None:
        """Write the labels' log mean probability over some pairs, those with the label itself left out."""
        if self.task.prior_file.is_file():
            return
        log_mean = label_prior(self.model, self.task.prompts, self.trie, first, second, _BATCH)
        _write_arrays(self.task.prior_file, {"log_mean": log_mean})

    def write_shard(self, block: range) -> int:
        """Score all pairs whose first cluster is in the block; gives their number."""
        task, num = self.task, len(self.task.prompts)
        prior = task.pmi_coefficient * load_file(task.prior_file)["log_mean"]  # (M,)
        best = np.empty((len(block), num, task.top_n), np.int32)
        log_probability = np.empty((len(block), num, task.top_n), np.float32)
        for i, first in enumerate(block):
            scores = self.scores(first, np.arange(num))
            corrected: FloatArray = scores - prior  # (M, M)
            if task.similarity is not None:
                near = (task.similarity[first] + task.similarity) / 2  # (M, M)
                corrected = mixed(corrected, near, task.encoder_weight)
            corrected = mask_inputs(corrected, np.full(num, first), np.arange(num))
            best[i] = np.argsort(-corrected, axis=1, kind="stable")[:, : task.top_n]
            log_probability[i] = np.take_along_axis(scores, best[i], axis=1)
        _write_arrays(task.shard_file(block), {"clusters": best, "log_probability": log_probability})
        return len(block) * num

    def scores(self, first: int, second: IntArray) -> FloatArray:
        """(n, M) float32, log-probabilities of all labels (columns) for pairs of ``first`` with n clusters."""
        prompts = self.task.prompts
        contexts = [prompts.suffix[c] for c in second.tolist()]
        scores = np.empty((len(contexts), len(prompts)), np.float32)
        if self.fused is not None:
            past = self.fused.past(prompts.prefix[first])
            tokens = np.cumsum([len(context) + len(self.trie.tokens) for context in contexts])
            for chunk in np.split(np.arange(len(contexts)), np.flatnonzero(np.diff(tokens // _CHUNK)) + 1):
                chosen = [contexts[row] for row in chunk]
                scores[chunk] = self.fused.label_log_probabilities(chosen, self.trie, past)
            return scores
        prefix = PrefixCache.of(self.model, prompts.prefix[first])
        # Pairs of like length together: few pads.
        order = np.array(sorted(range(len(contexts)), key=lambda row: len(contexts[row])))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            scores[rows] = label_log_probabilities(self.model, [contexts[row] for row in rows], self.trie, prefix)
        return scores


_worker: _Scorer | None = None
"""The worker process's own; None in the parent."""


def _start_worker(task: _Task) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = _Scorer(task)


def _write_prior(first: IntArray, second: IntArray) -> None:
    assert _worker is not None
    _worker.write_prior(first, second)


def _write_shard(block: range) -> int:
    assert _worker is not None
    return _worker.write_shard(block)


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(save(arrays))
    os.replace(temporary, path)


def _assemble(folder: Path, files: list[Path], inputs: dict[str, Any], prompts: PromptTokens) -> None:
    """Join the shards into the table."""
    for file in files:
        check_tensors(file, "delete it and run again")
    shards = [load_file(file) for file in files]
    clusters = np.concatenate([s["clusters"].reshape(-1, s["clusters"].shape[2]) for s in shards])
    log_probability = np.concatenate(
        [s["log_probability"].reshape(len(s["clusters"]) * len(prompts), -1) for s in shards]
    )
    about = {
        "inputs": inputs,
        "clusters_digest": inputs["clusters_digest"],
        "labels": label_skew(np.bincount(clusters[:, 0], minlength=len(prompts))),
        "cost": _cost(prompts),
    }
    TransitionTable.write(folder, clusters, log_probability, about)


def _cost(prompts: PromptTokens) -> dict[str, float]:
    """Tokens run through the model for the table, and what full prompts without sharing would take."""
    num, branching = len(prompts), len(LabelTrie.build(prompts.label).tokens)
    prefix, suffix, label = (sum(map(len, part)) for part in (prompts.prefix, prompts.suffix, prompts.label))
    computed = prefix + num * (suffix + num * branching)
    return {
        "tokens_computed": computed,
        "tokens_per_pair": computed / num**2,
        "tokens_per_pair_by_plain_generation": (prefix + suffix + label) / num,
    }
