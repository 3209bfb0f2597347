"""Hierarchical contextual bandits as planners: HCB and pHCB (Song et al. 2022).

Song et al. (2022), "Show me the whole world: towards entire item space exploration for interactive
personalized recommendations". Here they stop at level 2, where planners plan, and a ranker takes the
place of their item bandit. What the paper leaves open follows the authors' code.
"""

import abc
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from safetensors.numpy import save_file

from agents.cluster_tree import ClusterTree
from agents.linucb import RidgeRegressions, State, read_state, rounds, upper_bounds
from agents.planner import Planner
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import checks_arguments, limits

PROFILE_HALF_LIFE_DAYS = 7.0
"""After how many days a positive counts half in a user's profile (chosen)."""

Finite = Annotated[float, limits(0, below=float("inf"))]
Width = Annotated[int, limits(1, 1024)]

_CHUNK = 512  # users whose bounds of all clusters are held at a time: 60 MB at 800 clusters and width 16
_FILE = "bandit.safetensors"


class _BanditPlanner(Planner):
    """Chooses clusters of a tree one after the other; all of its state is arrays, in one file."""

    _tree: ClusterTree

    @abc.abstractmethod
    def _begin(self, platform: Platform) -> None:
        """Start without any observation."""

    @abc.abstractmethod
    def _chooser(self, user: IntArray) -> Callable[[BoolArray], IntArray]:
        """What gives a level-2 cluster (B,) for each of users (B,), of those that are free (B, M)."""

    @abc.abstractmethod
    def _state(self) -> State:
        """Everything that was learned."""

    @abc.abstractmethod
    def _restore(self, state: State) -> None:
        """Take over what ``_state`` gave."""

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from every impression of the burn-in log."""
        self._begin(platform)
        for day in np.unique(log.day):
            self.update(log.where(log.day == day), rng)

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Take the best S times, each time another cluster; ties go to the broader, lower one."""
        num_slots, num_clusters = requests.num_slots, len(self._tree.fine)
        if num_slots > num_clusters:
            raise InvalidInput("num_slots", num_slots, f"must be at most the number of clusters, {num_clusters}")
        plan = np.empty((len(requests), num_slots), np.int32)
        for start in range(0, len(requests), _CHUNK):
            user = requests.user[start : start + _CHUNK]
            choose, free = self._chooser(user), np.ones((len(user), num_clusters), bool)
            for slot in range(num_slots):
                chosen = choose(free)
                free[np.arange(len(user)), chosen] = False
                plan[start : start + len(user), slot] = chosen
        return plan

    def save(self, folder: Path) -> None:
        """Write everything that was learned."""
        save_file(self._state(), folder / _FILE)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote.

        Raises:
            InvalidInput: not such a file, or one of another configuration or platform.
        """
        self._begin(platform)
        self._restore(read_state(folder / _FILE, {name: array.shape for name, array in self._state().items()}))


@checks_arguments
class HierarchicalBanditPlanner(_BanditPlanner):
    """HCB: from the root down, the child of largest upper confidence bound (Song et al. 2022).

    A LinUCB of its own at each level chooses first a level-1 cluster, then a level-2 cluster below it.
    A cluster's features are its mean embedding z, reduced to ``width`` principal components, and a
    constant. The reward is positive feedback; it teaches both levels on the path of the item's cluster,
    for every impression, whoever chose it. Each slot takes the best path that is left, so the plan is
    distinct. As in the paper, clusters need not be new to the user: the bandit itself weighs what it
    knows against what it does not.

    With ``parameters="user"`` (the paper's), every user has parameters of their own: x = (z, 1), which
    take 8 * 2 * d (d + 1) bytes a user, d = width + 1: 4,896 at width 16. With ``"shared"``, all users
    teach the same parameters, and features tell users apart by their profile u, the mean z of their
    recent positives: x = (z, 1, u * z), as the shared features of Li et al. (2010, section 3.2), at
    8 * (width + 1) bytes a user. Profiles hold the positives up to the start of the day.

    Args:
        alpha: standard errors that the bound lies above the estimate (0.5 in the authors' code).
        width: principal components of the clusters' embeddings.
        parameters: ``user`` or ``shared``.
    """

    def __init__(self, alpha: Finite = 0.5, width: Width = 16, parameters: Literal["user", "shared"] = "user") -> None:
        self.alpha = alpha
        self.width = width
        self.parameters = parameters

    def _begin(self, platform: Platform) -> None:
        self._tree = ClusterTree.of(platform.clusters, self.width)
        width = self._tree.fine.shape[1]
        own = self.parameters == "user"
        num, columns = (platform.num_users, width + 1) if own else (1, 2 * width + 2)
        self._broad, self._fine = RidgeRegressions(num, columns), RidgeRegressions(num, columns)
        # Discounted sums of users' positives, and how many they are: (N, k), (N,)
        self._liked: FloatArray = np.zeros((0 if own else platform.num_users, width))
        self._num_liked: FloatArray = np.zeros(len(self._liked))
        self._day: IntArray = np.zeros(1, np.int64)  # as of which they are discounted

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from every impression of a day."""
        tree, reward = self._tree, log.positive.astype(np.float64)
        broad, fine = _with_constant(tree.broad), _with_constant(tree.fine)
        levels = ((self._broad, broad[tree.parent[log.cluster]]), (self._fine, fine[log.cluster]))
        if self.parameters == "shared":
            profile = self._profile(log.user)
            for model, node in levels:
                model.observe_block(0, np.concatenate([node, profile * node], axis=1), reward)
            self._remember(log)
            return
        for rows in rounds(log.user):
            for model, node in levels:
                model.observe(log.user[rows], node[rows], reward[rows])

    def _remember(self, log: InteractionLog) -> None:
        """Add a day's positives to the profiles."""
        if len(log) == 0:
            return
        day = int(log.day.max())
        discount = 0.5 ** ((day - int(self._day[0])) / PROFILE_HALF_LIFE_DAYS)
        self._liked *= discount
        self._num_liked *= discount
        self._day[0] = day
        user, cluster = log.user[log.positive], log.cluster[log.positive]
        np.add.at(self._liked, user, self._tree.fine[cluster])
        np.add.at(self._num_liked, user, 1.0)

    def _profile(self, user: IntArray) -> FloatArray:
        """(B, k + 1) u of users (B,), and 0 for the constant."""
        mean = self._liked[user] / np.maximum(self._num_liked[user], 1e-9)[:, None]
        return np.concatenate([mean, np.zeros((len(user), 1))], axis=1)

    def _bounds(self, user: IntArray, model: RidgeRegressions, vector: FloatArray) -> FloatArray:
        """(B, C) upper confidence bounds of clusters with vectors (C, k) for users (B,)."""
        node = _with_constant(vector)
        if self.parameters == "user":
            return model.bounds(user, node, self.alpha)
        # x = (w, u * w) is linear in w = (z, 1), so each user has a regression on w that is as good.
        d, u = node.shape[1], self._profile(user)
        theta, inverse = model.weights(np.zeros(1, np.int64))[0], model.inverse[0]
        crossed = inverse[:d, d:] * u[:, None, :]  # (B, d, d)
        folded = inverse[:d, :d] + crossed + crossed.swapaxes(1, 2) + u[:, :, None] * inverse[d:, d:] * u[:, None, :]
        return upper_bounds(theta[:d] + u * theta[d:], folded, node, self.alpha)

    def _chooser(self, user: IntArray) -> Callable[[BoolArray], IntArray]:
        tree = self._tree
        broad, fine = self._bounds(user, self._broad, tree.broad), self._bounds(user, self._fine, tree.fine)

        def walk_down(free: BoolArray) -> IntArray:
            parent = np.where(tree.with_free_child(free), broad, -np.inf).argmax(axis=1)
            return tree.best_children(fine, parent, free)

        return walk_down

    def _state(self) -> State:
        profiles = {"liked": self._liked, "num_liked": self._num_liked, "day": self._day}
        return self._broad.state("broad") | self._fine.state("fine") | profiles

    def _restore(self, state: State) -> None:
        self._broad.restore(state, "broad")
        self._fine.restore(state, "fine")
        self._liked, self._num_liked, self._day = state["liked"], state["num_liked"], state["day"]


@checks_arguments
class ProgressiveBanditPlanner(_BanditPlanner):
    """pHCB: one LinUCB a user over a receptive field that grows finer where it pays (Song et al. 2022).

    A user's field holds at first the root's children, the level-1 clusters, at depth 2. A slot takes the
    node of largest depth * bound; the multiplier stands in the authors' code, we could not confirm it in
    the paper. From a level-1 cluster the same LinUCB chooses the level-2 cluster below. A level-1 cluster
    leaves the field for its children, at depth 3, once

        visits >= p ln(depth)   and   positives / visits >= q ln(depth),   depth = 2;

    level-2 clusters are the leaves here. Features, reward and what is learned from are those of
    ``HierarchicalBanditPlanner``, but both choices teach the same parameters. As there, clusters need
    not be new to the user. A user takes 8 d (d + 1) + 9 V bytes, d = width + 1 and V level-1 clusters:
    2,736 at width 16 and 32 of them.

    Args:
        alpha: standard errors that the bound lies above the estimate.
        width: principal components of the clusters' embeddings.
        visits: p.
        reward: q.
    """

    def __init__(self, alpha: Finite = 0.5, width: Width = 16, visits: Finite = 10.0, reward: Finite = 0.1) -> None:
        self.alpha = alpha
        self.width = width
        self.visits, self.reward = visits, reward

    def _begin(self, platform: Platform) -> None:
        self._tree = ClusterTree.of(platform.clusters, self.width)
        self._model = RidgeRegressions(platform.num_users, self._tree.fine.shape[1] + 1)
        shape = (platform.num_users, len(self._tree.broad))
        self._expanded: BoolArray = np.zeros(shape, bool)  # (N, V) level-1 clusters that left the field
        self._num_visits: IntArray = np.zeros(shape, np.int32)  # ... while they were in it
        self._num_positive: IntArray = np.zeros(shape, np.int32)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Learn from every impression of a day, in the order in which they happened."""
        tree, reward = self._tree, log.positive.astype(np.float64)
        fine, broad = _with_constant(tree.fine), _with_constant(tree.broad)
        for rows in rounds(log.user):
            user, cluster = log.user[rows], log.cluster[rows]
            parent = tree.parent[cluster]
            whole = ~self._expanded[user, parent]
            self._model.observe(user[whole], broad[parent[whole]], reward[rows][whole])
            self._model.observe(user, fine[cluster], reward[rows])
            self._visit(user[whole], parent[whole], log.positive[rows][whole])

    def _visit(self, user: IntArray, node: IntArray, positive: BoolArray) -> None:
        """Count one visit of distinct users (B,) to level-1 clusters (B,), and expand those that are due."""
        self._num_visits[user, node] += 1
        self._num_positive[user, node] += positive
        visits, positives = self._num_visits[user, node], self._num_positive[user, node]
        depth = np.log(2)
        self._expanded[user, node] = (visits >= self.visits * depth) & (positives >= self.reward * depth * visits)

    def _chooser(self, user: IntArray) -> Callable[[BoolArray], IntArray]:
        tree, num_broad = self._tree, len(self._tree.broad)
        nodes = _with_constant(np.concatenate([tree.broad, tree.fine]))  # (V + M, d)
        depth = np.repeat([2.0, 3.0], [num_broad, len(tree.fine)])
        bound = self._model.bounds(user, nodes, self.alpha)  # (b, V + M)
        expanded = self._expanded[user]

        def best_of_field(free: BoolArray) -> IntArray:
            field = np.concatenate([~expanded & tree.with_free_child(free), expanded[:, tree.parent] & free], axis=1)
            node = np.where(field, depth * bound, -np.inf).argmax(axis=1)
            below = tree.best_children(bound[:, num_broad:], node, free)
            return np.where(node < num_broad, below, node - num_broad)

        return best_of_field

    def _state(self) -> State:
        field = {"expanded": self._expanded, "visits": self._num_visits, "positives": self._num_positive}
        return self._model.state("users") | field

    def _restore(self, state: State) -> None:
        self._model.restore(state, "users")
        self._expanded, self._num_visits = state["expanded"], state["visits"]
        self._num_positive = state["positives"]


def _with_constant(vector: FloatArray) -> FloatArray:
    """Vectors (C, k) with a last column of ones."""
    return np.concatenate([vector, np.ones((len(vector), 1))], axis=1)
