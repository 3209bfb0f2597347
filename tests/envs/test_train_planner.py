"""docs/train_planner.py, run as a reader would."""

import re
import runpy
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from envs.config import world_config

NEEDED = "stable_baselines3"  # not imported here, where each worker of pytest-xdist would
pytestmark = pytest.mark.skipif(find_spec(NEEDED) is None, reason=f"needs {NEEDED}")
SCRIPT = Path(__file__).parents[2] / "docs" / "train_planner.py"


def run(*arguments, folder):
    return subprocess.run([sys.executable, SCRIPT, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_help_says_what_it_does(tmp_path):
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PPO and DQN" in done.stdout
    assert "--world-seed" in done.stdout


@pytest.mark.slow
def test_it_says_how_far_it_is_and_what_each_planner_earned(tmp_path):
    done = run("--steps", "512", "--lives", "1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(\w[\w ]*?) +[\d.]+   [+-][\d.]+ \[[+-][\d.]+, [+-][\d.]+\]$", done.stdout, flags=re.MULTILINE)
    assert rows == ["most liked", "PPO", "DQN"]
    assert "DQN: 512 of 512 steps" in done.stderr


@pytest.mark.slow
def test_ppo_and_dqn_learn_to_plan_better_than_chance_for_people_they_never_met():
    script = runpy.run_path(str(SCRIPT))
    world = replace(world_config("tiny"), num_users=450)  # 150 are held out: more steps would be needed with 50
    earned = script["train_and_compare"](world, world_seed=0, steps=8000, lives=8, seed=0)
    for name in ("PPO", "DQN"):
        _, low, _ = script["interval"](earned[name] - earned["random"])
        assert low > 0, (name, low)
