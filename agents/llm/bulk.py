"""Bulk inference: all ordered pairs of clusters through the model, into a ``TransitionTable``.

All pairs (c1, .) share one cache of keys and values for instruction + c1; each pair then costs
the tokens of c2, the cue and the labels' branching tokens (``prompt.cluster_texts`` sees to it that
there are hardly any). Blocks of c1 ("shards") are written as they finish, so a killed run goes on
where it was; every shard is computed by one thread, and a pair's scores do not depend on what it is
batched with, so the table does not depend on the number of workers.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from agents.llm.contexts import ContextScorer
from agents.llm.fused import fusible
from agents.llm.model import check_context, compute_dtype, load_config, load_tokenizer
from agents.llm.prompt import PromptTokens, template, tokenise_prompts
from agents.llm.ranking import best_labels
from agents.llm.scoring import label_prior, random_pairs
from agents.llm.settings import LLMSettings
from agents.llm.shards import Scorer, fill_shards, prior_file, read_shards, shard_file, write_arrays
from agents.llm.table import TransitionTable, check_num_clusters, finished_table, label_skew
from agents.llm.trie import LabelTrie
from agents.llm.weights import weights_digest
from agents.text_encoder import embed_texts, encoder_digest, label_similarity
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.random import RandomStream

PRIOR_PAIRS = 256
"""Random pairs over which a label's mean probability is taken (chosen; 64 or more do)."""


