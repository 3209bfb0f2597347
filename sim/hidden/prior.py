"""The users' life before day 0 (hidden): deep histories, made by the world alone, which the platform has seen.

On days ``-prior.days`` to -1 users live as on every other day: they come, examine slates, watch, get satiated,
discover and leave. Their slates come from no recommender's model but from ``sim.hidden.channels``, each slot from the
channel *own*, *trending* or *stray* with the chances ``prior.own``, ``prior.trending`` and ``prior.stray``. An item's
popularity is its consumptions so far, each of which counts half as much after ``POPULARITY_HALF_LIFE_DAYS``. Nobody
leaves for good before day 0: the users are those who stayed. Late joiners have no life before.

The same channel *own* serves a share ``own_share`` of all requests from day 0 on.
"""

from collections.abc import Callable

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.errors import InvalidInput
from sim.hidden.channels import OWN_CHANNEL, LiveItems, channel_slates
from sim.hidden.clustering import build_clusters
from sim.hidden.population import ACQUIRED, DISCOVERED
from sim.hidden.serving_day import FilledSlates, Show, serving_day
from sim.hidden.world import World
from sim.log import OWN, PRIOR, InteractionLog
from sim.platform import PlatformRecords

SLOTS = 10
"""Items a slate; users leave within one."""

POPULARITY_HALF_LIFE_DAYS = 7.0

ONLY_OWN = np.eye(3)[OWN_CHANNEL]


def first_records(world: World) -> PlatformRecords:
    """The platform's book-keeping on a world's first day, its items clustered with equal traffic.

    Raises:
        InvalidInput: users choose for themselves, before day 0 or from then on, and no user knows any interest.
    """
    _check_somebody_knows(world)
    items = np.arange(world.catalog.num_items)
    return world.new_records(build_clusters(world.catalog, items, np.ones(len(items)), world.config.clusters))


def live_prior(world: World, records: PlatformRecords, on_day: Callable[[], object] = lambda: None) -> InteractionLog:
    """Let all users live until the evening before day 0; changes the world and the records.

    Args:
        world: on its first day, which has not begun.
        records: the platform's book-keeping, with clusters of the items of that day.
        on_day: called at the end of each day, before its overnight changes.

    Returns:
        R impressions with ``source`` ``PRIOR`` and negative days; none where ``prior.days`` is 0.
    """
    prior = world.config.prior
    shares = np.array([prior.own, prior.trending, prior.stray])
    popularity, parts = np.zeros(0), []
    for day in range(-prior.days, 0):
        with serving_day(world, records, day) as today:
            popularity = _grown(popularity, world.catalog.num_items) * 2.0 ** (-1.0 / POPULARITY_HALF_LIFE_DAYS)
            live = live_items(world, world.catalog, popularity)

            def shown(user: IntArray, step: int, live: LiveItems = live, day: int = day) -> FilledSlates:
                stream = world.stream.at("prior", day, step)
                exclude = records.recently_seen(user)
                items = channel_slates(world.population, user, shares, live, exclude, SLOTS, stream)
                return FilledSlates.of(items, source=PRIOR)

            for served in today.requests(shown):
                rows = served.rows()
                popularity += np.bincount(rows.item[rows.consumed], minlength=len(popularity))
                parts.append(rows)
            on_day()
    return InteractionLog.concatenate(parts)


def with_own_requests(world: World, records: PlatformRecords, slots: int, show: Show) -> Show:
    """Let users choose for themselves in a share ``own_share`` of today's requests; the rest are ``show``'s.

    The draws are the world's own, so that the same user has the same ones in every arm (common random numbers).

    Args:
        world, records: whose day has begun.
        slots: items of a slate, S.
        show: given users (B,) and their request number today, the recommenders' slates.
    """
    share = world.config.own_share
    if share == 0:
        return show
    live = live_items(world, records.catalog)  # of what this platform may show

    def shown(user: IntArray, step: int) -> FilledSlates:
        stream = world.stream.at("own", world.day, step)
        own = stream.uniform(user, 1)[:, 0] < share
        theirs = user[own]
        exclude = records.recently_seen(theirs)
        items = channel_slates(world.population, theirs, ONLY_OWN, live, exclude, slots, stream.at("items"))
        parts = [(np.flatnonzero(own), FilledSlates.of(items, source=OWN))]
        if len(theirs) < len(user):
            parts.append((np.flatnonzero(~own), show(user[~own], step)))
        return FilledSlates.by_rows(parts)

    return shown


def live_items(world: World, catalog: Catalog, popularity: FloatArray | None = None) -> LiveItems:
    """Today's items of a catalog for ``channel_slates``; ``popularity`` (n,) None for equal chances."""
    weight = np.ones(catalog.num_items) if popularity is None else popularity
    return LiveItems.of(catalog.alive(world.day), world.truth.interest, world.config.num_interests, weight)


def _grown(popularity: FloatArray, num_items: int) -> FloatArray:
    return np.concatenate([popularity, np.zeros(num_items - len(popularity))])


def _check_somebody_knows(world: World) -> None:
    if np.isin(world.population.status, (DISCOVERED, ACQUIRED)).any():
        return
    config = world.config
    for name, share in (("prior.own", config.prior.own if config.prior.days else 0.0), ("own_share", config.own_share)):
        if share > 0:
            expected = "must be 0, since no user of this world knows any interest to choose from"
            raise InvalidInput(f"world.{name}", share, expected)
