"""The questions: pairs of a persona's clusters, and the labels that the data never linked to them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from experiments.knowledge.truth import CoInterests
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.random import RandomStream


@dataclass(frozen=True)
class Exam:
    """T questions: two clusters of a held-out persona; which others does that persona name?

    Attributes:
        persona: (T,) int64, ascending.
        first, second: (T,) int32, clusters of two different interests that the persona names, in
            random order.
        candidate: (T, M) bool, the labels to be ranked: neither of the pair's interests, and linked to
            neither of them in the fine-tuning data.
        weight: (T, M) float64, how typical each cluster's interest is of the persona.
    """

    persona: IntArray
    first: IntArray
    second: IntArray
    candidate: BoolArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.persona)

    @property
    def hidden(self) -> BoolArray:
        """(T, M) bool: the candidates that the persona names: the targets."""
        return np.asarray(self.candidate & (self.weight > 0))

    def save(self, path: Path) -> None:
        """Write safetensors."""
        save_file({name: np.ascontiguousarray(value) for name, value in vars(self).items()}, path)

    @staticmethod
    def load(path: Path) -> "Exam":
        """Read what ``save`` wrote."""
        return Exam(**load_file(path))


def set_exam(
    truth: CoInterests, held_out: BoolArray, shown: BoolArray, pairs_per_persona: int, rng: RandomStream
) -> Exam:
    """Draw the questions on some personas.

    Every unordered pair of a persona's clusters of different interests can be asked that leaves at least one candidate
    which the persona names and one which it does not; up to ``pairs_per_persona`` of them are drawn, and put in random
    order.

    Args:
        truth: who names what.
        held_out: (P,) bool, the personas.
        shown: (M, M) bool, symmetric: links that the fine-tuning data show.
    """
    asked = [_pairs_of(int(p), truth, shown, pairs_per_persona, rng.at(int(p))) for p in np.flatnonzero(held_out)]
    persona = np.repeat(np.flatnonzero(held_out), [len(pairs) for pairs in asked])
    pairs = np.concatenate([np.empty((0, 2), np.int64), *asked])  # (T, 2)
    return Exam(
        persona=persona,
        first=pairs[:, 0].astype(np.int32),
        second=pairs[:, 1].astype(np.int32),
        candidate=candidates(pairs, truth, shown),
        weight=truth.weight[persona],
    )


def candidates(pairs: IntArray, truth: CoInterests, shown: BoolArray) -> BoolArray:
    """(T, M) bool: the labels to be ranked for pairs (T, 2); see ``Exam``."""
    open_to = truth.different & ~shown & (truth.interest >= 0)  # (M, M), clusters in rows, labels in columns
    return np.asarray(open_to[pairs[:, 0]] & open_to[pairs[:, 1]])


def _pairs_of(persona: int, truth: CoInterests, shown: BoolArray, most: int, rng: RandomStream) -> IntArray:
    """(t, 2) pairs to ask about one persona, t <= ``most``."""
    named = truth.weight[persona] > 0  # (M,)
    first, second = np.nonzero(np.triu(truth.different & named & named[:, None], k=1))
    pairs = np.stack([first, second], axis=1)
    candidate = candidates(pairs, truth, shown)
    pairs = pairs[(candidate & named).any(axis=1) & (candidate & ~named).any(axis=1)]
    generator = rng.generator()
    pairs = pairs[np.sort(generator.permutation(len(pairs))[:most])]
    swap = generator.random(len(pairs)) < 0.5
    return np.asarray(np.where(swap[:, None], pairs[:, ::-1], pairs))
