"""Each statistic on data whose answer is known; and the verdicts."""

import math

import numpy as np
import pytest

from experiments.certify.behaviour import activity, slope, watching
from experiments.certify.consumption import (
    concentration,
    exposure_gap,
    loved_share,
    narrowing,
    novelty_cost,
    popularity,
    taste,
    thinned,
    weekly_variety,
    zipf_exponent,
)
from experiments.certify.facts import FACTS, Part, fails_by_construction, judge
from experiments.certify.measures import control_twin
from experiments.certify.page import summary
from experiments.certify.probes import drift_dial, overlap, satiation
from experiments.inference.worlds import t_interval
from experiments.measures.variety import mean_jaccard
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, FREE
from sim.random import RandomStream
from tests.experiments.certified import changed, life_of, log_of, tiny
from tests.sim.people import people

STREAM = RandomStream(0, "test")


def test_1_the_same_item_for_all_is_more_concentrated_than_an_item_each():
    everyone = np.arange(10)
    same = life_of(log_of(everyone, np.zeros(10)), 10, 10)
    apart = life_of(log_of(everyone, everyone), 10, 10)
    actual = concentration(apart, same, STREAM)
    assert actual == {"gini": pytest.approx(0.9), "jaccard": pytest.approx(1.0)}
    assert concentration(same, same, STREAM) == {"gini": 0, "jaccard": 0}


def test_1_volume_alone_changes_nothing():
    few = life_of(log_of([0, 1], [0, 1]), 2, 4)
    many = life_of(log_of([0, 1] * 3, [0, 1] * 3), 2, 4)
    assert concentration(few, many, STREAM) == {"gini": 0, "jaccard": 0}


def test_1_thinning_keeps_each_users_share_of_rows():
    user, item = thinned(log_of([0, 1, 0, 1, 0], [5, 6, 7, 8, 9]), np.array([2, 1]), STREAM)
    assert sorted(user.tolist()) == [0, 0, 1]
    assert set(item[user == 0].tolist()) < {5, 7, 9}


def test_1_jaccard_by_hand():
    user, item = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    assert mean_jaccard(user, item, np.array([0, 1]), np.full((3, 2), 0.1)) == pytest.approx(1 / 3)


def test_2_distinct_clusters_fall_from_many_to_one():
    user, day = np.zeros(40), np.repeat([0, 7], 20)
    cluster = np.concatenate([np.arange(20), np.zeros(20)])
    means = weekly_variety(life_of(log_of(user, cluster, cluster=cluster, day=day), 1, 20))
    assert means == pytest.approx([20, 1])
    assert narrowing(means, [20, 5]) == {"greedy_change": pytest.approx(-19), "exploring_minus_greedy": 4}


def test_3_rates_and_gap_by_hand():
    item = np.array([0] * 10 + [1] * 10)
    random = life_of(log_of(np.zeros(20), item, positive=np.tile([1, 0, 0, 0, 0], 4)), 1, 2)
    policy = life_of(log_of(np.zeros(10), np.zeros(10), positive=[1] * 6 + [0] * 4), 1, 2)
    actual = exposure_gap(random, policy)
    assert actual["ratio"] == pytest.approx(3)
    assert actual["gap"] == pytest.approx(0.4)
    assert exposure_gap(random, random)["gap"] == pytest.approx(0)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_4_the_exponent_of_a_zipf_law_is_recovered(exponent):
    counts = np.rint(1e6 * np.arange(1, 2001) ** -exponent).astype(int)
    assert zipf_exponent(counts) == pytest.approx(exponent, abs=0.01)


def test_4_equal_counts_have_exponent_0_and_few_items_none():
    assert zipf_exponent(np.full(100, 7)) == pytest.approx(0)
    assert math.isnan(zipf_exponent(np.arange(10)))


def test_4_balanced_clusters_are_flatter_than_interests():
    item = np.arange(40)
    log = log_of(np.zeros(40), item, cluster=item % 4)
    assert popularity(life_of(log, 1, 40, 4, np.zeros(40, int)), 4)["flatter"] == pytest.approx(0.75)


