"""Results are what their schema says, and the check that says so can tell."""

import copy
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from experiments.measures.across_worlds import join
from experiments.measures.effects import Trait, exact_effects
from experiments.measures.metrics import METRICS, PRIMARY
from experiments.measures.results import assemble
from experiments.report.dials import join_dials
from experiments.results_schema import Dialled, Joined, MetricName, Results
from sim.random import RandomStream
from tests.experiments.schema import check_schema
from tests.experiments.synthetic import CONFIG, planted_arms


def as_read(results):
    return json.loads(json.dumps(results))


def config_of(seed, alpha=1.0):
    experiment = {**CONFIG["experiment"], "arms": ["control", "bandit", "llm", "random"]}
    return {**CONFIG, "seed": seed, "world": {**CONFIG["world"], "semantic_alignment": alpha}, "experiment": experiment}


@pytest.fixture(scope="module")
def twins():
    runs, design = planted_arms()
    results = assemble(runs, design, config_of(7), {}, RandomStream(1, "results").generator())
    trait = Trait("Activity", "seldom there", "often there", np.arange(400.0))
    results["effects"] = exact_effects(runs, design, {"activity": trait})
    return results


@pytest.fixture(scope="module")
def split():
    """Arms of users of their own, with a past, so that lifts are adjusted."""
    runs, design = planted_arms()
    own = []
    for place, run in enumerate(runs):
        rows = run.log.user % len(runs) == place
        users = np.arange(place, design.num_users, len(runs))
        own.append(replace(run, log=run.log.where(rows), dormant=run.dormant[rows], assigned=users))
    past = replace(runs[0].log, day=runs[0].log.day - design.num_days)
    design = replace(design, diversion="split", burn_in=past)
    return assemble(own, design, config_of(7), {}, RandomStream(1, "results").generator())


def test_every_metric_has_its_name_in_the_schema():
    assert tuple(metric.name for metric in METRICS) == get_args(MetricName)
    assert set(PRIMARY) < set(get_args(MetricName))


def test_results_of_twins_and_of_divided_users_are_of_their_schema(twins, split):
    check_schema(Results, as_read(twins))
    check_schema(Results, as_read(split))
    lift = split["lifts"]["llm"]["watch_minutes_per_user_day"]
    assert lift["unadjusted"]["relative"] != lift["relative"]
    assert split["sample_ratio"]["users"] == {"control": 100, "bandit": 100, "llm": 100, "random": 100}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda results: results["arms"]["llm"].pop("positive_rate") and results["arms"]["llm"].update(other={}),
        lambda results: results["arms"]["llm"]["positive_rate"].update(value="0.3"),
        lambda results: results["arms"]["llm"]["positive_rate"].update(median=0.3),
        lambda results: results["lifts"]["llm"]["positive_rate"].pop("vs"),
        lambda results: results["daily"]["day"].append(1.5),
        lambda results: results.update(seconds=3.0),
        lambda results: results.pop("uci"),
        lambda results: results["effects"]["harm"]["llm"].pop("lost"),
    ],
)
def test_what_is_not_of_the_schema_is_found(twins, spoil):
    spoilt = copy.deepcopy(twins)
    spoil(spoilt)
    with pytest.raises(ValidationError):
        check_schema(Results, as_read(spoilt))


def test_joined_results_are_of_their_schemas(twins):
    of_seeds = {str(seed): {**twins, "config": config_of(seed)} for seed in (7, 8)}
    check_schema(Joined, as_read(join(of_seeds)))
    for seeds in ((7,), (7, 8)):
        places = [(seed, alpha) for seed in seeds for alpha in (0.0, 1.0)]
        dialled = join_dials({f"{s} {a}": {**twins, "config": config_of(s, a)} for s, a in places})
        check_schema(Dialled, as_read(dialled))
        assert dialled["intervals"] == ("users" if len(seeds) == 1 else "worlds")
