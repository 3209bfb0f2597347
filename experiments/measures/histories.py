"""How informative the histories of a log are: what users' past tells of what they like next. No hidden truth is read.

A *session* is all impressions of one user on one day. All rows count, whoever chose the item. What happened before the
log began is unknown, so first days have too few earlier positives. Where only consumptions were logged, a positive rate
is one among consumptions.

All of it describes: users who like more have more earlier positives, so that a difference between rates is no effect.
"""

import numpy as np
from typing_extensions import TypedDict

from agents.novelty import earlier_marked, novel_rows
from experiments.inference.users import UserSums, median_interval, ratio_interval, relative_lift
from experiments.results_schema import Estimate
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.log import InteractionLog

EARLIER = {"0": 0, "1": 1, "2": 2, "3-4": 3, "5-9": 5, "10+": 10}
"""Groups of impressions -> least earlier positives of the user in the item's cluster."""

PLACES = {"1": 1, "2-5": 2, "6-10": 6, "11-20": 11, "21-50": 21, "51+": 51}
"""Groups of impressions -> first place in the session."""

ACTIVITY = ("low", "middle", "full")
"""Thirds of users, by impressions an active day."""

LEAST_POSITIVES = 20
"""Positives from which a user takes part in concentration, as in the public figures of KuaiRand."""

DEEP_POSITIVES = 5
"""Positives from which a cluster of a user counts as deep."""

PRIOR_ROWS = 10
"""Impressions with the log's mean rate that are added to an item's own before items are ranked (chosen)."""

_HEAVY = 0.9  # quantile of users' positives from which a user is heavy
_NEXT = (1, 2, 3)  # days to the next active day


class Histories(TypedDict):
    """What ``histories`` measures; each value with its 95 % interval over users, ``None`` where it is not defined.

    Rates and shares are from 0 to 1. ``session_place``, ``earlier_positives``, ``activity``: see the constants.
    """

    earlier_positives: dict[str, Estimate]
    earlier_ratio: dict[str, Estimate]
    novelty: dict[str, Estimate]
    session_place: dict[str, Estimate]
    activity: dict[str, Estimate]
    next_active_day: dict[str, Estimate]
    concentration: dict[str, Estimate]
    deep_clusters: dict[str, Estimate]
    popularity: dict[str, Estimate]


def histories(log: InteractionLog, num_users: int, num_clusters: int, judged: BoolArray | None = None) -> Histories:
    """All measures of a log.

    Args:
        log: R impressions in the order in which they happened; days may be negative.
        num_users: N; users are 0 .. N-1, of whom some may have no row.
        num_clusters: M.
        judged: (R,) rows whose positives, shares and exposure are measured; the others count as what happened before
            them or between, in ``deep_clusters`` and in ``next_active_day``. None: all.

    Returns:
        Positive rates (positives / impressions, sums over users):

        - ``earlier_positives``: by the user's number of earlier positives in the cluster (``EARLIER``);
        - ``earlier_ratio``: ``any / none``, the rate with at least one of them over that with none;
        - ``novelty``: on ``novel`` clusters, which the user had not consumed from, and on ``familiar`` ones;
        - ``session_place``: by the place in the session (``PLACES``);
        - ``activity``: of the thirds of users (``ACTIVITY``).

        The others: ``next_active_day``, see ``days_to_next``; ``concentration``, see there; ``deep_clusters``, the
        mean over users of their clusters with at least ``DEEP_POSITIVES`` positives; ``popularity``, the ``auc`` of
        ``popularity_auc`` and the ``gini`` of ``exposure``.

        Intervals of sums and means: delta method over users (``ratio_interval``, ``relative_lift``).
    """
    pair = log.user * num_clusters + log.cluster
    earlier = earlier_marked(pair, log.positive)
    session = log.user * _span(log) + log.day - _first_day(log)
    place = earlier_marked(session, np.ones(len(log), bool)) + 1
    rows = np.ones(len(log), bool) if judged is None else judged
    shown = log if judged is None else log.where(judged)
    none, some = (_rates(log, num_users, rows & kind) for kind in (earlier == 0, earlier > 0))
    lift = relative_lift(some, none, paired=True)
    value, low, high = (None if each is None else each + 1 for each in (lift.relative, lift.low, lift.high))
    num_some = int((some.denominator > 0).sum())
    fresh = novel_rows(log, np.zeros((num_users, num_clusters), bool))
    novel, familiar = (_rates(log, num_users, rows & kind) for kind in (fresh, ~fresh))
    return {
        "earlier_positives": _grouped(shown, num_users, earlier[rows], EARLIER),
        "earlier_ratio": {"any / none": {"value": value, "low": low, "high": high, "n": num_some}},
        "novelty": {"novel": _row(novel), "familiar": _row(familiar)},
        "session_place": _grouped(shown, num_users, place[rows], PLACES),
        "activity": _activity(log, num_users, session, rows),
        "next_active_day": days_to_next(log, num_users, session),
        "concentration": concentration(pair[log.positive & rows], num_clusters),
        "deep_clusters": {f"{DEEP_POSITIVES}+ positives": _row(_deep(log, pair, num_users, num_clusters))},
        "popularity": {"auc": _row(popularity_auc(shown, num_users)), "gini": _row(exposure(shown, num_users))},
    }