def test_5_two_peaks_have_a_valley_and_one_has_none():
    length = np.array([10.0, 20.0, 40.0])
    fraction = np.array([0.05] * 50 + [1.0] * 50)
    two = log_of(np.zeros(100), np.zeros(100), watch_fraction=fraction)
    assert watching(two, length)["valley"] == 0
    even = log_of(np.zeros(1000), np.zeros(1000), watch_fraction=np.linspace(0, 1.4, 1000))
    assert watching(even, length)["valley"] > 0.9
    item = np.tile([0, 1, 2], 20)
    longer_less = log_of(np.zeros(60), item, watch_fraction=10 / length[item], watch_seconds=np.full(60, 10.0))
    actual = watching(longer_less, length)
    assert actual["fraction_slope"] < 0
    assert actual["seconds_slope"] == pytest.approx(0, abs=1e-9)
    assert actual["replays"] == 0


def test_5_slope_by_hand():
    assert slope(np.array([0.0, 1, 2]), np.array([1.0, 3, 5])) == pytest.approx(2)
    assert math.isnan(slope(np.ones(3), np.arange(3.0)))


def test_6_geometric_sessions_pass_and_constant_ones_do_not():
    lengths = STREAM.generator().geometric(0.03, 4000)
    user = np.repeat(np.arange(4000), lengths)
    actual = activity(log_of(user, np.zeros(len(user))), 4000)
    assert actual["variation"] == pytest.approx(1, abs=0.05)
    assert actual["skewness"] == pytest.approx(2, abs=0.3)
    constant = activity(log_of(np.repeat(np.arange(10), 5), np.zeros(50)), 10)
    assert constant["variation"] == 0
    assert constant["top_share"] == pytest.approx(0.2)


def test_7_drop_and_recovery_by_hand():
    assert satiation({"repeats": [10, 8, 6], "recovered": [6, 9]}) == {
        "drop": pytest.approx(0.4), "recovery": pytest.approx(0.75),
    }  # fmt: skip
    assert math.isnan(satiation({"repeats": [10, 10], "recovered": [10]})["recovery"])


def test_8_novel_and_familiar_rates_by_hand():
    log = log_of([0] * 4, [0, 0, 0, 1], positive=[0, 1, 1, 0])
    actual = novelty_cost(life_of(log, 1, 2))
    assert actual == {"difference": -1, "novel_rate": 0, "familiar_rate": 1}


def test_9_overlap_by_hand_and_a_dial_that_turns_back():
    one = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 3, -1]])
    other = np.array([[0, 1, 2, 8, 9], [0, 1, 2, 3, 4]])
    assert overlap(one, other) == pytest.approx(3 / 7)
    assert math.isnan(overlap(one[1:], other[1:]))
    assert drift_dial([1.0, 0.4, 0.5])["wrong_way"] == pytest.approx(0.1)
    assert drift_dial([1.0, 0.4, 0.1])["wrong_way"] == 0
    assert math.isnan(drift_dial([math.nan] * 3)["wrong_way"])


def test_interval_by_hand():
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert math.isnan(t_interval([1.0])[1])


def test_the_whole_interval_must_meet_the_target():
    part = Part("x", "x", 0.8, 1.2)
    assert part.met(0.8, 1.2)
    assert not part.met(0.79, 1.0)
    assert not part.met(math.nan, math.nan)
    assert not Part("x", "x", low=0.0, strict=True).met(0.0, 1.0)


def loving(*slots):
    """One user a row, who keeps interest 0 in a slot with one of these statuses."""
    population = people(len(slots))
    population.status[:, 0] = slots
    return population


def test_11_loved_is_what_is_dormant_or_discovered_and_nothing_else():
    everyone = loving(DORMANT, DISCOVERED, ACQUIRED, FREE)
    users = np.arange(4)
    own = life_of(log_of(users, np.zeros(4)), 4, 2, interest=[0, 1])
    assert loved_share(own, everyone) == 0.5
    other = life_of(log_of(users, np.ones(4)), 4, 2, interest=[0, 1])
    assert loved_share(other, everyone) == 0.0


