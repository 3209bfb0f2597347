"""Hostile agents, each of which tries one way around the wall in a real small arm."""

import builtins
import importlib
import os
import pkgutil
import sys
import time
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from omegaconf import OmegaConf

import agents
import sim
from agents.check_source import CLOSED_PACKAGES, PUBLIC_SIM, is_hidden, source_faults
from agents.making import build_agent
from agents.random import RandomAgent
from agents.wall import Walled, wall
from experiments.live.arms import live, run_day
from sim.errors import InvalidInput, WallBreach, breaches
from sim.hidden.config import WorldConfig, from_mapping
from sim.log import InteractionLog
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.test_arms import make_arm

ROOT = Path(__file__).parents[2]

TEMPLATE = """
import numpy as np
from agents.base import Agent, Recommendations
from agents.random import uniform_slate
{module}


class Hostile(Agent):
    def __init__(self):
        {made}

    def fit(self, platform, log, rng):
        self.platform = platform
        {fit}

    def recommend(self, requests, rng):
        {recommend}
        return uniform_slate(self.platform.live_items(), requests, rng)

    def update(self, log, rng):
        {update}

    def load(self, folder, platform):
        self.platform = platform
        {load}
"""

ROUTES = {
    "attribute": ({"recommend": "self.platform.records"}, "platform='records': is none of what a recommender may see"),
    "underscore": ({"recommend": "self.platform._records"}, "platform='_records': is none"),
    "mangled": ({"recommend": "self.platform._Platform__records"}, "platform='_Platform__records': is none"),
    "world": ({"fit": "platform.world"}, "platform='world': is none"),
    "truth": ({"update": "self.platform.truth"}, "platform='truth': is none"),
    "vars": ({"recommend": "getattr(self.platform, 'population', None)"}, "platform='population': is none"),
    "caught": ({"recommend": "try: self.platform.world\n        except Exception: pass"}, "platform='world': is none"),
    "bare except": ({"fit": "try: import sim.hidden.tree\n        except: pass"}, "import='sim.hidden.tree': is"),
    "module": ({"module": "import sim.hidden.world"}, "is hidden from recommenders, which may import agents"),
    "module, from": ({"module": "from sim.hidden.world import World"}, "import='sim.hidden.world': is hidden"),
    "constructor": ({"made": "from sim.hidden import tree"}, "import='sim.hidden': is hidden"),
    "lazily": ({"recommend": "import sim.hidden.population"}, "import='sim.hidden.population': is hidden"),
    "from sim": ({"recommend": "from sim import hidden"}, "import='sim.hidden': is hidden"),
    "star": ({"module": "from sim import *"}, "import='sim.*': is hidden"),
    "by the package": ({"recommend": "import sim; sim.hidden.world"}, "import='sim.hidden': is hidden"),
    "by a neighbour": ({"recommend": "import sim.platform; sim.hidden.world.World"}, "import='sim.hidden': is hidden"),
    "by an alias": ({"recommend": "import sim.platform as p; p._RECORDS"}, "import='sim.platform._RECORDS': is hidden"),
    "private": ({"recommend": "from sim.platform import _RECORDS"}, "import='sim.platform._RECORDS': is hidden"),
    "by hand": ({"update": "__import__('sim.hidden.response')"}, "import='sim.hidden.response': is hidden"),
    "experiments": ({"recommend": "from experiments.study import study"}, "import='experiments.study': is hidden"),
    "environments": ({"recommend": "import envs"}, "import='envs': is hidden"),
    "set": ({"recommend": "self.platform.day = 0"}, "platform='day': cannot be set"),
    "replace": ({"recommend": "self.platform.live_items = list"}, "platform='live_items': cannot be set"),
    "replace in class": ({"fit": "type(platform).live_items = list"}, "Platform='live_items': cannot be set"),
    "delete": ({"fit": "del platform.day"}, "platform='day': cannot be deleted"),
    "clusters": ({"fit": "platform.cluster_of_item[:] = 0"}, "'fit': must not change its input"),
    "catalog": ({"fit": "platform.catalog.expiry_day[:] = 0"}, "'fit': must not change its input"),
    "flags": ({"fit": "platform.catalog.length.setflags(write=True)"}, "'fit': must not change its input"),
    "base": ({"fit": "platform.clusters.centroid.base[:] = 0"}, "'fit': must not change its input"),
    "request": ({"recommend": "requests.items[:] = 0"}, "'recommend': must not change its input"),
    "request's flags": ({"recommend": "requests.exclude.flags.writeable = True"}, "must not change its input"),
    "request's base": ({"recommend": "requests.exclude.base[:] = -1"}, "must not change its input"),
    "log": ({"update": "log.positive[:] = True"}, "'update': must not change its input"),
    "log's flags": ({"update": "log.positive.setflags(write=True)"}, "'update': must not change its input"),
}  # fmt: skip


