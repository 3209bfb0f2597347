"""The wheel is whole: what a checkout has, an installation far from it has too, and runs.

The dependencies are those of this environment, put on the new one's path; the hosted workflow installs them anew.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sim", "agents", "envs", "conf", "experiments", "hydra_plugins")
LEFT_OUT = (".git", ".venv", "outputs", "multirun", "build", "dist", "*.egg-info", "__pycache__", ".*_cache")

WITNESS = """
import atexit, json, os, sys


def write():
    files = {name: str(getattr(module, "__file__", None) or "") for name, module in list(sys.modules.items())}
    with open(os.path.join(sys.prefix, f"imported-{os.getpid()}.json"), "w") as file:
        json.dump(files, file)


atexit.register(write)
"""
"""A ``sitecustomize`` by which each process says at its end what it had imported."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since setuptools leaves and reuses a folder ``build`` in the source."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*LEFT_OUT))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*command, "--wheel-dir", folder, folder / "source"], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """A virtual environment that holds the wheel, and sees what this one has installed but no checkout."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    # Before the path below is written, or pip would find another interestlab there and replace it.
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(command, check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "dependencies.pth").write_text("\n".join(others) + "\n")
    (site / "sitecustomize.py").write_text(WITNESS)
    return folder


def files_of(folder):
    """What a checkout holds of our packages, compiled files aside."""
    paths = [path for package in PACKAGES for path in (folder / package).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_holds_all_of_our_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = {name for name in content.namelist() if ".dist-info/" not in name}
    assert names == files_of(ROOT)
    assert {"conf/compare.yaml", "conf/agent/counts.yaml", "experiments/cite/papers.yaml"} <= names
    assert {"experiments/new_agent/templates/planner.py.j2", "experiments/live/slates.py"} <= names
    assert any(name.startswith("experiments/reporting/templates/") for name in names)
    assert any(name.startswith("sim/data/") for name in names)


def test_a_comparison_runs_from_the_wheel_alone(bare, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "empty").mkdir()
    words = ["world=tiny", "world.num_users=60", "experiment.arms=[control,random]", "experiment.reference=random"]
    words += ["experiment.burn_in_days=1", "experiment.days=1", "production.epochs=1", "runtime.workers=1"]
    environment = {"HOME": str(tmp_path / "home"), "PATH": os.defpath, "OMP_NUM_THREADS": "1"}
    command = [bare / "bin" / "interestlab", "compare", *words]
    done = subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (results,) = (tmp_path / "empty").glob("outputs/compare/*/results.json")
    assert list(json.loads(results.read_text(encoding="utf-8"))["arms"]) == ["control", "random"]
    assert "<html" in results.with_name("report.html").read_text(encoding="utf-8")
    imported = {}
    for path in bare.glob("imported-*.json"):
        imported |= json.loads(path.read_text())
    ours = {name: file for name, file in imported.items() if name.partition(".")[0] in PACKAGES[:5] and file}
    assert {"sim.hidden.world", "agents.sequence", "conf", "experiments.compare.page"} <= set(ours)
    assert {name: file for name, file in ours.items() if not Path(file).is_relative_to(bare)} == {}
    of_checkout = [file for file in imported.values() if file and Path(file).is_relative_to(ROOT)]
    assert [file for file in of_checkout if "site-packages" not in Path(file).parts] == []
