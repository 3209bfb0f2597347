"""``interestlab check-agent`` as a plugin's author meets it."""

import re

import numpy as np
import pytest

from agents.check import CHECKS, Finding
from experiments.check_agent.command import check, prepare, table
from experiments.study.study import resolved
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig, from_mapping
from sim.log import OWN, PRIOR, PRODUCTION
from tests.composing import compose
from tests.experiments.installed import AGENT, install, interestlab

QUICK = ("world.num_users=100", "days=2")

SPY = """
from agents.random import RandomAgent


class Mine(RandomAgent):
    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        from sim.hidden.world import World
"""

CARELESS = (
    AGENT
    + """


    def update(self, log, rng):
        log.positive[:] = True
"""
)


def verdicts(output: str) -> dict[str, str]:
    return dict(re.findall(r"^  (\w+) +(ok|FAULT|skipped|info) ", output, flags=re.MULTILINE))


def test_an_agent_that_keeps_the_contract(tmp_path):
    done = interestlab("check-agent", "agent=popular", *QUICK, site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(verdicts(done.stdout)) == ["source", *CHECKS, "latency"]
    assert set(verdicts(done.stdout).values()) == {"ok", "info"}
    assert done.stdout.splitlines()[0] == "popular (agents.popular.PopularAgent)"
    assert done.stdout.splitlines()[-1] == "popular: 11 checks ok, 0 faults, 0 skipped"
    assert re.search(r"1 at once: median [\d.]+ ms, p99 [\d.]+ ms; 100 at once: median", done.stdout)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.slow
def test_an_agent_that_reads_the_truth(tmp_path):
    install(tmp_path, "mine", code=SPY, config="_target_: mine.Mine\n")
    done = interestlab("check-agent", "agent=mine", *QUICK, site=tmp_path, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = verdicts(done.stdout)
    assert {name for name, verdict in found.items() if verdict == "FAULT"} == {"source", "wall"}
    assert "mine/__init__.py, line 8: sim.hidden.world is hidden from recommenders" in done.stdout
    assert "agent mine: import='sim.hidden.world': is hidden from recommenders" in done.stdout
    assert "cannot tell before wall is mended" in done.stdout


@pytest.mark.slow
def test_an_agent_that_changes_the_log(tmp_path):
    install(tmp_path, "mine", code=CARELESS)
    done = interestlab("check-agent", "agent=mine", *QUICK, site=tmp_path, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert {name for name, verdict in verdicts(done.stdout).items() if verdict == "FAULT"} == {"inputs"}
    assert "work on a copy, array.copy()" in done.stdout


def test_the_log_is_that_of_a_warm_world():
    config = compose("check_agent", ["agent=random", *QUICK])
    plain = resolved(config)
    log = prepare(from_mapping(WorldConfig, plain["world"], "world"), plain["production"], 0, 2, 10).log
    assert log.day.min() < 0
    assert set(log.source.tolist()) == {PRODUCTION, PRIOR, OWN}
    assert np.isnan(log.propensity[log.source != PRODUCTION]).all()


def test_an_agent_that_cannot_be_made(tmp_path):
    install(tmp_path, "mine")
    done = interestlab("check-agent", "agent=mine", "agent.start=-1", *QUICK, site=tmp_path, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert verdicts(done.stdout)["trains"] == "FAULT"
    assert "could not be made: ValueError: start must not be negative" in done.stdout


def test_what_cannot_be_checked_gets_one_clear_line(tmp_path):
    done = interestlab("check-agent", "seed=0", site=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "interestlab check-agent: agent=None: say which, as in agent=counts; known are counts, "
    )
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            ["agent=llm"],
            "agent.planner.table='???': only an experiment fills this in: give agent.planner.table=..., or",
        ),
        (["agent=random", "days=1"], "days=1: must be a whole number, at least 2"),
        (["agent=random", "slots=0"], "slots=0: must be a whole number, at least 1"),
        (["agent=random", "world.num_users=0"], "world.num_users=0: must be a whole number from 1 to 100000000"),
    ],
)
def test_what_is_impossible_is_named(overrides, says):
    with pytest.raises(InvalidInput) as error:
        check(compose("check_agent", overrides), overrides[0].removeprefix("agent="))
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_help_tells_what_can_be_said(tmp_path):
    install(tmp_path, "mine")
    done = interestlab("check-agent", "--help", site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0
    assert re.search(r"^agent: .*\bmine\b", done.stdout, flags=re.MULTILINE)
    assert "Exit status: 0 if nothing is wrong" in done.stdout


def test_the_table_counts():
    found = [Finding("seed", "fail", "bad"), Finding("batch", "skip", "later"), Finding("wall", "pass", "good")]
    assert table("mine", "x.Mine", found).splitlines() == [
        "mine (x.Mine)",
        "  seed         FAULT     bad",
        "  batch        skipped   later",
        "  wall         ok        good",
        "mine: 1 checks ok, 1 faults, 1 skipped",
    ]
