"""Exact effects against lives whose differences were planted."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from experiments.compare.effects_section import effects_section
from experiments.compare.page import write_report
from experiments.measures.effects import (
    EFFECTS,
    HARM_METRIC,
    THIRDS,
    Trait,
    exact_effects,
    mean_interval,
    thirds_of,
    user_traits,
)
from experiments.measures.metrics import ArmRun
from experiments.reporting.figures.comparison import effects as draw_effects
from experiments.reporting.figures.comparison import harm, missing
from sim.errors import InvalidInput
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT, Population
from sim.random import RandomStream
from tests.experiments.synthetic import design_of, first_days, log_of, planted_arms, planted_results

NUM, DAYS = 90, 4


def run_of(name, minutes, discoveries=None):
    """An arm in which user i watches minutes[i] on every day, in one impression a day."""
    user, day = np.tile(np.arange(NUM), DAYS), np.repeat(np.arange(DAYS), NUM) + 20
    log = log_of(user=user, day=day, watch_seconds=60.0 * np.tile(minutes, DAYS), consumed=np.ones(len(user), bool))
    none = np.zeros(NUM, np.int64)
    return ArmRun(name, log, np.arange(NUM), np.zeros(len(user), bool), none if discoveries is None else discoveries)


def trait_of(value):
    return {"place": Trait("Place", "first", "last", np.asarray(value, np.float64))}


def effects_of(treated, control, value=None, discoveries=None):
    arms = [run_of("control", control), run_of("new", treated, discoveries)]
    design = design_of(np.zeros((NUM, 3), bool))
    return exact_effects(arms, design, trait_of(np.arange(NUM) if value is None else value))


def test_planted_effects_are_recovered_to_the_last_digit():
    control = np.full(NUM, 20.0)
    planted = np.repeat([-5.0, 0.0, 1.0], NUM // 3)
    actual = effects_of(control + planted, control)
    watch = actual["arms"]["new"][HARM_METRIC]
    assert watch["mean"]["value"] == pytest.approx(planted.mean(), abs=1e-6)
    assert watch["sd"] == pytest.approx(planted.std(ddof=1), abs=1e-6)
    assert [third["value"] for third in watch["thirds"]["place"]] == pytest.approx([-5, 0, 1], abs=1e-6)
    assert watch["contrast"]["place"]["value"] == pytest.approx(6, abs=1e-6)
    of_harm = actual["harm"]["new"]
    # A minute of twenty is no more than HARM_SHARE.
    assert (of_harm["worse"], of_harm["better"]) == (pytest.approx(1 / 3), 0.0)
    assert of_harm["net"]["value"] == pytest.approx(-1 / 3)
    assert of_harm["lost"] == pytest.approx(5.0, abs=1e-6)
    assert [third["worse"] for third in of_harm["thirds"]["place"]] == [1.0, 0.0, 0.0]


def test_two_equal_arms_have_no_effect_and_no_harm():
    minutes = RandomStream(3, "minutes").generator().exponential(12, NUM)
    actual = effects_of(minutes, minutes)
    for metric in EFFECTS:
        mean = actual["arms"]["new"][metric]["mean"]
        assert (mean["value"], mean["low"], mean["high"]) == (0.0, 0.0, 0.0)
    assert (actual["harm"]["new"]["worse"], actual["harm"]["new"]["better"]) == (0.0, 0.0)
    assert actual["harm"]["new"]["lost"] is None


def test_discoveries_are_per_user():
    more = np.zeros(NUM, np.int64)
    more[60:] = 2
    minutes = np.full(NUM, 5.0)
    thirds = effects_of(minutes, minutes, discoveries=more)["arms"]["new"]["discoveries_per_user"]["thirds"]["place"]
    assert [third["value"] for third in thirds] == [0.0, 0.0, 2.0]


@pytest.mark.parametrize(("pairs", "least", "most"), [(60, 0, 9), pytest.param(300, 4, 28, marks=pytest.mark.slow)])
def test_chance_alone_is_called_an_effect_no_more_often_than_it_should_be(pairs, least, most):
    """Of pairs of lives without an effect 5 % leave zero out, and as many net shares; Holm over all less.

    The bounds are three standard deviations and a little: 15 of 300 by 3.8, 3 of 60 by 1.7.
    """
    design, false, false_net, any_contrast = design_of(np.zeros((NUM, 3), bool)), 0, 0, 0
    for number in range(pairs):
        rng = RandomStream(number, "lives").generator()
        control, treated = rng.exponential(12, (2, NUM))
        arms = [run_of("control", control), run_of("new", treated)]
        actual = exact_effects(arms, design, trait_of(rng.random(NUM)))
        watch = actual["arms"]["new"][HARM_METRIC]
        false += watch["mean"]["low"] > 0 or watch["mean"]["high"] < 0
        net = actual["harm"]["new"]["net"]
        false_net += net["low"] > 0 or net["high"] < 0
        any_contrast += any(
            of["contrast"]["place"]["p_adjusted"] is not None and of["contrast"]["place"]["p_adjusted"] < 0.05
            for of in actual["arms"]["new"].values()
        )
    assert least <= false <= most
    assert least <= false_net <= most
    assert any_contrast <= most


def test_thirds_are_of_equal_size_and_leave_out_who_has_no_value():
    value = np.array([3.0, np.nan, 1.0, 2.0, 5.0, 4.0, 0.0])
    assert thirds_of(value).tolist() == [1, -1, 0, 1, 2, 2, 0]
    assert thirds_of(np.full(9, 7.0)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert thirds_of(np.array([np.nan, np.nan])).tolist() == [-1, -1]


def test_means_of_few_users_have_no_interval():
    assert mean_interval(np.array([]))["value"] is None
    alone = mean_interval(np.array([4.0]))
    assert alone == {"value": 4.0, "low": None, "high": None, "n": 1}


def population_of(interest, affinity, status):
    num = len(interest)
    names = ("persona", "taste", "budget_minutes", "joins", "exposures", "positives", "satiation", "satisfaction")
    nothing = {name: np.zeros(num) for name in (*names, "norm", "churned")}
    lists = {"interest": np.array(interest), "affinity": np.array(affinity), "status": np.array(status)}
    return Population(**nothing, **lists, activity=np.arange(num), novelty_appetite=-np.arange(num))


def test_a_minority_taste_is_one_that_few_share():
    # Interest 0 is loved by three users, 1 by one; what was picked up later, or is in an unused slot, is not loved.
    population = population_of(
        [[0, -1], [0, -1], [0, 1], [2, -1]],
        [[0.9, 0.5], [0.4, 0.0], [0.5, 0.5], [0.9, 0.0]],
        [[DISCOVERED, 0], [DORMANT, 0], [DISCOVERED, DORMANT], [ACQUIRED, 0]],
    )
    traits = user_traits(population, np.eye(4, 6, dtype=bool))
    taste = traits["taste_popularity"].value
    assert taste[:3] == pytest.approx([3 / 4, 3 / 4, 0.5 * 3 / 4 + 0.5 * 1 / 4])
    assert np.isnan(taste[3])
    assert traits["breadth"].value.tolist() == [1, 1, 1, 1]


def test_other_diversions_have_no_exact_effects():
    arms, design = planted_arms()
    assert exact_effects(arms, replace(design, diversion="split"), {}) is None
    assert exact_effects(arms[1:], design, {}) is None


def test_a_trait_must_be_of_all_users():
    arms, design = planted_arms()
    with pytest.raises(InvalidInput, match=r"traits.place.*must be of all 400 users"):
        exact_effects(arms, design, trait_of(np.arange(3)))


@pytest.fixture(scope="module")
def results():
    arms, design = planted_arms()
    rng = RandomStream(1, "traits").generator()
    traits = {
        name: Trait(title, f"little {name}", f"much {name}", rng.random(design.num_users))
        for name, title in (("activity", "Activity"), ("novelty_appetite", "Appetite"), ("breadth", "Breadth"),
                            ("taste_popularity", "Taste"))
    }  # fmt: skip
    return {**planted_results(), "effects": exact_effects(arms, design, traits)}


def test_what_is_reported_is_json_and_each_arm_has_all_of_it(results):
    assert json.loads(json.dumps(results["effects"])) == results["effects"]
    assert list(results["effects"]["arms"]) == ["bandit", "llm", "random"]
    section = effects_section(results)
    for rows in ("mean", "harm", "contrasts", "least"):
        assert all(len(row["cells"]) == 3 for row in section[rows])
    assert all(cell["lines"][-1] in THIRDS for row in section["least"] for cell in row["cells"])
    assert effects_section({**results, "effects": None}) is None


def test_the_planted_gain_and_loss_are_marked(results):
    watch = effects_section(results)["mean"][0]
    llm, random = watch["cells"][1:]
    assert llm["sure"]
    assert llm["value"].startswith("+")
    assert random["sure"]
    assert random["value"].startswith("\N{MINUS SIGN}")


def test_a_mean_is_significant_by_its_lifts_adjusted_p_value_and_not_by_its_own_interval(results):
    held = copy.deepcopy(results)
    mean = held["effects"]["arms"]["llm"][HARM_METRIC]["mean"]
    assert mean["low"] > 0
    held["lifts"]["llm"][HARM_METRIC]["p_adjusted"] = 0.06
    assert not effects_section(held)["mean"][0]["cells"][1]["sure"]
    held["lifts"]["llm"][HARM_METRIC]["p_adjusted"] = 0.04
    assert effects_section(held)["mean"][0]["cells"][1]["sure"]


def test_the_worst_third_is_significant_only_after_adjustment_for_all_thirds(results):
    held = copy.deepcopy(results)
    thirds = held["effects"]["harm"]["llm"]["thirds"]
    for of_trait in thirds.values():
        for third in of_trait:
            third["net"] = {"value": 0.0, "low": -0.02, "high": 0.02, "n": 1000}
    thirds["activity"][0]["net"] = {"value": -0.021, "low": -0.041, "high": -0.001, "n": 1000}  # p .04, adjusted .48
    cell = effects_section(held)["least"][0]["cells"][1]
    assert (cell["value"], cell["lines"][-1], cell["sure"]) == ("\N{MINUS SIGN}2.10", "lower third", False)
    thirds["activity"][0]["net"] |= {"value": -0.035, "low": -0.055, "high": -0.015}  # p .0006, adjusted .007
    assert effects_section(held)["least"][0]["cells"][1]["sure"]


def test_too_few_days_give_no_significant_effects(results, tmp_path):
    held = copy.deepcopy(results)
    held["daily"] = first_days(held["daily"], 2)
    section = effects_section(held)
    rows = [row for kind in ("mean", "harm", "contrasts", "least") for row in section[kind]]
    assert not any(cell["sure"] for row in rows for cell in row["cells"])
    text = write_report(held, {}, {}, tmp_path).read_text()
    assert "Too few to tell: 400 users an arm, 2 days. Nothing here is shaded" in text


@pytest.mark.parametrize(("pairs", "most"), [(40, 6), pytest.param(200, 19, marks=pytest.mark.slow)])
def test_chance_alone_marks_a_worst_third_no_more_often_than_it_should(results, pairs, most):
    """Of arms without an effect, 5 % or fewer have any trait's worst third marked: 10 of 200 by 3.1, 2 of 40 by 1.4."""
    design, marked = design_of(np.zeros((NUM, 3), bool)), 0
    for number in range(pairs):
        rng = RandomStream(number, "thirds").generator()
        control, treated = rng.exponential(12, (2, NUM))
        traits = {name: Trait(name, "low", "high", rng.random(NUM)) for name in results["effects"]["traits"]}
        arms = [run_of("control", control), run_of("llm", treated)]
        section = effects_section({**results, "effects": exact_effects(arms, design, traits)})
        marked += any(row["cells"][0]["sure"] for row in section["least"])
    assert marked <= most


def test_the_page_tells_who_gains_and_who_loses(results, tmp_path):
    text = write_report(results, {}, {"effects": draw_effects(results)}, tmp_path).read_text()
    assert "Who gains, who loses" in text
    assert "little taste_popularity" in text
    without = write_report({**results, "effects": None}, {}, {}, tmp_path).read_text()
    assert "Who gains" not in without


def test_figures_say_why_they_are_missing(results):
    assert (
        missing({**results, "effects": None}, "effects")
        == "users' own effects are known in twins with a control arm only"
    )
    assert "nothing but the control" in missing({**results, "effects": {**results["effects"], "arms": {}}}, "harm")
    assert len(draw_effects(results).axes) == 4
    assert [tick.get_text() for tick in harm(results).axes[0].get_yticklabels()][-1] == "llm"
