"""Softmax over a large catalog, estimated from sampled negatives."""

import numpy as np
import torch
from torch import Tensor

from sim.arrays import BoolArray, FloatArray, IntArray


class NegativeSampler:
    """Mixed negative sampling (Yang et al. 2020): some as the log has them, some uniform over the catalog.

    B negatives are distributed as the items of a log (the training targets, where they are drawn
    from the batch as in the paper, or all that was shown), the B' others uniformly, so one negative
    is item j with probability Q(j) = (B * freq(j) + B' / N * 1[j is live]) / (B + B').

    Args:
        logged: (R,) int64, the items that freq counts.
        live_items: (N,) int64, the catalog.
        num_items: items uploaded so far, at least 1 + the largest id in either.
        from_log: B.
        uniform: B'.
    """

    def __init__(self, logged: IntArray, live_items: IntArray, num_items: int, from_log: int, uniform: int) -> None:
        self.live_items = live_items
        self.from_log, self.uniform = from_log, uniform
        expected = from_log * np.bincount(logged, minlength=num_items) / max(len(logged), 1)
        expected[live_items] += uniform / max(len(live_items), 1)
        with np.errstate(divide="ignore"):
            self._log_expected: FloatArray = np.log(expected).astype(np.float32)  # (n,) log((B + B') Q(j))

    def draw(self, logged: IntArray, generator: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Draw the negatives that a batch shares.

        Args:
            logged: items to draw the first B from, distributed as those of the log: a random batch
                of them, or all.
            generator: the training's randomness.

        Returns:
            (B + B',) int64 items, and (B + B',) float32, the log of how often each is expected
            among them, log((B + B') Q(j)).
        """
        negatives = np.concatenate(
            [generator.choice(logged, self.from_log), generator.choice(self.live_items, self.uniform)]
        )
        return negatives, self._log_expected[negatives]


def sampled_log_probability(positive: Tensor, negative: Tensor, log_expected: Tensor, hits: Tensor) -> Tensor:
    """Log-probability with the partition function estimated from negatives (Bengio and Senecal 2008).

    log p(y) = s_y - log Z,  Z = exp(s_y) + sum over negatives j != y of exp(s_j - log E[count_j]):
    each negative stands for as many items as its expected count falls short of one ("logQ
    correction"). Negatives that are the positive itself ("accidental hits") are left out, because
    the positive is already counted, with certainty, and therefore uncorrected. The estimate of Z is
    unbiased, so with enough negatives the cross-entropy's minimum is the true distribution.

    Args:
        positive: (T,) logits of the targets.
        negative: (T, K) logits of the shared negatives.
        log_expected: (K,) from ``NegativeSampler.draw``.
        hits: (T, K) bool, where the negative is the target.

    Returns:
        (T,), at most 0, in nats.
    """
    corrected = (negative - log_expected).masked_fill(hits, -torch.inf)  # (T, K)
    partition = torch.logsumexp(torch.cat([positive[:, None], corrected], dim=1), dim=1)
    return positive - partition


def accidental_hits(targets: IntArray, negatives: IntArray) -> BoolArray:
    """(T, K) bool: where negative k is target t."""
    return np.asarray(targets[:, None] == negatives[None, :])
