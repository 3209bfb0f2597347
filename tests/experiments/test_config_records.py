"""Everything that a config can hold is checked before anything runs, and what is wrong with it is one line."""

import contextlib
import re
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from experiments.arena.command import check_config
from experiments.certify.command import check_certification
from experiments.dataset.command import check_order
from experiments.fit.command import check_fitting
from experiments.knowledge.command import check
from experiments.llm.arms import settings_by_arm
from experiments.several.plan import plan
from experiments.study.study import check_agents, check_study
from experiments.tune.command import check_tuning
from sim.errors import InvalidInput

ARMS = ["control", "two_tower", "hcb", "llm", "llm_best_of_n"]


@pytest.fixture(scope="module")
def composed():
    """``composed(COMMAND, tmp_path, ENTRY=VALUE)``: a command's config; composed once a command, then copied."""
    with initialize_config_module("conf", version_base="1.3"):
        small = ["world=tiny", "llm=tiny"]
        configs = {name: compose(name, small) for name in ("compare", "arena", "paper", "dataset")}

    def copied(name, tmp_path, **entries):
        config = configs[name].copy()
        for entry, value in {"cache_dir": str(tmp_path / "cache"), **entries}.items():
            OmegaConf.update(config, entry, value, merge=False, force_add=True)
        return config

    return copied


def checked_whole(config):
    study = check_study(config)
    check_agents(study)
    settings_by_arm(study, config)


@pytest.mark.parametrize(
    ("entry", "value", "says"),
    [
        ("runtime.speed", 9, "runtime.speed=9: unknown entry; known are workers"),
        ("runtime", None, "runtime=None: must be a group of entries"),
        ("seed", True, "seed=True: must be a whole number, at least 0"),
        ("seed", None, "seed=None: must be a whole number, at least 0"),
        ("cache_dir", None, "cache_dir=None: must be a folder that can be written to"),
        ("cache_dir", "", "cache_dir='': must be a folder that can be written to"),
        ("cache_dir", "/proc/x", "cache_dir='/proc/x': must be a folder that can be written to ("),
        ("production", None, "production=None: must be a group of entries"),
        ("agents.hcb", 5, "agents.hcb=5: must be a group of entries"),
        ("agents.mine", {}, "agents.mine._target_=None: must be text"),
        ("agents.hcb.planner", None, "agent hcb: planner=None: must be the config of a class of Planner"),
        ("agents.hcb.planner", 5, "agent hcb: planner=5: must be the config of a class of Planner"),
        ("agents.hcb.planner.width", 100000, "agent hcb: planner.width=100000: must be a whole number from 1 to 1024"),
        ("agents.llm_best_of_n.planner.n", 0, "agent llm_best_of_n: planner.n=0: must be a whole number, at least 1"),
        ("production.width", 0, "agent production: width=0: must be a whole number from 1 to 1024"),
        ("production.learning_rate", float("nan"), "agent production: learning_rate=nan: must be a number above 0"),
        ("production.epochs", -1, "agent production: epochs=-1: must be a whole number, at least 0"),
        ("agents.two_tower.exploration", "x", "agent two_tower: exploration='x': must be a number from 0 to 1"),
        ("world.clusters.level_1", 1000, "world.clusters.level_1=1000: must be at most world.clusters.level_2=24"),
        ("llm.learning_rate", 0, "llm.learning_rate=0: must be a number above 0 and at most 1"),
        ("llm.micro_batch_size", 5, "llm.micro_batch_size=5: must divide llm.batch_size=8"),
        ("llm.top_n", 100, "llm.top_n=100: must be at most world.clusters.level_2=24"),
    ],
)
def test_a_comparison_names_what_is_wrong(tmp_path, composed, entry, value, says):
    config = composed("compare", tmp_path, **{"experiment.arms": ARMS, entry: value})
    with pytest.raises(InvalidInput) as caught:
        checked_whole(config)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../../tmp/pwned", "a/b", "a.b", "", "a" * 400, "-x", "arm 1"])
