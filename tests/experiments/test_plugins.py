"""Agents of installed distributions: discovered without flags, hashed, and each reported if broken."""

import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from agents.check_source import GROUP, package_folder
from agents.making import build_agent
from experiments import plugins
from experiments.command import check_choices
from experiments.plugins import AgentSearchPath, asks_for, choices, installed, with_plugins
from sim.errors import InvalidInput
from tests.experiments.installed import AGENT, install, interestlab


def composed(command: str, *arguments: str):
    whole = with_plugins(command, ["world=tiny", *arguments])
    with initialize_config_module("conf", version_base="1.3"):
        return compose(command, whole)


def test_an_installed_agent_is_an_arm_without_further_flags(site):
    install(site, "mine")
    config = composed("compare", "experiment.arms=[control,mine]", "agents.mine.start=3")
    assert OmegaConf.to_container(config.agents.mine) == {"_target_": "mine.Mine", "_partial_": True, "start": 3}
    assert "random" in config.agents
    assert composed("check_agent", "agent=mine").agent._target_ == "mine.Mine"
    assert composed("compare", "agent@production=mine").production._target_ == "mine.Mine"


def test_an_agent_can_be_had_twice_under_other_names(site):
    install(site, "mine")
    config = composed("compare", "+agent@agents.other=mine", "agents.other.start=2", "+agent@agents.mine=mine")
    assert (config.agents.other.start, config.agents.mine.start) == (2, 0)


def test_the_name_and_the_package_may_differ(site):
    install(site, "mine", package="their_package")
    agent = build_agent(OmegaConf.to_container(composed("compare").agents.mine), "mine")
    assert type(agent.inner).__module__ == "their_package"


def test_without_plugins_nothing_changes():
    assert not entry_points(group=GROUP)
    arguments = ["world=tiny", "--cfg", "job"]
    assert with_plugins("compare", arguments) == arguments


def test_overrides_stand_before_flags_and_only_where_there_are_agents(site):
    install(site, "mine")
    extra = "+agent@agents.mine=mine"
    assert with_plugins("compare", ["-m", "seed=0,1", "--cfg", "job"]) == ["-m", extra, "seed=0,1", "--cfg", "job"]
    assert with_plugins("compare", ["--help"]) == ["--help", extra]
    assert with_plugins("certify", ["world=tiny"]) == ["world=tiny"]
    assert with_plugins("check-agent", ["agent=mine"]) == ["agent=mine"]


def test_choices_of_plugins_are_known(site):
    folder = install(site, "mine")
    (folder / "conf" / "ranker").mkdir()
    (folder / "conf" / "ranker" / "by_hand.yaml").write_text("_target_: mine.Ranker\n")
    check_choices(["agent=mine", "agent@agents.x=mine", "ranker=by_hand"])
    assert "mine" in choices("agent")
    with pytest.raises(InvalidInput, match=r"agent='nobody': unknown agent; known are counts, .*mine"):
        check_choices(["agent=nobody"])
    check_choices(["hydra.searchpath=[file:///my/conf]", "agent=nobody"])
    check_choices(["--config-dir=/my/conf", "agent=nobody"])


def test_a_plugin_cannot_stand_in_for_one_of_ours(site):
    folder = install(site, "mine")
    (folder / "conf" / "agent" / "random.yaml").write_text("_target_: mine.Mine\n")
    (folder / "conf" / "compare.yaml").write_text("mine: true\n")
    config = composed("compare")
    assert config.agents.random._target_ == "agents.random.RandomAgent"
    assert "seed" in config


BROKEN = {
    "no config": ({"config": ""}, "the package must hold conf/agent/mine.yaml"),
    "no YAML": ({"config": "_target_: [mine\n"}, "its config cannot be composed: "),
    "a missing default": ({"config": "defaults:\n  - /ranker@ranker: nobody\n_target_: m.M\n"}, "cannot be composed"),
    "an entry nobody knows": ({"config": "_target_: mine.Mine\nstart: ${nothing.here}\n"}, "cannot be composed"),
    "no class": ({"config": "start: 3\n"}, "conf/agent/mine.yaml must name the agent's class as _target_"),
}  # fmt: skip


@pytest.fixture
def composed_once(monkeypatch):
    """What is wrong with a config is asked once a test: to compose one takes most of a second."""
    faults, fault_of = {}, plugins._compose_fault

    def kept(command, names, has_agents):
        if (command, *names) not in faults:
            faults[(command, *names)] = fault_of(command, names, has_agents)
        return faults[(command, *names)]

    monkeypatch.setattr(plugins, "_compose_fault", kept)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_config_is_reported_only_where_the_agent_is_chosen(case, site, composed_once):
    parts, says = BROKEN[case]
    install(site, "mine", **parts)
    install(site, "fine")
    with pytest.raises(InvalidInput) as error:
        with_plugins("compare", ["world=tiny", "experiment.arms=[control,mine]"])
    assert str(error.value).startswith("agent plugin mine='mine': ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    arguments = ["world=tiny", "experiment.arms=[control,fine]"]
    assert with_plugins("compare", arguments) == ["+agent@agents.fine=fine", *arguments]


def test_a_broken_config_does_not_keep_others_from_being_composed(site, composed_once):
    install(site, "mine", config="_target_: [mine\n")
    install(site, "fine")
    config = composed("compare", "experiment.arms=[control,fine]")
    assert "mine" not in config.agents
    assert "fine" in config.agents


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("experiment.arms=[control,mine]", True),
        ("experiment.reference=mine", True),
        ("agents.mine.start=1", True),
        ("+agent@agents.x=mine", True),
        ("agent=mine", True),
        ("experiment.arms=[control,mine_too]", False),
        ("agents.other.start=1", False),
        ("world=mine", False),
    ],
)
def test_an_agent_is_wanted_however_an_argument_asks_for_it(argument, wanted):
    assert asks_for(argument, "mine") is wanted


