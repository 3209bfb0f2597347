"""Exact log-probabilities of all labels for pairs of clusters, by one forward pass a pair.

The labels' trie hangs below the prompt: its tokens follow the prompt in the same sequence, under
a mask that lets each see the prompt and its own ancestors only. Where many pairs share C1,
the keys and values of instruction + C1 are computed once and shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from agents.llm.prompt import PromptTokens, Tokens
from agents.llm.ranking import log_mean_probability
from agents.llm.trie import LabelTrie
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.random import RandomStream


@dataclass(frozen=True)
class PrefixCache:
    """Keys and values of a prefix of P tokens: a layer's are (1, heads, P, size) each."""

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    length: int

    @staticmethod
    @torch.inference_mode()
    def of(model: Any, tokens: Tokens) -> "PrefixCache":
        """Run the model over a prefix."""
        ids = torch.tensor([tokens], device=model.device)
        cache = model.base_model(input_ids=ids, use_cache=True).past_key_values
        return PrefixCache(tuple((layer.keys, layer.values) for layer in cache.layers), len(tokens))

    def expand(self, model: Any, batch: int) -> DynamicCache:
        """A cache that the model can go on from, for ``batch`` sequences."""
        cache = DynamicCache(config=model.config)
        for number, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1), number)
        return cache


@torch.inference_mode()
def label_log_probabilities(
    model: Any, contexts: Sequence[Tokens], trie: LabelTrie, prefix: PrefixCache | None = None
) -> FloatArray:
    """Score all labels after each of B contexts.

    Args:
        model: a causal language model (transformers).
        contexts: B >= 1 token sequences: whole prompts, or what follows ``prefix``.
        trie: of M labels.
        prefix: what all contexts begin with, if it has been run already.

    Returns:
        (B, M) float32, log P(label | context) under the labels' constraint; rows sum to 1 in P.
    """
    ids, positions, mask = _lay_out(contexts, trie, prefix.length if prefix else 0)
    device, batch = model.device, len(contexts)
    allowed = torch.zeros(mask.shape, dtype=model.dtype, device=device)
    allowed.masked_fill_(torch.from_numpy(~mask).to(device), torch.finfo(model.dtype).min)
    hidden = model.base_model(
        input_ids=torch.from_numpy(ids).to(device),
        position_ids=torch.from_numpy(positions).to(device),
        attention_mask=allowed,
        past_key_values=prefix.expand(model, batch) if prefix else None,
        use_cache=prefix is not None,
    ).last_hidden_state  # (B, L + W, d)
    last = ids.shape[1] - len(trie.tokens) - 1  # the column of the prompts' last token
    head = model.get_output_embeddings().weight  # (V, d)
    total = torch.zeros(batch, trie.num_labels, device=device)
    for node in trie.branchings:
        # In fp32 also where the model runs in bf16: ties between labels would otherwise abound.
        logits = hidden[:, last + 1 + node.column].float() @ head[torch.from_numpy(node.children).to(device)].float().T
        step = torch.log_softmax(logits, dim=1)  # (B, k)
        total[:, node.labels] += step[:, node.child]
    return np.asarray(total.cpu().numpy())


def _lay_out(contexts: Sequence[Tokens], trie: LabelTrie, cached: int) -> tuple[IntArray, IntArray, BoolArray]:
    """Tokens and positions (B, L + W) and mask (B, 1, L + W, cached + L + W): left pads, context, trie."""
    longest, extra = max(map(len, contexts)), len(trie.tokens)
    width = longest + extra
    pads = longest - np.array([len(c) for c in contexts])  # (B,)
    ids = np.zeros((len(contexts), width), np.int64)
    for row, context in enumerate(contexts):
        ids[row, pads[row] : longest] = context
    ids[:, longest:] = trie.tokens
    positions = np.arange(longest) - pads[:, None]  # (B, L)
    after = longest - pads[:, None] + trie.depth - 1  # (B, W)
    positions = cached + np.concatenate([np.maximum(positions, 0), after], axis=1)

    own = np.zeros((width, width), bool)
    own[:longest, :longest] = np.tri(longest, dtype=bool)
    own[longest:, :longest] = True
    own[longest:, longest:] = trie.sees
    real = np.arange(width) >= pads[:, None]  # (B, L + W)
    mask = np.ones((len(contexts), 1, width, cached + width), bool)
    # A pad attends to itself, so that its softmax is not over nothing; nothing else attends to it.
    mask[:, 0, :, cached:] = (own & real[:, None, :]) | np.eye(width, dtype=bool)
    return ids, positions, mask


def score_pairs(
    model: Any, prompts: PromptTokens, trie: LabelTrie, first: IntArray, second: IntArray, batch: int = 64
) -> FloatArray:
    """Score all labels for any B pairs, without shared prefixes; see ``label_log_probabilities``.

    Returns:
        (B, M) float32 log-probabilities.
    """
    contexts = prompts.prompts(first, second)
    order = sorted(range(len(contexts)), key=lambda i: len(contexts[i]))  # like lengths together: few pads
    scores = np.empty((len(contexts), trie.num_labels), np.float32)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        scores[rows] = label_log_probabilities(model, [contexts[i] for i in rows], trie)
    return scores


def label_prior(
    model: Any, prompts: PromptTokens, trie: LabelTrie, first: IntArray, second: IntArray, batch: int = 32
) -> FloatArray:
    """How probable each label is in general: the log of its mean probability over given pairs.

    Subtracted from a pair's scores, it leaves what the pair says about the label (pointwise
    mutual information). Pairs that hold the label itself are left out of its mean.

    Returns:
        (M,) float64.
    """
    scores = score_pairs(model, prompts, trie, first, second, batch)
    return log_mean_probability(scores, np.stack([first, second], axis=1))


def random_pairs(num_clusters: int, num: int, rng: RandomStream) -> tuple[IntArray, IntArray]:
    """``num`` random ordered pairs, (num,) each; all there are where those are fewer."""
    if num_clusters**2 <= num:
        first, second = np.divmod(np.arange(num_clusters**2), num_clusters)
        return first, second
    pairs = rng.generator().integers(0, num_clusters, (2, num))
    return pairs[0], pairs[1]
