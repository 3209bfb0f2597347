"""The points of the fine-tuning curve (Wang et al. 2024, figure 4a), and what is best on it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from agents.llm.evaluation import Samples, label_loss, match_rate, recalls
from agents.llm.prompt import PromptTokens
from agents.llm.scoring import label_prior, random_pairs
from agents.llm.trie import LabelTrie
from sim.random import RandomStream

FINE_TUNING, HELD_OUT, LATER_DAYS = "fine_tuning", "held_out", "later_days"
"""What recalls are taken on: samples that are trained on; pairs that are not; days after the last that is."""

_PRIOR_PAIRS = 64  # for the correction of the curve's recalls (chosen: 256, as for the table, would take too long)


class CurvePoints:
    """Evaluates a model in the course of its fine-tuning, on the same samples at every step.

    Args:
        tokenizer, prompts: of the model.
        sets: what recalls are taken on, by name; must hold ``FINE_TUNING`` and ``HELD_OUT``.
        pmi_coefficient: as in the table.
        rng: the pairs over which labels' mean probabilities are taken.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompts: PromptTokens,
        sets: Mapping[str, Samples],
        pmi_coefficient: float,
        rng: RandomStream,
    ) -> None:
        self._tokenizer, self._prompts, self._sets, self._pmi_coefficient = tokenizer, prompts, sets, pmi_coefficient
        self._trie = LabelTrie.build(prompts.label)
        self._prior_pairs = random_pairs(len(prompts), _PRIOR_PAIRS, rng)

    def at(self, step: int, model: Any) -> dict[str, Any]:
        """The curve's point of a step.

        Returns:
            ``step``; ``match_rate`` of free generation for held-out pairs (or, without any, for
            samples); for each set its ``recall@k`` under the trie: of all labels scored, not of texts that
            were generated; ``held_out_loss``, nats a label token, and ``held_out_loss_error``, its standard
            error over pairs. None where a set is empty.
        """
        held_out = self._sets[HELD_OUT]
        prior = label_prior(model, self._prompts, self._trie, *self._prior_pairs)
        correction = self._pmi_coefficient * prior
        spoken = held_out if len(held_out) else self._sets[FINE_TUNING]
        loss, error = label_loss(model, self._prompts, held_out)
        point = {
            "step": step,
            "match_rate": match_rate(model, self._tokenizer, self._prompts, spoken),
            **{
                name: recalls(model, self._prompts, self._trie, samples, correction)
                for name, samples in self._sets.items()
            },
            "held_out_loss": loss,
            "held_out_loss_error": error,
        }
        return dict(_without_nan(point))


def best_step(curve: Sequence[Mapping[str, Any]]) -> int:
    """The step whose weights are kept: that of the lowest held-out loss, the latest of equals.

    The loss is of whole labels, end of text included: it falls while the language is learned, then while alignment
    is, and rises with overfitting. It uses every pair, whereas a recall or match rate of 64 pairs has a
    standard error of 4 to 6 points, more than steps differ by. Later days, the test, are not used.
    """

    def merit(point: Mapping[str, Any]) -> tuple[float, int]:
        loss = point["held_out_loss"]
        return -math.inf if loss is None else -loss, point["step"]

    return int(max(curve, key=merit)["step"])


def peaks(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """On which step each part of the curve is at its best, the earliest of several.

    Returns:
        The shape of a point, with ``{"step", "value"}`` for each number; the loss is at its best
        where it is lowest; None where a part has no value on any step.
    """

    def peak(path: tuple[str, ...]) -> dict[str, Any] | None:
        values = [(point["step"], _value(point, path)) for point in curve]
        sign = -1 if path[-1].endswith("loss") else 1
        known = [(sign * value, -step) for step, value in values if value is not None]
        return {"step": -max(known)[1], "value": sign * max(known)[0]} if known else None

    return {
        name: {inner: peak((name, inner)) for inner in part} if isinstance(part, dict) else peak((name,))
        for name, part in curve[0].items()
        if name not in ("step", "held_out_loss_error")
    }


def _value(point: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    return _value(point[path[0]], path[1:]) if len(path) > 1 else point[path[0]]


def _without_nan(content: Any) -> Any:
    """None in place of nan, which JSON lacks."""
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    return None if isinstance(content, float) and math.isnan(content) else content