BAD_CODE = {
    "an import error": ("import no_such_module", {}, "No module named"),
    "a syntax error": ("def f(:", {}, "SyntaxError"),
    "an error at import": ("1 / 0", {}, "ZeroDivisionError"),
    "no agent": ("class Mine:\n    def __init__(self, start): pass", {}, "must be a subclass of agents.base.Agent"),
    "an abstract agent": ("from agents.base import Agent as Mine", {}, "could not be made: TypeError: "),
    "no such class": ("Other = 1", {}, "could not be made: "),
    "a constructor error": (AGENT, {"start": -1}, "could not be made: ValueError: start must not be"),
    "an argument nobody takes": (AGENT, {"stop": 3}, "could not be made: TypeError: "),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CODE)
def test_broken_code_is_reported_when_the_agent_is_made(case, site):
    code, settings, says = BAD_CODE[case]
    install(site, "mine", code=code)
    config = {"_target_": "mine.Mine", "_partial_": True, "start": 0, **settings}
    with pytest.raises(InvalidInput) as error:
        build_agent(config, "mine")
    assert str(error.value).startswith("agent mine='mine.Mine': ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_each_broken_distribution_is_reported(site):
    install(site, "counts", package="copycat")
    install(site, "control", package="controller")
    install(site, "twice", package="one")
    install(site, "twice", package="two")
    install(site, "not-a-name", package="odd")
    folder = install(site, "gone")
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    faults = {name: plugin.fault for name, plugin in installed().items()}
    assert "interestlab has an agent or arm of this name itself" in faults["counts"]
    assert "interestlab has an agent or arm of this name itself" in faults["control"]
    assert "several packages bring an agent of this name" in faults["twice"]
    assert "must be a Python name" in faults["not-a-name"]
    assert "must be an importable package" in faults["gone"]
    assert composed("compare").agents.counts._target_ == "agents.hierarchical.HierarchicalAgent"


def test_finding_plugins_runs_nothing_of_theirs(site):
    install(site, "mine", code="raise SystemExit('imported')")
    assert "mine" in composed("compare").agents
    assert "mine" not in sys.modules
    assert package_folder("mine") == site / "mine"
    assert package_folder("mine.conf") == site / "mine" / "conf"
    assert package_folder("mine.nothing") is None
    assert package_folder("json.decoder") is None  # a module, no package


def test_configs_are_searched_after_ours(site):
    install(site, "mine")

    class Recorded:
        def __init__(self):
            self.paths = []

        def append(self, provider, path):
            self.paths.append((provider, path))

    recorded = Recorded()
    AgentSearchPath().manipulate_search_path(recorded)
    assert recorded.paths == [("agent plugin mine", f"file://{site / 'mine' / 'conf'}")]


# Whole commands


@pytest.mark.slow
def test_a_comparison_runs_with_an_installed_agent(tmp_path):
    site = tmp_path / "site"
    install(site, "mine")
    install(site, "broken", code="raise SystemExit('imported')", config="_target_: [")
    arguments = ["compare", "world=tiny", "experiment.arms=[control,mine]", "experiment.reference=mine"]
    arguments += [
        "experiment.burn_in_days=1",
        "experiment.days=1",
        "world.num_users=60",
        "hydra.run.dir=out",
        "runtime.workers=1",
    ]
    done = interestlab(*arguments, site=site, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "log_mine.parquet").is_file()

    def arms() -> set[Path]:
        return {path for path in (tmp_path / "cache" / "stages").glob("arm-*") if path.is_dir()}

    before = arms()
    (site / "mine" / "helper.py").write_text("x = 1\n")  # the plugin changes: its arm is made anew, no other
    assert interestlab(*arguments, site=site, cwd=tmp_path, cache=tmp_path / "cache").returncode == 0
    assert [path.name.partition("-")[2].partition("-")[0] for path in arms() - before] == ["mine"]
    done = interestlab("compare", "world=tiny", "experiment.arms=[control,broken]", site=site, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("interestlab compare: agent plugin broken='broken': its config cannot be composed")
    assert len(done.stderr.splitlines()) == 1


def test_an_agent_that_cannot_be_made_is_reported_before_the_burn_in(tmp_path):
    install(tmp_path / "site", "mine", code="import no_such_module")
    arguments = ["compare", "world=tiny", "experiment.arms=[control,mine]", "hydra.run.dir=out"]
    done = interestlab(*arguments, site=tmp_path / "site", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("interestlab compare: agent mine='mine.Mine': could not be made: ")
    assert "No module named 'no_such_module'" in done.stderr
    assert not (tmp_path / "cache" / "stages").exists()


@pytest.mark.slow
def test_an_agent_that_is_not_installed_needs_a_search_path(tmp_path):
    (tmp_path / "loose.py").write_text(AGENT)
    (tmp_path / "settings" / "agent").mkdir(parents=True)
    (tmp_path / "settings" / "agent" / "mine.yaml").write_text("_target_: loose.Mine\n")
    path = f"hydra.searchpath=[file://{tmp_path / 'settings'}]"
    done = interestlab("check-agent", "agent=mine", path, "world.num_users=100", site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("mine (loose.Mine)\n")
    arguments = ["compare", "world=tiny", path, "+agent@agents.mine=mine", "experiment.arms=[control,mine]"]
    arguments += ["agents.mine.colour=blue", "hydra.run.dir=out"]
    done = interestlab(*arguments, site=tmp_path, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode != 0
    assert "colour" in done.stderr
