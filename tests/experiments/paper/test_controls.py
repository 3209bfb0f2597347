"""Controls on planted worlds, and the A/A splits on logs with a planted difference, and without."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from experiments.inference.users import UserSums
from experiments.measures.metrics import user_sums
from experiments.paper.controls import (
    ALPHA_1,
    PERMUTED,
    against_chance,
    against_twin,
    binomial_interval,
    controls,
    meaning_of_words,
    no_gain,
    no_language,
    room_for_knowledge,
    same_twice,
    something_to_find,
    what_language_adds,
)
from experiments.paper.splits import FALSE_POSITIVES_OF, control_sums, split_shares
from experiments.paper.verdicts import FAILS, HOLDS, NOT_RUN, OPEN
from sim.log import AGENT, OWN, PRODUCTION
from tests.experiments.paper.planted import labels, plant, variants_of, worlds_of
from tests.experiments.test_metrics import hand_made

EDGE, WATCH, DISCOVERIES = "novel_positive_rate_agent_slots", "watch_minutes_per_user_day", "discoveries_per_user"


@pytest.mark.parametrize(
    ("edge", "reach", "at_0", "at_1"),
    [
        (0.3, 0.02, FAILS, HOLDS),  # an edge: a leak at 0, knowledge at 1
        (0.0, 0.01, HOLDS, OPEN),
        (-0.3, 0.02, HOLDS, FAILS),
        (0.0, 0.3, OPEN, OPEN),  # so wide that it shows nothing
        (0.03, 0.005, FAILS, HOLDS),  # small, but there
    ],
)
def test_the_edge_over_the_twin(edge, reach, at_0, at_1):
    worlds = variants_of()["alpha_0"]
    plant(worlds, "llm", EDGE, edge, reach)
    assert against_twin(PERMUTED, worlds).verdict == at_0
    assert against_twin(ALPHA_1, worlds).verdict == at_1
    assert against_chance(worlds).verdict == at_0


def test_a_twin_that_is_worse_than_chance_is_told_from_a_leak():
    worlds = variants_of()["alpha_0"]
    plant(worlds, "llm_random_weights", EDGE, -0.2, 0.01)
    for results in worlds.each:
        results["llm_arms"]["llm_random_weights"] |= labels([96 * 96] + 95 * [0])
    to_twin, to_chance = against_twin(PERMUTED, worlds), against_chance(worlds)
    assert (to_twin.verdict, to_chance.verdict) == (FAILS, HOLDS)
    assert to_twin.here == pytest.approx(25, abs=0.5)
    assert "Gini index of 0.99, the LLM's of 0.00" in to_twin.why
    assert "The twin's novel positives: \N{MINUS SIGN}20.0%" in to_chance.why


def test_a_twin_that_was_still_learning_gets_a_caution():
    worlds = variants_of()["twin"]
    assert "Caution" not in against_twin(ALPHA_1, worlds).why
    twin = worlds.each[1]["llm_arms"]["llm_random_weights"]
    twin["best_step"] = 50
    assert "Caution: in 1 of 3 worlds it was still best at its last step." in against_twin(ALPHA_1, worlds).why
    twin["curve"][-1]["match_rate"] = 0.25
    assert "Caution: in 1 of 3 it never learned the language (match rate 0.25)." in against_twin(ALPHA_1, worlds).why


@pytest.mark.parametrize(("edge", "verdict"), [(0.3, HOLDS), (-0.3, FAILS), (0.0, OPEN)])
def test_the_language_model_with_labels_that_mean_something_and_with_permuted_ones(edge, verdict):
    variants = variants_of()
    main, permuted = variants["main"], variants["alpha_0"]
    plant(permuted, "llm", EDGE, 0.4, reach=0)
    for results, noise in zip(main.each, (-0.01, 0.0, 0.01, 9.0, 9.0), strict=True):  # two worlds that the other lacks
        results["arms"]["llm"][EDGE]["value"] = 0.5 * 1.4 * (1 + edge + noise)
    claim = meaning_of_words(main, permuted)
    assert claim.verdict == verdict
    assert claim.here == pytest.approx(100 * edge)


@pytest.mark.parametrize(("edge", "verdict"), [(0.3, HOLDS), (-0.3, FAILS), (0.0, OPEN)])
def test_whether_there_is_anything_to_know(edge, verdict):
    worlds = variants_of()["main"]
    plant(worlds, "persona_oracle", EDGE, edge)
    plant(worlds, "llm", EDGE, 0.1)
    claim = room_for_knowledge(worlds)
    assert claim.verdict == verdict
    assert "The LLM's novel positives: +10.0%" in claim.why


@pytest.mark.parametrize(("edge", "verdict"), [(0.3, HOLDS), (-0.3, FAILS), (0.0, OPEN)])
def test_the_language_model_beside_planners_without_language(edge, verdict):
    worlds = variants_of()["main"]
    plant(worlds, "llm", EDGE, edge)
    assert no_language(worlds).verdict == verdict


@pytest.mark.parametrize(
    ("llm", "counts", "verdict"), [(-0.1, -0.1, HOLDS), (-0.1, 0.2, FAILS), (0.2, -0.1, FAILS), (-0.1, 0.05, OPEN)]
)
def test_nothing_to_find(llm, counts, verdict):
    worlds = variants_of()["no_dormant_no_satiation"]
    plant(worlds, "llm", WATCH, llm)
    plant(worlds, "counts", WATCH, counts, 0.1 if verdict == OPEN else 0.02)
    assert no_gain(worlds).verdict == verdict


@pytest.mark.parametrize(
    ("lift", "reach", "verdict"), [(0.0, 0.01, HOLDS), (0.1, 0.01, FAILS), (-0.1, 0.01, FAILS), (0.0, 0.2, OPEN)]
)
def test_the_same_agent_twice(lift, reach, verdict):
    worlds = variants_of()["a_a"]
    plant(worlds, "random_novel_again", WATCH, lift, reach)
    assert same_twice(worlds).verdict == verdict


@pytest.mark.parametrize(("lift", "verdict"), [(1.0, HOLDS), (-0.5, FAILS), (0.0, OPEN)])
def test_the_oracle(lift, verdict):
    worlds = variants_of()["main"]
    plant(worlds, "oracle", DISCOVERIES, lift)
    assert something_to_find(worlds).verdict == verdict


def test_positive_rates_of_splits_are_those_of_the_metric():
    """What users chose themselves is watched, and in no rate of the feed."""
    run, design = hand_made()
    source = np.array([PRODUCTION, OWN, AGENT, OWN], np.int8)
    run = replace(run, log=replace(run.log, source=source))
    sums = control_sums(run.log, design.num_users, design.first_day, design.num_days)
    of_metrics = user_sums(run, design)
    for name in FALSE_POSITIVES_OF:
        assert sums[name].ratio() == of_metrics[name].ratio()
        assert sums[name].numerator.tolist() == of_metrics[name].numerator.tolist()


def test_splits_of_like_users_find_five_in_a_hundred():
    rng = np.random.default_rng(3)
    sums = {"noise": UserSums(rng.gamma(2, 1, 2000), np.ones(2000))}
    found = split_shares(sums, rng, splits=1000)["noise"]
    assert binomtest(round(1000 * found), 1000, 0.05).pvalue > 0.001


def test_splits_see_what_is_wrong_with_an_interval():
    """The same users twice over: an interval that takes them for independent is too narrow."""
    rng = np.random.default_rng(3)
    sums = UserSums(rng.gamma(2, 1, 400), np.ones(400))
    wrong = {"doubled": UserSums(np.repeat(sums.numerator, 30), np.ones(12000))}

    class Households:
        """Halves of households, whose thirty members go together."""

        def permutation(self, num):
            order = rng.permutation(num // 30)
            return np.repeat(order, 30) * 30

    assert split_shares(wrong, Households(), splits=200)["doubled"] > 0.3


@pytest.mark.parametrize(("share", "trials"), [(0.0, 50), (0.05, 1000), (0.5, 7 * 2), (1.0, 9)])
def test_the_binomial_interval_is_the_exact_one(share, trials):
    known = binomtest(round(share * trials), trials).proportion_ci(method="exact")
    assert binomial_interval(share, trials) == pytest.approx((known.low, known.high))


def test_every_control_has_a_row_and_what_was_not_run_says_so(tmp_path):
    rows = controls(variants_of(tmp_path)) + what_language_adds(variants_of())
    assert len({row.id for row in rows}) == len(rows) == 10
    split = next(row for row in rows if row.id == "A/A, splits")
    assert 0 < split.low < split.here < split.high < 15
    assert all(metric.replace("_", " ") in split.why for metric in FALSE_POSITIVES_OF)
    bare = {"main": worlds_of(("hcb", "random_novel"), control="hcb")}
    assert {row.verdict for row in controls(bare) + what_language_adds(bare)} == {NOT_RUN}
