"""How informative histories are: answers counted by hand, a slow count of the same, and what must not matter."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.inference.users import median_interval
from experiments.measures.histories import (
    EARLIER,
    PLACES,
    PRIOR_ROWS,
    exposure,
    histories,
    popularity_auc,
)
from experiments.measures.variety import gini
from sim.log import InteractionLog
from tests.experiments.synthetic import EMPTY, log_of


def values(log, num_users=None, num_clusters=None):
    """Measure -> name -> value."""
    num_users = num_users or int(log.user.max(initial=0)) + 1
    num_clusters = num_clusters or int(log.cluster.max(initial=0)) + 1
    measured = histories(log, num_users, num_clusters)
    return {measure: {name: row["value"] for name, row in rows.items()} for measure, rows in measured.items()}


def by_place(log: InteractionLog) -> InteractionLog:
    """Rows as they are, slots so that no place stands twice."""
    order = np.lexsort((log.user, log.day))
    return replace(log.where(order), slot=np.arange(len(log), dtype=np.int32))


def test_rates_by_earlier_positives_and_novelty_by_hand():
    log = log_of(user=[0] * 6 + [1], cluster=[0, 0, 0, 0, 1, 0, 0], positive=[1, 1, 0, 1, 0, 1, 0],
                 consumed=[1, 1, 0, 1, 0, 1, 0])  # fmt: skip
    actual = values(log)
    assert actual["earlier_positives"] == {
        "0": pytest.approx(1 / 3), "1": 1, "2": 0.5, "3-4": 1, "5-9": None, "10+": None,
    }  # fmt: skip
    assert actual["earlier_ratio"] == {"any / none": pytest.approx((3 / 4) / (1 / 3))}
    assert actual["novelty"] == {"novel": pytest.approx(1 / 3), "familiar": 0.75}


def test_rows_that_are_not_judged_count_as_what_happened_before_and_between():
    """One user, one day: two own choices, of which the first is positive, two impressions, and another own choice."""
    log = by_place(log_of(user=[0] * 5, cluster=[0, 1, 0, 1, 0], positive=[1, 0, 1, 0, 0], consumed=[1] * 5))
    measured = histories(log, 1, 2, np.array([False, False, True, True, False]))
    actual = {measure: {name: row["value"] for name, row in rows.items()} for measure, rows in measured.items()}
    assert (actual["earlier_positives"]["0"], actual["earlier_positives"]["1"]) == (0, 1)
    assert actual["session_place"]["1"] is None
    assert actual["session_place"]["2-5"] == 0.5
    assert actual["novelty"] == {"novel": None, "familiar": 0.5}
    assert histories(log, 1, 2, np.ones(5, bool)) == histories(log, 1, 2)


def test_the_place_in_the_session_is_of_one_user_and_one_day():
    log = by_place(log_of(user=[0] * 60 + [1], day=[-3] * 52 + [-2] * 8 + [-3], positive=[1] + [0] * 51 + [1] * 9))
    assert values(log)["session_place"] == {
        "1": 1, "2-5": 0.5, "6-10": 3 / 8, "11-20": 0, "21-50": 0, "51+": 0,
    }  # fmt: skip


def test_thirds_of_users_by_impressions_an_active_day():
    # Impressions an active day: 1 (two days), 2, 3.
    log = by_place(log_of(user=[0, 0, 1, 1, 2, 2, 2], day=[0, 5, 0, 0, 0, 0, 0], positive=[1, 1, 1, 0, 0, 0, 1]))
    assert values(log, num_users=5)["activity"] == {"low": 1, "middle": 0.5, "full": pytest.approx(1 / 3)}


def test_users_who_are_alike_are_in_the_same_third():
    log = by_place(log_of(user=[0, 1, 2], positive=[1, 0, 0]))
    assert values(log)["activity"] == {"low": None, "middle": pytest.approx(1 / 3), "full": None}


def test_days_to_the_next_active_day_are_counted_within_users():
    log = by_place(log_of(user=[0, 0, 0, 0, 0, 1, 1], day=[-5, -5, -4, -2, 9, 0, 3]))
    assert values(log)["next_active_day"] == {"1": 0.25, "2": 0.25, "3": 0.25}


def test_a_pause_that_a_log_is_too_short_for_is_not_defined():
    log = by_place(log_of(user=[0, 0, 0, 1, 1], day=[0, 1, 2, 0, 2]))
    assert values(log)["next_active_day"] == {"1": pytest.approx(2 / 3), "2": pytest.approx(1 / 3), "3": None}


def test_concentration_is_the_median_over_users_with_enough_positives():
    # User 0: 15 of 20 and 5; user 1: 30 of 30; user 2: 20 of 40, 12 and 8; user 3 has too few.
    user = np.repeat([0, 1, 2, 3], [20, 30, 40, 19])
    cluster = np.repeat([2, 0, 1, 0, 1, 2, 1], [15, 5, 30, 12, 20, 8, 19])
    actual = values(log_of(user=user, cluster=cluster, positive=np.ones(109)))
    assert actual["concentration"] == {"top": 0.75, "second": 0.25, "top of heavy users": 0.5}
    assert actual["deep_clusters"] == {"5+ positives": pytest.approx((2 + 1 + 3 + 1) / 4)}


def test_popularity_is_what_others_liked():
    # Item 0 pleases users 1 and 2, item 1 never pleases user 4. User 0 likes what they like, user 3 does not.
    log = log_of(user=[0, 0, 1, 2, 3, 3, 4, 4], item=[0, 1, 0, 0, 0, 1, 1, 1], positive=[1, 0, 1, 1, 0, 1, 0, 0])
    sums = popularity_auc(log, 5)
    assert (sums.numerator.tolist(), sums.denominator.tolist()) == ([1, 0, 0, 0, 0], [1, 0, 0, 1, 0])
    assert values(log)["popularity"]["auc"] == 0.5


def test_a_users_own_feedback_is_not_popularity():
    log = log_of(user=np.repeat(np.arange(4), 2), item=np.arange(8), positive=np.tile([1, 0], 4))
    assert values(log)["popularity"]["auc"] == 0.5  # nobody else saw any of these items


def test_an_empty_log_has_no_values_and_a_user_alone_no_intervals():
    nothing = histories(EMPTY, 3, 2)
    assert {row["value"] for rows in nothing.values() for row in rows.values()} == {None}
    alone = histories(log_of(user=[0, 0], positive=[1, 0], slot=[0, 1]), 1, 1)
    assert {row["low"] for rows in alone.values() for row in rows.values()} == {None}


def test_the_interval_of_a_ratio_covers_the_planted_one():
    rng = np.random.default_rng(5)
    user, cluster = np.repeat(np.arange(600), 40), rng.integers(0, 8, 24_000)
    log = log_of(user=user, cluster=cluster, positive=rng.random(24_000) < 0.3)
    ratio = histories(log, 600, 8)["earlier_ratio"]["any / none"]
    assert ratio["low"] < 1 < ratio["high"]  # the past says nothing here
    assert 0.01 < ratio["high"] - ratio["low"] < 0.1
    log = replace(log, positive=rng.random(24_000) < np.where(cluster == user % 8, 0.9, 0.1))
    ratio = histories(log, 600, 8)["earlier_ratio"]["any / none"]
    assert ratio["low"] > 2  # each user has a cluster of their own


@pytest.mark.parametrize(
    ("n", "low", "high"), [(5, None, None), (6, 0, 5), (9, 1, 7), (20, 5, 14), (10_000, 4901, 5098)]
)
def test_the_interval_of_a_median_is_that_of_the_tables(n, low, high):
    """Ranks of the sign test (Conover 1999, "Practical nonparametric statistics", table A3)."""
    actual = median_interval(np.random.default_rng(0).permutation(n))
    assert (actual.value, actual.low, actual.high, actual.n) == ((n - 1) / 2, low, high, n)


def slow(log, num_users):
    """The same, counted row by row."""
    earlier, consumed, places = Counter(), set(), Counter()
    rates = defaultdict(list)
    for user, day, cluster, positive, valid in zip(
        log.user, log.day, log.cluster, log.positive, log.consumed, strict=True
    ):
        places[user, day] += 1
        past = earlier[user, cluster]
        rates["earlier_positives", group(EARLIER, past)].append(positive)
        rates["session_place", group(PLACES, places[user, day])].append(positive)
        rates["novelty", "familiar" if (user, cluster) in consumed else "novel"].append(positive)
        earlier[user, cluster] += positive
        if valid:
            consumed.add((user, cluster))
    aucs = [auc for auc in (slow_auc(log, user) for user in range(num_users)) if auc is not None]
    return {key: np.mean(each) for key, each in rates.items()}, np.mean(aucs) if aucs else None


def group(least, value):
    return max((first, name) for name, first in least.items() if first <= value)[1]


def slow_auc(log, user):
    def score(item):
        others = log.positive[(log.item == item) & (log.user != user)]
        return (others.sum() + PRIOR_ROWS * log.positive.mean()) / (len(others) + PRIOR_ROWS)

    own = log.user == user
    liked, other = ([score(item) for item in log.item[own & kind]] for kind in (log.positive, ~log.positive))
    won = [(one > two) + (one == two) / 2 for one in liked for two in other]
    return np.mean(won) if won else None


@st.composite
def logs(draw):
    rows = draw(st.integers(1, 70))
    column = lambda most: draw(st.lists(st.integers(0, most), min_size=rows, max_size=rows))  # noqa: E731
    positive = np.array(column(1), bool)
    log = log_of(user=column(4), day=np.array(column(3)) - 2, item=column(5), cluster=column(2), positive=positive,
                 consumed=positive | np.array(column(1), bool))  # fmt: skip
    return by_place(log)


@given(logs())
@settings(max_examples=25, deadline=None)
def test_values_are_those_of_a_slow_count(log):
    actual = values(log, 5, 3)
    rates, auc = slow(log, 5)
    for measure in ("earlier_positives", "session_place", "novelty"):
        for name, value in actual[measure].items():
            assert value == (pytest.approx(rates[measure, name]) if (measure, name) in rates else None)
    assert actual["popularity"]["auc"] == (None if auc is None else pytest.approx(auc))
    assert exposure(log, 5).ratio() == pytest.approx(gini(np.unique(log.item, return_counts=True)[1]))


@given(logs(), st.permutations(range(5)), st.permutations(range(3)), st.permutations(range(6)), st.integers(-9, 9))
@settings(max_examples=25, deadline=None)
def test_names_and_the_first_day_do_not_matter(log, users, clusters, items, days):
    user, cluster, item = (np.array(each)[column] for each, column in (
        (users, log.user), (clusters, log.cluster), (items, log.item)))  # fmt: skip
    other = by_place(replace(log, user=user, cluster=cluster.astype(np.int32), item=item, day=log.day + np.int32(days)))
    expected = histories(log, 5, 3)
    for measure, rows in histories(other, 5, 3).items():
        for name, row in rows.items():
            assert row == pytest.approx(expected[measure][name], nan_ok=False)


@given(logs())
@settings(max_examples=25, deadline=None)
def test_users_who_live_twice_change_no_value_but_the_auc(log):
    twice = by_place(InteractionLog.concatenate([log, replace(log, user=log.user + 5)]))
    one, two = values(log, 5, 3), values(twice, 10, 3)
    assert one.pop("popularity")["gini"] == pytest.approx(two.pop("popularity")["gini"])
    for measure, rows in one.items():
        assert two[measure] == pytest.approx(rows)