def novelty_rates(log: InteractionLog, consumed_before: BoolArray) -> tuple[UserSums, UserSums]:
    """Positive rates on novel and on familiar impressions (``agents.novelty.novel_rows``), as (N,) sums over users.

    Args:
        log: rows in the order in which they happened.
        consumed_before: (N, M) clusters that users consumed from before the log began.
    """
    novel = novel_rows(log, consumed_before)
    return _rates(log, len(consumed_before), novel), _rates(log, len(consumed_before), ~novel)


def days_to_next(log: InteractionLog, num_users: int, session: IntArray) -> dict[str, Estimate]:
    """Share of active days whose next active day is 1, 2 or 3 days later.

    Of those that another one follows: what would come after the log's end is not known. A pause that the whole log is
    too short for is not defined.

    Args:
        log: R impressions.
        num_users: N.
        session: (R,) user x days of the log + day from its first.
    """
    key = np.unique(session)
    span = _span(log)
    same = key[1:] // span == key[:-1] // span
    user, gap = (key[1:] // span)[same], np.diff(key)[same]
    total = np.bincount(user, minlength=num_users)
    counts = {days: np.bincount(user[gap == days], minlength=num_users) for days in _NEXT}
    return {str(days): _row(UserSums(count, total * (days < span))) for days, count in counts.items()}


def concentration(pair: IntArray, num_clusters: int) -> dict[str, Estimate]:
    """Shares of a user's positives in their commonest cluster (``top``) and the one after it (``second``).

    Medians over users with at least ``LEAST_POSITIVES`` positives; ``top of heavy users`` is that of the tenth of them
    with the most positives. Intervals: ``median_interval``.

    Args:
        pair: (P,) user x M + cluster of each positive.
        num_clusters: M.
    """
    key, count = np.unique(pair, return_counts=True)
    user, place = np.unique(key // num_clusters, return_inverse=True)
    total = np.bincount(place, count, len(user))
    order = np.lexsort((-count, place))
    first = np.searchsorted(place, np.arange(len(user)))
    ranked = np.append(count[order], 0)
    second = np.where(np.bincount(place, minlength=len(user)) > 1, ranked[first + 1], 0)
    enough = total >= LEAST_POSITIVES
    top, second, total = ranked[first][enough] / total[enough], second[enough] / total[enough], total[enough]
    heavy = total >= (np.quantile(total, _HEAVY) if len(total) else 0)
    shares = {"top": top, "second": second, "top of heavy users": top[heavy]}
    return {name: median_interval(values).row() for name, values in shares.items()}


def popularity_auc(log: InteractionLog, num_users: int) -> UserSums:
    """Within-user AUC of items' popularity: does what others like tell what this user likes?

    Of a user's positives i and other impressions j, AUC = mean of [s_i > s_j] + [s_i = s_j] / 2, with

        s = (P - p + K r) / (I - i + K),

    P and I the item's positives and impressions of all users, p and i those of this user, r the log's positive rate and
    K = ``PRIOR_ROWS``: an item that nobody else saw has the mean rate. The mean is over users with both kinds.

    Returns:
        (N,) sums, AUC over 1; 0 over 0 of users without both kinds.
    """
    item = log.item - log.item.min(initial=0)
    size = int(item.max(initial=0)) + 1
    _, place = np.unique(log.user * size + item, return_inverse=True)
    positive = log.positive.astype(np.float64)
    others = np.bincount(item, positive, size)[item] - np.bincount(place, positive)[place]
    shown = np.bincount(item, minlength=size)[item] - np.bincount(place)[place]
    mean = float(positive.mean()) if len(log) else 0.0
    return within_user_auc(log, (others + PRIOR_ROWS * mean) / (shown + PRIOR_ROWS), num_users)


def within_user_auc(log: InteractionLog, score: FloatArray, num_users: int) -> UserSums:
    """Within-user AUC of a score (R,): the chance that it ranks a user's positive above another impression of theirs.

    Returns:
        (N,) sums, AUC over 1; 0 over 0 of users without both kinds.
    """
    rank = _midranks(log.user, score)
    above = np.bincount(log.user[log.positive], minlength=num_users)
    pairs = above * (np.bincount(log.user, minlength=num_users) - above)
    won = np.bincount(log.user[log.positive], rank[log.positive], num_users) - above * (above + 1) / 2
    both = pairs > 0
    return UserSums(np.where(both, won / np.maximum(pairs, 1), 0.0), both)


def exposure(log: InteractionLog, num_users: int) -> UserSums:
    """Gini index of impressions over the n items that are in the log, as (N,) sums over users.

    With x the impressions of items and k their ranks, G = sum_i (2 k_i - n - 1) x_i / (n sum x)
    (``experiments.measures.variety.gini``). A user's x_i times (2 k_i - n - 1) / n is the user's part of the sum. G
    does not change with the ranks to first order, as the order is the one with the largest sum. So the delta method
    may take them as given.
    """
    _, place, count = np.unique(log.item, return_inverse=True, return_counts=True)
    num = len(count)
    weight = (2 * _midranks(np.zeros(num, np.int64), count) - num - 1) / max(num, 1)
    return UserSums(np.bincount(log.user, weight[place], num_users), np.bincount(log.user, minlength=num_users))


def _activity(log: InteractionLog, num_users: int, session: IntArray, judged: BoolArray) -> dict[str, Estimate]:
    """Positive rates of judged rows (R,) of each third of users by impressions an active day, of all rows.

    Users whose impressions an active day are equal are in the same third, that of the mean of their ranks.
    """
    _, place, rows = np.unique(log.user, return_inverse=True, return_counts=True)  # rows of each user
    days = np.bincount(place[np.unique(session, return_index=True)[1]])
    rank = _midranks(np.zeros(len(rows), np.int64), rows / days)
    third = (6 * rank - 3) // (2 * len(rows))
    least = {name: first for first, name in enumerate(ACTIVITY)}
    return _grouped(log.where(judged), num_users, third[place][judged], least)


def _deep(log: InteractionLog, pair: IntArray, num_users: int, num_clusters: int) -> UserSums:
    key, count = np.unique(pair[log.positive], return_counts=True)
    deep = np.bincount(key[count >= DEEP_POSITIVES] // num_clusters, minlength=num_users)
    return UserSums(deep, np.bincount(log.user, minlength=num_users) > 0)


def _grouped(
    log: InteractionLog, num_users: int, value: IntArray | FloatArray, least: dict[str, int]
) -> dict[str, Estimate]:
    """Positive rate of the groups that begin at the ``least`` values, ascending; value (R,) is none below the first."""
    group = np.searchsorted(np.array(list(least.values())), value, side="right") - 1
    cell = log.user * len(least) + group
    shape = num_users, len(least)
    shown, positive = (np.bincount(each, minlength=shape[0] * shape[1]) for each in (cell, cell[log.positive]))
    sums = zip(positive.reshape(shape).T, shown.reshape(shape).T, strict=True)
    return {name: _row(UserSums(*each)) for name, each in zip(least, sums, strict=True)}


def _rates(log: InteractionLog, num_users: int, rows: BoolArray) -> UserSums:
    """Positives over impressions among some rows (R,), a value a user."""
    positive, shown = (np.bincount(log.user[each], minlength=num_users) for each in (rows & log.positive, rows))
    return UserSums(positive, shown)


def _row(sums: UserSums) -> Estimate:
    return ratio_interval(sums).row()


def _first_day(log: InteractionLog) -> int:
    return int(log.day.min()) if len(log) else 0


def _span(log: InteractionLog) -> int:
    """Days from the first to the last."""
    return int(log.day.max()) - _first_day(log) + 1 if len(log) else 1


def _begins(ordered: IntArray | FloatArray) -> BoolArray:
    """(R,) whether a row's value is another than that of the row before."""
    begins = np.ones(len(ordered), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    return begins


def _midranks(group: IntArray, value: FloatArray | IntArray) -> FloatArray:
    """(R,) rank of each value (R,) within its group (R,), from 1; equal values have the mean of their ranks."""
    order = np.lexsort((value, group))
    begins = _begins(group[order])
    differs = begins | _begins(value[order])
    start = np.flatnonzero(differs)
    size = np.diff(np.append(start, len(order)))
    own = np.repeat(start + (size + 1) / 2, size)
    rank = np.empty(len(order))
    rank[order] = own - np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    return rank
