"""Softmax over a large catalog, estimated from sampled negatives."""

import numpy as np
import torch
from torch import Tensor

from sim.arrays import BoolArray, FloatArray, IntArray


class NegativeSampler:
    """Mixed negative sampling (Yang et al. 2020): some from the batch, some uniform over the catalog.

    The B negatives from the batch are distributed as the training targets, the B' others
    uniformly, so one negative is item j with probability
    Q(j) = (B * freq(j) + B' / N * 1[j is live]) / (B + B').

    Args:
        targets: (T,) int64, every positive item of this training call.
        live_items: (N,) int64, the catalog.
        num_items: items uploaded so far, at least 1 + the largest id in either.
        from_batch: B.
        uniform: B'.
    """

    def __init__(self, targets: IntArray, live_items: IntArray, num_items: int, from_batch: int, uniform: int) -> None:
        self.live_items = live_items
        self.from_batch, self.uniform = from_batch, uniform
        expected = from_batch * np.bincount(targets, minlength=num_items) / max(len(targets), 1)
        expected[live_items] += uniform / max(len(live_items), 1)
        with np.errstate(divide="ignore"):
            self._log_expected: FloatArray = np.log(expected).astype(np.float32)  # (n,) log((B + B') Q(j))

    def draw(self, batch_targets: IntArray, generator: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Draw the negatives that a batch shares.

        Returns:
            (B + B',) int64 items, and (B + B',) float32, the log of how often each is expected
            among them, log((B + B') Q(j)).
        """
        negatives = np.concatenate(
            [generator.choice(batch_targets, self.from_batch), generator.choice(self.live_items, self.uniform)]
        )
        return negatives, self._log_expected[negatives]


def sampled_softmax_loss(positive: Tensor, negative: Tensor, log_expected: Tensor, hits: Tensor) -> Tensor:
    """Cross-entropy with the partition function estimated from negatives (Bengio and Senecal 2008).

    Z = exp(s_y) + sum over negatives j != y of exp(s_j - log E[count_j]): each negative stands for
    as many items as its expected count falls short of one ("logQ correction"). Negatives that are
    the positive itself ("accidental hits") are left out, because the positive is already counted,
    with certainty, and therefore uncorrected. The estimate of Z is unbiased, so with enough
    negatives the minimum is the true distribution.

    Args:
        positive: (T,) logits of the targets.
        negative: (T, K) logits of the shared negatives.
        log_expected: (K,) from ``NegativeSampler.draw``.
        hits: (T, K) bool, where the negative is the target.

    Returns:
        The mean loss, a scalar, in nats.
    """
    corrected = (negative - log_expected).masked_fill(hits, -torch.inf)  # (T, K)
    partition = torch.logsumexp(torch.cat([positive[:, None], corrected], dim=1), dim=1)
    return (partition - positive).mean()


def accidental_hits(targets: IntArray, negatives: IntArray) -> BoolArray:
    """(T, K) bool: where negative k is target t."""
    return np.asarray(targets[:, None] == negatives[None, :])
