"""What a recommender may see: the platform's own records, read-only.

``PlatformRecords`` belongs to the experiment, which writes down what happened. Agents get the
``Platform`` in front of it, which only reads. Neither holds any of the users' latent state.
"""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from safetensors.numpy import load_file, save_file

from sim.arrays import BoolArray, FloatArray, IntArray, readonly
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import WallBreach


@dataclass(frozen=True)
class Requests:
    """B users who each ask for a slate at the same time. Every array is read-only.

    Attributes:
        user: (B,) int64, distinct, ascending.
        day: days since the world began.
        items: (B, H) int64, what the user consumed in the last ``history_days`` days, most recent
            last, -1 pads on the left.
        clusters: (B, H) int32, level-2 cluster of each, -1 pads.
        watch: (B, H) float32, watched fraction of each, 0 pads.
        positive: (B, H) bool, whether the feedback was positive.
        exclude: (B, X) int64, items that must not be recommended (shown to the user recently, or
            already placed on this slate), -1 pads.
        num_slots: items wanted a user, S.
    """

    user: IntArray
    day: int
    items: IntArray
    clusters: IntArray
    watch: FloatArray
    positive: BoolArray
    exclude: IntArray
    num_slots: int

    def __post_init__(self) -> None:
        for name in ("user", "items", "clusters", "watch", "positive", "exclude"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.user)

    def where(self, rows: IntArray | BoolArray | slice) -> "Requests":
        """The requests of some of the users: those in places (b,), in a slice, or where a mask (B,) is true."""
        by_user = ("user", "items", "clusters", "watch", "positive", "exclude")
        return replace(self, **{name: getattr(self, name)[rows] for name in by_user})

    def after(self, placed: IntArray) -> "Requests":
        """What is still wanted once items (B, k) stand on the slates: S - k slots, and none of these items."""
        exclude = np.concatenate([self.exclude, placed], axis=1)  # (B, X + k)
        return replace(self, exclude=exclude, num_slots=self.num_slots - placed.shape[1])


class PlatformRecords:
    """The platform's book-keeping for N users, written by the experiment.

    Args:
        num_users: N.
        catalog: the items uploaded so far.
        clusters: the interest clusters in force.
        history_length: H, consumed items kept a user.
        history_days: how far back, in days, a request's history reaches (30 in Wang et al. 2024).
        seen_length: X, impressions kept a user so that they are not shown again.
    """

    def __init__(
        self,
        num_users: int,
        catalog: Catalog,
        clusters: InterestClusters,
        history_length: int,
        history_days: int,
        seen_length: int,
    ) -> None:
        self.num_users = num_users
        self.history_days = history_days
        self.day = 0
        shape = (num_users, history_length)
        # Rings: the next write goes to position (written % length).
        self._items = np.full(shape, -1, np.int64)
        self._watch = np.zeros(shape, np.float32)
        self._positive = np.zeros(shape, bool)
        self._item_day = np.full(shape, -1, np.int32)
        self._written = np.zeros(num_users, np.int64)
        self._seen = np.full((num_users, seen_length), -1, np.int64)
        self._num_seen = np.zeros(num_users, np.int64)
        self.adopt(catalog, clusters)

    def adopt(self, catalog: Catalog, clusters: InterestClusters) -> None:
        """Take over new clusters: refile every item, and what users consumed of each cluster."""
        self.catalog = catalog
        self.clusters = clusters
        self.cluster_of_item: IntArray = clusters.file(catalog.embedding)[:, 1]  # (n,) int32
        self.consumed = np.zeros((self.num_users, clusters.num_clusters), bool)  # (N, M)
        user, place = np.nonzero(self._items >= 0)
        self.consumed[user, self.cluster_of_item[self._items[user, place]]] = True

    def begin_day(self, day: int, catalog: Catalog) -> None:
        """Open a day: file what was uploaded since the last one."""
        self.day = day
        new = catalog.embedding[len(self.cluster_of_item) :]
        self.cluster_of_item = np.concatenate([self.cluster_of_item, self.clusters.file(new)[:, 1]])
        self.catalog = catalog

    def mark_consumed(self, user: IntArray, cluster: IntArray) -> None:
        """Mark that users (R,) have consumed level-2 clusters (R,)."""
        self.consumed[user, cluster] = True

    def record(
        self,
        user: IntArray,
        items: IntArray,
        examined: BoolArray,
        consumed: BoolArray,
        watch: FloatArray,
        positive: BoolArray,
    ) -> None:
        """Write down what B users did with their slates.

        Args:
            user: (B,) int64, distinct.
            items: (B, S) int64.
            examined, consumed, positive: (B, S) bool; consumed and positive imply examined.
            watch: (B, S) float32, watched fraction.
        """
        for slot in range(items.shape[1]):
            if self._seen.shape[1]:
                seen = examined[:, slot]
                u, item = user[seen], items[seen, slot]
                self._seen[u, self._num_seen[u] % self._seen.shape[1]] = item
                self._num_seen[u] += 1
            took = consumed[:, slot]
            u, item = user[took], items[took, slot]
            place = self._written[u] % self._items.shape[1]
            self._items[u, place] = item
            self._watch[u, place] = watch[took, slot]
            self._positive[u, place] = positive[took, slot]
            self._item_day[u, place] = self.day
            self._written[u] += 1
            self.consumed[u, self.cluster_of_item[item]] = True

    def recently_seen(self, user: IntArray) -> IntArray:
        """(B, X) int64: the last impressions of users (B,), which are not shown again; -1 pads."""
        return self._seen[user]

    def copy(self) -> "PlatformRecords":
        """The same state in arrays of its own; catalog and clusters, which are never changed, are shared."""
        other = copy.copy(self)
        for name in _STATE:
            setattr(other, name, getattr(self, name).copy())
        return other

    def requests(self, user: IntArray, num_slots: int) -> Requests:
        """What B users' requests for ``num_slots`` items look like now."""
        length = self._items.shape[1]
        # Unroll the rings: oldest first, so that pads (never written) come out on the left.
        order = (self._written[user, None] + np.arange(length)) % length  # (B, H)
        rows = user[:, None]
        items = self._items[rows, order]
        recent = (items >= 0) & (self._item_day[rows, order] > self.day - self.history_days)
        items = np.where(recent, items, -1)
        return Requests(
            user=user.astype(np.int64),
            day=self.day,
            items=items,
            clusters=np.where(recent, self.cluster_of_item[items], -1).astype(np.int32),
            watch=np.where(recent, self._watch[rows, order], 0).astype(np.float32),
            positive=recent & self._positive[rows, order],
            exclude=self.recently_seen(user),
            num_slots=num_slots,
        )

    def save(self, path: Path) -> None:
        """Write the book-keeping (not the catalog nor the clusters) as safetensors."""
        state = {name: getattr(self, name) for name in _STATE}
        save_file({**state, "day": np.array([self.day]), "cluster_of_item": np.array(self.cluster_of_item)}, path)

    def load(self, path: Path, catalog: Catalog, clusters: InterestClusters) -> None:
        """Take over what ``save`` wrote, with the catalog and clusters then in force."""
        state = load_file(path)
        for name in _STATE:
            setattr(self, name, state[name])
        self.day = int(state["day"][0])
        self.cluster_of_item = state["cluster_of_item"]
        self.catalog, self.clusters = catalog, clusters


