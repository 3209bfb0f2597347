"""How well the model generates clusters' texts and predicts users' transitions (figure 4a)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agents.llm.generation import generate
from agents.llm.prompt import PromptTokens, strict_match
from agents.llm.ranking import mask_inputs
from agents.llm.scoring import score_pairs
from agents.llm.trie import LabelTrie
from sim.arrays import Columns, FloatArray, IntArray

_SPARE_TOKENS = 4  # generation may run on this far past the longest label: then it is no match
_RECALL_DEPTHS = (1, 10)
_BLOCK = 64  # samples at once: the whole vocabulary's logits and the generation's cache take memory


@dataclass(frozen=True)
class Samples(Columns):
    """n samples [(first, second) -> label], each (n,) int."""

    first: IntArray
    second: IntArray
    label: IntArray

    def blocks(self, size: int) -> list["Samples"]:
        """The samples in blocks, which are computed at once."""
        return [self.where(slice(start, start + size)) for start in range(0, len(self), size)]


@torch.inference_mode()
def match_rate(model: Any, tokenizer: Any, prompts: PromptTokens, samples: Samples) -> float:
    """Share of freely (greedily) generated texts that are exactly some cluster's text.

    Strict: as ``strict_match``, and the end-of-text token must have come. nan without samples.
    """
    if len(samples) == 0:
        return float("nan")
    most = max(map(len, prompts.label)) + _SPARE_TOKENS
    blocks = [prompts.prompts(block.first, block.second) for block in samples.blocks(_BLOCK)]
    generated = [tokens for block in blocks for tokens in generate(model, block, most, (prompts.end,))]
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


def summed_label_loss(model: Any, prompts: PromptTokens, samples: Samples, reduction: str = "sum") -> torch.Tensor:
    """Cross-entropy summed over the label tokens (end-of-text included) of a batch of samples, nats.

    ``reduction="none"`` gives each label token's, sample by sample. The output head is evaluated at the
    label's positions only: with a vocabulary of 49,152 it would else be a third of the work.
    """
    triples = zip(samples.first.tolist(), samples.second.tolist(), samples.label.tolist(), strict=True)
    rows = [(prompts.prompt(c1, c2), prompts.label[c]) for c1, c2, c in triples]
    longest = max(len(prompt) + len(label) for prompt, label in rows) - 1  # the last token predicts nothing
    # Pads are on the right, where causal attention keeps them from being seen: no mask is needed.
    ids = torch.tensor([p + label[:-1] + (0,) * (longest - len(p) - len(label) + 1) for p, label in rows])
    place = torch.tensor([r * longest + i for r, (p, c) in enumerate(rows) for i in range(len(p) - 1, len(p + c) - 1)])
    target = torch.tensor([token for _, label in rows for token in label])
    hidden = model.base_model(input_ids=ids.to(model.device), use_cache=False).last_hidden_state  # (n, L, d)
    hidden = hidden.flatten(0, 1).index_select(0, place.to(model.device))  # (label tokens, d)
    logits = model.get_output_embeddings()(hidden)  # (label tokens, V)
    return torch.nn.functional.cross_entropy(logits.float(), target.to(model.device), reduction=reduction)


def label_tokens(prompts: PromptTokens, samples: Samples) -> int:
    """Tokens that ``summed_label_loss`` is summed over."""
    return sum(len(prompts.label[c]) for c in samples.label.tolist())


@torch.inference_mode()
def label_loss(model: Any, prompts: PromptTokens, samples: Samples) -> tuple[float, float]:
    """Mean cross-entropy L = sum_i l_i / sum_i t_i, nats a label token, of samples with t_i tokens each.

    Returns:
        L and its standard error over samples, sqrt(n / (n - 1) sum_i (l_i - L t_i)^2) / sum_i t_i (a ratio of
        sums, by the delta method); nan without samples, the error also with one.
    """
    if len(samples) == 0:
        return float("nan"), float("nan")
    parts = samples.blocks(_BLOCK)
    by_token = [summed_label_loss(model, prompts, part, "none").double().cpu().numpy() for part in parts]
    tokens = np.array([len(prompts.label[c]) for c in samples.label.tolist()])
    losses = np.add.reduceat(np.concatenate(by_token), np.cumsum(tokens) - tokens)
    mean, num = losses.sum() / tokens.sum(), len(samples)
    if num == 1:
        return float(mean), float("nan")
    error = np.sqrt(num / (num - 1) * ((losses - mean * tokens) ** 2).sum()) / tokens.sum()
    return float(mean), float(error)
