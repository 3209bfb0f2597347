"""Every command and every Python block of the README is run."""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.command_line import in_a_new_interpreter, interestlab

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip()
    for _, block in BLOCKS
    for line in block.splitlines()
    if line.startswith("interestlab ")
]
TARGETS = [line.split("#")[0].split() for _, block in BLOCKS for line in block.splitlines() if line.startswith("make ")]
PYTHON = [block for language, block in BLOCKS if language == "python"]


LONG = (
    "benchmark", "certify", "check-agent", "compare", "dataset", "explain", "offline", "portrait", "report", "table",
    "tune",
)  # fmt: skip
"""Commands that live through days of a world."""

CASES = [
    pytest.param(command, marks=pytest.mark.slow) if command.split()[1] in LONG and "--help" not in command else command
    for command in COMMANDS
]


def test_the_readme_has_commands():
    assert len(COMMANDS) >= 5
    assert len(PYTHON) >= 1


def run(words, folder, stages):
    new = words[1] in ("new-agent", "certify") or words[1:] == ["compare", "--help"]
    start = in_a_new_interpreter if new else interestlab
    done = start(*words[1:], cwd=folder, env={**os.environ, "INTERESTLAB_CACHE": str(stages)})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def words_of(command, model):
    """The command's words, and what makes a test of it short."""
    words = shlex.split(command)
    if words[1] == "compare" and "llm=tiny" in words and "seed=1" in words:  # the first command takes the real model
        words += [f"llm.model={model}", "llm.precision=fp32", "experiment.days=3"]
    if words[1] == "benchmark":  # the same command at sizes that take seconds
        words += [
            "world.num_users=300",
            "world.num_items=800",
            "users=[100]",
            "items=[900]",
            "interests=[24]",
            "seconds=0.1",
        ]
    if words[1] == "certify":
        words += ["seeds=2", "days=14", "world.num_users=60", "world.num_items=300"]
    if words[1] == "check-agent":
        words += ["world.num_users=100", "days=2"]
    if words[1] == "portrait":
        words += ["days=5", "burn_in_days=2"]
    if "-m" in words or words[1] == "tune":  # and in smaller worlds, because these run in several
        words += ["world.num_users=60", "world.num_items=400", "experiment.burn_in_days=3", "experiment.days=3"]
        words += ["production.epochs=1", "production.update_epochs=1"]
    if words[1] in ("compare", "offline", "table", "tune") and "--help" not in words:
        words.append("runtime.workers=1")  # the tests themselves run side by side
    return words


@pytest.fixture(scope="module")
def swept(tmp_path_factory, shared_cache, model):
    """The folder in which a sweep was run, once for itself and for the report on it."""

    @cache
    def folder(command):
        made = tmp_path_factory.mktemp("sweep")
        run(words_of(command, model), made, shared_cache)
        return made

    return folder


@pytest.mark.parametrize("command", CASES)
def test_a_command_of_the_readme_runs(command, tmp_path, shared_cache, swept, model):
    words = words_of(command, model)
    if words[1] == "report":  # of the sweep above
        tmp_path = swept(next(c for c in COMMANDS if f"hydra.sweep.dir={words[2]}" in c))
    if "-m" in words:
        tmp_path = swept(command)
    else:
        done = run(words, tmp_path, shared_cache)
    if "--help" in words:
        assert "== Groups" in done.stdout
        assert "world: " in done.stdout
    elif words[1] == "certify":
        assert len(list(tmp_path.glob("outputs/certify/*/certificate.json"))) == 1
    elif words[1] == "explain":
        assert len(list(tmp_path.glob("outputs/explain/*/explain.json"))) == 1
    elif words[1] == "new-agent":
        assert (tmp_path / words[2] / "pyproject.toml").is_file()
    elif words[1] == "cite":
        assert done.stdout.startswith("@software{interestlab,")
    elif words[1] == "check-agent":
        assert "propensities" in done.stdout
    elif words[1] == "dataset":
        assert len(list(tmp_path.glob("outputs/dataset/*/dataset/bandit_feedback.npz"))) == 1
    elif words[1] == "tune":
        assert len(list(tmp_path.glob("outputs/tune/*/trial.json"))) == 1
    elif words[1] == "report":
        page = "dial.html" if words[2] == "multirun/slots" else "worlds.html"
        assert (tmp_path / words[2] / page).is_file()
    elif words[1] == "table":
        assert len(list(tmp_path.glob("outputs/table/*/table.json"))) == 1
        assert len(list(tmp_path.glob("outputs/table/*/table.parquet"))) == 1
    elif words[1] == "offline":
        assert len(list(tmp_path.glob("outputs/offline/*/offline.html"))) == 1
    elif words[1] == "portrait":
        assert len(list(tmp_path.glob("outputs/portrait/*/person.svg"))) == 1
    elif words[1] == "benchmark":
        assert len(list(tmp_path.glob("outputs/benchmark/*/benchmark.json"))) == 1
    else:
        jobs = 4 if "+sweep=slots" in words else 2 if "-m" in words else 1
        folder = "multirun" if "-m" in words else "outputs"
        assert len(list(tmp_path.glob(f"{folder}/**/report.html"))) == jobs
        assert len(list(tmp_path.glob(f"{folder}/**/results.json"))) == jobs


@pytest.mark.parametrize("block", PYTHON)
def test_a_python_block_of_the_readme_runs(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_of_the_readme_exists(target):
    # Running them from here would run this test again; `make -n` resolves the target and its recipe.
    done = subprocess.run([*target, "-n"], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
