"""Training objectives of the sequence model: pointwise feedback, next positive item, or value of the slate.

An objective defines the impressions that it learns from, the reward of each, the negatives, and the loss of a batch.
"""

import abc
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from agents.sampled_softmax import sampled_log_probability
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.records import Count, Share, checks_arguments, limits

Behaviour = Literal["logged", "estimated"]


@dataclass(frozen=True)
class Scores:
    """A batch's scores h . v_j + b_j and what an objective's loss needs besides.

    Attributes:
        target: (T,) of the items shown.
        negative: (T, K) of items drawn for the whole batch.
        log_expected: (K,) from ``NegativeSampler.draw``.
        hits: (T, K) bool, where the negative is the target.
        reward: (T,) of the impressions.
        log_beta: (T,) log beta(a | s), NaN where unknown.
    """

    target: Tensor
    negative: Tensor
    log_expected: Tensor
    hits: Tensor
    reward: Tensor
    log_beta: Tensor


class Objective(abc.ABC):
    """The reward of an impression, and the loss of a batch of impressions."""

    behaviour: Behaviour | None = None
    """Where beta(a | s) comes from: the log's propensities, a model trained along, or not needed."""

    every_impression: bool = False
    """Whether impressions without reward are learned from."""

    largest_score: float = 20.0
    """Product of a state and an item vector that point the same way."""

    negatives: tuple[int, int] = (256, 256)
    """Negatives a batch: drawn from all that was shown, and uniformly from the live catalog."""

    def rewards(self, log: InteractionLog) -> FloatArray:
        """(R,) float32, the reward of each impression: 1 for positives."""
        return log.positive.astype(np.float32)

    @abc.abstractmethod
    def loss(self, scores: Scores) -> Tensor:
        """The scalar to minimise."""


@checks_arguments
@dataclass(frozen=True)
class ImpressionLogistic(Objective):
    """P(positive | history, shown) = sigmoid(h . v_j + b_j), learned from all that the user examined.

    loss = mean over impressions of  -w log sigmoid(s) if positive, else -log sigmoid(-s),
           + unseen * mean over items drawn uniformly of -log sigmoid(-s),

    w being the reward (1, or more for what is new; ``agents.novelty``). What was skipped counts as much
    as what pleased, so the model cannot take for taste what production merely chose to show: the
    softmax over positives does, and reinforces itself. (Pointwise logistic ranking as in Covington et
    al. 2016, "Deep neural networks for YouTube recommendations", section 4; docs/decisions.md has the
    comparison.)

    Args:
        unseen: weight of the items drawn at random, most of which nobody has tried: caution about them.

    Raises:
        InvalidInput: an argument makes no sense.
    """

    unseen: Annotated[float, limits(0)] = 0.1

    every_impression = True
    largest_score = 5.0  # logits beyond +-5 say nothing that a platform could act on
    negatives = (0, 64)

    def loss(self, scores: Scores) -> Tensor:
        """See the class."""
        pleased = scores.reward > 0
        each = torch.where(pleased, scores.reward * softplus(-scores.target), softplus(scores.target))  # (T,)
        return torch.as_tensor(each.mean() + self.unseen * softplus(scores.negative).mean())


@checks_arguments
@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Softmax over the catalog: the policy learns the distribution of positives, each weighed by its reward.

    Args:
        logq_correction: in [0, 1], how much of the negatives' sampling probability is corrected for.
            Half of the negatives are drawn from what was shown. At 1 the model learns p(next
            positive | history), which holds what production itself chose to show: a feedback loop
            through popularity. At 0 it learns that probability over how often the item was shown,
            so that being shown often is no merit.

    Raises:
        InvalidInput: an argument makes no sense.
    """

    logq_correction: Share = 0.75

    def loss(self, scores: Scores) -> Tensor:
        """Mean over rewarded impressions of -R log pi(a | s)."""
        log_pi = _log_policy(scores, self.logq_correction)
        return -(scores.reward[scores.reward > 0] * log_pi).sum() / max(len(log_pi), 1)


def _log_policy(scores: Scores, logq_correction: float) -> Tensor:
    """Log pi(a | s) of the rewarded impressions."""
    log_pi = sampled_log_probability(scores.target, scores.negative, logq_correction * scores.log_expected, scores.hits)
    return log_pi[scores.reward > 0]


@checks_arguments
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

    top_k: Count = 16
    cap: Annotated[float, limits(above=0)] = 20.0855
    behaviour: Behaviour = "logged"
    discount: Annotated[float, limits(0, below=1)] = 0.9

    def rewards(self, log: InteractionLog) -> FloatArray:
        """R_t = 1[r_t > 0] * sum over t' >= t of gamma^(t' - t) r_t', with r = 1 for positives.

        t counts the user's impressions; what comes after the log's end is not known and counts 0.
        """
        reward = log.positive.astype(np.float32)
        return np.where(log.positive, discounted_returns(log.user, reward, self.discount), 0).astype(np.float32)

    def loss(self, scores: Scores) -> Tensor:
        """Mean over rewarded impressions of -w log pi(a | s); see ``weights``."""
        log_pi, kept = _log_policy(scores, 1.0), scores.reward > 0
        weight = self.weights(log_pi.detach(), scores.log_beta[kept], scores.reward[kept])
        return -(weight * log_pi).sum() / max(len(log_pi), 1)

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
