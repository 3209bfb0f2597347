import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.novelty import novel_rows
from experiments.inference.multiplicity import benjamini_hochberg, holm
from experiments.measures.metrics import (
    METRICS,
    PRIMARY,
    ArmRun,
    arm_values,
    distinct_clusters,
    new_interests,
    user_sums,
    watch_minutes,
    watch_sums,
)
from experiments.measures.results import assemble, plain
from experiments.measures.variety import gini, mean_jaccard, rarefied
from sim.errors import InvalidInput
from sim.log import AGENT, OWN, PRODUCTION
from sim.random import RandomStream
from tests.experiments.synthetic import (
    CONFIG,
    FIRST_DAY,
    design_of,
    log_of,
    planted_arms,
    planted_log,
    planted_results,
)


def test_a_cluster_is_novel_until_its_first_consumption_even_within_a_slate():
    before = np.zeros((2, 3), dtype=bool)
    before[0, 2] = True
    log = log_of(
        user=[0, 0, 0, 1, 0, 0], cluster=[1, 1, 1, 1, 2, 0], slot=[0, 1, 2, 0, 0, 1], consumed=[0, 1, 0, 0, 0, 1]
    )
    assert novel_rows(log, before).tolist() == [True, True, False, True, False, True]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=40), st.integers(0, 2**12 - 1))
@settings(deadline=None)
def test_novelty_equals_a_walk_through_the_log(rows, bits):
    before = np.array([bits >> i & 1 for i in range(12)], dtype=bool).reshape(4, 3)
    user, cluster, consumed = (list(c) for c in zip(*rows, strict=True)) if rows else ([], [], [])
    seen, expected = before.copy(), []
    for u, c, ate in rows:
        expected.append(not seen[u, c])
        seen[u, c] |= ate
    assert novel_rows(log_of(user=user, cluster=cluster, consumed=consumed), before).tolist() == expected


def hand_made():
    """Two users, one of whom stays away; four impressions over two of four days."""
    log = log_of(
        user=[0, 0, 0, 0], day=np.array([0, 0, 1, 1]) + FIRST_DAY, cluster=[0, 1, 1, 1], item=[0, 1, 1, 2],
        positive=[1, 0, 1, 1], consumed=[1, 0, 1, 1], source=[PRODUCTION, AGENT, AGENT, PRODUCTION],
        watch_seconds=[300, 300, 500, 10],
    )  # fmt: skip
    before = np.zeros((2, 3), dtype=bool)
    before[0, 0] = True
    run = ArmRun("bandit", log, np.arange(2), np.array([True, False, True, True]), np.array([3, 0]))
    return run, design_of(before, num_items=4)


def test_hand_made_log_gives_hand_made_values():
    run, design = hand_made()
    values = {name: sums.ratio() for name, sums in user_sums(run, design).items()}
    assert values == pytest.approx(
        {
            "explored_share": 2 / 4,
            "novel_impression_ratio": 2 / 4,  # rows 1 and 2: cluster 1 is consumed only on row 2
            "novel_impression_ratio_agent_slots": 1.0,
            "positive_rate": 3 / 4,
            "positive_rate_agent_slots": 1 / 2,
            "novel_positive_rate": 1 / 2,
            "novel_positive_rate_agent_slots": 1 / 2,
            "watch_minutes_per_user_day": 1110 / 60 / (2 * 4),
            "active_user_share": 1 / 8,  # user 0 on the first day, with exactly ten minutes
            "unique_engaged_pairs": 2 / 2,
            "discoveries_per_user": 3 / 2,
            "exploration_precision": 1 / 2,
            "distinct_clusters_7d": 2 / 2,
            "distinct_clusters_7d_rarefied": None,
            "new_interests_7d": 2 / 2,
        }
    )
    whole = arm_values(run, design, 4, np.array([[0.0, 0.5]]))
    assert whole["item_coverage"] == 3 / 4
    assert whole["consumption_jaccard"] == 0.0
    assert watch_minutes(run, design).shape == (2, 4)


def test_what_users_chose_themselves_is_watched_and_known_but_in_no_rate_of_the_feed():
    run, design = hand_made()
    log = run.log
    own = replace(log, source=np.array([PRODUCTION, AGENT, AGENT, OWN], np.int8))
    values = {name: sums.ratio() for name, sums in user_sums(replace(run, log=own), design).items()}
    assert values["positive_rate"] == 2 / 3
    assert values["explored_share"] == 2 / 3
    assert values["novel_impression_ratio"] == 2 / 3
    assert values["watch_minutes_per_user_day"] == 1110 / 60 / (2 * 4)
    assert values["unique_engaged_pairs"] == 1.0
    first = replace(log, source=np.array([OWN, OWN, AGENT, AGENT], np.int8))
    values = {name: sums.ratio() for name, sums in user_sums(replace(run, log=first), design).items()}
    assert values["novel_impression_ratio"] == 1 / 2  # row 2: nobody had consumed from cluster 1 before
    assert arm_values(replace(run, log=own), design, 4, np.array([[0.0, 0.5]]))["item_coverage"] == 2 / 4


