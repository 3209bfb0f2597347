"""A linear model of what a slot earns, for estimators that need one: few features, fitted across users.

Linear in its features, so that the mean over a policy's actions needs their mean features only:

    q(x, a) = <phi(x, a), beta>,   v(x) = sum_a pi(a | x) q(x, a) = <sum_a pi(a | x) phi(x, a), beta>.
"""

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.actions import Outcomes
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests

ITEM_PRIOR, CLUSTER_PRIOR = 10.0, 50.0
"""Impressions that an item's rates are drawn to its cluster's by, and a cluster's to everybody's."""

RIDGE = 1.0
"""Penalty on squared coefficients, in rows of unit features."""

NUM_PLAIN = 10
"""Features in addition to one a slot."""

_LENGTH = 30.0  # seconds, so that log(length / 30 s) is near 0


@dataclass(frozen=True)
class PastRates:
    """What an earlier log tells of items and clusters; not the log that is evaluated on.

    Attributes:
        item_positive, item_watch: (n,) float64, impressions' positive rate and mean watch time in minutes.
        item_shown: (n,) float64, log(1 + impressions).
        cluster_positive: (M,) float64.
    """

    item_positive: FloatArray
    item_watch: FloatArray
    item_shown: FloatArray
    cluster_positive: FloatArray

    @staticmethod
    def of(log: InteractionLog, cluster_of_item: IntArray, num_clusters: int) -> "PastRates":
        """Smoothed rates of a log; items without a row have those of their cluster (n,), given for all uploaded."""
        num_items = len(cluster_of_item)
        shown = np.bincount(log.item, minlength=num_items)
        rates = []
        for value in (log.positive.astype(np.float64), log.watch_seconds / 60.0):
            mean = value.mean() if len(value) else 0.0
            total = np.bincount(log.cluster, value, minlength=num_clusters) + CLUSTER_PRIOR * mean
            of_cluster = total / (np.bincount(log.cluster, minlength=num_clusters) + CLUSTER_PRIOR)
            of_item = np.bincount(log.item, value, minlength=num_items) + ITEM_PRIOR * of_cluster[cluster_of_item]
            rates.append((of_cluster, of_item / (shown + ITEM_PRIOR)))
        (cluster_positive, item_positive), (_, item_watch) = rates
        return PastRates(item_positive, item_watch, np.log1p(shown), cluster_positive)


def features(platform: Platform, past: PastRates, requests: Requests, items: IntArray) -> FloatArray:
    """The model's features of each slot.

    One feature a slot, then: whether the user has consumed from the cluster before; how often lately
    (log); the share of it that pleased, less the user's mean; the item's past positive rate, watch time
    and impressions; the cluster's positive rate, and the same where it is new to the user; the user's
    mean; the item's length (log).

    Args:
        platform: as it is at the requests.
        past: of every item that is asked about.
        requests: B users.
        items: (B, S) int64.

    Returns:
        (B, S, S + ``NUM_PLAIN``) float32.
    """
    cluster = platform.cluster_of_item[items]  # (B, S)
    known = np.take_along_axis(platform.consumed_clusters(requests.user), cluster, axis=1)
    same = requests.clusters[:, None, :] == cluster[:, :, None]  # (B, S, H); pads are -1
    often = same.sum(axis=2)
    pleased = (same & requests.positive[:, None, :]).sum(axis=2)
    valid = (requests.items >= 0).sum(axis=1)
    mean = ((requests.positive.sum(axis=1) + 1.0) / (valid + 2.0))[:, None] * np.ones(items.shape)
    of_cluster = past.cluster_positive[cluster]
    plain = (
        known,
        np.log1p(often),
        (pleased + 2.0 * mean) / (often + 2.0) - mean,
        past.item_positive[items],
        past.item_watch[items],
        past.item_shown[items],
        of_cluster,
        of_cluster * ~known,
        mean,
        np.log(platform.catalog.length[items] / _LENGTH),
    )
    slots = np.broadcast_to(np.eye(items.shape[1]), (*items.shape, items.shape[1]))
    return np.concatenate([slots, np.stack(plain, axis=2)], axis=2).astype(np.float32)


def cross_fitted(user: IntArray, reward: FloatArray, logged: FloatArray, policy: list[FloatArray]) -> list[Outcomes]:
    """Fit the model on one half of the users and use it on the other, both ways round.

    No row's model has seen its user, so that the doubly robust estimators stay unbiased.

    Args:
        user: (n,) int64; even and odd ones are the halves.
        reward: (n,) float64.
        logged: (n, F) features of the logged actions.
        policy: for each policy, the (n, F) mean features of its actions.

    Returns:
        ``Outcomes`` for each policy.
    """
    half = user % 2
    q, values = np.zeros(len(user)), [np.zeros(len(user)) for _ in policy]
    for held_out in (0, 1):
        rows, other = half == held_out, half != held_out
        x = np.asarray(logged[other], np.float64)
        beta = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), (x * reward[other, None]).sum(axis=0))
        q[rows] = logged[rows] @ beta
        for value, mean_features in zip(values, policy, strict=True):
            value[rows] = mean_features[rows] @ beta
    return [Outcomes(q, value) for value in values]
