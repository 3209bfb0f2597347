"""A fault of a plugin's planner, ranker or agent is one line: it names the part, arm and file, and what is right."""

import re
import sys

import pytest
from omegaconf import OmegaConf

from agents.making import build_agent
from experiments.live.arms import live
from sim.errors import InvalidInput, WallBreach
from sim.hidden.config import WorldConfig, from_mapping
from sim.log import InteractionLog
from tests.composing import compose
from tests.experiments.installed import install, interestlab
from tests.experiments.test_arms import make_arm

PLANNER = """
import numpy as np
from agents.planners import RandomNovelPlanner


class Mine(RandomNovelPlanner):
    def {method}:
        {body}
"""
RANKER = """
import numpy as np
from agents.base import Recommendations
from agents.cluster_rankers import RandomWithinClusterRanker


class Mine(RandomWithinClusterRanker):
    def {method}:
        {body}
"""
AGENT = """
import numpy as np
from agents.base import Recommendations
from agents.random import RandomAgent


class Mine(RandomAgent):
    def {method}:
        {body}
"""

ARGUMENTS = {
    "propose": "self, requests, rng",
    "rank": "self, requests, allowed, rng",
    "recommend": "self, requests, rng",
    "fit": "self, platform, log, rng",
    "update": "self, log, rng",
    "load": "self, folder, platform",
}
PLAN = "super().propose(requests, rng)"
RANKED = "super().rank(requests, allowed, rng)"
SLATE = "super().recommend(requests, rng)"
BY_NAME = r" \(Mine, {file}\)$"
SHAPE = r": propose must return an integer array of shape \(\d+, 2\), one row a user" + BY_NAME
RANGE = r": user \d+: clusters must be in 0 \.\. \d+" + BY_NAME
LINE = r" must not raise an error; this one comes from {file}, line \d+, in "
FAULTS = {
    "planner": (
        ("propose", f"return {PLAN}[:, :1]", r"='int32 array of shape \(\d+, 1\)'" + SHAPE),
        ("propose", f"return {PLAN}.astype(float)", r"='float64 array of shape \(\d+, 2\)'" + SHAPE),
        ("propose", f"return {PLAN}.astype('uint64')", r"='uint64 array of shape \(\d+, 2\)'" + SHAPE),
        ("propose", f"return {PLAN} * np.nan", r"='float64 array of shape \(\d+, 2\) with NaN'" + SHAPE),
        ("propose", "pass", r"='NoneType'" + SHAPE),
        ("propose", f"return {PLAN} + 1000", r"=\[10\d+, 10\d+\]" + RANGE),
        ("propose", f"return {PLAN} * 0 - 1", r"=\[-1, -1\]" + RANGE),
        ("propose", "dict()['table']", "=\"KeyError: 'table'\": propose" + LINE + r"propose: dict\(\)\['table'\]$"),
        (
            "propose",
            "requests.items[:] = 0",
            "='propose': must not change its input; copy .*{file}, line 8, in propose",
        ),
        ("fit", "raise OSError('no\\nweights')", "='OSError: no weights': fit" + LINE + "fit: raise OSError"),
        ("update", "return [][len(log)]", "='IndexError: .*': update" + LINE + "update: return"),
    ),
    "ranker": (
        (
            "rank",
            f"return Recommendations({RANKED}.items[:, :0])",
            r"='int64 array of shape \(\d+, 0\)': rank must return items of shape \(\d+, 1\), an array of integers"
            + BY_NAME,
        ),
        ("rank", f"return Recommendations({RANKED}.items * 0.5)", "='float64 array .*': rank must .*" + BY_NAME),
        ("rank", f"return {RANKED}.items", "='int64 array .*': rank must return an agents.base.Rec.*" + BY_NAME),
        (
            "rank",
            f"return Recommendations({RANKED}.items, {RANKED}.propensity * np.nan)",
            r"='float32 array of shape \(\d+, 1\) with NaN': rank must return propensities of shape .*" + BY_NAME,
        ),
        (
            "rank",
            f"return Recommendations({RANKED}.items * 0 + 10**7)",
            r"=10000000: user \d+, slot 0: items must be in 0 \.\. \d+" + BY_NAME,
        ),
        ("rank", "return missing", "=\"NameError: name 'missing' is .*\": rank" + LINE + "rank: return missing$"),
    ),
    "agent": (
        ("recommend", f"return {SLATE}.items", "='int64 array .*': recommend must return an .*" + BY_NAME),
        ("recommend", f"return Recommendations({SLATE}.items[:, :1])", "='int64 .*': items must be .*" + BY_NAME),
        (
            "recommend",
            f"return Recommendations({SLATE}.items.astype('uint64'))",
            "='uint64 .*': items must be an int.*" + BY_NAME,
        ),
        (
            "recommend",
            f"return Recommendations({SLATE}.items, {SLATE}.items.astype(str))",
            "='<U21 array of shape .*': propensity must have shape .*" + BY_NAME,
        ),
        (
            "recommend",
            f"return Recommendations({SLATE}.items, None, {SLATE}.items * 0 - 1)",
            r"=-1: user \d+, slot 0: cluster must be in 0 \.\. \d+, or None" + BY_NAME,
        ),
        ("recommend", "assert False, 'why'", "='AssertionError: why': recommend" + LINE + "recommend: assert"),
        ("recommend", "raise SystemExit(0)", "='SystemExit: 0': recommend" + LINE + "recommend: raise SystemExit"),
        (
            "recommend",
            "raise __import__('sim.errors').errors.InvalidInput('x', 1, 'be right')",
            ": x=1: be right$",  # the author's own words to the user
        ),
        (
            "recommend",
            "return __import__('agents.backends').backends.check_backend('ours')",
            r": runtime.backend='ours': must be one of .* \({file}, line \d+, in recommend: return",
        ),
        ("load", "return folder / 3", "=.TypeError: .*: load" + LINE + "load: return folder"),
    ),
}
CASES = [(part, *fault) for part, faults in FAULTS.items() for fault in faults]
CODE = {"planner": PLANNER, "ranker": RANKER, "agent": AGENT}