def test_every_metric_is_described_and_computed_once():
    run, design = hand_made()
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert set(names) == set(user_sums(run, design)) | set(arm_values(run, design, 4, np.zeros((1, 2))))


def test_an_interest_is_new_if_the_thirty_days_before_the_last_seven_had_no_positive_in_it():
    run, design = hand_made()  # user 0 is positive on clusters 0 and 1; four days, so the last seven begin on day -3
    assert new_interests(run, design).tolist() == [2, 0]
    days = {-4: [1, 0], -33: [1, 0], -34: [2, 0], -3: [2, 0]}
    for day, expected in days.items():
        burn_in = log_of(user=[0], day=[FIRST_DAY + day], cluster=[1], positive=[1], consumed=[1])
        assert new_interests(run, replace(design, burn_in=burn_in)).tolist() == expected, day
    of_another = log_of(user=[1, 0], day=np.array([-5, -5]) + FIRST_DAY, cluster=[1, 0], positive=[1, 0])
    assert new_interests(run, replace(design, burn_in=of_another)).tolist() == [2, 0]


def test_trailing_window_borrows_burn_in_days_of_the_arms_own_users_only():
    run, design = hand_made()
    burn_in = log_of(
        user=[1, 1, 1, 0], day=np.array([-1, -3, -4, -1]) + FIRST_DAY, cluster=[2, 0, 1, 0], consumed=[1, 1, 1, 1]
    )
    design = replace(design, burn_in=burn_in)  # four A/B days and the three before
    assert distinct_clusters(run, design).tolist() == [2, 2]
    assert distinct_clusters(replace(run, assigned=np.array([0])), design).tolist() == [2]


def test_rarefaction_matches_drawing_without_replacement():
    watches = np.array([30, 5, 5, 1, 19])
    sums = rarefied(np.array([0, 0, 0, 0, 1]), watches, 2, draws=20)
    assert sums.denominator.tolist() == [1, 0]
    rng = RandomStream(3, "rarefy").generator()
    bag = np.repeat(np.arange(4), watches[:4])
    drawn = [len(set(rng.permutation(bag)[:20])) for _ in range(4000)]
    error = float(np.std(drawn)) / np.sqrt(len(drawn))
    assert abs(sums.numerator[0] - np.mean(drawn)) < 4 * error


def test_gini():
    assert gini(np.array([5, 5, 5])) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(3 / 4)
    assert gini(np.zeros(3)) is None


def test_jaccard_of_identical_users_is_one():
    log = log_of(user=[0, 0, 1, 1], day=[FIRST_DAY] * 4, cluster=[0, 1, 1, 0], consumed=[1] * 4)
    run = ArmRun("a", log, np.arange(2), np.zeros(4, dtype=bool), np.zeros(2, dtype=int))
    draws = RandomStream(1).generator().random((50, 2))
    assert arm_values(run, design_of(np.zeros((2, 3), dtype=bool)), 1, draws)["consumption_jaccard"] == 1.0


def test_results_have_the_promised_shape_and_are_json():
    results = planted_results()
    assert list(results) == [
        "config", "arms", "lifts", "daily", "uci", "sequential", "sample_ratio", "costs", "claims"
    ]  # fmt: skip
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert results["config"] == CONFIG
    assert results["arms"]["control"]["positive_rate_agent_slots"] == {"value": None, "low": None, "high": None, "n": 0}
    assert set(results["lifts"]) == {"bandit", "llm", "random"}
    assert results["lifts"]["llm"]["positive_rate_agent_slots"]["vs"] == "bandit"
    assert results["lifts"]["bandit"]["positive_rate_agent_slots"]["relative"] is None
    assert set(results["uci"]) == {"control", "llm", "random"}
    assert results["daily"]["vs"] == "control"
    assert len(results["daily"]["arms"]["llm"]["watch_minutes"]["low"]) == 4
    assert results["uci"]["llm"]["vs"] == "bandit"


def test_results_repeat_to_the_byte_and_find_the_planted_lift():
    first, second = (json.dumps(planted_results()) for _ in range(2))
    assert first == second
    watch = planted_results()["lifts"]["llm"]["watch_minutes_per_user_day"]
    assert watch["low"] < 0.15 < watch["high"]
    assert watch["p"] < 0.001


