"""CUPED: users' behaviour before the experiment as a covariate lowers a lift's variance.

For arms with other users each (``split``). Twins need none: there every user is their own control.
"""

from dataclasses import dataclass

import numpy as np

from experiments.inference.users import ROUNDING, Ratio, UserSums, ratio_of
from sim.arrays import dot
from sim.errors import InvalidInput


@dataclass(frozen=True)
class Adjusted:
    """Two arms' ratios, adjusted for a covariate.

    Attributes:
        treated, control: ready for ``users.lift_between``.
        theta: the coefficient.
        variance_reduction: share of the lift's variance that the adjustment took away.
    """

    treated: Ratio
    control: Ratio
    theta: float
    variance_reduction: float


def adjust(treated: UserSums, control: UserSums, before: tuple[UserSums, UserSums]) -> Adjusted | None:
    """Adjust a ratio metric of two arms for what the same users did before the experiment.

    With Y the metric and X the covariate, a ratio of sums over the same users before the experiment,

        R_k' = R_k - theta (X_k - X),   theta = cov(psi_Y, psi_X) / var(psi_X),

    for arm k, X_k the covariate in the arm and X in both arms together (Deng, Xu, Kohavi and Walker
    2013, "Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment
    Data", equations 3-5). Of ratios, covariance and variance are those of users' delta-method
    influences psi (their appendix B), here around the arm's own ratio, so that an effect of the arm
    does not pass for covariance; both arms share theta. A user's influence on R_k' is
    psi_Y - theta psi_X. As users are assigned at random and X is older than the assignment, the
    expected adjustment is 0 whatever theta is.

    All assigned users count, also those who did nothing in the experiment: to leave them out would
    select users by what the arm did to them.

    Args:
        treated, control: (U_T,) and (U_C,) user sums of all assigned users.
        before: the covariate's sums of the same users in the same order. A user with denominator 0
            counts as average.

    Returns:
        ``None`` where a ratio is undefined or the covariate does not vary.

    Raises:
        InvalidInput: the covariate has other users.
    """
    for arm, (during, earlier) in {"treated": (treated, before[0]), "control": (control, before[1])}.items():
        if len(during.numerator) != len(earlier.numerator):
            raise InvalidInput(f"len(before {arm})", len(earlier.numerator), f"must be {len(during.numerator)}")
    ratios = [ratio_of(sums) for sums in (treated, control)]
    earlier_ratios = [ratio_of(sums) for sums in before]
    together = np.concatenate([sums.numerator for sums in before]), np.concatenate([s.denominator for s in before])
    overall = UserSums(*together).ratio()
    if None in ratios or None in earlier_ratios or overall is None:
        return None
    y, x = [r for r in ratios if r is not None], [r for r in earlier_ratios if r is not None]
    all_y, all_x = (np.concatenate([ratio.influence for ratio in arms]) for arms in (y, x))
    if len(all_x) < 3 or all_x.std() <= ROUNDING * max(ratio.size for ratio in x):
        return None
    theta = dot(all_y, all_x) / dot(all_x, all_x)  # influences have mean 0 in each arm
    new = [
        Ratio(ry.value - theta * (rx.value - overall), ry.influence - theta * rx.influence, ry.size)
        for ry, rx in zip(y, x, strict=True)
    ]
    old_variance, new_variance = (sum(float(r.influence.var()) / len(r.influence) for r in arms) for arms in (y, new))
    return Adjusted(new[0], new[1], theta, 1.0 - new_variance / old_variance if old_variance > 0 else 0.0)
