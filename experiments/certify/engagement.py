"""Facts 12 to 19: what engagement tells of a user, under the greedy policy and with the life before it."""

import numpy as np

from experiments.inference.users import UserSums
from experiments.live.reference_life import Life, WarmWorld
from experiments.live.reference_policies import PRIOR_IMPRESSIONS
from experiments.measures.histories import Histories, histories, within_user_auc
from sim.arrays import FloatArray, IntArray
from sim.hidden.population import LOVED, Population
from sim.log import OWN, InteractionLog

_LAST_DAYS = 7
"""Days on which the id model of fact 15 is judged; it learns from those before."""


def engagement(
    warm: WarmWorld, greedy: Life, people: Population
) -> tuple[dict[int, dict[str, float]], dict[str, dict[str, float]]]:
    """Facts 12 to 19 by number, and what the figures of facts 14 and 16 draw.

    Rates and shares are of what greedy showed. Users' own choices, and all that happened before, count as earlier
    positives, in the place in the session, in activity and in days to the next active day.

    Args:
        warm: the world when greedy began, with its log until then.
        greedy: greedy's days.
        people: the users when greedy began (hidden truth).

    Returns:
        Statistics; and positive rates by earlier positives (``earlier``) and by place in the session (``place``).

    Sources: ``experiments.certify.facts``.
    """
    num_users, num_clusters = greedy.consumed_before.shape
    whole = InteractionLog.concatenate([warm.log, greedy.log])
    judged = np.append(np.zeros(len(warm.log), bool), greedy.log.source != OWN)
    measured = histories(whole, num_users, num_clusters, judged)
    place, activity, days = (_values(measured, name) for name in ("session_place", "activity", "next_active_day"))
    shown, popularity = greedy.recommended, _values(measured, "popularity")
    facts = {
        12: true_interest(shown, greedy, people),
        13: {name.replace(" ", "_"): value for name, value in _values(measured, "concentration").items()},
        14: {"ratio": _only(measured, "earlier_ratio"), "deep": _only(measured, "deep_clusters")},
        15: {"popularity": popularity["auc"], "id_model": id_model_auc(whole, num_users)},
        16: {
            f"place_{key.rstrip('+').replace('-', '_')}": over(place[key], place["1"])
            for key in ("6-10", "11-20", "51+")
        },
        17: {"ratio": over(activity["full"], activity["low"])},
        18: {"likes": float(shown.liked.mean()), "dislikes": float(shown.disliked.mean())},
        19: {"gini": popularity["gini"], "next_day": days["1"], "second_day": days["2"]},
    }
    return facts, {"earlier": _values(measured, "earlier_positives"), "place": place}


def over(value: float, other: float) -> float:
    """A ratio; nan where it is not defined."""
    return value / other if other > 0 else float("nan")


def true_interest(shown: InteractionLog, life: Life, people: Population) -> dict[str, float]:
    """Fact 12: engagement as a sign of true interest.

        precision = loved positives / positives,        recall = loved positives / loved impressions

    where an impression is loved if its interest was dormant or discovered for its user when the policy began.
    """
    slot, there = people.find(shown.user, life.interest[shown.item])
    loved = there & np.isin(people.status[shown.user, slot], LOVED)
    both = int((loved & shown.positive).sum())
    positives, impressions = int(shown.positive.sum()), int(loved.sum())
    return {"precision": over(both, positives), "recall": over(both, impressions)}


def id_model_auc(log: InteractionLog, num_users: int) -> float:
    """Fact 15: within-user AUC of a model of ids alone, on what was recommended on the last days of a log.

    It is fitted to all of the days before.

    With shown and positive impressions n and p of the days before, k = ``PRIOR_IMPRESSIONS``, c(j) the cluster of item
    j and rates drawn to those of all users, as greedy has them:

        score[u, j] = (p[u, c] + k rate[c]) / (n[u, c] + k) * (p[j] + k rate[c]) / (n[j] + k) / rate[c]
    """
    last = log.day > log.day.max(initial=0) - _LAST_DAYS
    before, judged = log.where(~last), log.where(last & (log.source != OWN))
    clusters, items = int(log.cluster.max(initial=0)) + 1, int(log.item.max(initial=0)) + 1

    def smoothed(group: tuple[FloatArray, FloatArray], base: FloatArray) -> FloatArray:
        positive, shown = group
        return np.asarray((positive + PRIOR_IMPRESSIONS * base) / (shown + PRIOR_IMPRESSIONS))

    of_cluster = _counts(before, before.cluster, clusters)
    rate = (of_cluster[0] + 1) / (of_cluster[1] + 10)
    of_user = _counts(before, before.user * clusters + before.cluster, num_users * clusters)
    of_item = _counts(before, before.item, items)
    base, pair = rate[judged.cluster], judged.user * clusters + judged.cluster
    own = smoothed((of_user[0][pair], of_user[1][pair]), base)
    lift = smoothed((of_item[0][judged.item], of_item[1][judged.item]), base) / base
    auc = within_user_auc(judged, own * lift, num_users)
    return _ratio(auc)


def _counts(log: InteractionLog, group: IntArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Positives and impressions by group, (size,) each."""
    return np.bincount(group[log.positive], minlength=size) * 1.0, np.bincount(group, minlength=size) * 1.0


def _ratio(sums: UserSums) -> float:
    ratio = sums.ratio()
    return float("nan") if ratio is None else ratio


def _values(measured: Histories, name: str) -> dict[str, float]:
    """A measure's values; nan where one is not defined."""
    rows = measured[name]  # type: ignore[literal-required]
    return {key: float("nan") if row["value"] is None else row["value"] for key, row in rows.items()}


def _only(measured: Histories, name: str) -> float:
    return next(iter(_values(measured, name).values()))