@pytest.fixture(scope="module")
def config() -> WorldConfig:
    composed = compose("compare", ["world=tiny", "world.num_users=40"])
    return from_mapping(WorldConfig, OmegaConf.to_container(composed.world, resolve=True), "world")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Makes an installed plugin's agent, each in a module of its own name."""
    monkeypatch.syspath_prepend(tmp_path)

    def made(**parts: str) -> Walled:
        name = f"hostile_{abs(hash(tuple(parts.items())))}"
        code = dict.fromkeys(("made", "fit", "recommend", "update", "load"), "pass") | {"module": ""} | parts
        (tmp_path / f"{name}.py").write_text(TEMPLATE.format(**code))
        try:
            return build_agent({"_target_": f"{name}.Hostile"}, "mine")
        finally:
            sys.modules.pop(name, None)

    return made


@pytest.mark.parametrize("route", ROUTES)
def test_a_way_around_the_wall_stops_the_arm_with_one_line(route, plugin, config, tmp_path):
    parts, message = ROUTES[route]

    def lived() -> None:
        arm = make_arm(config, agent=plugin(**parts))
        live([arm], 0, 1, tmp_path / "days", lambda: None, burn_in=InteractionLog.concatenate([]))

    with pytest.raises(InvalidInput) as caught:
        lived()
    assert message in str(caught.value)
    assert str(caught.value).startswith("agent mine")
    assert "\n" not in str(caught.value)
    if "must not change" not in message:
        assert isinstance(caught.value, WallBreach)


def test_what_is_read_back_is_behind_the_wall_too(plugin, config, tmp_path):
    live([make_arm(config, agent=plugin())], 0, 1, tmp_path / "days", lambda: None)
    with pytest.raises(WallBreach, match=r"agent mine: import='sim\.hidden\.items'"):
        live([make_arm(config, agent=plugin(load="import sim.hidden.items"))], 0, 2, tmp_path / "days", lambda: None)


def test_an_agent_cannot_change_what_its_slates_are_checked_against(plugin, config):
    everything_seen = "object.__setattr__(requests, 'exclude', requests.exclude[:, :0])"
    arm = make_arm(config, agent=plugin(recommend=everything_seen), slots=10, explored=10)
    live_items = arm.platform.live_items()
    arm.records._seen = np.tile(live_items[:-20], (config.num_users, 1))  # so only twenty are left
    with pytest.raises(InvalidInput, match=r"requests\.exclude"):
        run_day([arm], 0)


def test_honest_agents_do_not_notice(plugin, config):
    walled = plugin(
        module="import sim.log\nimport sim.platform as records\nfrom sim import catalog",
        recommend="records.Requests; catalog.Catalog; sim.log.InteractionLog; hasattr(self.platform, '__array__')",
        fit="import json, xml.dom; np.asarray(log.user).copy()[:] = 1; platform.consumed_clusters(np.arange(3))[:] = 1",
    )
    one, two = make_arm(config, agent=walled), make_arm(config, agent=RandomAgent())
    assert run_day([one], 0).log.digest() == run_day([two], 0).log.digest()