def config_of(kind):
    parts = {
        "planner": "agents.planners.RandomNovelPlanner",
        "ranker": "agents.cluster_rankers.RandomWithinClusterRanker",
    }
    if kind == "agent":
        return {"_target_": "mine.Mine"}
    nested = {part: {"_target_": "mine.Mine" if part == kind else target} for part, target in parts.items()}
    return {"_target_": "agents.hierarchical.HierarchicalAgent", **nested}


@pytest.fixture(scope="module")
def world() -> WorldConfig:
    composed = compose("compare", ["world=tiny", "world.num_users=40"])
    return from_mapping(WorldConfig, OmegaConf.to_container(composed.world, resolve=True), "world")


@pytest.mark.parametrize(("part", "method", "body", "message"), CASES)
def test_a_fault_of_a_plugin_is_one_line_that_names_it(part, method, body, message, world, tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(CODE[part].format(method=f"{method}({ARGUMENTS[method]})", body=body))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "mine", None)  # forgotten again after the test
    del sys.modules["mine"]

    def lived(days):
        arm = make_arm(world, name="bold", agent=build_agent(config_of(part), "bold"))
        live([arm], 0, days, tmp_path / "days", lambda: None, burn_in=InteractionLog.concatenate([]))

    def until_the_fault():
        lived(1)
        lived(2)  # goes on from the first day, which the agent loads

    with pytest.raises(InvalidInput) as caught:
        until_the_fault()
    assert not isinstance(caught.value, WallBreach)
    subject = "agent bold" if part == "agent" else f"agent bold: {part} Mine"
    assert re.match(re.escape(subject) + message.replace("{file}", re.escape(str(path))), str(caught.value)), caught
    assert "\n" not in str(caught.value)


def test_an_error_of_our_own_keeps_its_traceback(world, monkeypatch):
    """It is a fault of interestlab, and whoever mends it needs all of it."""
    from agents.planners import RandomNovelPlanner

    def fails(self, requests, rng):
        raise KeyError("a fault of ours")

    monkeypatch.setattr(RandomNovelPlanner, "propose", fails)
    config = config_of("none")
    arm = make_arm(world, name="bold", agent=build_agent(config, "bold"))
    with pytest.raises(KeyError, match="a fault of ours"):
        arm.agent.recommend(arm.records.requests(arm.users, 2), arm.stream)


CONFIG = """_target_: agents.hierarchical.HierarchicalAgent
_partial_: true
planner: {_target_: mine.Mine}
ranker: {_target_: agents.cluster_rankers.RandomWithinClusterRanker}
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_comparison_ends_with_that_line_and_nothing_else(workers, tmp_path):
    site = tmp_path / "site"
    method = f"propose({ARGUMENTS['propose']})"
    folder = install(site, "mine", code=PLANNER.format(method=method, body="raise KeyError('x')"), config=CONFIG)
    words = ["world=tiny", "world.num_users=60", "experiment.burn_in_days=1", "experiment.days=1"]
    words += ["experiment.arms=[control,mine,random]", "experiment.reference=mine", f"runtime.workers={workers}"]
    done = interestlab("compare", *words, "hydra.run.dir=out", site=site, cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line == (
        "interestlab compare: agent mine: planner Mine=\"KeyError: 'x'\": propose must not raise an error; this one "
        f"comes from {folder / '__init__.py'}, line 8, in propose: raise KeyError('x')"
    )
    assert not (tmp_path / "out" / "report.html").exists()