def test_a_name_that_becomes_part_of_a_path_must_be_a_name(tmp_path, composed, name):
    agent = {"_target_": "agents.random.RandomAgent", "_partial_": True}
    config = composed("compare", tmp_path, **{"experiment.arms": ["control", name]})
    config.agents = {**config.agents, name: agent}
    with pytest.raises(InvalidInput, match=r"agents=.*must be a name such as my_agent"):
        check_study(config)
    arena = composed("arena", tmp_path)
    arena.arena.logging = {name: agent}
    with pytest.raises(InvalidInput, match=r"arena\.logging=.*must be a name such as my_agent"):
        check_config(arena)
    paper = composed("paper", tmp_path)
    paper.paper.variants = {**paper.paper.variants, name: {"worlds": 2}}
    with pytest.raises(InvalidInput, match=r"paper\.variants=.*must be a name such as my_agent"):
        plan(paper, tmp_path)
    assert not (tmp_path / "cache" / "stages").exists()


CHECKS = {
    "tune": (lambda config: check_tuning(config.copy()), ("objective", "seeds", "agent", "experiment")),
    "knowledge": (lambda config: check(config.copy()), ("alphas", "folds", "prior_pairs", "encoder_weight", "twin")),
    "arena": (check_config, ("arena",)),
    "interference": (lambda config: plan(config, Path(), "interference", "twins"), ("interference",)),
    "dataset": (lambda config: check_order(config, Path()), ("dataset",)),
    "fit": (check_fitting, ("fit",)),
    "certify": (lambda config: check_certification(config, "tiny"), ("seeds", "days")),
    "compare": (checked_whole, ("experiment", "agents.hcb", "world.clusters")),
}
"""What checks a command's config, a copy if it writes into it, and which parts of it are tried."""


VALUES = (None, "\0", [None])


def entries_of(config, path):
    yield path
    part = OmegaConf.select(config, path)
    if OmegaConf.is_dict(part):
        for key in part:
            if key != "_partial_" and "." not in key:
                yield from entries_of(config, f"{path}.{key}")


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", CHECKS)
def test_no_value_of_any_entry_is_a_traceback(command, every, tmp_path, monkeypatch):
    """Nothing, text and a list for ``every`` entry, which takes three times as long as these three in turn."""
    monkeypatch.chdir(tmp_path)
    check_whole, parts = CHECKS[command]
    common = [] if command in ("fit", "certify") else ["llm=tiny"]
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(command, ["world=tiny", *common, f"cache_dir={tmp_path}"])
    OmegaConf.set_struct(config, False)
    if "agents" in config:  # those of the arms alone: with all of them most checks take longer
        chosen = str([OmegaConf.select(config, part) for part in (*parts, "experiment")])
        kept = [name for name in config.agents if name == "hcb" or re.search(rf"\b{name}\b", chosen)]
        config.agents = {name: config.agents[name] for name in kept}
        check_whole(config)
    parts = [part for part in (*parts, "runtime", "seed", "cache_dir") if part.partition(".")[0] in config]
    names = [name for part in parts for name in entries_of(config, part)]
    before = OmegaConf.to_container(config)
    for place, name in enumerate(names):
        for value in VALUES if every else (VALUES[place % len(VALUES)],):
            OmegaConf.update(config, name, value, merge=False)
            with contextlib.suppress(InvalidInput):
                check_whole(config)
        was = reduce(getitem, name.split("."), before)  # to copy the whole config takes longer than to check it
        OmegaConf.update(config, name, was, merge=False)
    assert OmegaConf.to_container(config) == before


def test_a_data_set_goes_into_a_folder_that_can_be_written(tmp_path, composed):
    order = check_order(composed("dataset", tmp_path, **{"dataset.to": str(tmp_path / "to")}), tmp_path)
    assert order.to == str(tmp_path / "to")
    assert not (tmp_path / "to").exists()
    config = composed("dataset", tmp_path, **{"dataset.to": "/proc/x"})
    with pytest.raises(InvalidInput, match=r"^dataset\.to='/proc/x': must be a folder that can be written to \("):
        check_order(config, tmp_path)
