"""Estimators for single actions: one logged action, propensity and reward a row.

All estimates are sums over rows divided by sums over rows, kept as sums over users, so that every
interval takes users, not rows, as independent (``experiments.inference.users``). Whatever a policy
would do with actions that were *not* logged enters through two numbers a row only (``Outcomes``): no
array of rows x actions is ever needed.

Notation: row i has context x_i, logged action a_i, logging probability p_i = pi_0(a_i | x_i), evaluated
probability e_i = pi(a_i | x_i), weight w_i = min(e_i / p_i, clip) and reward r_i; q(x, a) is a model of
the mean reward, q_i = q(x_i, a_i) and v_i = sum_a pi(a | x_i) q(x_i, a).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.inference.users import Interval, UserSums, ratio_interval
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput

NO_CLIP = float("inf")


@dataclass(frozen=True)
class LoggedActions:
    """n logged actions, and how likely the evaluated policy would have been to take each of them.

    Attributes:
        user: (n,) int64, whose row it is; any numbers.
        reward: (n,) float64.
        propensity: (n,) float64 in (0, 1], pi_0(a_i | x_i).
        evaluated: (n,) float64 in [0, 1], pi(a_i | x_i).

    Raises:
        InvalidInput: another length, a reward that is not finite, a propensity outside (0, 1] or missing, an
            evaluated probability outside [0, 1]; says in how many rows.
    """

    user: IntArray
    reward: FloatArray
    propensity: FloatArray
    evaluated: FloatArray

    def __post_init__(self) -> None:
        check_logged(self)

    def __len__(self) -> int:
        return len(self.user)

    def weights(self, clip: float = NO_CLIP) -> FloatArray:
        """(n,) w_i = min(e_i / p_i, clip)."""
        return np.asarray(np.minimum(self.evaluated / self.propensity, clip))


@dataclass(frozen=True)
class Outcomes:
    """What a model of the reward says, as far as estimators need it.

    Attributes:
        logged: (n,) float64, q_i = q(x_i, a_i).
        policy: (n,) float64, v_i = sum_a pi(a | x_i) q(x_i, a).
    """

    logged: FloatArray
    policy: FloatArray


def check_logged(rows: Any) -> None:
    """Check what logged actions and logged slates have in common (``LoggedActions``), and keep numbers as float64."""
    object.__setattr__(rows, "user", np.asarray(rows.user))
    for name in ("reward", "propensity", "evaluated"):
        column = np.asarray(getattr(rows, name), np.float64)
        object.__setattr__(rows, name, column)
        if column.shape != rows.user.shape:
            raise InvalidInput(name, column.shape, f"must have one number a row, {rows.user.shape}")
    check_rows("reward", rows.reward, np.isfinite(rows.reward), "must be finite")
    check_rows("propensity", rows.propensity, (rows.propensity > 0) & (rows.propensity <= 1), "must be in (0, 1]")
    check_rows("evaluated", rows.evaluated, (rows.evaluated >= 0) & (rows.evaluated <= 1), "must be in [0, 1]")


def check_rows(name: str, column: FloatArray, good: npt.NDArray[np.bool_], expected: str) -> None:
    """Refuse a column some of whose rows are not ``good``; ``InvalidInput`` says how many, and the first value."""
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise InvalidInput(name, f"{column[first]} in row {first}", f"{expected}; {int((~good).sum()):,} rows are not")


def ips(rows: LoggedActions, clip: float = NO_CLIP) -> Interval:
    """Inverse propensity scoring, V = (1 / n) sum_i w_i r_i (Horvitz and Thompson 1952; Precup et al. 2000).

    Unbiased where every action that the policy may take has a positive propensity and nothing is clipped.
    """
    return _mean(rows, rows.weights(clip) * rows.reward)


def snips(rows: LoggedActions, clip: float = NO_CLIP) -> Interval:
    """Self-normalised IPS, V = sum_i w_i r_i / sum_i w_i (Swaminathan and Joachims 2015)."""
    weights = rows.weights(clip)
    return _ratio(rows, weights * rows.reward, weights)


def dm(rows: LoggedActions, outcomes: Outcomes) -> Interval:
    """Direct method, V = (1 / n) sum_i v_i: as good as the model (Beygelzimer and Langford 2009).

    The interval is over users, and takes the model as given.
    """
    return _mean(rows, outcomes.policy)


def dr(rows: LoggedActions, outcomes: Outcomes, clip: float = NO_CLIP) -> Interval:
    """Doubly robust, V = (1 / n) sum_i [v_i + w_i (r_i - q_i)] (Dudik, Langford and Li 2011)."""
    return _mean(rows, outcomes.policy + rows.weights(clip) * (rows.reward - outcomes.logged))


def switch_dr(rows: LoggedActions, outcomes: Outcomes, threshold: float) -> Interval:
    """SWITCH-DR, V = (1 / n) sum_i [v_i + w_i 1(w_i <= threshold) (r_i - q_i)], w_i not clipped.

    Rows whose weight is above the threshold are left to the model (Wang, Agarwal and Dudik 2017).
    """
    weights = rows.weights()
    kept = np.where(weights <= threshold, weights, 0.0)
    return _mean(rows, outcomes.policy + kept * (rows.reward - outcomes.logged))


def per_user(user: IntArray, *columns: FloatArray) -> list[FloatArray]:
    """Each (n,) column summed over each user's rows, (U,) in ascending order of user."""
    if (
        len(user) and user.dtype.kind == "i" and user.min() >= 0 and user.max() < 8 * len(user)
    ):  # plain numbers need no sorting
        present = np.bincount(user) > 0
        return [np.asarray(np.bincount(user, column)[present], np.float64) for column in columns]
    _, place = np.unique(user, return_inverse=True)
    return [np.asarray(np.bincount(place, column), np.float64) for column in columns]


def _mean(rows: LoggedActions, values: FloatArray) -> Interval:
    return _ratio(rows, values, np.ones(len(rows)))


def _ratio(rows: LoggedActions, above: FloatArray, below: FloatArray) -> Interval:
    numerator, denominator = per_user(rows.user, above, below)
    return ratio_interval(UserSums(numerator, denominator))


@dataclass(frozen=True)
class Diagnostics:
    """How far the log supports what is estimated from it.

    Attributes:
        rows: n.
        effective_rows: (sum w)^2 / sum w^2, w not clipped (Kish 1965): so many rows of the policy's own log
            would tell as much.
        mean_weight: mean of w with its interval over users: 1 where the propensities are right and support
            is full; below it the policy takes actions that were never logged.
        largest_share: of the largest weight in the sum of weights.
        clipped: share of rows whose weight is above the clip.
    """

    rows: int
    effective_rows: float
    mean_weight: Interval
    largest_share: float
    clipped: float


def diagnostics(rows: LoggedActions, clip: float = NO_CLIP) -> Diagnostics:
    """What should be looked at before an estimate is believed."""
    return weight_diagnostics(rows.user, rows.weights(), clip)


def weight_diagnostics(user: IntArray, weights: FloatArray, clip: float = NO_CLIP) -> Diagnostics:
    """``diagnostics`` of the weights (n,) of rows of users (n,)."""
    total, squares = float(weights.sum()), float((weights**2).sum())
    numerator, denominator = per_user(user, weights, np.ones(len(weights)))
    return Diagnostics(
        rows=len(weights),
        effective_rows=total**2 / squares if squares > 0 else 0.0,
        mean_weight=ratio_interval(UserSums(numerator, denominator)),
        largest_share=float(weights.max()) / total if total > 0 else 0.0,
        clipped=float((weights > clip).mean()) if len(weights) else 0.0,
    )
