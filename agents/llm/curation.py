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
    def pairs_of_label(self) -> IntArray:
        """(M,) int64, distinct pairs among each label's samples."""
        distinct = np.unique(packed(self.label, self.first, self.second, self.num_clusters))
        return np.bincount(distinct // self.num_clusters**2, minlength=self.num_clusters)

    @property
    def short_labels(self) -> int:
        """Labels with some pairs, but fewer than wanted."""
        count = self.pairs_of_label
        return int(((count > 0) & (count < self.pairs_per_label)).sum())

    @property
    def missing_labels(self) -> int:
        """Labels without any pair."""
        return int((self.pairs_of_label == 0).sum())

    @property
    def repeated_samples(self) -> int:
        """Samples that are another one again."""
        return len(self) - int(self.pairs_of_label.sum())

    def holds(self, transitions: Transitions) -> int:
        """How many of the transitions are among the samples, whatever the order of their pairs."""
        low, high = transitions.unordered
        asked = packed(transitions.label, low, high, self.num_clusters)
        return int(np.isin(asked, packed(self.label, self.first, self.second, self.num_clusters)).sum())


def curate(transitions: Transitions, num_clusters: int, pairs_per_label: int, mode: str, rng: RandomStream) -> Curation:
    """Choose the fine-tuning samples from the log's transitions.

    A label with fewer pairs than wanted has them repeated, the most frequent first, until there
    are as many samples as for any other: what the paper's curation is for is that the model meets
    every label as often. A label without pairs stays without: we make up no transitions. Both are
    counted (``short_labels``, ``missing_labels``, ``repeated_samples``).

    Args:
        transitions: T of them.
        num_clusters: M.
        pairs_per_label: wanted a label; 10 in the paper.
        mode: ``diversified`` = for each label its most frequent (unordered) pairs, equally frequent
            ones in random order, so that every label is covered evenly and no cluster is favoured;
            ``random`` = as many transitions as ``diversified`` would give (at most all), drawn at
            random, so that the log's skew stays (the paper's ablation, figure 3).
        rng: the draw of ``random``, and in ``diversified`` the order of equally frequent pairs.

    Raises:
        InvalidInput: another mode.
    """
    if mode not in ("diversified", "random"):
        raise InvalidInput("llm.curation", mode, "must be one of diversified, random")
    low, high = transitions.unordered
    key, count = np.unique(packed(transitions.label, low, high, num_clusters), return_counts=True)
    label = key // num_clusters**2
    tie = rng.at("ties").generator().permutation(len(key))
    key = key[np.lexsort((tie, -count, label))]  # label by label, the most frequent pairs first
    label_start, pairs = np.unique(label, return_index=True, return_counts=True)[1:]
    # Row of each label's samples: its pairs in turn, from the first again where they run out.
    turn = np.arange(pairs_per_label) % np.minimum(pairs, pairs_per_label)[:, None]  # (labels, pairs_per_label)
    chosen = key[(label_start[:, None] + turn).reshape(-1)]
    if mode == "random":
        drawn = rng.generator().permutation(len(low))[: len(chosen)]
        chosen = packed(transitions.label, low, high, num_clusters)[np.sort(drawn)]
        chosen = chosen[np.argsort(chosen // num_clusters**2, kind="stable")]
    label, pair = np.divmod(chosen, num_clusters**2)
    return Curation(pair // num_clusters, pair % num_clusters, label, pairs_per_label, num_clusters)


def split_by_time(transitions: Transitions, last_day: int, held_out_days: int) -> tuple[Transitions, Transitions]:
    """Keep the last days of a log apart.

    Args:
        transitions: T of them.
        last_day: of the log.
        held_out_days: how many days to keep apart, ``last_day`` among them.

    Returns:
        The transitions of the days before, and those of the last days.
    """
    later = transitions.day > last_day - held_out_days
    return transitions.where(~later), transitions.where(later)


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
    low, high = transitions.unordered
    distinct, which = np.unique(packed(low, high, high * 0, int(high.max(initial=0)) + 1), return_inverse=True)
    held = np.zeros(len(distinct), bool)
    held[rng.generator().permutation(len(distinct))[: round(held_out_share * len(distinct))]] = True
    held_out = held[which.reshape(-1)]
    return transitions.where(~held_out), transitions.where(held_out)


def packed(first: IntArray, second: IntArray, third: IntArray, num_clusters: int) -> IntArray:
    """Three columns (n,) of clusters as one number a row, (n,) int64, which sorts as the rows do.

    (first * M + second) * M + third
    """
    return np.asarray((first.astype(np.int64) * num_clusters + second) * num_clusters + third)
