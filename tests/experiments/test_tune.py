"""Tuning: the objective from the agent's own slots, worlds apart from those reported on, one clear line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

import conf
from experiments.command import check_choices
from experiments.tune.command import check_tuning, objective_of
from records.tuning_record import record, trials_of
from sim.errors import InvalidInput
from sim.log import AGENT, PRODUCTION
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.synthetic import log_of

SEARCHES = Path(conf.__path__[0]) / "search"
TINY = ["world=tiny", "experiment.burn_in_days=2", "experiment.days=2", "world.num_users=60"]


def test_the_objective_counts_the_agents_own_slots_alone():
    log = log_of(
        user=np.array([0, 0, 0, 0, 1]),
        cluster=np.array([2, 2, 1, 0, 2]),
        source=np.array([AGENT, AGENT, AGENT, PRODUCTION, AGENT]),
        positive=np.array([True, True, True, True, False]),
        consumed=np.array([True, True, True, True, False]),
    )
    before = np.zeros((2, 3), bool)
    before[0, 1] = True  # known to user 0
    assert objective_of(log, before, "positives") == 3 / 4
    assert objective_of(log, before, "novel_positives") == 1 / 4  # the first; the second is no longer new


def run(cache, tmp_path, *words):
    return interestlab("tune", *words, *TINY, f"cache_dir={cache}", cwd=tmp_path)


@pytest.mark.slow
def test_one_setting_is_the_mean_over_worlds(shared_cache, tmp_path):
    done = run(shared_cache, tmp_path, "agent=popular", "objective=positives", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    trial = json.loads((tmp_path / "trial.json").read_text())
    assert set(trial["by_seed"]) == {"1000", "1001"}
    assert trial["value"] == pytest.approx(np.mean(list(trial["by_seed"].values())))
    assert len(set(trial["by_seed"].values())) == 2  # two worlds


@pytest.mark.parametrize("name", sorted(path.stem for path in SEARCHES.glob("*.yaml") if path.stem != "base"))
def test_a_random_search_repeats_nothing(name):
    """Eight draws from the file's space, with its seed, are eight settings, and every value is tried that could be."""
    import optuna  # not where tests are collected: it takes a second

    sweeper = OmegaConf.load(SEARCHES / f"{name}.yaml").hydra.sweeper
    if "sampler" not in sweeper:  # a grid
        return
    space = {key: re.fullmatch(r"choice\((.*)\)", value)[1].split(",") for key, value in sweeper.params.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=sweeper.sampler.seed))
    choices = {key: optuna.distributions.CategoricalDistribution(values) for key, values in space.items()}
    trials = [study.ask(choices) for _ in range(8)]
    drawn = {tuple(trial.params.values()) for trial in trials}
    assert len(drawn) == min(8, np.prod([len(values) for values in space.values()]))
    if name == "llm":
        assert "0.0" in space["llm.pmi_coefficient"]
        assert len(space["llm.learning_rate"]) > 1
        assert [len(set(column)) for column in zip(*drawn, strict=True)] == [len(values) for values in space.values()]


@pytest.mark.slow
def test_a_search_tries_different_settings_and_names_the_best(shared_cache, tmp_path):
    words = ("-m", "+search=popular", "hydra.sweeper.n_trials=3", "seeds=[1000]", f"hydra.sweep.dir={tmp_path}")
    done = run(shared_cache, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    trials = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*/trial.json"))]
    assert len(trials) == 3
    best = (tmp_path / "optimization_results.yaml").read_text()
    assert f"best_value: {max(trial['value'] for trial in trials)}" in best


@pytest.mark.parametrize(("word", "said"), [("objective=joy", "objective"), ("+search=nobody", "search")])
def test_a_mistake_gets_one_line(word, said, shared_cache, tmp_path):
    done = run(shared_cache, tmp_path, word)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"interestlab tune: {said}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("override", ["seeds=[]", "seeds=[1,1]"])
def test_impossible_worlds_are_named(override, tmp_path):
    with pytest.raises(InvalidInput, match=r"^seeds=\[.*must be a list of different whole numbers"):
        check_tuning(compose("tune", [*TINY, override, f"cache_dir={tmp_path}"]))


def test_an_unknown_agent_is_named():
    with pytest.raises(InvalidInput, match=r"^agent='nobody': unknown agent"):
        check_choices(["agent=nobody"])


def test_a_record_lists_settings_best_first(tmp_path):
    for number, value in enumerate([0.1, 0.3, 0.2]):
        (tmp_path / str(number)).mkdir()
        trial = {
            "overrides": [f"agent.alpha={number}", "+search=hcb"], "objective": "novel_positives", "value": value,
            "by_seed": {"1000": value - 0.01, "1001": value + 0.01}, "seconds": 12.3,
        }  # fmt: skip
        (tmp_path / str(number) / "trial.json").write_text(json.dumps(trial))
    rows = record("hcb", trials_of(tmp_path)).splitlines()
    assert rows[2] == "| setting | novel positives, mean | world 1000 | world 1001 | s |"
    assert [row.split(" | ")[0] for row in rows[4:]] == ["| agent.alpha=1", "| agent.alpha=2", "| agent.alpha=0"]
    assert rows[4] == "| agent.alpha=1 | 0.3000 | 0.2900 | 0.3100 | 12 |"
    with pytest.raises(InvalidInput, match="folder"):
        trials_of(tmp_path / "nothing")
