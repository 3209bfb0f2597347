"""A user's mistake gets one clear line that names the entry, the value and what would be right."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from agents.llm.weights import BUNDLED_MODEL, prepare_weights
from agents.making import build_agent
from experiments.command import check_choices
from experiments.llm.arms import check_llm, settings_by_arm
from experiments.study.study import check_study
from sim.errors import InvalidInput
from tests.command_line import interestlab
from tests.composing import compose
from tests.conftest import cache_with_weights


def study(tmp_path: Path, *overrides: str):
    config = compose("compare", ["world=tiny", f"cache_dir={tmp_path}", *overrides])
    return check_study(config)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("world.num_users=0", "world.num_users=0: must be a whole number from 1 to 100000000"),
        ("world.num_users=many", "world.num_users='many': must be a whole number"),
        ("world.num_interests=790", "world.num_interests=790: must be at most 761"),
        ("world.semantic_alignment=2", "world.semantic_alignment=2: must be a number from 0 to 1"),
        ("world.response.noise_sd=-1", "world.response.noise_sd=-1: must be a number from 0 to 20"),
        ("+world.colour=blue", "world.colour='blue': unknown entry"),
        ("experiment.days=-1", "experiment.days=-1: must be a whole number, at least 1"),
        ("experiment.burn_in_days=0", "experiment.burn_in_days=0: must be a whole number, at least 1"),
        ("experiment.exploration_slots=11", "experiment.exploration_slots=11: must be at most experiment.slots=10"),
        ("experiment.exploration_slots=x", "experiment.exploration_slots='x': must be a whole number, at least 1"),
        ("experiment.exploration_slots=null", "experiment.exploration_slots=None: must be a whole number"),
        ("experiment.exploration_slots=true", "experiment.exploration_slots=True: must be a whole number"),
        (
            "experiment.exploration_per_day=1",
            "experiment.exploration_per_day=1: must be null (no limit) or at least the",
        ),
        ("experiment.exploration_per_day=0", "experiment.exploration_per_day=0: must be a whole number, at least 1"),
        ("world.prior.own=0.7", "own, trending and stray must sum to 1, not to 1.1"),
        ("world.prior.stray=-0.1", "world.prior.stray=-0.1: must be a number from 0 to 1"),
        ("world.survey.precision=0.5", "world.survey.precision=0.5: must be a number above 0.5"),
        ("world.own_share=1", "world.own_share=1: must be a number"),
        ("world.linked_pairs=0", "world.linked_pairs=0: must be a number above 0"),
        ("experiment.diversion=half", "experiment.diversion='half': must be one of twins, split"),
        ("experiment.arms=[control,nobody]", "experiment.arms='nobody': unknown agent; known are control, random"),
        ("experiment.arms=[counts,llm]", "experiment.control='control': must be one of the arms"),
        ("experiment.arms=[]", "experiment.arms=[]: must be a list"),
        ("seed=-1", "seed=-1: must be a whole number, at least 0"),
        ("runtime.workers=0", "runtime.workers=0: must be a whole number from 1 to 4096"),
        ("runtime.workers=1000000000", "runtime.workers=1000000000: must be a whole number from 1 to 4096"),
        ("runtime.world_threads=5000", "runtime.world_threads=5000: must be a whole number from 1 to 4096"),
        ("runtime.backend=dask", "runtime.backend='dask': must be one of loky, ray"),
    ],
)
def test_impossible_values_are_named(tmp_path, override, says):
    with pytest.raises(InvalidInput) as error:
        study(tmp_path, override).build_world()
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_llm_settings_are_named(tmp_path):
    config = compose("compare", ["llm.steps=-1"])
    with pytest.raises(InvalidInput, match=r"llm.steps=-1: must be a whole number, at least 0"):
        check_llm(OmegaConf.to_container(config.llm))


def test_an_agent_that_cannot_be_made_is_named():
    with pytest.raises(InvalidInput, match=r"agent mine='no\.such\.Agent': could not be made"):
        build_agent({"_target_": "no.such.Agent", "_partial_": True}, "mine")
    with pytest.raises(InvalidInput, match=r"must be a subclass of agents\.base\.Agent"):
        build_agent({"_target_": "builtins.dict", "_partial_": True}, "mine")


@pytest.mark.parametrize("argument", ["world=huge", "agent@production=nobody", "llm=gpt"])
def test_unknown_choices_are_named(argument):
    with pytest.raises(InvalidInput, match=r"unknown .*; known are"):
        check_choices([argument])


@pytest.mark.parametrize("argument", ["world=huge", "world.num_users=0"])
def test_the_command_prints_one_line_and_leaves_nothing(tmp_path, argument):
    words = [argument] if argument.startswith("world=") else ["world=tiny", argument]
    done = interestlab("compare", *words, f"cache_dir={tmp_path / 'cache'}", f"hydra.run.dir={tmp_path / 'out'}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("interestlab compare: ")
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_a_burn_in_without_a_transition_says_so(tmp_path, weights_cache):
    cache = cache_with_weights(tmp_path / "cache", weights_cache)
    words = ["world=tiny", "world.num_users=1", "llm=tiny", "experiment.arms=[control,llm]"]
    words += ["experiment.burn_in_days=1", "experiment.days=1", "world.population.activity_mean=-6"]
    done = interestlab("compare", *words, f"cache_dir={cache}", f"hydra.run.dir={tmp_path / 'out'}")
    assert done.returncode == 2
    assert "experiment.burn_in_days=1: is too short: the log has no novel transition" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_weights_say_how_to_get_them_before_anything_runs(tmp_path):
    words = ["world=tiny", "llm=tiny", f"llm.model={tmp_path / 'none'}", "experiment.arms=[control,llm]"]
    done = interestlab("compare", *words, f"cache_dir={tmp_path / 'cache'}", f"hydra.run.dir={tmp_path / 'out'}")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "llm.model=" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "cache" / "stages").exists()


def test_a_missing_wheel_says_how_to_get_it(tmp_path, monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", absent)
    monkeypatch.setattr("importlib.metadata.files", absent)
    with pytest.raises(InvalidInput, match="make setup"):
        prepare_weights(BUNDLED_MODEL, tmp_path)


def llm_settings(tmp_path: Path, *overrides: str):
    config = compose("compare", ["world=tiny", "llm=tiny", f"cache_dir={tmp_path}", *overrides])
    return settings_by_arm(check_study(config), config)


def test_arms_have_language_models_of_their_own(tmp_path):
    arms = "experiment.arms=[control,hcb,llm,llm_random_weights,llm_zero_shot,llm_text,llm_best_of_n]"
    settings = llm_settings(tmp_path, arms, "llm.top_n=7")
    assert set(settings) == {"llm", "llm_random_weights", "llm_zero_shot", "llm_text", "llm_best_of_n"}
    assert {each.top_n for each in settings.values()} == {7}
    assert [settings["llm"].random_weights, settings["llm_random_weights"].random_weights] == [False, True]
    assert settings["llm_zero_shot"].steps == 0
    assert settings["llm_best_of_n"] == settings["llm"]  # one table serves both
    assert (settings["llm"].encoder_weight, settings["llm_text"].encoder_weight) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("+agents.llm.llm.steps=-1", "agents.llm.llm.steps=-1: must be a whole number, at least 0"),
        ("+agents.llm.llm.colour=red", "agents.llm.llm.colour='red': unknown entry"),
        ("+agents.counts.llm.steps=3", "agents.counts.llm={'steps': 3}: is for agents whose planner is"),
    ],
)
def test_settings_of_one_arm_are_checked_under_its_name(override, says, tmp_path):
    with pytest.raises(InvalidInput) as caught:
        llm_settings(tmp_path, override)
    assert str(caught.value).startswith(says)
