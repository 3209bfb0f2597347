"""Off-policy estimators for slates: the reward of a policy that fills S slots at once.

A log has a row an impression; rows of one request are one slate. The estimators differ in what they take
a slot's reward to depend on, and with it in whose weights it is multiplied by:

    standard              all slots of the slate        w_i = prod_s e_is / p_is
    independent           the slot alone                w_is = e_is / p_is
    reward interaction    the slot and those above it   w_is = prod_{t <= s} e_it / p_it      (cascade)
    pseudo-inverse        a sum over slots              w_i = sum_s e_is / p_is - S_i + 1

with p_is and e_is the probabilities of the item in slot s under the logging and the evaluated policy: for the
first and third *given the slots above* (as logged here), for the second and fourth *marginal*, of that item
in that slot whatever stands above. The value of a slate is the sum of its slots' rewards; the policy's
value is that sum's mean over slates.

Standard is unbiased whatever users do and has the largest variance; the others trade an assumption for it
(Li et al. 2018, "Offline Evaluation of Ranking Policies with Click Models", section 4, independent;
McInerney et al. 2020, "Counterfactual Evaluation of Slate Recommendations with Sequential Reward
Interactions", equation 8; Swaminathan et al. 2017, "Off-policy evaluation for slate recommendation",
equation 4, for logging policies that fill slots independently of each other).
"""

from dataclasses import dataclass

import numpy as np

from experiments.inference.users import Interval, UserSums, ratio_interval
from experiments.off_policy.actions import NO_CLIP, check_logged, per_user
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput


@dataclass(frozen=True)
class LoggedSlates:
    """n impressions of m slates, a slate's rows together and in the order of their slots.

    Attributes:
        user: (n,) int64.
        slate: (n,) int64, ascending; rows with the same number are one slate.
        reward: (n,) float64, of the slot.
        propensity: (n,) float64 in (0, 1], of the item in its slot under the logging policy.
        evaluated: (n,) float64 in [0, 1], under the evaluated policy.
        left_out: impressions of the log that are not among these, since no recommender showed them.

    Raises:
        InvalidInput: other lengths, slates out of order, numbers outside their range; says in how many rows.
    """

    user: IntArray
    slate: IntArray
    reward: FloatArray
    propensity: FloatArray
    evaluated: FloatArray
    left_out: int = 0

    def __post_init__(self) -> None:
        check_logged(self)
        object.__setattr__(self, "slate", np.asarray(self.slate, np.int64))
        if self.slate.shape != self.user.shape:
            raise InvalidInput("slate", self.slate.shape, f"must have one number a row, {self.user.shape}")
        if (np.diff(self.slate) < 0).any():
            raise InvalidInput("slate", "out of order", "must ascend: a slate's rows stand together")

    def __len__(self) -> int:
        return len(self.slate)

    @property
    def first(self) -> IntArray:
        """(m,) the row of each slate's first slot."""
        return np.flatnonzero(np.diff(self.slate, prepend=self.slate[0] - 1)) if len(self) else np.empty(0, np.int64)

    def ratios(self) -> FloatArray:
        """(n,) e_is / p_is."""
        return np.asarray(self.evaluated / self.propensity)


def standard_ips(rows: LoggedSlates, clip: float = NO_CLIP) -> Interval:
    """V = (1 / m) sum_i w_i sum_s r_is, w_i the product over the whole slate."""
    return _value(rows, _over_slates(rows, np.multiply, rows.ratios()), clip)


def independent_ips(rows: LoggedSlates, clip: float = NO_CLIP) -> Interval:
    """V = (1 / m) sum_i sum_s w_is r_is, w_is of the slot alone."""
    return _value(rows, rows.ratios(), clip)


def reward_interaction_ips(rows: LoggedSlates, clip: float = NO_CLIP) -> Interval:
    """V = (1 / m) sum_i sum_s w_is r_is, w_is the product down to slot s."""
    return _value(rows, cumulative_products(rows), clip)


def pseudo_inverse(rows: LoggedSlates, clip: float = NO_CLIP) -> Interval:
    """V = (1 / m) sum_i w_i sum_s r_is, w_i the sum of the slots' ratios less their number, plus 1."""
    return _value(rows, _over_slates(rows, np.add, rows.ratios() - 1.0) + 1.0, clip)


def cumulative_products(rows: LoggedSlates) -> FloatArray:
    """(n,) product of the ratios of a slate's slots down to each row's.

    Slot by slot, not by sums of logarithms: a ratio may be 0, and is exact so.
    """
    weights = rows.ratios().copy()
    first = rows.first
    place = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows))))  # (n,) 0 at a slate's top
    for depth in range(1, int(place.max(initial=0)) + 1):
        here = np.flatnonzero(place == depth)
        weights[here] *= weights[here - 1]
    return weights


def _over_slates(rows: LoggedSlates, combine: np.ufunc, values: FloatArray) -> FloatArray:
    """(n,) each slate's values (n,) combined, for each of its rows."""
    if not len(rows):
        return values
    first = rows.first
    return np.repeat(combine.reduceat(values, first), np.diff(np.append(first, len(rows))))


def _value(rows: LoggedSlates, weights: FloatArray, clip: float) -> Interval:
    """Weighted rewards a slate, with an interval over users."""
    starts = np.zeros(len(rows))
    starts[rows.first] = 1.0
    numerator, slates = per_user(rows.user, np.minimum(weights, clip) * rows.reward, starts)
    return ratio_interval(UserSums(numerator, slates))
