"""Free generation: the library's own greedy ``generate``, for a batch of contexts."""

from collections.abc import Sequence
from typing import Any

import torch

from agents.llm.prompt import Tokens


@torch.inference_mode()
def generate(model: Any, contexts: Sequence[Tokens], max_tokens: int, ends: Sequence[int]) -> list[Tokens]:
    """Continue contexts greedily.

    Args:
        model: a causal language model (transformers).
        contexts: B >= 1 token sequences, padded on the left here.
        max_tokens: longest continuation.
        ends: tokens that end one; models for chats have several.

    Returns:
        B continuations, each up to and with the first of ``ends``, or ``max_tokens`` long.
    """
    longest = max(map(len, contexts))
    pad = ends[0] if ends else 0  # any token will do: pads are masked
    ids = torch.tensor([(pad,) * (longest - len(c)) + c for c in contexts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(c)) + [1] * len(c) for c in contexts], device=model.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=max_tokens,
        eos_token_id=list(ends) or None,
        pad_token_id=pad,
    )
    return [_up_to(row, ends) for row in output[:, longest:].tolist()]


def _up_to(tokens: list[int], ends: Sequence[int]) -> Tokens:
    """The tokens up to and with the first of ``ends``: what follows are pads."""
    stop = next((i for i, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tuple(tokens[: stop + 1])
