"""``interestlab arena``: its settings, and a whole small run."""

import json
import re

import numpy as np
import pyarrow.csv
import pytest
from scipy.stats import binom

from experiments.arena.command import arena, check_config
from experiments.arena.live import live_stage, read_live
from experiments.arena.schema import ArenaResults
from experiments.live import pipeline
from experiments.off_policy.evaluation import ESTIMATORS
from sim.errors import InvalidInput
from tests.composing import compose
from tests.experiments.schema import check_schema

AGENTS = ["control", "popular", "random_novel"]


def config_of(cache, *overrides):
    return compose(
        "arena",
        [
            "world=tiny",
            f"experiment.arms=[{','.join(AGENTS)}]",
            f"cache_dir={cache}",
            "runtime.workers=1",
            *overrides,
        ],
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("arena.sizes=[100,50]", "arena.sizes=[100, 50]: must be a list of whole numbers, at least 10 and ascending"),
        ("arena.draws=0", "arena.draws=0: must be a whole number, at least 1"),
        ("arena.clip=0", "arena.clip=0: must be a number above 0"),
        ("arena.learning=maybe", "arena.learning='maybe': must be true or false"),
        ("arena.logging=null", "arena.logging=None: must name a logging policy"),
        ("+arena.logging.bold=7", "arena.logging.bold=7: must be entries of production's config"),
        (
            "+arena.logging.bold={exploration: 3}",
            "agent logging policy bold: exploration=3: must be a number from 0",
        ),
        ("experiment.exploration_slots=2", "experiment.exploration_slots=2: must be experiment.slots=5"),
        ("experiment.diversion=split", "experiment.diversion='split': must be twins"),
        ("experiment.arms=[popular]", "experiment.arms=['popular']: must name at least two agents"),
        ("experiment.arms=[nobody,popular]", "nobody"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(override, said, tmp_path):
    with pytest.raises(InvalidInput, match=re.escape(said)):
        check_config(config_of(tmp_path, override))


def test_an_agent_serves_where_all_who_are_left_choose_for_themselves(tmp_path):
    overrides = ["world.num_users=20", "world.own_share=0.5", "experiment.burn_in_days=1", "experiment.days=3"]
    study, *_ = check_config(config_of(tmp_path, *overrides, "production.epochs=1", "arena.log_days=1"))
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    served = read_live(live_stage(study, "control", before, clustered, None))
    assert len(served["user"]) == len(served["reward"]) > 0
    assert served["all"][1] >= served["reward"][:, 1].sum() > 0


def test_the_config_as_it_stands_is_right(tmp_path):
    study, settings, _ = check_config(config_of(tmp_path))
    assert study.experiment.exploration_slots == study.experiment.slots == 5
    assert list(settings.logging) == ["production", "exploring", "random"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shared_cache):
    folder = tmp_path_factory.mktemp("arena")
    overrides = [
        "experiment.burn_in_days=3", "experiment.days=2", "arena.log_days=3", "arena.redraws=90", "arena.lucks=16",
        "world.population.activity_mean=0.3",  # enough impressions for 200 logs of 500
        "arena.sizes=[500,5000]", "arena.max_logs=240", "~arena.logging.random", "arena.learning=true",
    ]  # fmt: skip
    arena(config_of(shared_cache, *overrides), folder)
    return folder, overrides, json.loads((folder / "arena.json").read_text())


@pytest.mark.slow
def test_a_run_leaves_a_page_tables_and_figures(finished):
    folder, _, results = finished
    check_schema(ArenaResults, results)
    text = (folder / "arena.html").read_text()
    assert text.count('class="narrow-only"><svg ') == 4
    assert "A world of 150 users, 800 items and 24 interests" in text
    assert sorted(results["agents"]) == sorted(AGENTS)
    assert results["agents"][-1] == "random_novel"
    table = pyarrow.csv.read_csv(folder / "arena.csv")
    assert len(table) == 2 * 2 * 3 * len(ESTIMATORS) * len(AGENTS)
    assert (folder / "figures" / "arena.pdf").is_file()
    assert set(results["learning"]) == set(AGENTS)


@pytest.mark.slow
def test_a_second_run_finds_all_stages_and_says_the_same(finished, shared_cache, tmp_path):
    folder, overrides, _ = finished
    arena(config_of(shared_cache, *overrides), tmp_path)
    for name in ("arena.json", "arena.html", "arena.csv", "figures/arena.svg"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
def test_productions_estimate_on_its_own_log_is_its_reward(finished):
    _, _, results = finished
    each = results["logging"]["production"]
    assert each["reach"]["control"] == 1
    for metric, estimators in each["sizes"]["500"]["metrics"].items():
        logged, standard = (estimators[name]["agents"]["control"] for name in ("logged", "standard"))
        assert standard["estimate"] == pytest.approx(logged["estimate"], rel=1e-4), metric


@pytest.mark.slow
def test_over_200_logs_of_a_world_intervals_hold_the_truth_where_estimators_are_right(finished):
    """Production at little exploration, from logs at more: all that it does may be logged, users look top down."""
    _, _, results = finished
    cell = results["logging"]["exploring"]["sizes"]["500"]
    assert cell["logs"] >= 200
    for metric in ("positive", "watch"):
        for estimator in ("reward_interaction", "dr", "snips"):
            judged = cell["metrics"][metric][estimator]["agents"]["control"]
            assert judged["covered"] / judged["logs"] > binom.ppf(0.001, judged["logs"], 0.9) / judged["logs"], (
                estimator
            )
    lost = cell["metrics"]["novel_positive"]["reward_interaction"]["agents"]["random_novel"]
    assert lost["covered"] / lost["logs"] < 0.5


@pytest.mark.slow
def test_what_a_log_cannot_reach_is_missing_from_the_infinite_log(finished):
    _, _, results = finished
    for each in results["logging"].values():
        for agent in AGENTS:
            for metric, seen in each["seen"][agent].items():
                assert seen <= each["truth"][agent][metric]["value"] + 1e-9
        assert each["reach"]["random_novel"] < 1
        assert np.isclose(each["seen"]["control"]["watch"], each["truth"]["control"]["watch"]["value"])
