"""Constants estimated from a log without a simulation: users' activity, lengths of videos, sizes."""

from dataclasses import asdict, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, log_expit, logsumexp

from experiments.datasets.dataset import LoggedDataset
from experiments.fit.observation import Observation
from experiments.fit.statistics import Visits
from sim.arrays import FloatArray
from sim.hidden.config import WorldConfig

NUM_INTERESTS = (24, 761)
"""The least and the most interests of the authored tree that a fitted world takes."""

_ITEMS_PER_CLUSTER = 8  # fewer would leave parts of clusters empty
_NODES = 64  # of the quadrature


def activity_of_days(days: FloatArray, num_days: int) -> tuple[float, float] | None:
    """Mean and standard deviation of users' logit of coming on a day, from their numbers of active days (U,), 1 to D.

    The logistic-normal binomial (Williams 1982, "Extra-binomial variation in logistic linear models"), without the
    users who were never active, by maximum likelihood with Gauss-Hermite quadrature:

        P(k) = int Binomial(k; D, sigmoid(m + s z)) phi(z) dz,    max over m, s of sum_u log[P(k_u) / (1 - P(0))].

    Returns:
        m and s, in the limits of ``sim.hidden.config``; None where all users were active equally often.
    """
    if len(np.unique(days)) < 2:
        return None
    count = np.bincount(days.astype(np.int64), minlength=num_days + 1).astype(np.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    log_weight = np.log(weights / weights.sum())
    k = np.arange(num_days + 1)[:, None]
    log_choose = gammaln(num_days + 1) - gammaln(k + 1) - gammaln(num_days - k + 1)

    def loss(x: FloatArray) -> float:
        logit = x[0] + np.exp(x[1]) * nodes
        log_p = logsumexp(log_choose + k * log_expit(logit) + (num_days - k) * log_expit(-logit) + log_weight, axis=1)
        log_here = np.log(-np.expm1(min(float(log_p[0]), -1e-12)))
        return float(-(count[1:] @ (log_p[1:] - log_here)))

    optimum = minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=[(-6, 6), (np.log(0.05), np.log(6))])
    return float(optimum.x[0]), float(np.exp(optimum.x[1]))


def sized(world: WorldConfig, data: LoggedDataset, seen: Observation, most_items: int) -> WorldConfig:
    """The world at the log's size: its users, the items alive on its last day, and its clusters.

    As many level-2 clusters as the log has, as many interests (within ``NUM_INTERESTS``), and at most
    ``most_items`` items, but eight a cluster.
    """
    level_2 = max(2, seen.num_clusters)
    interests = int(np.clip(level_2, *NUM_INTERESTS))
    alive = int(data.catalog.alive(int(data.log.day.max())).sum())
    items = max(min(alive, most_items), _ITEMS_PER_CLUSTER * max(level_2, interests))
    clusters = replace(world.clusters, level_2=level_2, level_1=min(world.clusters.level_1, max(1, level_2 // 2)))
    return replace(world, num_users=seen.num_users, num_items=items, num_interests=interests, clusters=clusters)


def direct_constants(world: WorldConfig, data: LoggedDataset, seen: Observation) -> dict[str, float]:
    """Constants by name, estimated straight from the log; those that it does not identify are left out.

    ``population.activity_mean`` and ``activity_sd`` from users' active days (``activity_of_days``);
    ``items.length_seconds_median`` and ``length_sigma`` (median, and standard deviation of the logarithm) from the
    lengths of the items shown, where watch time was logged, and with it lengths.
    """
    constants: dict[str, float] = {}
    days = np.bincount(Visits.of(seen).user)
    fitted = activity_of_days(days[days > 0].astype(np.float64), seen.num_days)
    if fitted is not None:
        constants["population.activity_mean"], constants["population.activity_sd"] = fitted
    if seen.has_watch:
        length = data.catalog.length[np.unique(seen.log.item)].astype(np.float64)
        length = length[length > 0]
        if len(length):
            constants["items.length_seconds_median"] = float(np.clip(np.median(length), 1, 3600))
            constants["items.length_sigma"] = float(min(np.log(length).std(), 3.0))
    return constants


def with_constants(world: WorldConfig, values: dict[str, float]) -> WorldConfig:
    """The world with some constants, named ``group.entry``, changed."""
    groups = {name.partition(".")[0] for name in values}
    changed = {
        group: replace(
            getattr(world, group),
            **{name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{group}.")},
        )
        for group in groups
    }
    return replace(world, **changed)


def constant_of(world: WorldConfig, name: str) -> float:
    """The value of a constant named ``group.entry``."""
    group, _, entry = name.partition(".")
    return float(asdict(world)[group][entry])
