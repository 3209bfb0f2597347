"""Scores of all labels after contexts that share a beginning, each as if it were the only one asked for.

Matrix products of another shape may sum in another order, so that a context's scores would depend, in
their last bits, on what it is batched with. Here they do not: a table that is refreshed in part
(``agents.llm.refresh``) then has in these rows, in fp32, what a full fill has.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agents.llm.fused import FusedModel, fusible
from agents.llm.model import compute_dtype, load_model
from agents.llm.prompt import PromptTokens, Tokens
from agents.llm.scoring import PrefixCache, label_log_probabilities
from agents.llm.trie import LabelTrie
from sim.arrays import FloatArray

_CHUNK = 1024  # tokens a fused forward pass: from there on the products are as fast as they get (measured)
_LEAST = 8  # contexts a fused forward pass: products of one to three rows sum in another order (measured)
_BATCH = 32  # contexts a forward pass by transformers: some 500 tokens, which stay in the processor's cache
_WIDTH_STEP = 8  # widths of forward passes by transformers, tokens, are multiples of this


class ContextScorer:
    """A model, ready to score the labels of M clusters.

    Args:
        weights: folder of the model.
        precision: of matrix products, see ``compute_dtype``.
        prompts: of the clusters.
        longest: most tokens that a prompt and a label have together.
    """

    def __init__(self, weights: Path, precision: str, prompts: PromptTokens, longest: int) -> None:
        self.trie = LabelTrie.build(prompts.label)
        self.model = load_model(weights, compute_dtype(precision))
        self.filler = prompts.end
        fused = fusible(self.model.config, self.model.dtype)
        self.fused = FusedModel(self.model, longest) if fused else None

    def scores(self, prefix: Tokens, contexts: Sequence[Tokens]) -> FloatArray:
        """Score all labels after n contexts.

        Args:
            prefix: what all of them begin with; may be nothing.
            contexts: what follows it, at least one token each.

        Returns:
            (n, M) float32 log-probabilities; a row does not depend on the others.
        """
        scores = np.empty((len(contexts), self.trie.num_labels), np.float32)
        if self.fused is not None:
            past = self.fused.past(prefix)
            tokens = np.cumsum([len(context) + len(self.trie.tokens) for context in contexts])
            for chunk in np.split(np.arange(len(contexts)), np.flatnonzero(np.diff(tokens // _CHUNK)) + 1):
                chosen = [contexts[row] for row in chunk]
                chosen += chosen[-1:] * (_LEAST - len(chosen))
                scores[chunk] = self.fused.label_log_probabilities(chosen, self.trie, past)[: len(chunk)]
            return scores
        shared = PrefixCache.of(self.model, prefix) if prefix else None
        width = np.array([-(-len(context) // _WIDTH_STEP) * _WIDTH_STEP for context in contexts], np.int64)
        for each in np.unique(width).tolist():
            rows = np.flatnonzero(width == each)
            filling = (self.filler,) * each  # also sets the width: the others of the batch may all be shorter
            for start in range(0, len(rows), _BATCH - 1):
                batch = rows[start : start + _BATCH - 1]
                full = [contexts[i] for i in batch] + [filling] * (_BATCH - len(batch))
                scores[batch] = label_log_probabilities(self.model, full, self.trie, shared)[: len(batch)]
        return scores