@dataclass(frozen=True)
class PairWork:
    """What a worker needs to score pairs; implements ``agents.llm.shards.Work``.

    Attributes:
        weights: folder of the model.
        precision: of matrix products.
        prompts: of M clusters.
        prior_pairs: two (P,) arrays, over which a label's mean probability is taken.
        pmi_coefficient, encoder_weight, similarity, top_n: see ``best_labels``.
        folder: of the shards, blocks of first clusters.
        wanted: (M, M) bool, which pairs to score; None = all.
    """

    weights: Path
    precision: str
    prompts: PromptTokens
    prior_pairs: tuple[IntArray, IntArray]
    pmi_coefficient: float
    encoder_weight: float
    similarity: FloatArray | None
    top_n: int
    folder: Path
    wanted: BoolArray | None = None

    def scorer(self) -> Scorer:
        """Load the model."""
        return _Scorer(self)

    def second(self, first: int) -> IntArray:
        """The second clusters, ascending, of the pairs to score with a first one."""
        return np.arange(len(self.prompts)) if self.wanted is None else np.flatnonzero(self.wanted[first])

    def num_pairs(self, block: range) -> int:
        """Pairs to score whose first cluster is in a block."""
        return sum(len(self.second(first)) for first in block)

    def shards(self, pairs_per_shard: int) -> list[range]:
        """Blocks of first clusters that have pairs to score."""
        num = len(self.prompts)
        size = max(1, pairs_per_shard // num)
        blocks = [range(start, min(start + size, num)) for start in range(0, num, size)]
        return [block for block in blocks if self.num_pairs(block)]


def fill_table(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    workers: int = 1,
    backend: str = "loky",
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
        workers, backend: processes, of one thread each; see ``agents.processes.side_by_side``.

    Raises:
        InvalidInput: fewer than 3 clusters, or the folder holds a damaged table or one of other inputs.
    """
    inputs, prompts = table_inputs(weights, clusters, settings, rng)
    if (table := finished_table(folder, inputs, top_labels(settings, len(prompts)))) is not None:
        return table
    work = pair_work(weights, clusters, settings, folder, rng)
    shards = work.shards(settings.pairs_per_shard)
    fill_shards(work, shards, work.num_pairs, workers, backend, "pair")
    found, log_probability = read_shards(work.folder, shards)
    about = {
        "inputs": inputs,
        "clusters_digest": inputs["clusters_digest"],
        "template": inputs["template"],
        "texts": list(prompts.text),
        "labels": label_skew(np.bincount(found[:, 0], minlength=len(prompts))),
        "cost": table_cost(work),
    }
    TransitionTable.write(folder, found, log_probability, about)
    shutil.rmtree(work.folder, ignore_errors=True)  # a share that is still at work may write there
    return TransitionTable.open(folder)


def fill_share(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    share: tuple[int, int],
    workers: int = 1,
    backend: str = "loky",
) -> bool:
    """Compute one of n shares of the table's shards, next to processes that compute the others in the same folder.

    Args:
        weights, clusters, settings, folder, rng, workers, backend: as for ``fill_table``, which makes the
            table of them.
        share: (i, n), 1 <= i <= n: shards i, i + n, i + 2n, ...

    Returns:
        Whether the shards of all shares are there now.
    """
    work = pair_work(weights, clusters, settings, folder, rng)
    shards = work.shards(settings.pairs_per_shard)
    number, num_shares = share
    fill_shards(work, shards[number - 1 :: num_shares], work.num_pairs, workers, backend, "pair")
    return all(shard_file(work.folder, block).is_file() for block in shards)


def table_inputs(
    weights: Path, clusters: InterestClusters, settings: LLMSettings, rng: RandomStream
) -> tuple[dict[str, Any], PromptTokens]:
    """What a table of pairs rests on, for its manifest, and the prompts' pieces.

    Raises:
        InvalidInput: fewer than 3 clusters, or prompts that the model cannot see at once.
    """
    check_num_clusters(clusters.num_clusters)
    prompts = tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(weights))
    check_context(weights, prompts.longest)
    dtype = compute_dtype(settings.precision)
    inputs = {
        "weights_digest": weights_digest(weights),
        "prompts_digest": prompts.digest,
        "clusters_digest": clusters.digest,
        "template": template(2),
        "precision": str(dtype).removeprefix("torch."),
        "forward": "fused" if fusible(load_config(weights), dtype) else "transformers",
        "pmi_coefficient": settings.pmi_coefficient,
        "pairs_per_shard": settings.pairs_per_shard,
        "prior_pairs": list(rng.path),
    }
    if settings.encoder_weight:
        inputs |= {"encoder_weight": settings.encoder_weight, "encoder_digest": encoder_digest()}
    return inputs, prompts


def top_labels(settings: LLMSettings, num_clusters: int, past_clusters: int = 2) -> int:
    """Labels kept a row: no more than there are besides the past clusters."""
    return min(settings.top_n, num_clusters - past_clusters)


def encoder_similarity(prompts: PromptTokens, settings: LLMSettings) -> FloatArray | None:
    """(M, M) of clusters and labels by the sentence encoder; None where it has no say."""
    return label_similarity(embed_texts(prompts.text)) if settings.encoder_weight else None


def unfinished_folder(folder: Path, inputs: Any) -> Path:
    """Make the folder for a table's shards, next to the table's own and named after what they rest on."""
    name = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
    unfinished = folder.with_name(f"{folder.name}.shards-{name}")
    unfinished.mkdir(parents=True, exist_ok=True)
    return unfinished


def pair_work(
    weights: Path,
    clusters: InterestClusters,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    wanted: BoolArray | None = None,
) -> PairWork:
    """The scoring of a table's pairs; see ``fill_table``, and ``PairWork`` for ``wanted``."""
    inputs, prompts = table_inputs(weights, clusters, settings, rng)
    top_n = top_labels(settings, len(prompts))
    which = [] if wanted is None else [hashlib.sha256(np.packbits(wanted).tobytes()).hexdigest()]
    return PairWork(
        weights,
        settings.precision,
        prompts,
        random_pairs(len(prompts), PRIOR_PAIRS, rng),
        settings.pmi_coefficient,
        settings.encoder_weight,
        encoder_similarity(prompts, settings),
        top_n,
        unfinished_folder(folder, [inputs, top_n, *which]),
        wanted,
    )


class _Scorer:
    """The model, and what it computes for a table."""

    def __init__(self, work: PairWork) -> None:
        self.work = work
        self.contexts = ContextScorer(work.weights, work.precision, work.prompts, work.prompts.longest)
        self.prior_file = prior_file(work.folder)

    def write_prior(self) -> None:
        """Write the labels' log mean probability over some pairs, those with the label itself left out."""
        if not self.prior_file.is_file():
            scorer = self.contexts
            log_mean = label_prior(scorer.model, self.work.prompts, scorer.trie, *self.work.prior_pairs)
            write_arrays(self.prior_file, {"log_mean": log_mean})

    def write_shard(self, block: range) -> int:
        """Score the pairs whose first cluster is in the block; gives their number."""
        work = self.work
        correction = work.pmi_coefficient * load_file(self.prior_file)["log_mean"]  # (M,)
        rows = []
        for first in block:
            if not len(second := work.second(first)):
                continue
            past = np.stack([np.full(len(second), first), second], axis=1)  # (n, 2)
            scores = self.scores(first, second)
            rows.append(best_labels(scores, correction, past, work.top_n, work.similarity, work.encoder_weight))
        best, log_probability = (np.concatenate(part) for part in zip(*rows, strict=True))
        write_arrays(shard_file(work.folder, block), {"clusters": best, "log_probability": log_probability})
        return len(best)

    def scores(self, first: int, second: IntArray) -> FloatArray:
        """Log-probabilities of all labels for pairs of one first cluster with n second ones.

        A pair's must not depend on which others are asked for, down to the last bit in fp32: a
        refreshed table rests on it (``agents.llm.refresh``).

        Returns:
            (n, M) float32.
        """
        prompts = self.work.prompts
        return self.contexts.scores(prompts.prefix[first], [prompts.suffix[c] for c in second.tolist()])


def table_cost(work: PairWork) -> dict[str, float]:
    """Pairs and tokens run through the model for a table, and what full prompts without sharing would take."""
    prompts, num = work.prompts, len(work.prompts)
    branching = len(LabelTrie.build(prompts.label).tokens)
    prefix, suffix, label = (
        np.array([len(tokens) for tokens in part]) for part in (prompts.prefix, prompts.suffix, prompts.label)
    )  # (M,) each
    wanted = np.ones((num, num), bool) if work.wanted is None else work.wanted
    pairs = int(wanted.sum())
    computed = int(prefix[wanted.any(axis=1)].sum() + (wanted * (suffix + branching)).sum())
    first, second = work.prior_pairs
    return {
        "pairs_computed": pairs,
        "tokens_computed": computed,
        "tokens_per_pair": computed / max(pairs, 1),
        "tokens_per_pair_by_plain_generation": float((prefix + suffix + label).sum() / num),
        "tokens_for_the_labels_means": int((prefix[first] + suffix[second] + branching).sum()),
    }