def test_the_same_arm_twice_differs_by_exactly_nothing():
    runs, design = planted_arms(num=100)
    arms = [runs[0], replace(runs[1], name="bandit"), replace(runs[1], name="again")]
    results = assemble(arms, design, {}, {}, RandomStream(1).generator())
    zero = {"vs": "bandit", "relative": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "p_adjusted": 1.0}
    assert results["lifts"]["again"]["novel_positive_rate_agent_slots"] == zero
    curve = results["uci"]["again"]
    assert set(curve["lift"]) == set(curve["low"]) == set(curve["high"]) == {0.0}


def test_split_arms_and_missing_baselines():
    runs, design = planted_arms()
    parts = []
    for i, run in enumerate(runs):
        rows = run.log.user % 4 == i
        parts.append(replace(run, log=run.log.where(rows), dormant=run.dormant[rows], assigned=np.arange(i, 400, 4)))
    split = replace(design, diversion="split")
    results = assemble(parts, split, {}, {}, RandomStream(1).generator())
    assert results["arms"]["llm"]["watch_minutes_per_user_day"]["n"] == 100
    assert results["lifts"]["llm"]["watch_minutes_per_user_day"]["p"] is not None
    no_reference = assemble([parts[0], parts[2]], split, {}, {}, RandomStream(1).generator())
    assert no_reference["uci"]["llm"]["vs"] == "control"
    assert no_reference["lifts"]["llm"]["positive_rate_agent_slots"]["vs"] is None
    no_control = assemble(parts[1:3], split, {}, {}, RandomStream(1).generator())
    assert no_control["daily"] == {"vs": None, "day": [1, 2, 3, 4], "arms": {}}


def split_arms(burn_in=True):
    """The planted arms with other users in each, and the burn-in of the same users."""
    runs, design = planted_arms(num=1200)
    parts = []
    for i, run in enumerate(runs):
        rows = run.log.user % 4 == i
        parts.append(replace(run, log=run.log.where(rows), dormant=run.dormant[rows], assigned=np.arange(i, 1200, 4)))
    activity = RandomStream(1, "activity").generator().gamma(2, 0.5, size=1200)  # as in the experiment
    before = planted_log(RandomStream(2, "burn-in").generator(), activity, FIRST_DAY, 30, 0.1, 1, agent=False)
    before = replace(before, day=before.day - FIRST_DAY)
    return parts, replace(design, diversion="split", burn_in=before if burn_in else design.burn_in)


def test_split_lifts_are_adjusted_for_the_burn_in_and_twins_are_not():
    parts, design = split_arms()
    results = assemble(parts, design, {}, {}, RandomStream(1).generator())
    bare = assemble(*split_arms(burn_in=False), {}, {}, RandomStream(1).generator())
    lift = results["lifts"]["llm"]["watch_minutes_per_user_day"]
    known = {
        key: value for key, value in bare["lifts"]["llm"]["watch_minutes_per_user_day"].items() if key != "p_adjusted"
    }
    assert {"vs": "control", **lift["unadjusted"]} == known
    assert lift["variance_reduction"] > 0.4  # activity is most of what users differ in
    shrunk = (lift["high"] - lift["low"]) / (known["high"] - known["low"])
    assert shrunk == pytest.approx(np.sqrt(1 - lift["variance_reduction"]), rel=0.05)
    assert lift["low"] < 0.15 < lift["high"]
    for series in ("watch_minutes", "active_users"):
        bands = [r["daily"]["arms"]["llm"][series] for r in (results, bare)]
        widths = [np.subtract(band["high"], band["low"]).mean() for band in bands]
        assert widths[0] < widths[1]
    assert "unadjusted" not in bare["lifts"]["llm"]["watch_minutes_per_user_day"]
    assert "unadjusted" not in planted_results()["lifts"]["llm"]["watch_minutes_per_user_day"]


def test_the_sample_ratio_is_checked_in_split_alone():
    parts, design = split_arms(burn_in=False)
    fair = assemble(parts, design, {}, {}, RandomStream(1).generator())["sample_ratio"]
    assert fair == {"users": dict.fromkeys(("control", "bandit", "llm", "random"), 300), "chi_square": 0.0, "p": 1.0,
                    "mismatch": False}  # fmt: skip
    fewer = replace(parts[0], assigned=parts[0].assigned[:200])
    rows = np.isin(fewer.log.user, fewer.assigned)
    fewer = replace(fewer, log=fewer.log.where(rows), dormant=fewer.dormant[rows])
    assert assemble([fewer, *parts[1:]], design, {}, {}, RandomStream(1).generator())["sample_ratio"]["mismatch"]
    assert planted_results()["sample_ratio"] is None


