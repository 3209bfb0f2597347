"""Whether users were diverted to the arms as meant."""

from collections.abc import Mapping

from scipy.stats import chisquare

from experiments.results_schema import SampleRatioRow
from sim.errors import InvalidInput

SUSPICIOUS = 0.001
"""A p-value below this says that the diversion is broken. Below 5 %, because every experiment is checked
and an alarm stops it (Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled
Experiments")."""


def sample_ratio(users: Mapping[str, int]) -> SampleRatioRow | None:
    """Test whether users were split evenly: sum (n_k - n / K)^2 / (n / K), chi-square with K - 1 degrees of freedom.

    ``None`` for one arm, or nobody.

    Raises:
        InvalidInput: a negative number of users.
    """
    counts = list(users.values())
    if any(count < 0 for count in counts):
        raise InvalidInput("users", dict(users), "must not be negative")
    if len(counts) < 2 or sum(counts) == 0:
        return None
    tested = chisquare(counts)
    p = float(tested.pvalue)
    return {"users": dict(users), "chi_square": float(tested.statistic), "p": p, "mismatch": p < SUSPICIOUS}
