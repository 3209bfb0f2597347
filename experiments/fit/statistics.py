"""Statistics of a log's life that a world is fitted to: activity, return, feedback, popularity; and the list of all.

Each is computed from the rows alone, in the same way for a user's log and for a simulated one. One that
cannot be computed (no watch time logged, no negatives, nobody who returned) is ``None``, never NaN.
"""

import math
from dataclasses import dataclass

import numpy as np

from experiments.certify.consumption import zipf_exponent
from experiments.fit.observation import Observation
from experiments.fit.sequences import discovery, ratio, satiation, transitions, within_slope
from experiments.measures.variety import gini
from sim.arrays import BoolArray, FloatArray, IntArray

Statistics = dict[str, float | None]

SKIPPED_BELOW = 0.2
"""Watched fraction below which a video counts as skipped, as in fact 5 of the certificate."""


@dataclass(frozen=True)
class Statistic:
    """A row of what is compared: ``fitted`` says whether the distance counts it, or it is shown only."""

    name: str
    group: str
    title: str
    unit: str
    fitted: bool = True


STATISTICS: tuple[Statistic, ...] = (
    Statistic("active_share", "activity", "Active days", "share of days, a user who appears"),
    Statistic("active_gini", "activity", "Active days, Gini over users", "index"),
    Statistic("active_days_10", "activity", "Active days, 10 % quantile of users", "days", fitted=False),
    Statistic("active_days_50", "activity", "Active days, median", "days", fitted=False),
    Statistic("active_days_90", "activity", "Active days, 90 % quantile", "days", fitted=False),
    Statistic("visit_impressions", "activity", "Impressions an active day", "items"),
    Statistic("visit_gini", "activity", "Impressions an active day, Gini", "index"),
    Statistic("visit_10", "activity", "Impressions an active day, 10 % quantile", "items", fitted=False),
    Statistic("visit_50", "activity", "Impressions an active day, median", "items", fitted=False),
    Statistic("visit_90", "activity", "Impressions an active day, 90 % quantile", "items", fitted=False),
    Statistic("return_share", "return", "Active again the next day", "share of active days"),
    Statistic("return_slope", "return", "Return on satisfaction", "probability per positive rate"),
    Statistic("positive_rate", "feedback", "Positive feedback", "share of impressions"),
    Statistic("item_spread", "feedback", "Spread of items' positive rates", "share of the mean"),
    Statistic("watch_skipped", "watch", f"Watched less than {100 * SKIPPED_BELOW:.0f} %", "share of impressions"),
    Statistic("watch_complete", "watch", "Watched to the end", "share of impressions"),
    Statistic("watch_25", "watch", "Watched fraction, 25 % quantile", "fraction", fitted=False),
    Statistic("watch_50", "watch", "Watched fraction, median", "fraction", fitted=False),
    Statistic("watch_75", "watch", "Watched fraction, 75 % quantile", "fraction", fitted=False),
    Statistic("zipf", "popularity", "Zipf exponent of items", "exponent"),
    Statistic("item_gini", "popularity", "Consumption over items, Gini", "index"),
    Statistic("satiation_ratio", "satiation", "Positive rate, third showing of a cluster in a day / first", "ratio"),
    Statistic("satiation_carry", "satiation", "Positive rate on a cluster's showings of the last days", "slope"),
    Statistic("new_clusters", "discovery", "New clusters consumed an active day", "clusters"),
    Statistic("novel_ratio", "discovery", "Positive rate, novel / familiar cluster", "ratio"),
    Statistic("staying", "transitions", "Next positive from the same cluster", "share"),
    Statistic("transition_information", "transitions", "Last cluster's information on the next", "bits"),
    Statistic("top_successors", "transitions", "Next cluster among the last's five commonest", "share"),
)
"""Every statistic, in the order of reports. Quantiles of whole numbers jump, hence they are shown and not fitted."""

FITTED = tuple(each.name for each in STATISTICS if each.fitted)


