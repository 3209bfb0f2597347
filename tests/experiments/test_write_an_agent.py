"""docs/write-an-agent.md and docs/wrap-a-policy.md, done as they say."""

import json
import re

import pytest

from agents.check import CHECKS
from agents.check_source import CLOSED_PACKAGES, PUBLIC_SIM
from sim.platform import Platform
from tests.experiments.walk_through import DOCS, SMALLER, WalkThrough


@pytest.mark.slow
def test_from_nothing_to_an_arm(tmp_path):
    reader = WalkThrough(tmp_path, tmp_path / "cache", SMALLER)
    reader.do("write-an-agent.md")
    commands = list(reader.outputs)
    assert [command.split()[0] for command in commands] == ["interestlab", commands[1].split()[0], *["interestlab"] * 2]
    assert "new_shelf: 11 checks ok, 0 faults, 0 skipped" in reader.outputs[commands[2]]
    (results,) = tmp_path.glob("outputs/compare/*/results.json")
    assert list(json.loads(results.read_text())["arms"]) == ["control", "random", "new_shelf"]


TEXT = (DOCS / "write-an-agent.md").read_text(encoding="utf-8")


def test_every_check_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.MULTILINE)
    assert sorted(rows) == sorted([*CHECKS, "source", "latency"])


def test_what_agents_may_see_is_said_as_it_is():
    assert f"({', '.join(f'`{name}`' for name in PUBLIC_SIM)})" in TEXT.replace("\n", " ")
    assert all(f"`{package}`" in TEXT for package in CLOSED_PACKAGES)
    for name in (name for name in vars(Platform) if not name.startswith("_")):
        assert f"`{name}`" in TEXT or f"`{name}(" in TEXT


def test_the_agent_of_the_walk_through_is_short():
    (block,) = re.findall(r"```python\n# new_shelf/(.*?)```", TEXT, flags=re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 47
