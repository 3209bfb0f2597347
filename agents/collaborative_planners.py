"""Planners that know what people of like taste liked: collaborative filtering over clusters, without words.

Both take a user for the set of clusters in which they had enough positives, as far as the log reaches, whoever showed
them. They are rivals of the language model: they read the same log, and no text.
"""

import abc
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from agents.novel_choice import best_first, choose_novel
from agents.planner import Planner
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, Positive, checks_arguments

_CELLS = 4_000_000  # of users x users or users x clusters that are held at a time
_FILE = "positives.safetensors"


class _CollaborativePlanner(Planner):
    """Plans the novel clusters of largest score; ties at random.

    Attributes:
        min_positives: positives in a cluster from which on it belongs to a user's profile.
    """

    min_positives: int

    @abc.abstractmethod
    def _learn(self) -> None:
        """Learn from the profiles of all users."""

    @abc.abstractmethod
    def scores(self, user: IntArray) -> FloatArray:
        """How much every cluster suits users (B,): (B, M) float64, 0 where nothing is known."""

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Count every user's positives by cluster in the burn-in log."""
        self._meet(platform)
        self._key, self._count = np.empty(0, np.int64), np.empty(0, np.int64)
        self.update(log, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Count the new rows' positives, and learn anew."""
        liked = log.where(log.positive)
        new = liked.user * self.platform.clusters.num_clusters + liked.cluster
        key, place = np.unique(np.concatenate([self._key, new]), return_inverse=True)
        weight = np.concatenate([self._count, np.ones(len(new), np.int64)])
        self._key, self._count = key, np.bincount(place, weight, minlength=len(key)).astype(np.int64)
        self._take_in()

    def _take_in(self) -> None:
        num = self.platform.clusters.num_clusters
        user, cluster = np.divmod(self._key[self._count >= self.min_positives], num)
        shape = (self.platform.num_users, num)
        self._profile = sparse.csr_matrix((np.ones(len(user)), (user, cluster)), shape)  # (N, M), 1 = in the profile
        self._learn()

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Take the best clusters that are new to the user; see ``choose_novel`` for what nothing is known of."""
        num_clusters, slots = self.platform.clusters.num_clusters, requests.num_slots
        plan = np.empty((len(requests), slots), np.int32)
        size = max(1, _CELLS // max(num_clusters, self.platform.num_users))
        for start in range(0, len(requests), size):
            user = requests.user[start : start + size]
            consumed = self.platform.consumed_clusters(user)  # (b, M)
            score = np.where(consumed, -np.inf, np.round(self.scores(user), 9))
            ranked = best_first(score, rng.at("ties"))
            known = np.take_along_axis(score, ranked, axis=1) > 0
            plan[start : start + size] = choose_novel(
                np.where(known, ranked, -1), consumed, slots, rng.at("fill"), user
            )
        return plan

    def save(self, folder: Path) -> None:
        """Write the counts; what was learned follows from them."""
        save_file({"key": self._key, "count": self._count}, folder / _FILE)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self._meet(platform)
        counts = load_file(folder / _FILE)
        self._key, self._count = counts["key"], counts["count"]
        self._take_in()


@checks_arguments
class EasePlanner(_CollaborativePlanner):
    """EASE over clusters (Steck 2019, "Embarrassingly shallow autoencoders for sparse data", WWW).

    With X (N, M) the profiles of all users, the weights B (M, M) that predict each cluster from the others best,

        min |X - X B|^2 + l2 |B|^2   with diag(B) = 0,

    are  B = I - P diag(1 / diag(P)),   P = (X'X + l2 I)^-1   (its equation 8).  A user's scores are their row of X B.

    Args:
        l2: penalty on weights.
        min_positives: see the base.
    """

    def __init__(self, l2: Positive = 10000.0, min_positives: Count = 1) -> None:
        self.l2, self.min_positives = l2, min_positives

    def _learn(self) -> None:
        gram = (self._profile.T @ self._profile).toarray()  # (M, M) whole numbers: exact in any order
        inverse = np.linalg.inv(gram + self.l2 * np.eye(len(gram)))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        self._weights: FloatArray = weights

    def scores(self, user: IntArray) -> FloatArray:
        """(B, M) float64, rows of X B; see the class. Below 0 where clusters exclude each other."""
        return np.asarray(self._profile[user] @ self._weights)


@checks_arguments
class UserNeighboursPlanner(_CollaborativePlanner):
    """What the users of most similar profiles have in theirs (user-based kNN; Herlocker et al. 1999, "An algorithmic
    framework for performing collaborative filtering", SIGIR).

        score(u, c) = sum over the k most similar users v of cos(x_u, x_v) x_vc

    with x the rows of the profiles. Equally similar users come in the order of their numbers.

    Args:
        neighbours: k.
        min_positives: see the base.
    """

    def __init__(self, neighbours: Count = 200, min_positives: Count = 1) -> None:
        self.neighbours, self.min_positives = neighbours, min_positives

    def _learn(self) -> None:
        length = np.sqrt(np.asarray(self._profile.sum(axis=1)).ravel())
        self._unit = sparse.diags(1 / np.maximum(length, 1)) @ self._profile

    def scores(self, user: IntArray) -> FloatArray:
        """(B, M) float64; see the class."""
        similar = np.round((self._unit[user] @ self._unit.T).toarray(), 12)  # (B, N)
        similar[np.arange(len(user)), user] = 0.0
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, : self.neighbours]  # (B, k)
        weight = np.take_along_axis(similar, nearest, axis=1)
        rows = np.repeat(np.arange(len(user)), nearest.shape[1])
        chosen = sparse.csr_matrix((weight.ravel(), (rows, nearest.ravel())), (len(user), self._profile.shape[0]))
        return np.asarray((chosen @ self._profile).toarray())
