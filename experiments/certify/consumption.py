"""Facts 1 to 4, 8 and 11: concentration and variety of consumption, and their differences between policies."""

import numpy as np

from experiments.live.reference_life import Life
from experiments.measures.histories import novelty_rates
from experiments.measures.variety import gini, mean_jaccard, rarefied
from sim.arrays import FloatArray, IntArray
from sim.hidden.population import LOVED, Population
from sim.log import InteractionLog
from sim.random import RandomStream

PAIRS = 2000
"""Pairs of users behind the mean pairwise overlap."""

BODY = (0.01, 0.5)
"""The Zipf exponent is fitted between these ranks, as shares of the number of consumed items."""

LEAST_IMPRESSIONS = 5
"""Random impressions of an item from which its rate takes part in the calibration gap."""

WEEK = 7


def concentration(random: Life, greedy: Life, stream: RandomStream) -> dict[str, float]:
    """Fact 1: item Gini and pairwise Jaccard of consumption, greedy minus random.

    Both grow or shrink with volume alone, so each user is first cut down, at random, to the same
    number of consumed items under both policies (the smaller of the two). With counts x over the
    items that were ever live and sets A, B of two users' items,

        G = sum_i (2i - n - 1) x_(i) / (n sum x),      J = mean |A & B| / |A | B| over pairs.

    Source: Chaney, Stewart & Engelhardt 2018, "How algorithmic confounding in recommendation
    systems increases homogeneity and decreases utility" (direction; the target 0 is our choice).
    """
    num_users, num_items = len(random.consumed_before), len(random.length)
    logs = [life.log.where(life.log.consumed) for life in (random, greedy)]
    counts = [np.bincount(log.user, minlength=num_users) for log in logs]
    kept = np.minimum(*counts)
    draws = stream.at("pairs").generator().random((PAIRS, 2))
    ginis, overlaps = [], []
    for log, name in zip(logs, ("random", "greedy"), strict=True):
        user, item = thinned(log, kept, stream.at("thinned", name))
        ginis.append(gini(np.bincount(item, minlength=num_items)) or 0.0)
        overlaps.append(mean_jaccard(user, item, np.flatnonzero(kept), draws) or 0.0)
    return {"gini": ginis[1] - ginis[0], "jaccard": overlaps[1] - overlaps[0]}


def thinned(log: InteractionLog, kept: IntArray, stream: RandomStream) -> tuple[IntArray, IntArray]:
    """A random subset of rows, ``kept`` (N,) of each user's: users and items, both (R,)."""
    order = np.lexsort((stream.generator().random(len(log)), log.user))
    user = log.user[order]
    rank = np.arange(len(user)) - np.searchsorted(user, user)
    chosen = order[rank < kept[user]]
    return log.user[chosen], log.item[chosen]


