"""Metrics of an A/B test. All but two (discoveries, precision of exploration) are computed from the log alone.

The *feed* is what recommenders showed, without what users chose for themselves (``sim.log.OWN``). Watch time, active
users, distinct clusters and discoveries count both.

A metric of ``METRICS`` is a ratio of sums over users (``UserSums``), so that all inference is over
users, or a property of the whole arm. Whether an impression was novel is worked out from the log
(``agents.novelty.novel_rows``); the agent's plans and inputs are never read.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents.novelty import novel_rows
from experiments.inference.users import UserSums
from experiments.measures.variety import JACCARD_PAIRS, RAREFIED_WATCHES, gini, mean_jaccard, rarefied
from experiments.results_schema import MetricName
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.log import AGENT, OWN, InteractionLog

ACTIVE_MINUTES = 10.0
"""Watch time a day that makes a user active on that day."""

TRAILING_DAYS = 7
"""Length of the window at the end of the experiment in which distinct clusters are counted."""

EARLIER_DAYS = 30
"""Length of the window before that one in which a cluster may not have had positive feedback, to be a new interest."""

Scope = Literal["feed", "agent slots", "user", "arm"]


@dataclass(frozen=True)
class ArmRun:
    """The log of one arm of the experiment.

    Attributes:
        name: the arm.
        log: the A/B days only, rows in order (day, step, user, slot).
        assigned: (U,) int64 users assigned to the arm; in twins everybody.
        dormant: (R,) hidden truth of each row: the item's true interest was dormant for that user
            just before the impression.
        discoveries: (N,) dormant interests that turned discovered during the A/B, per user.
    """

    name: str
    log: InteractionLog
    assigned: IntArray
    dormant: BoolArray
    discoveries: IntArray


@dataclass(frozen=True)
class Design:
    """The design of an experiment, the same for all arms.

    Attributes:
        num_users: N, users of the world.
        first_day: first day of the A/B.
        num_days: days of the A/B.
        diversion: one of ``protocol.DIVERSIONS``; in ``"twins"`` every arm has the whole population.
        slots: items asked for in a request.
        exploration_slots: how many of them are the agent's.
        num_clusters: M, level-2 clusters.
        consumed_before: (N, M) clusters that the user consumed before the A/B.
        burn_in: the log before the A/B, for trailing windows and covariates.
        control: the arm that lifts and Figure 5 compare with.
        reference: the arm that Figures 4b and 4c compare with.
        num_items: size of the catalogue; where unknown, one above the largest item logged.
    """

    num_users: int
    first_day: int
    num_days: int
    diversion: str
    slots: int
    exploration_slots: int
    num_clusters: int
    consumed_before: BoolArray
    burn_in: InteractionLog
    control: str
    reference: str
    num_items: int | None = None


@dataclass(frozen=True)
class Metric:
    """One row of the results: ``higher_is_better`` is ``None`` where neither direction is."""

    name: MetricName
    title: str
    unit: str
    scope: Scope
    higher_is_better: bool | None
    description: str


_NOVEL = "level-2 clusters that the user had never consumed before the impression"
METRICS: tuple[Metric, ...] = (
    Metric("explored_share", "Explored impressions", "share", "agent slots", None,
           "Share of the feed's impressions that are in slots that the arm's agent filled: the dose."),
    Metric("novel_impression_ratio", "Novel impressions", "share", "feed", None,
           f"Share of impressions from {_NOVEL}."),
    Metric("novel_impression_ratio_agent_slots", "Novel impressions, agent's slots", "share", "agent slots", True,
           "The same over the slots that the arm's agent filled."),
    Metric("positive_rate", "Positive feedback", "share", "feed", True,
           "Share of impressions with a long view (18 s or complete) or a like, and no dislike."),
    Metric("positive_rate_agent_slots", "Positive feedback, agent's slots", "share", "agent slots", True,
           "The same over the slots that the arm's agent filled."),
    Metric("novel_positive_rate", "Positive feedback on novel impressions", "share", "feed", True,
           "Positive feedback rate among novel impressions."),
    Metric("novel_positive_rate_agent_slots", "Positive feedback on novel impressions, agent's slots", "share",
           "agent slots", True, "The same over the slots that the arm's agent filled."),
    Metric("watch_minutes_per_user_day", "Watch time", "min per user and day", "user", True,
           "Minutes watched per assigned user and day, users who stayed away included."),
    Metric("active_user_share", "Active users", "share", "user", True,
           f"Share of assigned users with at least {ACTIVE_MINUTES:g} minutes that day, averaged over days."),
    Metric("unique_engaged_pairs", "Unique engaged user-cluster pairs", "clusters per user", "user", True,
           "Distinct clusters with positive feedback per assigned user, over the experiment."),
    Metric("discoveries_per_user", "Discoveries", "interests per user", "user", True,
           "Dormant interests that became discovered, per assigned user (hidden truth of the simulation)."),
    Metric("exploration_precision", "Exploration precision", "share", "feed", True,
           "Share of novel impressions on interests that were truly dormant in that user (hidden truth)."),
    Metric("distinct_clusters_7d", "Distinct clusters in 7 days", "clusters per user", "user", True,
           f"Distinct clusters consumed in the last {TRAILING_DAYS} days of the experiment, per assigned user."),
    Metric("distinct_clusters_7d_rarefied", f"Distinct clusters in {RAREFIED_WATCHES} watches", "clusters per user",
           "user", True, f"Expected distinct clusters among {RAREFIED_WATCHES} consumed items drawn at random from the "
           f"user's last {TRAILING_DAYS} days, over users who have as many: variety at equal volume."),
    Metric("new_interests_7d", "New interests in 7 days", "clusters per user", "user", True,
           f"Distinct clusters with positive feedback in the last {TRAILING_DAYS} days of the experiment, and none in "
           f"the {EARLIER_DAYS} days before those, per assigned user."),
    Metric("item_coverage", "Catalogue coverage", "share", "arm", None,
           "Share of the catalogue shown at least once; grows with the number of impressions."),
    Metric("popularity_gini", "Gini of item popularity", "index", "arm", None,
           "Inequality of impressions over the catalogue, items never shown included: 0 all equal, 1 all on one."),
    Metric("consumption_jaccard", "Overlap between users", "index", "arm", None,
           f"Mean Jaccard index of two users' sets of consumed clusters, over {JACCARD_PAIRS:,} fixed pairs."),
)  # fmt: skip
"""Every metric, in the order of the report. Those of the scope ``arm`` have one value an arm, the others one a user."""

TITLES: dict[str, str] = {metric.name: metric.title for metric in METRICS}
"""Name of a metric -> what pages call it."""

PRIMARY: tuple[MetricName, ...] = (
    "novel_impression_ratio_agent_slots",
    "positive_rate_agent_slots",
    "watch_minutes_per_user_day",
    "active_user_share",
)
"""The metrics that an arm is judged by, named before any run: novelty and positive feedback of the agent's
slots (Wang et al. 2024, Figure 4b), watch time and active users (Figure 5). UCI@N (Figure 4c) is a curve
with a band of its own."""


def by_day(
    run: ArmRun, design: Design, rows: BoolArray | slice = slice(None), weight: FloatArray | None = None
) -> FloatArray:
    """(U, D) how many of the selected rows each assigned user has on each day of the A/B, or their weight (R,)."""
    place, shape = _places(run, design)[run.log.user[rows]], (len(run.assigned), design.num_days)
    return sums_by_day(place, run.log.day[rows] - design.first_day, shape, None if weight is None else weight[rows])


def sums_by_day(user: IntArray, day: IntArray, shape: tuple[int, int], weight: FloatArray | None = None) -> FloatArray:
    """(U, D) how many rows (R,) each user has on each day, or the sum of their weights (R,); both count from 0."""
    cell = user.astype(np.int64) * shape[1] + day
    return np.asarray(np.bincount(cell, weight, shape[0] * shape[1]).reshape(shape), dtype=np.float64)


def watch_minutes(run: ArmRun, design: Design) -> FloatArray:
    """(U, D) minutes that each assigned user watched on each day of the A/B."""
    return by_day(run, design, weight=run.log.watch_seconds) / 60.0


def active(minutes: FloatArray) -> BoolArray:
    """Of minutes watched in a day, whether they make a user active on it; of any shape."""
    return np.asarray(minutes >= ACTIVE_MINUTES)


def watch_sums(minutes: FloatArray) -> dict[MetricName, UserSums]:
    """Watch time and active users, as (U,) sums, of (U, D) minutes that users watched on each day."""
    days = np.full(len(minutes), float(minutes.shape[1]))
    return {
        "watch_minutes_per_user_day": UserSums(minutes.sum(axis=1), days),
        "active_user_share": UserSums(active(minutes).sum(axis=1), days),
    }


def trailing_watches(run: ArmRun, design: Design) -> tuple[IntArray, IntArray]:
    """Consumed items per user and cluster in the trailing window that ends with the A/B.

    An experiment shorter than the window borrows the last days of the burn-in, and where that is too short, of the
    life before day 0.

    Returns:
        ``(place, watches)``, both (P,), one for each pair of an assigned user and a cluster that they consumed from:
        the user's position in ``run.assigned`` and the number of consumed items.
    """
    since = design.first_day + design.num_days - TRAILING_DAYS
    place_of = _places(run, design)
    keys = []
    for log in (design.burn_in, run.log):
        rows = log.consumed & (log.day >= since)
        keys.append(place_of[log.user[rows]] * design.num_clusters + log.cluster[rows])
    joined = np.concatenate(keys)
    pairs, watches = np.unique(joined[joined >= 0], return_counts=True)  # below 0: users of other arms
    return pairs // design.num_clusters, watches


def distinct_clusters(run: ArmRun, design: Design) -> IntArray:
    """(U,) distinct clusters that each assigned user consumed in the trailing window."""
    place, _ = trailing_watches(run, design)
    return np.bincount(place, minlength=len(run.assigned))


def new_interests(run: ArmRun, design: Design) -> IntArray:
    """(U,) clusters that each assigned user was positive on in the trailing window, and not in ``EARLIER_DAYS`` before.

    Both windows reach into the burn-in, and into the life before day 0, as far as there is one.
    """
    since = design.first_day + design.num_days - TRAILING_DAYS
    place_of, late, early = _places(run, design), [], []
    for log in (design.burn_in, run.log):
        key = place_of[log.user] * design.num_clusters + log.cluster  # below 0: users of other arms
        known = log.positive & (key >= 0)
        late.append(key[known & (log.day >= since)])
        early.append(key[known & (log.day < since) & (log.day >= since - EARLIER_DAYS)])
    new = np.setdiff1d(np.concatenate(late), np.concatenate(early))
    return np.bincount(new // design.num_clusters, minlength=len(run.assigned))


def user_sums(run: ArmRun, design: Design) -> dict[MetricName, UserSums]:
    """Every user-level metric of ``METRICS`` as (U,) sums in the order of ``run.assigned``."""
    log, num = run.log, len(run.assigned)
    place = _places(run, design)[log.user]
    feed, agent = log.source != OWN, log.source == AGENT
    novel = novel_rows(log, design.consumed_before) & feed

    def share(of: BoolArray, among: BoolArray) -> UserSums:
        return UserSums(np.bincount(place[of & among], minlength=num), np.bincount(place[among], minlength=num))

    one = np.ones(num)
    engaged = np.unique(place[log.positive] * design.num_clusters + log.cluster[log.positive])
    pair_place, watches = trailing_watches(run, design)
    return {
        "explored_share": share(agent, feed),
        "exploration_precision": share(run.dormant, novel),
        "novel_impression_ratio": share(novel, feed),
        "novel_impression_ratio_agent_slots": share(novel, agent),
        "positive_rate": share(log.positive, feed),
        "positive_rate_agent_slots": share(log.positive, agent),
        "novel_positive_rate": share(log.positive, novel),
        "novel_positive_rate_agent_slots": share(log.positive, novel & agent),
        **watch_sums(watch_minutes(run, design)),
        "unique_engaged_pairs": UserSums(np.bincount(engaged // design.num_clusters, minlength=num), one),
        "discoveries_per_user": UserSums(run.discoveries[run.assigned], one),
        "distinct_clusters_7d": UserSums(np.bincount(pair_place, minlength=num), one),
        "distinct_clusters_7d_rarefied": rarefied(pair_place, watches, num),
        "new_interests_7d": UserSums(new_interests(run, design), one),
    }


def arm_values(run: ArmRun, design: Design, num_items: int, draws: FloatArray) -> dict[MetricName, float | None]:
    """The metrics of scope ``"arm"``, from which no user-level interval follows.

    Args:
        num_items: size of the catalogue; item ids are below it.
        draws: (P, 2) uniform numbers that pick the pairs of users; the same for every arm.
    """
    log, consumed = run.log, run.log.consumed
    shown = np.bincount(log.item[log.source != OWN], minlength=num_items)
    return {
        "item_coverage": float((shown > 0).mean()) if len(shown) else None,
        "popularity_gini": gini(shown),
        "consumption_jaccard": mean_jaccard(log.user[consumed], log.cluster[consumed], run.assigned, draws),
    }


def _places(run: ArmRun, design: Design) -> IntArray:
    """(N,) position of each user in ``run.assigned``; users of other arms lie far below zero."""
    place = np.full(design.num_users, -1, dtype=np.int64)
    place[run.assigned] = np.arange(len(run.assigned))
    return place
