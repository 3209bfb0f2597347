"""What the model's scores and the engines' answers are held against."""

import numpy as np
import torch

_BATCH = 16  # full sequences a forward pass: the whole vocabulary's logits take memory


def complete(engine, prompts, max_tokens):
    """The engine's completions, in the prompts' order."""
    texts = [""] * len(prompts)
    for answer in engine.answers(prompts, max_tokens):
        texts[answer.number] = answer.text
    return texts


@torch.inference_mode()
def plain_scores(model, prompts, first, second):
    """The reference for ``label_log_probabilities``: each label as a full sequence, nothing shared.

    Every token of every label gets its whole next-token distribution, which is then restricted to
    the tokens that continue some label.

    Returns:
        (M,) float32 log-probabilities.
    """
    prompt = prompts.prompt(first, second)
    longest = max(map(len, prompts.label))
    scores = np.zeros(len(prompts), np.float32)
    for start in range(0, len(prompts), _BATCH):
        labels = prompts.label[start : start + _BATCH]
        # Pads on the right: causal attention keeps them from being seen.
        ids = [prompt + label + (prompts.end,) * (longest - len(label)) for label in labels]
        logits = model(input_ids=torch.tensor(ids, device=model.device)).logits.float()  # (b, L, V)
        for row, label in enumerate(labels):
            for i, token in enumerate(label):
                allowed = sorted({other[i] for other in prompts.label if other[:i] == label[:i]})
                restricted = torch.log_softmax(logits[row, len(prompt) + i - 1, allowed], dim=0)
                scores[start + row] += float(restricted[allowed.index(token)])
    return scores