def weekly_variety(life: Life) -> list[float]:
    """Mean distinct clusters in 20 watches (rarefied) of each week's active users, week by week.

    Distinct clusters rise with volume alone, hence the rarefaction (``experiments.measures.variety.rarefied``;
    Hurlbert 1971). Users with fewer than 20 watches in a week are not counted in it; nan if none has.
    """
    log = life.log.where(life.log.consumed)
    num_users, num_clusters = life.consumed_before.shape
    week = (log.day - life.log.day.min()) // WEEK if len(log) else log.day
    means = []
    for w in range(int(week.max(initial=0)) + 1):
        key = log.user[week == w] * num_clusters + log.cluster[week == w]
        pairs, watches = np.unique(key, return_counts=True)
        ratio = rarefied(pairs // num_clusters, watches, num_users).ratio()
        means.append(float("nan") if ratio is None else ratio)
    return means


def narrowing(greedy: list[float], exploring: list[float]) -> dict[str, float]:
    """Fact 2: distinct clusters in 20 watches, greedy's change from the first to the last week, and how
    much more exploring has in the last week.

    Takes the weekly means of ``weekly_variety``. Source: Jiang et al. 2019, "Degenerate feedback
    loops in recommender systems" (direction; the target 0 is our choice). Rising *relative to
    greedy* is asked of exploration: an absolute rise ends as soon as it runs out of new clusters.
    """
    return {"greedy_change": greedy[-1] - greedy[0], "exploring_minus_greedy": exploring[-1] - greedy[-1]}


def exposure_gap(random: Life, greedy: Life) -> dict[str, float]:
    """Fact 3: positive rate under the policy over that under random exposure, and the calibration gap.

    The gap compares the same items j, by policy impressions n_j, where at least
    ``LEAST_IMPRESSIONS`` random ones exist:

        gap = sum_j n_j (policy rate_j - random rate_j) / sum_j n_j.

    ``same_ratio`` is the ratio of both sums. Users' own choices are left out.

    Source: KuaiRand (Gao et al. 2022) inserted 1,186,059 random impressions into feeds.
    """
    size = len(random.length)
    shown, positive = zip(*(_by_item(life.recommended, size) for life in (random, greedy)), strict=True)
    rates = [float(p.sum() / max(1, n.sum())) for n, p in zip(shown, positive, strict=True)]
    both = (shown[0] >= LEAST_IMPRESSIONS) & (shown[1] > 0)
    random_rate = positive[0][both] / shown[0][both]
    policy_rate = positive[1][both] / shown[1][both]
    weight = shown[1][both]
    chosen, chance = (weight * policy_rate).sum(), (weight * random_rate).sum()
    return {
        "ratio": rates[1] / rates[0] if rates[0] > 0 else float("nan"),
        "same_ratio": float(chosen / chance) if chance > 0 else float("nan"),
        "gap": float((chosen - chance) / weight.sum()) if both.any() else float("nan"),
        "random_rate": rates[0],
        "policy_rate": rates[1],
    }


def _by_item(log: InteractionLog, size: int) -> tuple[FloatArray, FloatArray]:
    return np.bincount(log.item, minlength=size) * 1.0, np.bincount(log.item[log.positive], minlength=size) * 1.0


def zipf_exponent(counts: IntArray) -> float:
    """Slope of -log count on log rank over the body of the rank plot, ``BODY``; nan with under 20 items.

    Ranks are taken at equal steps of their logarithm, so that the many small ones do not decide. The
    head is left out, which is flat where nobody watches an item often (Gummadi et al. 2003,
    "Measurement, modeling, and analysis of a peer-to-peer file-sharing workload"), and so is the
    truncated tail (Cha et al. 2009).
    """
    ranked = np.sort(counts[counts > 0])[::-1]
    if len(ranked) < 20:
        return float("nan")
    rank = _ranks(max(1.0, BODY[0] * len(ranked)), BODY[1] * len(ranked))
    return float(-np.polyfit(np.log(rank), np.log(ranked[rank - 1]), 1)[0])


def _ranks(first: float, last: float) -> IntArray:
    return np.unique(np.rint(np.geomspace(first, last, 40)).astype(np.int64))


def popularity(greedy: Life, num_interests: int) -> dict[str, float]:
    """Fact 4: Zipf exponent of item consumption, and Gini of traffic over interests minus over clusters.

    Sources: Cha et al. 2009 (rank plots of videos are Zipf with a truncated tail); Ito & Shimada
    2025 (exponents 0.5 at the very top, 1 below, on Niconico); Wang et al. 2024, section 3.1
    (traffic-balanced clusters). The range 0.8 to 1.2 is our choice.
    """
    consumed = greedy.log.where(greedy.log.consumed)
    counts = np.bincount(consumed.item, minlength=len(greedy.length))
    over_interests = np.bincount(greedy.interest[consumed.item], minlength=num_interests)
    over_clusters = np.bincount(consumed.cluster, minlength=greedy.consumed_before.shape[1])
    flatter = (gini(over_interests) or 0.0) - (gini(over_clusters) or 0.0)
    return {"zipf": zipf_exponent(counts), "flatter": flatter}


def rank_curve(life: Life) -> dict[str, list[float]]:
    """Rank plot of item consumption: some ranks, and consumed impressions of the item at each."""
    counts = np.bincount(life.log.item[life.log.consumed], minlength=1)
    ranked = np.sort(counts[counts > 0])[::-1]
    rank = _ranks(1, max(1, len(ranked)))
    return {"rank": rank.tolist(), "count": ranked[rank - 1].tolist() if len(ranked) else []}


def novelty_cost(random: Life) -> dict[str, float]:
    """Fact 8: positive rate on novel clusters minus that on familiar ones, under random exposure.

    Novel: a cluster that the user had never consumed before the impression. Random exposure, so
    that what a policy chooses to show of each does not matter. Source: our proposal (docs/certify.md;
    the short-term cost of exploration in Wang et al. 2024).
    """
    novel, familiar = (rate.ratio() for rate in novelty_rates(random.recommended, random.consumed_before))
    if novel is None or familiar is None:
        return {"difference": float("nan"), "novel_rate": float("nan"), "familiar_rate": float("nan")}
    return {"difference": novel - familiar, "novel_rate": novel, "familiar_rate": familiar}


def taste(random: Life, greedy: Life, popular_rate: float, people: Population) -> dict[str, float]:
    """Fact 11: a policy's gain from personalisation, and its share of impressions on loved interests.

        over_popular = positive rate of greedy / ``popular_rate``, that of popular,
        loved_lift   = share of greedy's impressions on loved interests / that of random exposure's.

    Loved: dormant or discovered when the policies began (hidden truth). Without this fact a world may
    pass all others and yet be one in which taste hardly decides, where no recommender, and no log, can
    tell people apart. Source of the direction: Gomez-Uribe & Hunt 2015, "The Netflix recommender
    system" (people take up more of what is personalised than of what is popular). Bounds are our choice.
    """
    shares = [loved_share(life, people) for life in (random, greedy)]
    return {
        "over_popular": float(greedy.recommended.positive.mean()) / popular_rate if popular_rate > 0 else float("nan"),
        "loved_lift": shares[1] / shares[0] if shares[0] > 0 else float("nan"),
        "loved_share": shares[1],
    }


def loved_share(life: Life, people: Population) -> float:
    """Share of impressions on interests that are dormant or discovered for their user in ``people``."""
    shown = life.recommended
    slot, there = people.find(shown.user, life.interest[shown.item])
    return float((there & np.isin(people.status[shown.user, slot], LOVED)).mean())