_STATE = ("_items", "_watch", "_positive", "_item_day", "_written", "_seen", "_num_seen", "consumed")


class _Unchangeable(type):
    """The type of classes whose methods nobody replaces."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise WallBreach(cls.__name__, name, "cannot be set: recommenders may only read")

    def __delattr__(cls, name: str) -> None:
        raise WallBreach(cls.__name__, name, "cannot be deleted: recommenders may only read")


class Platform(metaclass=_Unchangeable):
    """All that a recommender may see: a live, read-only view of ``PlatformRecords``.

    Raises:
        WallBreach: on any attempt to read something else from it, or to set anything.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, records: PlatformRecords) -> None:
        _RECORDS[self] = records

    def __getattr__(self, name: str) -> Any:
        """Reached only where there is no such attribute."""
        if name.startswith("__") and name.endswith("__"):  # protocols (copying, numpy) ask whether they are there
            raise AttributeError(name)
        raise WallBreach(
            "platform", name, f"is none of what a recommender may see, which is {', '.join(_seen_of_platform())}"
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise WallBreach("platform", name, "cannot be set: recommenders may only read")

    def __delattr__(self, name: str) -> None:
        raise WallBreach("platform", name, "cannot be deleted: recommenders may only read")

    @property
    def day(self) -> int:
        """Days since the world began."""
        return _RECORDS[self].day

    @property
    def num_users(self) -> int:
        """Number of users, N; users are 0 .. N-1."""
        return _RECORDS[self].num_users

    @property
    def catalog(self) -> Catalog:
        """The items uploaded so far."""
        return _RECORDS[self].catalog

    @property
    def clusters(self) -> InterestClusters:
        """The interest clusters in force."""
        return _RECORDS[self].clusters

    @property
    def cluster_of_item(self) -> IntArray:
        """(n,) int32, the level-2 cluster of every item uploaded so far."""
        return readonly(_RECORDS[self].cluster_of_item)

    def live_items(self) -> IntArray:
        """(n_live,) int64, ascending: the items that can be shown today."""
        return np.flatnonzero(self.catalog.alive(self.day))

    def consumed_clusters(self, user: IntArray) -> BoolArray:
        """(B, M) bool, a copy: which level-2 clusters each user has ever consumed from."""
        return _RECORDS[self].consumed.take(user, axis=0)


_RECORDS: "WeakKeyDictionary[Platform, PlatformRecords]" = WeakKeyDictionary()
"""The records behind each platform. Kept here, since whatever a platform's attributes lead to, its readers get."""


def _seen_of_platform() -> list[str]:
    return [name for name in vars(Platform) if not name.startswith("_")]