def statistics(seen: Observation) -> Statistics:
    """All of ``STATISTICS``, ``None`` for those that the log does not allow."""
    values: Statistics = {}
    for group in (activity, returning, feedback, watching, popularity, satiation, discovery, transitions):
        values |= group(seen)
    return {each.name: _finite(values.get(each.name)) for each in STATISTICS}


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Visits:
    """User-days with at least one impression, by user and day.

    Attributes:
        key: (V,) int64, user x (D + 1) + day.
        user, day: (V,).
        impressions, positives: (V,) how many.
    """

    key: IntArray
    user: IntArray
    day: IntArray
    impressions: IntArray
    positives: IntArray

    @staticmethod
    def of(seen: Observation) -> "Visits":
        """The visits of an observation."""
        days = seen.num_days + 1  # one that nobody can come on, so that the last day has no next one
        key, place, count = np.unique(seen.log.user * days + seen.log.day, return_inverse=True, return_counts=True)
        positives = np.bincount(place[seen.log.positive], minlength=len(key))
        return Visits(key, key // days, key % days, count, positives)

    @property
    def returned(self) -> BoolArray:
        """(V,) whether the user was active on the next day as well."""
        return np.isin(self.key + 1, self.key)


def _quantiles(name: str, values: FloatArray | IntArray, at: tuple[int, ...]) -> Statistics:
    if not len(values):
        return {}
    return {f"{name}_{q}": float(np.percentile(values, q)) for q in at}


def activity(seen: Observation) -> Statistics:
    """Active days, and impressions an active day.

    With k_u the active days of the U users who appear at all (others are in no published log) and n_v the
    impressions of a visit v, a user-day with any:

        active_share = mean_u k_u / D,   active_gini = G(k),   visit_impressions = mean_v n_v,   visit_gini = G(n),

    G the Gini index (``experiments.measures.variety.gini``). Units: share of days, index, items.
    """
    visits = Visits.of(seen)
    days = np.bincount(visits.user, minlength=1)
    days = days[days > 0]
    if not len(days):
        return {}
    return {
        "active_share": float(days.mean() / seen.num_days),
        "active_gini": gini(days),
        **_quantiles("active_days", days, (10, 50, 90)),
        "visit_impressions": float(visits.impressions.mean()),
        "visit_gini": gini(visits.impressions),
        **_quantiles("visit", visits.impressions, (10, 50, 90)),
    }


def returning(seen: Observation) -> Statistics:
    """Share of users who return the next day, and its dependence on satisfaction.

    Over visits v before the last day, y_v = 1 if the user comes on the next day, x_v the visit's positive rate:

        return_share = mean_v y_v,
        return_slope = sum_v (x_v - x_u)(y_v - y_u) / sum_v (x_v - x_u)^2,

    x_u and y_u the user's means: within users, since those who like more things may come more often anyway.
    Unit: share; probability per unit of positive rate. Wu, Wang, Hong and Shi (2017, "Returning is believing")
    find that satisfaction brings users back sooner; the linear slope is our choice.
    """
    visits = Visits.of(seen)
    early = visits.day < seen.num_days - 1
    if not early.any():
        return {}
    back = visits.returned[early].astype(np.float64)
    rate = visits.positives[early] / visits.impressions[early]
    slope = within_slope(visits.user[early], rate, back) if seen.has_negatives else None
    return {"return_share": float(back.mean()), "return_slope": slope}


def feedback(seen: Observation) -> Statistics:
    """Positive rate, and how much items differ in it beyond chance.

    With n_j impressions and p_j the positive rate of J items, p that of all R rows, the variance of items' rates
    by moments (Cochran 1954, "The combination of estimates from different experiments"):

        v = (sum_j n_j (p_j - p)^2 - (J - 1) p (1 - p)) / (R - sum_j n_j^2 / R),    item_spread = sqrt(max(v, 0)) / p.

    Units: share of impressions; spread as a share of the mean rate.
    """
    log, rows = seen.log, len(seen.log)
    if not seen.has_negatives or not rows:
        return {}
    rate = float(log.positive.mean())
    shown = np.bincount(log.item)
    positive = np.bincount(log.item[log.positive], minlength=len(shown))[shown > 0]
    shown = shown[shown > 0]
    size = rows - float((shown.astype(np.float64) ** 2).sum()) / rows
    between = float((shown * (positive / shown - rate) ** 2).sum()) - (len(shown) - 1) * rate * (1 - rate)
    spread = ratio(math.sqrt(max(between / size, 0.0)), rate) if size > 0 else None
    return {"positive_rate": rate, "item_spread": spread}


def watching(seen: Observation) -> Statistics:
    """Watched fractions w: share w < ``SKIPPED_BELOW``, share w >= 1, and quantiles. Unit: share; fraction.

    Where only consumptions were logged the shares are among them. Two peaks, at skips and at the end, after Zhao
    et al. (2025, arXiv 2508.12665); see ``experiments.certify.behaviour.watching``.
    """
    if not seen.has_watch or not len(seen.log):
        return {}
    fraction = seen.log.watch_fraction
    return {
        "watch_skipped": float((fraction < SKIPPED_BELOW).mean()) if seen.has_negatives else None,
        "watch_complete": float((fraction >= 1).mean()),
        **_quantiles("watch", fraction, (25, 50, 75)),
    }


def popularity(seen: Observation) -> Statistics:
    """Zipf exponent of items' consumptions, and their Gini over the items shown at least once.

    The exponent is that of the certificate (``zipf_exponent``; Cha et al. 2009). Unit: exponent; index.
    """
    log = seen.log
    counts = np.bincount(log.item[log.consumed], minlength=int(log.item.max(initial=0)) + 1)
    shown = np.unique(log.item)
    return {"zipf": zipf_exponent(counts), "item_gini": gini(counts[shown])}
