"""Each statistic of a log against logs whose values are counted by hand, or planted."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.fit.sequences import recent_counts, transitions
from experiments.fit.statistics import FITTED, STATISTICS, statistics
from sim.random import RandomStream
from tests.experiments.fit.planted import seen_of


def test_activity_and_return_by_hand():
    seen = seen_of(num_users=3, num_days=4, user=[0, 1, 1, 1, 1, 1, 0, 0], day=[0, 0, 0, 0, 0, 0, 1, 2])
    actual = statistics(seen)
    assert actual["active_share"] == pytest.approx((3 + 1) / 2 / 4)  # user 2, who never came, does not count
    assert actual["active_gini"] == pytest.approx(0.25)
    assert actual["visit_impressions"] == pytest.approx(2)
    assert actual["visit_gini"] == pytest.approx((2 * 4 - 4 - 1) * 5 / (4 * 8) - (3 + 1 - 1) / 32)
    assert actual["return_share"] == pytest.approx(0.5)
    assert (actual["active_days_50"], actual["visit_50"]) == (2, 1)


def test_the_last_day_is_left_out_of_return():
    assert statistics(seen_of(num_days=2, user=[0, 0], day=[0, 1]))["return_share"] == 1


def test_users_who_return_only_after_good_days_have_slope_one():
    seen = seen_of(num_days=6, user=[0, 0, 0, 0], day=[0, 1, 3, 4], positive=[1, 0, 1, 0])
    assert statistics(seen)["return_slope"] == pytest.approx(1)


def test_differences_between_users_are_no_slope_of_return():
    # One user likes everything and always comes, the other nothing and never twice.
    seen = seen_of(num_users=2, num_days=4, user=[0, 1, 0, 0, 1], day=[0, 0, 1, 2, 2], positive=[1, 0, 1, 1, 0])
    assert statistics(seen)["return_slope"] is None


def test_watched_fractions_by_hand():
    actual = statistics(seen_of(user=[0] * 4, watch_fraction=[0.1, 0.3, 1.0, 2.0]))
    assert (actual["watch_skipped"], actual["watch_complete"]) == (0.25, 0.5)
    assert actual["watch_50"] == pytest.approx(0.65)


@pytest.mark.parametrize("exponent", [0.6, 1.1])
def test_a_planted_zipf_law_is_recovered(exponent):
    counts = np.rint(2000 * np.arange(1, 201.0) ** -exponent).astype(int)
    item = np.repeat(np.arange(200), counts)
    actual = statistics(seen_of(user=np.zeros(len(item)), item=item, consumed=np.ones(len(item))))
    assert actual["zipf"] == pytest.approx(exponent, abs=0.02)


def test_items_shown_and_never_consumed_count_in_the_gini():
    actual = statistics(seen_of(user=[0] * 6, item=[0, 1, 1, 1, 4, 4], consumed=[1, 1, 1, 1, 0, 0]))
    assert actual["item_gini"] == pytest.approx(0.5)  # of 0, 1, 3
    assert actual["zipf"] is None


def test_spread_of_items_rates_is_what_is_planted_and_none_without():
    rng = RandomStream(0, "spread").generator()
    item = np.repeat(np.arange(300), 100)
    for rates, spread in ((np.where(np.arange(300) % 2, 0.2, 0.6), 0.5), (np.full(300, 0.4), 0.0)):
        positive = rng.random(len(item)) < rates[item]
        actual = statistics(seen_of(user=np.zeros(len(item)), item=item, positive=positive))
        assert actual["item_spread"] == pytest.approx(spread, abs=0.05)
        assert actual["positive_rate"] == pytest.approx(0.4, abs=0.01)


def test_no_satiation_is_a_ratio_of_one():
    rng = RandomStream(0, "satiation").generator()
    user = np.repeat(np.arange(20000), 4)
    actual = statistics(seen_of(num_users=20000, user=user, positive=rng.random(len(user)) < 0.3))
    assert actual["satiation_ratio"] == pytest.approx(1, abs=0.03)


def test_planted_satiation_is_recovered_whichever_users_see_much():
    # Third showings please half as often; those who like the cluster are shown it more.
    user = np.repeat(np.arange(4), 3)
    positive = [1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 0]
    more_user, more = [4, 4, 5, 5], [0, 0, 0, 0]  # twice only: not counted
    seen = seen_of(num_users=6, user=[*user, *more_user], positive=[*positive, *more])
    assert statistics(seen)["satiation_ratio"] == pytest.approx(0.5)


def test_carry_over_days_by_hand():
    seen = seen_of(num_days=2, user=[0, 0, 0], day=[0, 0, 1], positive=[1, 0, 0])
    assert statistics(seen)["satiation_carry"] == pytest.approx(-2 / math.log(3))


def test_recent_showings_are_those_of_three_days():
    key, count = np.array([10, 11, 12, 14, 18]), np.array([2, 1, 1, 3, 1])
    assert recent_counts(key, count).tolist() == [0, 2, 3, 2, 0]


def test_discovery_by_hand():
    seen = seen_of(user=[0] * 5, cluster=[0, 0, 0, 1, 1], positive=[1, 0, 0, 0, 0], consumed=[1, 0, 1, 0, 0])
    actual = statistics(seen)
    assert actual["new_clusters"] == 1
    assert actual["novel_ratio"] is None  # nothing familiar pleased
    seen = seen_of(user=[0] * 5, cluster=[0, 0, 0, 1, 1], positive=[1, 0, 1, 0, 0], consumed=[1, 0, 1, 0, 0])
    assert statistics(seen)["novel_ratio"] == pytest.approx((1 / 3) / (1 / 2))


def test_a_planted_chains_information_is_recovered():
    moves = np.where(RandomStream(0, "chain").generator().random(40000) < 0.7, 1, 2)
    actual = transitions(seen_of(user=np.zeros(40000), cluster=np.cumsum(moves) % 8, positive=np.ones(40000)))
    entropy = -0.7 * math.log2(0.7) - 0.3 * math.log2(0.3)
    assert actual["transition_information"] == pytest.approx(3 - entropy, abs=0.01)
    assert (actual["staying"], actual["top_successors"]) == (0, 1)


def test_chance_has_hardly_any_information_and_users_are_kept_apart():
    rng = RandomStream(0, "chance").generator()
    user = np.repeat(np.arange(3000), 2)  # one transition each; from user to user there is none
    cluster = rng.integers(0, 20, len(user))
    actual = transitions(seen_of(num_users=3000, user=user, cluster=cluster, positive=np.ones(len(user))))
    assert actual["staying"] == pytest.approx((cluster[::2] == cluster[1::2]).mean())
    assert actual["transition_information"] == pytest.approx(math.log2(20 / 19), abs=0.02)


def test_what_was_not_logged_is_none():
    columns = {"user": [0, 0, 1, 1], "watch_fraction": [0.1, 1, 1, 0.5], "positive": [0, 1, 1, 0]}
    actual = statistics(seen_of(num_users=2, has_watch=False, **columns))
    assert [actual[name] for name in ("watch_skipped", "watch_complete", "watch_50")] == [None] * 3
    assert actual["positive_rate"] == 0.5
    actual = statistics(seen_of(num_users=2, negatives=False, consumed=[0, 1, 1, 1], **columns))
    for name in ("positive_rate", "item_spread", "satiation_ratio", "novel_ratio", "return_slope", "watch_skipped"):
        assert actual[name] is None
    assert actual["visit_impressions"] == 1.5  # what was not consumed is left out of both logs


def test_an_empty_window_has_no_statistics():
    assert set(statistics(seen_of(user=[])).values()) == {None}


def test_names_are_each_once():
    assert len({each.name for each in STATISTICS}) == len(STATISTICS) == len(statistics(seen_of(user=[0])))
    assert len(FITTED) == 19


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.booleans(), st.floats(0, 3, width=32)),
    min_size=1,
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(rows)
def test_all_are_finite_or_none_and_independent_of_names(rows):
    user, day, cluster, positive, fraction = (np.array(column) for column in zip(*rows, strict=True))
    order = np.lexsort((np.arange(len(day)), day))
    columns = {"day": day, "cluster": cluster, "item": cluster, "positive": positive, "consumed": positive}
    columns = {name: column[order] for name, column in {**columns, "watch_fraction": fraction}.items()}
    actual = [
        statistics(seen_of(4, 4, user=names[user[order]], **columns)) for names in (np.arange(4), np.arange(4)[::-1])
    ]
    for name, value in actual[0].items():
        assert value is None or math.isfinite(value)
        assert value == pytest.approx(actual[1][name]) if value is not None else actual[1][name] is None