def test_11_taste_is_the_gain_of_personalisation():
    user, fans = np.zeros(4), loving(DISCOVERED)

    def life(items, positive):
        return life_of(log_of(user, np.array(items), positive=positive), 1, 2, interest=[0, 1])

    random, greedy = life([0, 1, 1, 1], [1, 0, 0, 0]), life([0, 0, 0, 1], [1, 1, 1, 0])
    actual = taste(random, greedy, life([1, 1, 1, 1], [1, 0, 0, 1]).log.positive.mean(), fans)
    assert actual == {"over_popular": 1.5, "loved_lift": 3.0, "loved_share": 0.75}
    assert math.isnan(taste(random, greedy, life([1, 1, 1, 1], [0, 0, 0, 0]).log.positive.mean(), fans)["over_popular"])


def passing():
    """Statistics that meet every target."""
    values = {}
    for fact in FACTS:
        for part in fact.parts:
            ends = [end for end in (part.low, part.high) if math.isfinite(end)]
            inside = {
                0: 0.0,
                1: ends[0] + (0.01 if math.isfinite(part.low) else -0.01) if ends else 0.0,
                2: sum(ends) / 2,
            }
            values[f"{fact.number} {part.name}"] = part.contains or inside[len(ends)]
    return values


def test_all_facts_pass_and_one_bad_part_fails_its_fact_alone():
    good = judge([passing(), passing()], tiny())
    assert [row["verdict"] for row in good] == ["pass"] * len(FACTS)
    bad = {**passing(), "4 zipf": 0.3, "7 recovery": math.nan}
    rows = judge([bad, bad], tiny())
    assert [i for i, row in enumerate(rows, start=1) if row["verdict"] == "fail"] == [4, 7]
    assert (rows[3]["value"], rows[3]["target"]) == (pytest.approx(0.3), "0.8 to 1.2")
    assert rows[6]["value"] is None
    assert judge([passing()], tiny())[0]["verdict"] == "fail"  # one world has no interval


def test_a_part_that_fails_says_why():
    def why(number, *values):
        part = {3: "3 ratio", 11: "11 over_popular", 20: "20 control"}[number]
        rows = judge([{**passing(), part: value} for value in values], tiny())
        parts = {row["id"]: row for row in rows[number - 1]["parts"]}
        return parts[part.split()[1]]["why"]

    assert why(11, 1.26, 1.30) == "mean on target, interval too wide (2 worlds)"
    assert why(11, 1.1, 1.2, 1.3) == "mean off the target"
    assert why(3, 3.9, math.nan) == "not defined in every world"
    assert why(3, 3.9, 4.0) is None
    assert why(20, 1.10, 1.11) == "mean off the target"
    assert all(part["why"] is None for row in judge([passing()] * 2, tiny()) for part in row["parts"])


def test_the_summary_groups_what_fails_by_why():
    bad = [{**passing(), "3 same_ratio": 1.5, "3 gap": 0.1, "3 ratio": value} for value in (3.0, 4.8)]
    certificate = {"facts": judge(bad, tiny()), "seeds": [0, 1]}
    said = summary(certificate)
    assert said[:2] == [
        "19 of 20 facts pass.",
        "Fact 3 fails (What the policy chooses is liked better than what is random). "
        "Mean on target, interval too wide (2 worlds): positive rate, policy over random (public: 3.9). "
        "Mean off the target: the same of the same items (public: 2.76); "
        "calibration gap of the same items (public: 0.176).",
    ]


def test_a_value_that_an_interval_has_to_hold():
    control = next(part for part in FACTS[19].parts if part.name == "control")
    assert control.target == "interval with 1 in it"
    assert [control.met(*interval) for interval in ((0.9, 1.1), (1.01, 1.2), (0.7, 0.99), (math.nan, math.nan))] == [
        True, False, False, False,
    ]  # fmt: skip


def test_numbers_and_ids_of_facts_are_all_different():
    assert [fact.number for fact in FACTS] == list(range(1, len(FACTS) + 1))
    assert len({fact.id for fact in FACTS}) == len(FACTS)


def test_facts_that_must_fail_follow_from_the_constants():
    assert set(fails_by_construction(tiny())) == {20}  # nobody has a history
    assert fails_by_construction(changed(tiny(), prior={"days": 5})) == {}
    assert set(fails_by_construction(control_twin(tiny()))) == {7, 9, 10, 20}
    assert set(fails_by_construction(changed(tiny(), response={"satiation_weight": 0.0}))) == {7, 20}
