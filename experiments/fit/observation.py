"""The part of a log that is fitted to: some of its users over its last days, and bootstrap draws of these users."""

from dataclasses import dataclass, replace

import numpy as np

from experiments.datasets.dataset import LoggedDataset
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.log import PRIOR, InteractionLog
from sim.random import RandomStream

LEAST_USERS, LEAST_DAYS = 2, 2
"""With fewer of either there is no spread over users, or nobody who could return."""


@dataclass(frozen=True)
class Observation:
    """A window of a log, as its statistics are computed from it.

    Attributes:
        log: R impressions, by user and then in the order in which they happened; days count from 0.
        num_users: N; users are 0 .. N-1, of whom some may have no row.
        num_days: D.
        num_clusters: M.
        has_watch: whether watch time was logged.
        has_negatives: whether impressions without a consumption were logged.
    """

    log: InteractionLog
    num_users: int
    num_days: int
    num_clusters: int
    has_watch: bool
    has_negatives: bool

    def of_users(self, users: IntArray) -> "Observation":
        """The same window of users (n,), one after another as users 0 .. n-1; one drawn twice counts as two."""
        start = np.searchsorted(self.log.user, users)
        count = np.searchsorted(self.log.user, users, side="right") - start
        place = np.repeat(start - (np.cumsum(count) - count), count) + np.arange(count.sum())
        log = replace(self.log.where(place), user=np.repeat(np.arange(len(users)), count))
        return replace(self, log=log, num_users=len(users))


def observed(
    log: InteractionLog, num_users: int, num_clusters: int, num_days: int, has_watch: bool, has_negatives: bool
) -> Observation:
    """The last ``num_days`` days of a log.

    Where impressions without a consumption were not logged, those of the other log are left out as well, so that
    both count the same things.
    """
    first = int(log.day.max(initial=0)) - num_days + 1
    rows = log.day >= first
    if not has_negatives:
        rows &= log.consumed
    window = log.where(np.flatnonzero(rows)[np.argsort(log.user[rows], kind="stable")])
    window = replace(window, day=window.day - first)
    return Observation(window, num_users, num_days, num_clusters, has_watch, has_negatives)


def observed_dataset(data: LoggedDataset, most_days: int, most_users: int, stream: RandomStream) -> Observation:
    """The last days of a data set, at most ``most_days``, of a random sample of at most ``most_users`` users.

    A life before day 0 (``sim.log.PRIOR``) is never among them: it was shown by no policy that ``fit.policy`` could be.

    Raises:
        InvalidInput: there is nothing to fit to: no rows, one user, or one day.
    """
    log = data.log
    if not len(log):
        raise InvalidInput("fit.dataset", data.name, "must have impressions; its log is empty")
    shown = np.flatnonzero(log.source != PRIOR)
    if not len(shown):
        raise InvalidInput("fit.dataset", data.name, "must reach beyond the life before day 0; its log does not")
    log = log.where(log.day >= log.day[shown].min())
    span = int(log.day.max()) - int(log.day.min()) + 1
    if span < LEAST_DAYS:
        raise InvalidInput("fit.dataset", data.name, f"must reach over {LEAST_DAYS} days or more, not {span}")
    days = min(most_days, span)
    window = observed(log, data.num_users, data.clusters.num_clusters, days, data.has_watch, data.has_negatives)
    if data.num_users > most_users:
        order = stream.at("users").uniform(np.arange(data.num_users), 1)[:, 0].argsort()
        window = window.of_users(np.sort(order[:most_users]))
    here = len(np.unique(window.log.user))
    if here < LEAST_USERS:
        expected = f"must have at least {LEAST_USERS} users with impressions on its last {days} days, not {here}"
        raise InvalidInput("fit.dataset", data.name, expected)
    return window
