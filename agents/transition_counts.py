"""Novel transitions counted, with back-off: a collaborative baseline for the language model."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.transitions import Transitions
from sim.arrays import FloatArray, IntArray


class TransitionCounts:
    """Counts of transitions [(C1, C2) -> CL], smoothed.

    With n(.) the counts, unordered pairs, and M clusters, each level is the prior of the one after
    it (interpolation with Dirichlet priors, MacKay and Peto 1995):

        p0(l)          = (n(l) + 1) / (n + M)
        p1(l | c1, c2) = (n(c1, l) + n(c2, l) + k p0(l)) / (n(c1) + n(c2) + k)
        p2(l | c1, c2) = (n(c1, c2, l) + k p1(l | c1, c2)) / (n(c1, c2) + k)

    Args:
        num_clusters: M.
        smoothing: k, prior observations at each level; positive.
    """

    def __init__(self, num_clusters: int, smoothing: float) -> None:
        self.smoothing = smoothing
        self._single = np.zeros((num_clusters, num_clusters), np.int64)  # (M, M) n(c, l)
        self._label = np.zeros(num_clusters, np.int64)  # (M,) n(l)
        # n(c1, c2, l) as sorted keys (c1 M + c2) M + l, c1 < c2, and counts
        self._pair_key, self._pair_count = np.empty(0, np.int64), np.empty(0, np.int64)

    def add(self, new: Transitions) -> None:
        """Count more transitions."""
        num = np.int64(len(self._label))
        np.add.at(self._label, new.label, 1)
        np.add.at(self._single, (new.first, new.label), 1)
        np.add.at(self._single, (new.second, new.label), 1)
        low, high = new.unordered
        keys = np.concatenate([self._pair_key, (low * num + high) * num + new.label])
        counts = np.concatenate([self._pair_count, np.ones(len(new), np.int64)])
        self._pair_key, place = np.unique(keys, return_inverse=True)
        self._pair_count = np.bincount(place, weights=counts, minlength=len(self._pair_key)).astype(np.int64)

    @property
    def links(self) -> IntArray:
        """(M, M) int64: transitions in which one was the label and the other in the pair; symmetric."""
        return self._single + self._single.T

    def probabilities(self, pairs: IntArray) -> FloatArray:
        """p2 of the class for pairs (P, 2), -1 for none: (P, M) float64, rows adding up to one."""
        num = len(self._label)
        prior = (self._label + 1) / (self._label.sum() + num)  # (M,)
        known = pairs[:, 0] >= 0
        first, second = np.where(known[:, None], pairs, 0).astype(np.int64).T
        single = (self._single[first] + self._single[second]) * known[:, None]  # (P, M)
        k = self.smoothing
        backed_off = (single + k * prior) / (single.sum(axis=1, keepdims=True) + k)
        low, high = np.minimum(first, second), np.maximum(first, second)
        begin = np.searchsorted(self._pair_key, (low * num + high) * num)
        num_found = (np.searchsorted(self._pair_key, (low * num + high + 1) * num) - begin) * known
        row = np.repeat(np.arange(len(pairs)), num_found)  # one entry a label that was seen after the pair
        entry = np.repeat(begin - (np.cumsum(num_found) - num_found), num_found) + np.arange(len(row))
        joint = np.zeros_like(backed_off)
        joint[row, self._pair_key[entry] % num] = self._pair_count[entry]
        return np.asarray((joint + k * backed_off) / (joint.sum(axis=1, keepdims=True) + k))

    def save(self, path: Path) -> None:
        """Write the counts as safetensors."""
        pairs = {"pair_key": self._pair_key, "pair_count": self._pair_count}
        save_file({"single": self._single, "label": self._label, **pairs}, path)

    @staticmethod
    def load(path: Path, smoothing: float) -> "TransitionCounts":
        """Read what ``save`` wrote."""
        saved = load_file(path)
        counts = TransitionCounts(len(saved["label"]), smoothing)
        counts._single, counts._label = saved["single"], saved["label"]
        counts._pair_key, counts._pair_count = saved["pair_key"], saved["pair_count"]
        return counts
