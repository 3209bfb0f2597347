"""Scores of all labels after prompts of any kind: one, two or three past clusters, with or without a hint.

Exact and simple: what prompts have in common beyond the first cluster is computed again for each of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agents.llm.prompt import PromptTokens, Tokens
from agents.llm.ranking import log_mean_probability
from agents.llm.shards import Scorer, Work
from agents.llm.trie import LabelTrie
from sim.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Prompts:
    """T prompts of one kind.

    Attributes:
        tokens: of the template's pieces, for M clusters.
        past: (T, K) int32, K = 1, 2 or 3, the clusters that each names, in the order in which it does.
        hint: (T,) int32, the successor that each mentions, -1 = none; None where K is not 2, or none does.
    """

    tokens: PromptTokens
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
            return self.tokens.only[last]
        if self.hint is not None and self.hint[row] >= 0:
            return self.tokens.hinted[last] + self.tokens.suffix[self.hint[row]]
        return sum((self.tokens.middle[c] for c in middle[1:]), ()) + self.tokens.suffix[last]

    @cached_property
    def longest(self) -> int:
        """Most tokens that a prompt and a label have together."""
        longest = max((len(self.prefix(row)) + len(self.rest(row)) for row in range(len(self))), default=0)
        return longest + max(map(len, self.tokens.label))


@dataclass(frozen=True)
class PromptWork(Work):
    """T prompts, of which some are scored.

    Attributes:
        prompts: T of them.
        rows: (R,) int64, which to score.
        prior_rows: over which a label's mean probability is taken.
    """

    prompts: Prompts
    rows: IntArray
    prior_rows: IntArray
    unit = "prompt"

    def scorer(self) -> Scorer["PromptWork"]:
        """See ``Work``."""
        return _PromptScorer(self, self.prompts.longest)

    def shards(self) -> list[range]:
        """Blocks of ``rows``."""
        num, size = len(self.rows), self.settings.pairs_per_shard
        return [range(start, min(start + size, num)) for start in range(0, num, size)]

    def num_rows(self, block: range) -> int:
        """See ``Work``."""
        return len(block)

    def cost(self) -> dict[str, float]:
        """See ``Work``."""
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


class _PromptScorer(Scorer[PromptWork]):
    def log_mean(self) -> FloatArray:
        rows = self.work.prior_rows
        return log_mean_probability(self.scores(rows), self.work.prompts.past[rows])

    def scored(self, block: range) -> Iterator[tuple[IntArray, FloatArray]]:
        rows = self.work.rows[block.start : block.stop]
        yield self.work.prompts.past[rows], self.scores(rows)

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
