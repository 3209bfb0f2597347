"""Arms against each other: who is compared with whom, and what a lift is, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.inference.multiplicity import benjamini_hochberg, holm
from experiments.inference.users import UserSums
from experiments.measures.contrasts import Contrasts, daily, lifts, sequential, uci
from experiments.measures.metrics import METRICS, PRIMARY, ArmRun, user_sums
from sim.log import AGENT
from sim.random import RandomStream
from tests.experiments.synthetic import FIRST_DAY, design_of, log_of, planted_arms

ALONE = ("item_coverage", "popularity_gini", "consumption_jaccard")


def arm_of(name, minutes, agent=True):
    """Users watch one item a day for these minutes, (U, D)."""
    user, day = (part.ravel() for part in np.indices(minutes.shape))
    order = np.lexsort((user, day))
    user, day = user[order], day[order]
    seconds = 60.0 * minutes[user, day]
    source = np.full(len(user), AGENT if agent else 0)
    log = log_of(
        user=user, day=day + FIRST_DAY, watch_seconds=seconds, positive=seconds > 300, consumed=seconds > 300,
        cluster=user % 3, source=source,
    )  # fmt: skip
    return ArmRun(name, log, np.arange(len(minutes)), np.zeros(len(log), bool), np.zeros(len(minutes), int))


@pytest.fixture(scope="module")
def minutes():
    return RandomStream(3, "minutes").generator().uniform(2.0, 30.0, size=(60, 4))


@pytest.fixture(scope="module")
def three(minutes):
    """Control, reference and one in which everybody watches a tenth longer than under control."""
    nothing_before = np.zeros((60, 3), bool)
    arms = [arm_of("control", minutes, agent=False), arm_of("bandit", minutes), arm_of("longer", 1.1 * minutes)]
    return Contrasts.of(arms, design_of(nothing_before))


def lifts_of(contrasts, whole=None):
    sums = {name: user_sums(run, contrasts.design) for name, run in contrasts.arms.items()}
    return lifts(contrasts, sums, whole or {name: dict.fromkeys(ALONE, 0.5) for name in contrasts.arms})


def test_the_feed_is_held_against_the_control_and_agents_slots_against_the_reference(three):
    for metric in METRICS:
        assert three.against(metric.name) == ("bandit" if metric.scope == "agent slots" else "control")
    assert three.others() == ["bandit", "longer"]
    alone = Contrasts.of([three.arms["longer"]], three.design)
    assert alone.against("watch_minutes_per_user_day") is None
    assert alone.others() == ["longer"]


def test_a_lift_of_paired_users_who_all_gain_a_tenth_is_a_tenth(three):
    actual = lifts_of(three)
    assert set(actual) == {"bandit", "longer"}
    watch = actual["longer"]["watch_minutes_per_user_day"]
    assert watch["vs"] == "control"
    assert watch["relative"] == pytest.approx(0.1)
    assert watch["high"] - watch["low"] == pytest.approx(0, abs=1e-6) or watch["low"] is None
    same = actual["bandit"]["watch_minutes_per_user_day"]
    assert (same["relative"], same["low"], same["high"], same["p"]) == (0.0, 0.0, 0.0, 1.0)
    own = actual["bandit"]["positive_rate_agent_slots"]
    assert (own["vs"], own["relative"], own["p_adjusted"]) == ("bandit", None, None)  # of the reference to itself


def test_what_is_of_the_whole_arm_has_a_difference_and_no_interval(three):
    whole = {
        "control": {"item_coverage": 0.4, "popularity_gini": 0.0, "consumption_jaccard": None},
        "bandit": {"item_coverage": 0.5, "popularity_gini": 0.3, "consumption_jaccard": 0.2},
        "longer": {"item_coverage": None, "popularity_gini": 0.3, "consumption_jaccard": 0.2},
    }
    actual = lifts_of(three, whole)
    assert actual["bandit"]["item_coverage"]["relative"] == pytest.approx(0.25)
    assert actual["bandit"]["item_coverage"]["low"] is None
    for arm, metric in (("longer", "item_coverage"), ("bandit", "popularity_gini"), ("bandit", "consumption_jaccard")):
        assert actual[arm][metric]["relative"] is None


def test_p_values_are_adjusted_among_the_primary_metrics_and_among_the_others():
    runs, design = planted_arms()
    contrasts = Contrasts.of(runs, design)
    of_arm = lifts_of(contrasts)["llm"]
    rest = [metric.name for metric in METRICS if metric.name not in (*PRIMARY, "explored_share")]  # no outcome
    assert [of_arm[name]["p_adjusted"] for name in PRIMARY] == holm([of_arm[name]["p"] for name in PRIMARY])
    assert [of_arm[name]["p_adjusted"] for name in rest] == benjamini_hochberg([of_arm[name]["p"] for name in rest])


def test_divided_users_are_adjusted_for_what_they_did_before(minutes):
    """Users who differ much, in the same way before and now: the past takes most of the noise away."""
    before = arm_of("past", minutes)
    noise = RandomStream(4, "noise").generator().uniform(0.9, 1.1, size=minutes.shape)
    now, place = minutes * noise, np.arange(60)
    past = replace(before.log, day=before.log.day - 4)
    design = design_of(np.zeros((60, 3), bool), diversion="split", burn_in=past)
    arms = []
    for name, rows, factor in (("control", place % 2 == 0, 1.0), ("longer", place % 2 == 1, 1.2)):
        run = arm_of(name, factor * now)
        own = rows[run.log.user]
        arms.append(replace(run, log=run.log.where(own), dormant=run.dormant[own], assigned=np.flatnonzero(rows)))
    contrasts = Contrasts.of(arms, design)
    sums = tuple(
        user_sums(contrasts.arms[name], design)["watch_minutes_per_user_day"] for name in ("longer", "control")
    )
    lift = contrasts.lift("watch_minutes_per_user_day", "longer", "control", sums)
    assert lift["variance_reduction"] > 0.9
    assert lift["low"] < 0.2 < lift["high"]
    assert lift["high"] - lift["low"] < 0.4 * (lift["unadjusted"]["high"] - lift["unadjusted"]["low"])


def test_twins_and_metrics_without_a_past_are_not_adjusted(three):
    assert three.before == {}
    sums = (UserSums(np.array([2.0, 4.0]), np.ones(2)), UserSums(np.array([1.0, 2.0]), np.ones(2)))
    assert "unadjusted" not in three.lift("watch_minutes_per_user_day", "longer", "control", sums)
    assert (
        three.ratios("watch_minutes_per_user_day", "longer", "control", (sums[0], UserSums(np.zeros(2), np.ones(2))))
        is None
    )


def test_daily_lifts_are_those_of_each_day(three, minutes):
    actual = daily(three, RandomStream(1, "daily").generator())
    assert (actual["vs"], actual["day"]) == ("control", [1, 2, 3, 4])
    assert set(actual["arms"]) == {"bandit", "longer"}
    assert actual["arms"]["longer"]["watch_minutes"]["relative"] == pytest.approx([0.1] * 4)
    active = [((1.1 * day >= 10).sum() / (day >= 10).sum()) - 1 for day in minutes.T]
    assert actual["arms"]["longer"]["active_users"]["relative"] == pytest.approx(active)
    without = Contrasts({"longer": three.arms["longer"]}, three.design, {})
    assert daily(without, RandomStream(1, "daily").generator()) == {"vs": None, "day": [1, 2, 3, 4], "arms": {}}


def test_running_lifts_are_those_of_all_days_so_far(three, minutes):
    actual = sequential(three)
    assert actual["longer"]["watch_minutes_per_user_day"]["relative"] == pytest.approx([0.1] * 4)
    so_far = [((1.1 * minutes[:, :d] >= 10).sum() / (minutes[:, :d] >= 10).sum()) - 1 for d in range(1, 5)]
    active = actual["longer"]["active_user_share"]
    assert active["relative"] == pytest.approx(so_far)
    assert (active["vs"], active["day"]) == ("control", [1, 2, 3, 4])
    assert actual["longer"]["positive_rate_agent_slots"]["vs"] == "bandit"
    assert set(actual["bandit"]) == {"watch_minutes_per_user_day", "active_user_share"}  # its slots are the reference


def test_uci_counts_who_reached_n_clusters_against_the_reference():
    """Of 200 users each, 100 have one cluster and 100 have two; in the other arm 50 and 150."""
    arms = []
    for name, twice in (("bandit", 100), ("wide", 150)):
        user = np.concatenate([np.arange(200), np.arange(twice)])
        cluster = np.concatenate([np.zeros(200, int), np.ones(twice, int)])
        order = np.argsort(user, kind="stable")
        yes = np.ones(len(user), bool)
        log = log_of(user=user[order], cluster=cluster[order], consumed=yes, day=np.full(len(user), FIRST_DAY))
        arms.append(ArmRun(name, log, np.arange(200), ~yes, np.zeros(200, int)))
    contrasts = Contrasts.of(arms, design_of(np.zeros((200, 3), bool)))
    actual = uci(contrasts, RandomStream(1, "uci").generator())
    assert set(actual) == {"wide"}
    assert (actual["wide"]["vs"], actual["wide"]["n"]) == ("bandit", [1, 2])
    assert actual["wide"]["lift"] == pytest.approx([0.0, 0.5])
    assert actual["wide"]["low"][1] < 0.5 < actual["wide"]["high"][1]