def test_what_is_hidden_agrees_with_the_import_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c.get("source_modules") == ["agents"]]
    refused = set(contract["forbidden_modules"])
    assert all(is_hidden(module) for module in refused)
    assert refused == {"sim.hidden", *set(CLOSED_PACKAGES) - {"experiments"}}  # of experiments another contract says it
    modules = {path.stem for path in Path(sim.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(PUBLIC_SIM) == modules


def test_the_wall_comes_down_whatever_happens():
    before = builtins.__import__
    with wall("mine", "fit"):
        assert builtins.__import__ is not before
    with pytest.raises(ZeroDivisionError), wall("mine", "fit"):
        raise ZeroDivisionError
    with pytest.raises(WallBreach), wall("mine", "fit"):
        exec("import sim.hidden.world", {"__name__": "mine"})
    assert builtins.__import__ is before
    assert breaches == []


def test_trusted_code_imports_what_it_needs_behind_the_wall():
    with wall("mine", "fit"):
        exec("import sim.hidden.world; sim.hidden.world.World", {"__name__": "sim.hidden.clustering"})
        exec("from experiments import study; from sim.hidden import tree", {"__name__": "experiments.oracles.oracle"})


def test_the_wall_costs_next_to_nothing():
    def seconds(times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            with wall("mine", "recommend"):
                import json  # noqa: F401 - an import inside, as torch has many
        return time.perf_counter() - start

    assert min(seconds(1000) for _ in range(5)) / 1000 < 100e-6  # a slate takes milliseconds


def test_a_plugin_that_reads_the_truth_stops_a_comparison_before_it_begins(tmp_path):
    (tmp_path / "spy.py").write_text(TEMPLATE.format(
        module="import sim.hidden.world", made="pass", fit="pass", recommend="pass", update="pass", load="pass"
    ))  # fmt: skip
    words = ["world=tiny", "+agents.spy._target_=spy.Hostile", "experiment.arms=[control,spy]"]
    words += [f"cache_dir={tmp_path / 'cache'}", f"hydra.run.dir={tmp_path / 'out'}"]
    done = interestlab("compare", *words, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(
        "interestlab compare: agent spy: import='sim.hidden.world': is hidden from recommenders"
    )
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "cache" / "stages").exists()


SOURCES = {
    "import sim.hidden.world": "sim.hidden.world",
    "import numpy\nfrom sim.hidden.response import respond": "sim.hidden.response",
    "def f():\n    from sim import hidden": "sim.hidden",
    "import sim.log\nx = sim.hidden.world.World": "sim.hidden",
    "import importlib\nimportlib.import_module('sim.hidden.items')": "sim.hidden.items",
    "import sys\nsys.modules['sim.hidden.personas']": "sim.hidden.personas",
    "from sim.platform import _RECORDS": "sim.platform._RECORDS",
    "from experiments import arms": "experiments",
}


@pytest.mark.parametrize("source", SOURCES)
def test_reading_an_agents_source_finds_what_it_imports(source, tmp_path):
    (tmp_path / "mine.py").write_text(source)
    (fault,) = source_faults({"mine/mine.py": tmp_path / "mine.py"})
    assert fault.startswith(f"mine/mine.py, line {len(source.splitlines())}: {SOURCES[source]} is hidden")


@pytest.mark.parametrize(
    "source",
    ["sim = 3\nsim.world", "from . import world", "import simulator", "'sim.hidden.world'", "import agents.slate"],
)
def test_reading_an_agents_source_finds_nothing_where_nothing_is(source, tmp_path):
    (tmp_path / "mine.py").write_text(source)
    assert source_faults({"mine.py": tmp_path / "mine.py"}) == []


def test_our_own_agents_source_is_clean():
    folder = ROOT / "agents"
    assert source_faults({str(path): path for path in sorted(folder.rglob("*.py"))}) == []


def test_no_module_of_agents_holds_what_leads_behind_the_wall():
    """``from agents.check_source import sim`` had given an agent the package, and with it ``sim.hidden``."""
    for actual in pkgutil.walk_packages(agents.__path__, "agents."):
        for name, value in vars(importlib.import_module(actual.name)).items():
            if isinstance(value, ModuleType):
                assert value.__name__.partition(".")[0] not in ("sim", *CLOSED_PACKAGES), f"{actual.name}.{name}"
