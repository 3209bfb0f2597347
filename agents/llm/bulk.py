"""Bulk inference: all ordered pairs of clusters through the model.

All pairs (c1, .) share one cache of keys and values for instruction + c1; each pair then costs
the tokens of c2, the cue and the labels' branching tokens (``prompt.cluster_texts`` sees to it that
there are hardly any). Blocks of c1 ("shards") are written as they finish, so a killed run goes on
where it was; every shard is computed by one thread, and a pair's scores do not depend on what it is
batched with, so the table does not depend on the number of workers.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.fused import fusible
from agents.llm.model import check_context, compute_dtype, load_config, load_tokenizer
from agents.llm.prompt import PromptTokens, template, tokenise_prompts
from agents.llm.scoring import label_prior, random_pairs
from agents.llm.settings import LLMSettings
from agents.llm.shards import Scorer, Work, fill_shards, shard_file
from agents.llm.table import check_num_clusters
from agents.llm.trie import LabelTrie
from agents.llm.weights import weights_digest
from agents.text_encoder import embed_texts, encoder_digest, label_similarity
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.random import RandomStream

PRIOR_PAIRS = 256
"""Random pairs over which a label's mean probability is taken (chosen; 64 or more do)."""


@dataclass(frozen=True)
class PairWork(Work):
    """The ordered pairs of M clusters, in blocks of first ones.

    Attributes:
        prior_pairs: two (P,) arrays, over which a label's mean probability is taken.
        wanted: (M, M) bool, which pairs to score; None = all.
    """

    prior_pairs: tuple[IntArray, IntArray]
    wanted: BoolArray | None
    unit = "pair"

    def scorer(self) -> Scorer["PairWork"]:
        """See ``Work``."""
        return _Scorer(self, self.tokens.longest)

    def second(self, first: int) -> IntArray:
        """The second clusters, ascending, of the pairs to score with a first one."""
        return np.arange(len(self.tokens)) if self.wanted is None else np.flatnonzero(self.wanted[first])

    def num_rows(self, block: range) -> int:
        """Pairs to score whose first cluster is in a block."""
        return sum(len(self.second(first)) for first in block)

    def shards(self) -> list[range]:
        """Blocks of first clusters that have pairs to score."""
        num = len(self.tokens)
        size = max(1, self.settings.pairs_per_shard // num)
        blocks = [range(start, min(start + size, num)) for start in range(0, num, size)]
        return [block for block in blocks if self.num_rows(block)]

    def cost(self) -> dict[str, float]:
        """See ``Work``; and what full prompts without sharing would take."""
        tokens, num = self.tokens, len(self.tokens)
        branching = len(LabelTrie.build(tokens.label).tokens)
        prefix, suffix, label = (
            np.array([len(each) for each in part]) for part in (tokens.prefix, tokens.suffix, tokens.label)
        )  # (M,) each
        wanted = np.ones((num, num), bool) if self.wanted is None else self.wanted
        pairs = int(wanted.sum())
        computed = int(prefix[wanted.any(axis=1)].sum() + (wanted * (suffix + branching)).sum())
        first, second = self.prior_pairs
        return {
            "pairs_computed": pairs,
            "tokens_computed": computed,
            "tokens_per_pair": computed / max(pairs, 1),
            "tokens_per_pair_by_plain_generation": float((prefix + suffix + label).sum() / num),
            "tokens_for_the_labels_means": int((prefix[first] + suffix[second] + branching).sum()),
        }


class _Scorer(Scorer[PairWork]):
    def log_mean(self) -> FloatArray:
        return label_prior(self.contexts.model, self.work.tokens, self.contexts.trie, *self.work.prior_pairs)

    def scored(self, block: range) -> Iterator[tuple[IntArray, FloatArray]]:
        for first in block:
            if len(second := self.work.second(first)):
                yield np.stack([np.full(len(second), first), second], axis=1), self.scores(first, second)

    def scores(self, first: int, second: IntArray) -> FloatArray:
        """(n, M) float32 log-probabilities of all labels for pairs of one first cluster with n second ones.

        A pair's must not depend on which others are asked for, down to the last bit in fp32: a
        refreshed table rests on it (``agents.llm.refresh``).
        """
        tokens = self.work.tokens
        return self.contexts.scores(tokens.prefix[first], [tokens.suffix[c] for c in second.tolist()])


@dataclass(frozen=True)
class Filling:
    """What a table is filled with; the attributes are the arguments of ``agents.llm.past_tables.fill_table``."""

    weights: Path
    clusters: InterestClusters
    settings: LLMSettings
    folder: Path
    rng: RandomStream
    workers: int
    backend: str

    def inputs(self) -> tuple[dict[str, Any], PromptTokens]:
        """What a table of pairs rests on, for its manifest, and the prompts' pieces.

        Raises:
            InvalidInput: fewer than 3 clusters, or prompts that the model cannot see at once.
        """
        settings, weights = self.settings, self.weights
        check_num_clusters(self.clusters.num_clusters)
        tokens = tokenise_prompts(self.clusters, settings.num_keywords, load_tokenizer(weights))
        check_context(weights, tokens.longest)
        dtype = compute_dtype(settings.precision)
        inputs = {
            "weights_digest": weights_digest(weights),
            "prompts_digest": tokens.digest,
            "clusters_digest": self.clusters.digest,
            "template": template(2),
            "precision": str(dtype).removeprefix("torch."),
            "forward": "fused" if fusible(load_config(weights), dtype) else "transformers",
            "pmi_coefficient": settings.pmi_coefficient,
            "pairs_per_shard": settings.pairs_per_shard,
            "prior_pairs": list(self.rng.path),
        }
        if settings.encoder_weight:
            inputs |= {"encoder_weight": settings.encoder_weight, "encoder_digest": encoder_digest()}
        return inputs, tokens

    def top_labels(self, past_clusters: int) -> int:
        """Labels kept a row: no more than there are besides the past clusters."""
        return min(self.settings.top_n, self.clusters.num_clusters - past_clusters)

    def work(self, inputs: dict[str, Any], tokens: PromptTokens, top_n: int, which: list[str]) -> dict[str, Any]:
        """The attributes of a ``Work``, whose folder is named after what the shards rest on; makes the folder.

        Args:
            inputs, tokens: see ``inputs``.
            top_n: labels kept a row.
            which: a digest of the rows to score; empty = all.
        """
        name = hashlib.sha256(json.dumps([inputs, top_n, *which]).encode()).hexdigest()[:16]
        unfinished = self.folder.with_name(f"{self.folder.name}.shards-{name}")
        unfinished.mkdir(parents=True, exist_ok=True)
        return {
            "weights": self.weights,
            "settings": self.settings,
            "tokens": tokens,
            "similarity": label_similarity(embed_texts(tokens.text)) if self.settings.encoder_weight else None,
            "top_n": top_n,
            "folder": unfinished,
        }

    def pair_work(self, inputs: dict[str, Any], tokens: PromptTokens, wanted: BoolArray | None = None) -> PairWork:
        """The scoring of pairs; see ``inputs``, and ``PairWork`` for ``wanted``."""
        which = [] if wanted is None else [hashlib.sha256(np.packbits(wanted).tobytes()).hexdigest()]
        work = self.work(inputs, tokens, self.top_labels(2), which)
        return PairWork(**work, prior_pairs=random_pairs(len(tokens), PRIOR_PAIRS, self.rng), wanted=wanted)


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
    """Compute one of n shares of a table's shards, next to processes that compute the others in the same folder.

    Args:
        weights, clusters, settings, folder, rng, workers, backend: as for ``agents.llm.past_tables.fill_table``,
            which makes the table of them.
        share: (i, n), 1 <= i <= n: shards i, i + n, i + 2n, ...

    Returns:
        Whether the shards of all shares are there now.
    """
    filling = Filling(weights, clusters, settings, folder, rng, workers, backend)
    work = filling.pair_work(*filling.inputs())
    shards = work.shards()
    number, num_shares = share
    fill_shards(work, shards[number - 1 :: num_shares], workers, backend)
    return all(shard_file(work.folder, block).is_file() for block in shards)
