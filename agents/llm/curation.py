"""Which transitions the model is fine-tuned on (Wang et al. 2024, section 3.3)."""

from dataclasses import dataclass

import numpy as np

from agents.transitions import Transitions
from sim.arrays import IntArray, readonly
from sim.errors import InvalidInput
from sim.random import RandomStream


@dataclass(frozen=True)
class Curation:
    """n fine-tuning samples [(first, second) -> label].

    Attributes:
        first, second, label: (n,) int32 level-2 clusters, sorted by label. Pairs are unordered:
            ``first <= second``; fine-tuning shows them in random order.
        pairs_per_label: samples a label that were wanted.
        num_clusters: M, possible labels.
    """

    first: IntArray
    second: IntArray
    label: IntArray
    pairs_per_label: int
    num_clusters: int

    def __post_init__(self) -> None:
        for name in ("first", "second", "label"):
            object.__setattr__(self, name, readonly(np.ascontiguousarray(getattr(self, name), np.int32)))

    def __len__(self) -> int:
        return len(self.label)

    @property
    def samples_of_label(self) -> IntArray:
        """(M,) int64, samples of each label."""
        return np.bincount(self.label, minlength=self.num_clusters)

    @property
    def short_labels(self) -> int:
        """Labels with some samples, but fewer than wanted."""
        count = self.samples_of_label
        return int(((count > 0) & (count < self.pairs_per_label)).sum())

    @property
    def missing_labels(self) -> int:
        """Labels without any sample."""
        return int((self.samples_of_label == 0).sum())


def curate(transitions: Transitions, num_clusters: int, pairs_per_label: int, mode: str, rng: RandomStream) -> Curation:
    """Choose the fine-tuning samples from the log's transitions.

    Args:
        transitions: T of them.
        num_clusters: M.
        pairs_per_label: wanted a label; 10 in the paper.
        mode: ``diversified`` = for each label its most frequent (unordered) pairs, ties going to
            the smaller pair of cluster numbers, so that every label is covered about evenly;
            ``random`` = as many transitions as ``diversified`` would give, drawn at random, so
            that the log's skew stays (the paper's ablation, figure 3).
        rng: the draw of ``random``.

    Raises:
        InvalidInput: another mode.
    """
    if mode not in ("diversified", "random"):
        raise InvalidInput("llm.curation", mode, "must be one of diversified, random")
    low = np.minimum(transitions.first, transitions.second)
    high = np.maximum(transitions.first, transitions.second)
    rows = np.stack([transitions.label, low, high], axis=1)  # (T, 3)
    distinct, count = np.unique(rows, axis=0, return_counts=True)
    order = np.lexsort((distinct[:, 2], distinct[:, 1], -count, distinct[:, 0]))
    distinct = distinct[order]
    group_start = np.searchsorted(distinct[:, 0], distinct[:, 0])
    top = distinct[np.arange(len(distinct)) - group_start < pairs_per_label]
    if mode == "random":
        drawn = rng.generator().permutation(len(rows))[: len(top)]
        top = rows[np.sort(drawn)]
        top = top[np.argsort(top[:, 0], kind="stable")]
    return Curation(top[:, 1], top[:, 2], top[:, 0], pairs_per_label, num_clusters)


def split_by_pair(
    transitions: Transitions, held_out_share: float, rng: RandomStream
) -> tuple[Transitions, Transitions]:
    """Hold out a share of the (unordered) pairs, with all of their transitions.

    Args:
        transitions: T of them.
        held_out_share: share of the distinct pairs to hold out, in [0, 1).
        rng: which ones.

    Returns:
        The transitions to fine-tune on and those held out; no pair occurs in both, in any order.
    """
    pairs = np.stack(
        [np.minimum(transitions.first, transitions.second), np.maximum(transitions.first, transitions.second)], axis=1
    )
    distinct, which = np.unique(pairs, axis=0, return_inverse=True)
    held = np.zeros(len(distinct), bool)
    held[rng.generator().permutation(len(distinct))[: round(held_out_share * len(distinct))]] = True
    held_out = held[which.reshape(-1)]
    return transitions.where(~held_out), transitions.where(held_out)
