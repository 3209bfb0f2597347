"""Plan a user's next interest cluster: ``gymnasium.Env`` with a ``Discrete`` action."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.config import world_config
from envs.life import Life, LifeSettings, PublicFeedback
from envs.observation import Observation
from envs.plan_ranker import POOL, rank_within, shortlist
from envs.single import SingleUserEnv
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig

SHOWN_SCALE = 10.0
"""Impressions of a cluster at which ``shown`` is one half."""

RECENT_SCALE = 5.0
"""Recently consumed videos of a cluster at which ``recently_consumed`` is one half."""

MINUTES_SCALE = 10.0
"""Minutes spent today at which ``minutes_today`` is one half."""


def planning_space(num_clusters: int) -> spaces.Dict:
    """The space of one user's observations, M clusters. Everything is float32 in [0, 1], as learners like it.

    ``day``: (1,), days since the life began / days that it lasts; 1 when it is over.
    ``request``: (1,), requests made today / most requests a day.
    ``minutes_today``: (1,), m / (m + 10), m the minutes spent today.
    ``shown``: (M,), n / (n + 10), n the videos of the cluster that the user has examined, before day 0 and since.
    ``positive_share``: (M,), (positives + 1) / (n + 4): what is unknown stands at one quarter.
    ``minutes_share``: (M,), w / (w + n), w the watched seconds of the cluster / 10: half at ten seconds a video.
    ``recently_consumed``: (M,), r / (r + 5), r the consumed videos of the cluster, halved each night.
    ``idle``: (M,), days since the cluster was last shown / days that the life lasts; 1 if it never was.
    """
    one = {name: spaces.Box(0, 1, (1,), np.float32) for name in ("day", "request", "minutes_today")}
    many = {name: spaces.Box(0, 1, (num_clusters,), np.float32) for name in PER_CLUSTER}
    return spaces.Dict({**one, **many})


PER_CLUSTER = ("shown", "positive_share", "minutes_share", "recently_consumed", "idle")


_NEVER = -1_000_000
"""The day on which a cluster was last shown that never was."""


class PlanLife(Life):
    """B users whose slates come from one planned cluster each; an action is (B,) clusters.

    What the platform has seen of each user and cluster is tallied as it comes, (B, M) a tally.
    """

    def __init__(self, settings: LifeSettings, users: IntArray, life_seed: int) -> None:
        num_clusters = settings.config.clusters.level_2
        super().__init__(settings, users, life_seed, (), num_clusters)
        shape = (len(users), num_clusters)
        self._shown = np.zeros(shape)
        self._positive = np.zeros(shape)
        self._seconds = np.zeros(shape)
        self._consumed = np.zeros(shape)  # halved each night
        self._last_shown = np.full(shape, _NEVER)  # day
        self._tallied_day = 0
        self._tally_life_before()
        self._centre = self._records.clusters.centroid_2
        self._shortlists: dict[tuple[int, int], IntArray] = {}  # of a day and a cluster
        self._embedding: tuple[int, FloatArray] = (-1, np.empty(0, np.float32))  # of a day's live items
        self._begin()

    def _tally_life_before(self) -> None:
        """Tally what the platform saw of the users before day 0."""
        log = self._before.where(np.flatnonzero(np.isin(self._before.user, self.users)))
        place = np.searchsorted(self.users, log.user), log.cluster
        np.add.at(self._shown, place, 1)
        np.add.at(self._positive, place, log.positive)
        np.add.at(self._seconds, place, log.watch_seconds)
        np.add.at(self._consumed, place, log.consumed * 0.5 ** -log.day.astype(np.float64))
        np.maximum.at(self._last_shown, place, log.day)

    def _slates(self, rows: IntArray, action: IntArray) -> tuple[IntArray, PublicFeedback]:
        day, user, records = self._world.day, self.users[rows], self._records
        requests = records.requests(user, self._settings.num_slots)
        shortlists = np.stack([self._shortlist(day, int(cluster)) for cluster in action])  # (b, K)
        own = records.cluster_of_item[shortlists] == action[:, None]
        stream = self._world.stream.at("plan", day, self._request)
        items = rank_within(requests, shortlists, own, records.catalog, stream)
        filled = (records.cluster_of_item[items] != action[:, None]).sum(axis=1)
        return items, {"planned": action.astype(np.int32), "filled": filled}

    def _shortlist(self, day: int, cluster: int) -> IntArray:
        if (day, cluster) not in self._shortlists:
            records, settings = self._records, self._settings
            size = min(len(self._live), settings.config.platform.seen_length + max(POOL, settings.num_slots))
            if self._embedding[0] != day:
                self._embedding = day, records.catalog.embedding[self._live].astype(np.float32)
            self._shortlists[day, cluster] = shortlist(
                self._embedding[1], self._live, records.cluster_of_item, cluster, self._centre[cluster], size
            )
        return self._shortlists[day, cluster]

    def _remember(self, rows: IntArray, seen: PublicFeedback) -> None:
        clusters, examined = seen["clusters"], seen["examined"]  # (b, S)
        row = np.broadcast_to(rows[:, None], clusters.shape)
        np.add.at(self._shown, (row, clusters), examined)
        np.add.at(self._positive, (row, clusters), seen["positive"])
        np.add.at(self._seconds, (row, clusters), seen["watch_seconds"])
        np.add.at(self._consumed, (row, clusters), seen["consumed"])
        self._last_shown[row[examined], clusters[examined]] = self._world.day

    def _observe(self, rows: IntArray) -> Observation:
        day, config = self._world.day, self._settings.config
        self._consumed *= 0.5 ** (day - self._tallied_day)
        self._tallied_day = day
        minutes = self._world.minutes_today()[self.users[rows], None].astype(np.float64)
        shown, seconds, recent = self._shown[rows], self._seconds[rows], self._consumed[rows]
        last = self._last_shown[rows]
        fields: dict[str, FloatArray] = {
            "day": np.full((len(rows), 1), day / self._settings.days),
            "request": np.full((len(rows), 1), self._request / config.platform.max_requests_per_day),
            "minutes_today": minutes / (minutes + MINUTES_SCALE),
            "shown": shown / (shown + SHOWN_SCALE),
            "positive_share": (self._positive[rows] + 1) / (shown + 4),
            "minutes_share": seconds / np.maximum(seconds + 10 * shown, 1),
            "recently_consumed": recent / (recent + RECENT_SCALE),
            "idle": np.minimum((day - last) / self._settings.days, 1.0),
        }
        return {name: values.astype(np.float32) for name, values in fields.items()}


class ClusterPlanningEnv(SingleUserEnv[np.int64]):
    """Plan which interest cluster a simulated user is shown next; ``interestlab/ClusterPlanning-v0``.

    An episode is a life of ``days`` days; each step is one request of its user, as in ``ExplorationEnv``.

    *Action*: ``Discrete(M)``, the level-2 cluster of the whole next slate. A fixed ranker, public
    data only, picks its S items: see ``envs.plan_ranker.rank_within``. Where the cluster has too
    few live items that the user was not shown recently, the items nearest to the cluster's centre
    fill the slate; ``info["filled"]`` counts them. The slate is not mixed with familiar items:
    what a step earns is then the plan's doing, and to return to the familiar is a plan like any other.

    *Observation*: see ``planning_space``; what the platform has seen of the user, before day 0 and in this life.

    *Reward*: minutes that the user watched of the slate. Novelty is not rewarded as such:
    exploration has to pay by what the user does later.

    *User*: by default, and where several are given, each episode is the life of one of them,
    drawn uniformly after ``reset``'s seed. A policy that always meets one person can learn that person
    by heart; only one that meets many has to read what to plan off the observation, which is what
    planning for people whom it never met takes. Leave some out to test that. Clusters' numbers
    mean the same for all users of a world, and something else in another world.

    *End*, *seeds*: as in ``ExplorationEnv``; the user is drawn after the random stream, so a life of a
    user is named by ``user`` and the seed alone, whoever else may be drawn.

    *info*: after ``reset`` ``user``; after a step the public feedback, as in ``ExplorationEnv``, with
    the scalars ``planned`` (the action) and ``filled`` in place of ``repeated``. ``waiting`` always.

    Args:
        world: preset name, mapping, or record of the world's constants.
        user: whose lives: one user, several, or None for everybody.
        world_seed: names the world.
        days: days an episode lasts, T.
        num_slots: items a slate, S. Five: enough to show whether a cluster pleases, and few enough that
            a day has room for several plans.

    Raises:
        InvalidInput: an argument or action that cannot be.
    """

    def __init__(
        self,
        world: WorldConfig | Mapping[str, Any] | str = "tiny",
        user: int | Sequence[int] | None = None,
        world_seed: int = 0,
        days: int = 7,
        num_slots: int = 5,
    ) -> None:
        config = world_config(world)
        everybody = np.arange(config.num_users)
        self._users = everybody if user is None else np.atleast_1d(np.asarray(user, np.int64))
        wrong = self._users[(self._users < 0) | (self._users >= config.num_users)]
        if len(wrong) or not len(self._users):
            value = int(wrong[0]) if len(wrong) else user
            raise InvalidInput("user", value, f"must be from 0 to world.num_users - 1 = {config.num_users - 1}")
        self._settings = LifeSettings(config, world_seed, days, num_slots)
        self.observation_space = planning_space(config.clusters.level_2)
        self.action_space = spaces.Discrete(config.clusters.level_2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the life of one of the users. ``options`` are not used."""
        observation, info = super().reset(seed=seed, options=options)
        assert self._life is not None
        return observation, {**info, "user": int(self._life.users[0])}

    def _new_life(self, life_seed: int) -> PlanLife:
        return PlanLife(self._settings, self.np_random.choice(self._users, 1), life_seed)
