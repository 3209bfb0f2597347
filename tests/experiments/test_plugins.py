"""Agents of installed distributions: discovered without flags, hashed, and each reported if broken."""

import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from agents.check import check_source
from agents.check_source import GROUP, package_folder, sources, targets
from agents.making import build_agent
from experiments import plugins
from experiments.command import check_choices
from experiments.plugins import AgentSearchPath, asks_for, choices, installed, outside_digests, with_plugins
from experiments.stages.stages import stage_digest
from sim.errors import InvalidInput
from tests.experiments.installed import AGENT, install, interestlab


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where a test installs what it needs; as if it had always been on Python's path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


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


def test_a_changed_plugin_finds_no_old_results(site):
    folder = install(site, "mine")
    config = {"_target_": "agents.hierarchical.HierarchicalAgent", "planner": [{"_target_": "mine.Mine"}]}

    def digest() -> str:
        outside_digests.__globals__["_digest_of_package"].cache_clear()  # a new process begins without
        return stage_digest("arm-mine", {"plugins": outside_digests(config)}, [], "experiments.live.arm_stages")

    first = digest()
    assert digest() == first
    (folder / "helper.py").write_text("x = 1\n")
    second = digest()
    (folder / "weights.bin").write_bytes(b"\x00")
    third = digest()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "helper.pyc").write_bytes(b"compiled")
    assert digest() == third
    assert len({first, second, third}) == 3


def test_files_that_a_config_names_are_hashed_too(tmp_path):
    weights = tmp_path / "policy.safetensors"
    config = {"_target_": "agents.random.RandomAgent", "policy": str(weights)}
    assert outside_digests(config) == {}
    actual = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        actual.append(outside_digests(config)[str(weights)])
    assert actual[0] != actual[1]


def test_folders_that_a_config_names_are_hashed_too(tmp_path, monkeypatch):
    folder = tmp_path / "policy"
    (folder / "deep").mkdir(parents=True)
    config = {"_target_": "agents.random.RandomAgent", "policies": [{"folder": str(folder)}]}

    def digest() -> str:
        (path,) = outside_digests(config).items()
        assert path[0] == str(folder)
        return path[1]

    actual = [digest()]
    (folder / "deep" / "weights.bin").write_bytes(b"one")
    actual.append(digest())
    (folder / "deep" / "weights.bin").write_bytes(b"two")
    actual.append(digest())
    (folder / "deep" / "weights.bin").rename(folder / "weights.bin")
    actual.append(digest())
    assert len(set(actual)) == 4
    assert digest() == actual[-1]
    monkeypatch.chdir(tmp_path)
    word = {"_target_": "agents.random.RandomAgent", "kind": "policy"}
    assert outside_digests(word) == {}  # a word, though a folder here is called so
    assert outside_digests({**word, "kind": "./policy"}) == {"./policy": actual[-1]}


@pytest.mark.parametrize("folder", ["/", "./", "../", "~/"])
def test_a_folder_that_holds_the_working_directory_is_not_hashed(folder, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert outside_digests({"_target_": "agents.random.RandomAgent", "separator": folder}) == {}


def test_what_cannot_be_read_is_named_with_its_setting(tmp_path, monkeypatch):
    (tmp_path / "weights.bin").write_bytes(b"one")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read everything
    for path in (tmp_path, tmp_path / "weights.bin"):
        with pytest.raises(InvalidInput, match=r"policies\.0\.folder=.*must be a file or folder .*denied") as error:
            outside_digests({"_target_": "agents.random.RandomAgent", "policies": [{"folder": str(path)}]})
        assert error.value.value == str(path)


def test_paths_in_the_home_folder_are_hashed_under_the_name_that_the_config_gives(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(b"one")
    for name in ("weights", "weights/w.bin"):
        (tilde,) = outside_digests({"folder": f"~/{name}"}).items()
        assert tilde == (f"~/{name}", outside_digests({"folder": str(tmp_path / name)})[str(tmp_path / name)])
    assert outside_digests({"separator": "~"}) == {}


def test_links_to_folders_are_followed(tmp_path, site):
    for each in ("one", "two"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "w.bin").write_text(each)
        (tmp_path / each / "back").symlink_to(site)  # a loop through both, which must not be walked forever
    folder = install(site, "mine")
    (folder / "first").symlink_to(tmp_path / "one")  # the same files under two names: each name counts
    link = folder / "last"
    config = {"_target_": "mine.Mine", "folder": str(folder)}
    actual = []
    for each in ("one", "two"):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / each)
        plugins._digest_of_package.cache_clear()
        actual.append(outside_digests(config))
        assert {"mine/first/w.bin", "mine/last/w.bin"} < set(sources("mine"))
    assert actual[0]["mine"] != actual[1]["mine"]
    assert actual[0][str(folder)] != actual[1][str(folder)]


def test_a_file_moved_within_a_package_changes_its_digest(site):
    folder = install(site, "mine")
    for name in ("a", "b"):
        (folder / name).mkdir()
    (folder / "a" / "w.bin").write_bytes(b"one")
    before = outside_digests({"_target_": "mine.Mine"})
    (folder / "a" / "w.bin").rename(folder / "b" / "w.bin")
    plugins._digest_of_package.cache_clear()
    assert outside_digests({"_target_": "mine.Mine"}) != before


def test_our_own_agents_need_no_digest_of_their_own():
    config = {"_target_": "agents.hierarchical.HierarchicalAgent", "ranker": {"_target_": "agents.x.Y"}}
    assert list(targets(config)) == ["agents.hierarchical.HierarchicalAgent", "agents.x.Y"]
    assert outside_digests(config) == {}
    assert outside_digests(None) == {}


def test_a_single_module_is_a_source(site):
    (site / "lone.py").write_text("x = 1\n")
    assert sources("lone") == {"lone.py": site / "lone.py"}
    assert sources("no_such_module") == {}


def test_a_single_modules_neighbours_that_it_imports_are_sources_too(site):
    (site / "lone.py").write_text("import json\nimport helper\nimport mine.part\n")
    (site / "helper.py").write_text("from deeper import x\nimport lone\n")
    for name in ("deeper", "other", "json"):
        (site / f"{name}.py").write_text("x = 1\n")
    install(site, "mine")
    assert list(sources("lone")) == ["deeper.py", "helper.py", "lone.py"]


def test_every_folder_of_a_namespace_package_is_a_source(site, tmp_path, monkeypatch):
    other = tmp_path / "other"
    for place, name in ((site, "one"), (other, "one"), (other, "two")):
        (place / "shared" / name).mkdir(parents=True)
        (place / "shared" / name / "__init__.py").write_text("import sim.hidden.world\n")
    monkeypatch.syspath_prepend(other)
    monkeypatch.syspath_prepend(site)
    expected = {"one": site, "two": other}
    files = {f"shared/{name}/__init__.py": place / "shared" / name / "__init__.py" for name, place in expected.items()}
    assert sources("shared") == files
    assert package_folder("shared.two") == other / "shared" / "two"
    says = check_source({"_target_": "shared.two.Mine"}).message
    assert all(f"{name}, line 1: sim.hidden.world" in says for name in files)

    def digest():
        plugins._digest_of_package.cache_clear()
        return outside_digests({"_target_": "shared.two.Mine"})

    before = digest()
    (other / "shared" / "two" / "__init__.py").write_text("x = 1\n")
    assert digest() != before


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
