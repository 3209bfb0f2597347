"""How well the model speaks the clusters' language and knows the users' transitions (figure 4a)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agents.llm.generation import generate
from agents.llm.prompt import PromptTokens, strict_match
from agents.llm.scoring import mask_inputs, score_pairs
from agents.llm.trie import LabelTrie
from sim.arrays import FloatArray, IntArray

_SPARE_TOKENS = 4  # generation may run on this far past the longest label: then it is no match
_RECALL_DEPTHS = (1, 10)


@dataclass(frozen=True)
class Samples:
    """n samples [(first, second) -> label], each (n,) int."""

    first: IntArray
    second: IntArray
    label: IntArray

    def __len__(self) -> int:
        return len(self.label)

    def where(self, rows: IntArray) -> "Samples":
        """The rows that an index array selects."""
        return Samples(self.first[rows], self.second[rows], self.label[rows])


@torch.inference_mode()
def match_rate(model: Any, tokenizer: Any, prompts: PromptTokens, samples: Samples) -> float:
    """Share of freely (greedily) generated texts that are exactly some cluster's text.

    Strict: as ``strict_match``, and the end-of-text token must have come. nan without samples.
    """
    if len(samples) == 0:
        return float("nan")
    contexts = [prompts.prompt(c1, c2) for c1, c2 in zip(samples.first.tolist(), samples.second.tolist(), strict=True)]
    generated = generate(model, contexts, max(map(len, prompts.label)) + _SPARE_TOKENS, (prompts.end,))
    number = {text: cluster for cluster, text in enumerate(prompts.text)}
    hits = [
        tokens[-1:] == (prompts.end,)
        and strict_match(tokenizer.decode(tokens[:-1], clean_up_tokenization_spaces=False), number) >= 0
        for tokens in generated
    ]
    return float(np.mean(hits))


def recalls(
    model: Any, prompts: PromptTokens, trie: LabelTrie, samples: Samples, correction: FloatArray
) -> dict[str, float]:
    """Share of samples whose label is among the k best, ranked as in the table.

    Args:
        model, prompts, trie: as in ``score_pairs``.
        samples: n of them.
        correction: (M,) subtracted from the labels' log-probabilities; the pair's own are excluded.

    Returns:
        ``recall@1`` and ``recall@10``; nan without samples.
    """
    if len(samples) == 0:
        return {f"recall@{k}": float("nan") for k in _RECALL_DEPTHS}
    scores = score_pairs(model, prompts, trie, samples.first, samples.second) - correction
    rank = _ranks(mask_inputs(scores, samples.first, samples.second), samples.label)
    return {f"recall@{k}": float((rank < k).mean()) for k in _RECALL_DEPTHS}


def _ranks(scores: FloatArray, label: IntArray) -> IntArray:
    """(n,) how many of a row's scores (n, M) beat the label's; ties count half, rounded down."""
    own = scores[np.arange(len(label)), label][:, None]
    return np.asarray((scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) // 2)


def label_loss(model: Any, prompts: PromptTokens, samples: Samples) -> torch.Tensor:
    """Mean cross-entropy, nats a label token (end-of-text included), over a batch of samples.

    The output head is evaluated at the label's positions only: with a vocabulary of 49,152 it
    would else be a third of the work.
    """
    triples = zip(samples.first.tolist(), samples.second.tolist(), samples.label.tolist(), strict=True)
    rows = [(prompts.prompt(c1, c2), prompts.label[c]) for c1, c2, c in triples]
    longest = max(len(prompt) + len(label) for prompt, label in rows) - 1  # the last token predicts nothing
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    target = torch.full((len(rows), longest), -1)
    for i, (prompt, label) in enumerate(rows):
        tokens = torch.tensor(prompt + label)
        ids[i, : len(tokens) - 1] = tokens[:-1]
        target[i, len(prompt) - 1 : len(tokens) - 1] = tokens[len(prompt) :]
    ids, target = ids.to(model.device), target.to(model.device)
    # Pads are on the right, where causal attention keeps them from being seen: no mask is needed.
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state  # (n, L, d)
    predicts = target >= 0
    logits = model.get_output_embeddings()(hidden[predicts])  # (label tokens, V)
    return torch.nn.functional.cross_entropy(logits.float(), target[predicts])
