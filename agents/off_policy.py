"""What a policy over items is trained for: imitating positives, or being worth most as a slate.

An objective says what each impression is worth, whether it needs to know the behaviour policy beta
that chose the impressions, and what weight the gradient of log pi of each gets.
"""

import abc
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.log import InteractionLog

Behaviour = Literal["logged", "estimated"]


class Objective(abc.ABC):
    """Weights w of training: the gradient is that of the mean of -w log pi(a | s) over rewarded impressions."""

    behaviour: Behaviour | None = None
    """Where beta(a | s) comes from: the log's propensities, a model trained along, or not needed."""

    @abc.abstractmethod
    def rewards(self, log: InteractionLog) -> FloatArray:
        """(R,) float32, what each impression is worth; the policy learns from those worth more than 0."""

    @abc.abstractmethod
    def weights(self, log_pi: Tensor, log_beta: Tensor, reward: Tensor) -> Tensor:
        """Weights (T,) from log pi(a | s) (T,), log beta(a | s) (T,) and rewards (T,); without a gradient."""


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Every positive impression weighs the same: pi learns the distribution of positives."""

    def rewards(self, log: InteractionLog) -> FloatArray:
        """1 for positives."""
        return log.positive.astype(np.float32)

    def weights(self, log_pi: Tensor, log_beta: Tensor, reward: Tensor) -> Tensor:
        """The rewards."""
        return reward


@dataclass(frozen=True)
class TopKReinforce(Objective):
    """REINFORCE with top-K off-policy correction (Chen et al. 2019, arXiv 1812.02353).

    Args:
        top_k: K, slots on which an item may win (16 in section 4.4 and its live experiments); 1 for
            the plain off-policy correction.
        cap: c, the most that pi / beta may be (e^3 live; section 4.5).
        behaviour: ``logged``, the propensities that the log has of each impression (of the item in
            its slot); or ``estimated``, a second softmax head on the same state with the gradient
            stopped, trained on all impressions (section 4.3).
        discount: gamma, of later rewards.

    Raises:
        InvalidInput: an argument makes no sense.
    """

    top_k: int = 16
    cap: float = 20.0855
    behaviour: Behaviour = "logged"
    discount: float = 0.9

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InvalidInput("objective.top_k", self.top_k, "must be at least 1")
        if not self.cap > 0:
            raise InvalidInput("objective.cap", self.cap, "must be positive")
        if self.behaviour not in ("logged", "estimated"):
            raise InvalidInput("objective.behaviour", self.behaviour, "must be 'logged' or 'estimated'")
        if not 0 <= self.discount < 1:
            raise InvalidInput("objective.discount", self.discount, "must be at least 0 and below 1")

    def rewards(self, log: InteractionLog) -> FloatArray:
        """R_t = 1[r_t > 0] * sum over t' >= t of gamma^(t' - t) r_t', with r = 1 for positives.

        t counts the user's impressions; what comes after the log's end is not known and counts 0.
        """
        reward = log.positive.astype(np.float32)
        return np.where(log.positive, discounted_returns(log.user, reward, self.discount), 0).astype(np.float32)

    def weights(self, log_pi: Tensor, log_beta: Tensor, reward: Tensor) -> Tensor:
        """w = min(pi / beta, c) * lambda_K * R,  lambda_K = K (1 - pi)^(K - 1) (equations 5 to 7)."""
        with torch.no_grad():
            ratio = (log_pi - log_beta).exp().clamp(max=self.cap)
            multiplier = self.top_k * (1 - log_pi.exp()) ** (self.top_k - 1)
            return ratio * multiplier * reward


def discounted_returns(user: IntArray, reward: FloatArray, discount: float) -> FloatArray:
    """G_t = sum over the user's later rows t' >= t of discount^(t' - t) * reward_t'.

    Args:
        user: (R,) int64; each user's rows are in the order of time.
        reward: (R,).
        discount: in [0, 1).

    Returns:
        (R,) float64.
    """
    order = np.argsort(user, kind="stable")
    _, length = np.unique(user, return_counts=True)
    end = np.cumsum(length)
    total = reward[order].astype(np.float64)
    for back in range(2, int(length.max(initial=0)) + 1):  # from the users' last rows to their first
        row = end[length >= back] - back
        total[row] += discount * total[row + 1]
    returns = np.empty_like(total)
    returns[order] = total
    return returns
