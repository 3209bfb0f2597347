"""docs/write-an-agent.md and docs/wrap-a-policy.md, done as they say."""

import json
import re

import pytest

from agents.check import CHECKS
from agents.check_source import CLOSED_PACKAGES, PUBLIC_SIM
from sim.platform import Platform
from tests.conftest import cache_with_weights
from tests.experiments.walk_through import DOCS, SMALLER, WalkThrough


@pytest.mark.slow
def test_from_nothing_to_an_arm(tmp_path, weights_cache):
    reader = WalkThrough(tmp_path, cache_with_weights(tmp_path / "cache", weights_cache), SMALLER)
    reader.do("write-an-agent.md")
    said = {" ".join(command.split()[:2]): output for command, output in reader.outputs.items()}
    assert "18 passed" in said["pytest new_shelf"]
    assert "15 passed" in said["pytest near_taste"]
    assert "new_shelf: 11 checks ok, 0 faults, 0 skipped" in said["interestlab check-agent"]
    arms = {tuple(json.loads(path.read_text())["arms"]) for path in tmp_path.glob("outputs/compare/*/results.json")}
    assert arms == {("control", "random", "new_shelf"), ("control", "random_novel", "near_taste")}


TEXT = (DOCS / "write-an-agent.md").read_text(encoding="utf-8")


def test_every_check_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.MULTILINE)
    assert sorted(rows) == sorted([*CHECKS, "source", "latency"])


def test_what_agents_may_see_is_said_as_it_is():
    assert f"({', '.join(f'`{name}`' for name in PUBLIC_SIM)})" in TEXT.replace("\n", " ")
    assert all(f"`{package}`" in TEXT for package in CLOSED_PACKAGES)
    for name in (name for name in vars(Platform) if not name.startswith("_")):
        assert f"`{name}`" in TEXT or f"`{name}(" in TEXT


@pytest.mark.parametrize(("path", "most"), [("new_shelf/src/new_shelf/agent.py", 47), ("near_taste/src/.*.py", 24)])
def test_the_agent_and_the_planner_of_the_walk_through_are_short(path, most):
    (block,) = re.findall(rf"```python\n# {path}\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= most