def test_the_last_running_lift_is_the_lift_and_its_interval_is_wider():
    for results in (planted_results(), assemble(*split_arms(), {}, {}, RandomStream(1).generator())):
        for arm, of_arm in results["sequential"].items():
            for metric, curve in of_arm.items():
                lift = results["lifts"][arm][metric]
                assert curve["vs"] == lift["vs"]
                assert curve["day"] == [1, 2, 3, 4]
                assert curve["relative"][-1] == pytest.approx(lift["relative"], rel=1e-8)
                assert curve["high"][-1] - curve["low"][-1] > 1.4 * (lift["high"] - lift["low"])
        assert set(results["sequential"]["llm"]) == set(PRIMARY)
        assert set(results["sequential"]["bandit"]) == set(PRIMARY[2:])  # on the agent's slots it is the reference


def test_primary_metrics_are_adjusted_by_holm_and_the_others_by_their_false_discovery_rate():
    of_arm = planted_results()["lifts"]["llm"]
    first = [of_arm[name]["p"] for name in PRIMARY]
    assert [of_arm[name]["p_adjusted"] for name in PRIMARY] == pytest.approx(holm(first), rel=1e-8)
    rest = [name for name in of_arm if name not in (*PRIMARY, "explored_share")]  # that is set, and no outcome
    known = benjamini_hochberg([of_arm[name]["p"] for name in rest])
    for name, p in zip(rest, known, strict=True):
        assert of_arm[name]["p_adjusted"] == (None if p is None else pytest.approx(p, rel=1e-8))
    assert of_arm["item_coverage"]["p_adjusted"] is None
    assert of_arm["explored_share"]["p_adjusted"] is None


def test_an_empty_log_gives_nulls_not_nan():
    before = np.zeros((3, 2), dtype=bool)
    empty = log_of(user=[])
    arms = [ArmRun(n, empty, np.arange(3), np.zeros(0, bool), np.zeros(3, int)) for n in ("control", "bandit")]
    results = assemble(arms, design_of(before), {}, {}, RandomStream(1).generator())
    json.dumps(results, allow_nan=False)
    assert results["arms"]["bandit"]["positive_rate"]["value"] is None
    assert results["arms"]["bandit"]["watch_minutes_per_user_day"] == {"value": 0.0, "low": None, "high": None, "n": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dormant": np.zeros(3, bool)}, "rows"),
        ({"assigned": np.array([1])}, "assigned"),
        ({"discoveries": np.zeros(5, int)}, "users"),
        ({"log": log_of(user=[0] * 4)}, "A/B days"),
        ({"log": log_of(user=[0] * 4, day=[FIRST_DAY] * 4, cluster=[9] * 4)}, "0..2"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(changes, message):
    run, design = hand_made()
    with pytest.raises(InvalidInput, match=message):
        assemble([replace(run, **changes)], design, {}, {}, RandomStream(1).generator())


def test_plain_has_no_nan_and_no_numpy():
    assert plain({"a": np.float32("nan"), "b": (np.int64(2), 1 / 3), 3: np.arange(2)}) == {
        "a": None, "b": [2, 0.3333333333], "3": [0, 1],
    }  # fmt: skip


def test_pairs_of_users_overlap_as_counted_by_hand():
    user, thing = np.array([2, 2, 2, 5, 5, 9, 7]), np.array([0, 1, 1, 1, 2, 3, 0])  # 7 is nobody's business
    users = np.array([2, 5, 9, 11])  # 11 has nothing at all
    pairs = {(0, 1): 1 / 3, (1, 2): 0.0, (2, 3): 0.0, (3, 0): 0.0, (0, 2): 0.0, (1, 3): 0.0}
    for (one, other), overlap in pairs.items():
        draws = np.array([[(one + 0.5) / 4, ((other - one - 1) % 4 + 0.5) / 3]])
        assert mean_jaccard(user, thing, users, draws) == pytest.approx(overlap)
    assert mean_jaccard(user, thing, np.array([11, 12]), np.array([[0.1, 0.1]])) is None
    assert mean_jaccard(user, thing, np.array([2]), np.array([[0.1, 0.1]])) is None


def test_watch_time_and_active_users_of_minutes_by_day():
    minutes = np.array([[9.9, 10.0, 30.0], [0.0, 0.0, 0.0]])
    sums = watch_sums(minutes)
    assert sums["watch_minutes_per_user_day"].ratio() == pytest.approx(49.9 / 6)
    assert sums["active_user_share"].ratio() == pytest.approx(2 / 6)
