"""docs/train_planner.py, run as a reader would."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("stable_baselines3")
SCRIPT = Path(__file__).parents[2] / "docs" / "train_planner.py"


def run(*arguments, folder):
    return subprocess.run([sys.executable, SCRIPT, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_help_says_what_it_does(tmp_path):
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PPO and DQN" in done.stdout
    assert "--world-seed" in done.stdout


@pytest.mark.slow
def test_ppo_and_dqn_learn_to_plan_better_than_chance_for_people_they_never_met(tmp_path):
    done = run("--steps", "25000", folder=tmp_path)  # of 40,000 by default; 15,000 are too few for DQN
    assert done.returncode == 0, done.stderr
    lows = dict(re.findall(r"^(\w+) .*\[([+-][\d.]+), [+-][\d.]+\]$", done.stdout, flags=re.MULTILINE))
    assert float(lows["PPO"]) > 0, done.stdout
    assert float(lows["DQN"]) > 0, done.stdout
    assert "DQN: 25000 of 25000 steps" in done.stderr
