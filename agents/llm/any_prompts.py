"""Scores of all labels after prompts of any kind: one, two or three past clusters, with or without a hint.

Exact and simple: what prompts have in common beyond the first cluster is computed again for each of them.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from agents.llm.contexts import ContextScorer
from agents.llm.prompt import MorePieces, PromptTokens, Tokens
from agents.llm.ranking import best_labels, log_mean_probability
from agents.llm.shards import Scorer, prior_file, shard_file, write_arrays
from agents.llm.trie import LabelTrie
from sim.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Prompts:
    """T prompts of one kind.

    Attributes:
        tokens: of the template's usual pieces, for M clusters.
        more: of the others.
        past: (T, K) int32, K = 1, 2 or 3, the clusters that each names, in the order in which it does.
        hint: (T,) int32, the successor that each mentions, -1 = none; None where K is not 2, or none does.
    """

    tokens: PromptTokens
    more: MorePieces
    past: IntArray
    hint: IntArray | None = None

    def __len__(self) -> int:
        return len(self.past)

    def prefix(self, row: int) -> Tokens:
        """What the prompt shares with others of the same first cluster; nothing where K = 1."""
        return () if self.past.shape[1] == 1 else self.tokens.prefix[self.past[row, 0]]

    def rest(self, row: int) -> Tokens:
        """What follows the prefix."""
        *middle, last = self.past[row].tolist()
        if not middle:
            return self.more.only[last]
        if self.hint is not None and self.hint[row] >= 0:
            return self.more.hinted[last] + self.tokens.suffix[self.hint[row]]
        return sum((self.more.middle[c] for c in middle[1:]), ()) + self.tokens.suffix[last]

    @cached_property
    def longest(self) -> int:
        """Most tokens that a prompt and a label have together."""
        longest = max((len(self.prefix(row)) + len(self.rest(row)) for row in range(len(self))), default=0)
        return longest + max(map(len, self.tokens.label))


@dataclass(frozen=True)
class PromptWork:
    """What a worker needs to score prompts; implements ``agents.llm.shards.Work``.

    Attributes:
        weights: folder of the model.
        precision: of matrix products.
        prompts: T of them.
        rows: (R,) int64, which to score.
        prior_rows: over which a label's mean probability is taken.
        pmi_coefficient, encoder_weight, similarity, top_n: see ``best_labels``.
        folder: of the shards.
    """

    weights: Path
    precision: str
    prompts: Prompts
    rows: IntArray
    prior_rows: IntArray
    pmi_coefficient: float
    encoder_weight: float
    similarity: FloatArray | None
    top_n: int
    folder: Path

    def scorer(self) -> Scorer:
        """Load the model."""
        return _PromptScorer(self)

    def cost(self) -> dict[str, float]:
        """Prompts and tokens run through the model, without the tokens that fill batches up."""
        computed = self._tokens(self.rows)
        return {
            "pairs_computed": len(self.rows),
            "tokens_computed": computed,
            "tokens_per_pair": computed / max(len(self.rows), 1),
            "tokens_for_the_labels_means": self._tokens(self.prior_rows),
        }

    def _tokens(self, rows: IntArray) -> int:
        prompts, branching = self.prompts, len(LabelTrie.build(self.prompts.tokens.label).tokens)
        firsts = np.unique(prompts.past[rows, 0]).tolist() if prompts.past.shape[1] > 1 else []
        own = sum(len(prompts.rest(row)) + branching for row in rows.tolist())
        return own + sum(len(prompts.tokens.prefix[first]) for first in firsts)


class _PromptScorer:
    def __init__(self, work: PromptWork) -> None:
        self.work = work
        self.contexts = ContextScorer(work.weights, work.precision, work.prompts.tokens, work.prompts.longest)
        self.prior_file = prior_file(work.folder)

    def write_prior(self) -> None:
        if not self.prior_file.is_file():
            rows = self.work.prior_rows
            log_mean = log_mean_probability(self.scores(rows), self.work.prompts.past[rows])
            write_arrays(self.prior_file, {"log_mean": log_mean})

    def write_shard(self, block: range) -> int:
        work, rows = self.work, self.work.rows[block.start : block.stop]
        correction = work.pmi_coefficient * load_file(self.prior_file)["log_mean"]  # (M,)
        past = work.prompts.past[rows]
        best, log_probability = best_labels(
            self.scores(rows), correction, past, work.top_n, work.similarity, work.encoder_weight
        )
        write_arrays(shard_file(work.folder, block), {"clusters": best, "log_probability": log_probability})
        return len(rows)

    def scores(self, rows: IntArray) -> FloatArray:
        """(n, M) float32 log-probabilities of all labels after some of the prompts."""
        prompts = self.work.prompts
        scores = np.empty((len(rows), len(prompts.tokens)), np.float32)
        first = prompts.past[rows, 0] if prompts.past.shape[1] > 1 else np.zeros(len(rows), np.int32)
        for each in np.unique(first).tolist():
            same = np.flatnonzero(first == each)
            prefix = prompts.prefix(int(rows[same[0]]))
            scores[same] = self.contexts.scores(prefix, [prompts.rest(row) for row in rows[same].tolist()])
        return scores
