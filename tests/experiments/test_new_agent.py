"""``interestlab new-agent``, and what the package that it makes is worth as it comes."""

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from agents.testing import AgentContractTests, PlannerContractTests
from experiments.main import COMMANDS
from experiments.new_agent.command import LAYOUT, check_name, class_name, new_agent
from sim.errors import InvalidInput
from sim.log import AGENT, InteractionLog
from tests.agents.planted import STREAM, make_log, planted, successor
from tests.experiments.installed import interestlab


@pytest.fixture(scope="module", params=["agent", "planner"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def made(kind, tmp_path_factory):
    """A new agent or planner, and the folder that pip installed it into."""
    folder = tmp_path_factory.mktemp(kind)
    done = interestlab(
        "new-agent", "my_shelf", f"planner={str(kind == 'planner').lower()}", site=folder / "site", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", folder / "site", folder / "my_shelf"], check=True, capture_output=True)
    return folder


def test_it_says_what_comes_next(tmp_path):
    done = interestlab("new-agent", "shelf", f"folder={tmp_path / 'deep' / 'shelf'}", site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-3:] == [
        f"next: pip install -e {tmp_path / 'deep' / 'shelf'}",
        f"      pytest {tmp_path / 'deep' / 'shelf'}",
        "      interestlab check-agent agent=shelf",
    ]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["shelf"]  # nothing temporary is left


def test_a_planner_says_how_to_run_it_as_an_arm(tmp_path):
    done = interestlab("new-agent", "shelf", "planner=true", site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0
    arms = "experiment.arms=[control,random_novel,shelf] experiment.reference=random_novel"
    assert done.stdout.splitlines()[-1] == f"      interestlab compare world=tiny {arms}"
    assert f"interestlab compare world=tiny {arms}\n" in (tmp_path / "shelf" / "README.md").read_text()


def test_every_template_becomes_a_file(made, kind):
    templates = {entry.name for entry in files("experiments.new_agent").joinpath("templates").iterdir()}
    assert templates == {template for layout in LAYOUT.values() for template in layout}
    written = {str(path.relative_to(made / "my_shelf")) for path in (made / "my_shelf").rglob("*") if path.is_file()}
    assert written >= {place.format(name="my_shelf") for place in LAYOUT[kind].values()}
    assert all("{{" not in path.read_text() for path in (made / "my_shelf").rglob("*.*") if path.is_file())


def test_it_is_short_and_well_kept(made, kind):
    source = (made / "my_shelf" / "src" / "my_shelf" / f"{kind}.py").read_text()
    assert f"class MyShelf{kind.capitalize()}({kind.capitalize()}):" in source
    code = [line for line in source.splitlines() if line.strip() and not line.strip().startswith(('"""', "#"))]
    assert len(code) < 50
    config = Path(__file__).parents[2] / "pyproject.toml"
    ruff = [Path(sys.executable).parent / "ruff"]
    for task in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *task, "--config", config, made / "my_shelf"], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow  # eleven seconds each
def test_it_passes_its_own_tests_as_it_comes(made, kind):
    environment = {
        **os.environ,
        "PYTHONPATH": str(made / "site"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=made / "my_shelf", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    contract = {"agent": AgentContractTests, "planner": PlannerContractTests}[kind]
    assert f"{sum(name.startswith('test_') for name in vars(contract))} passed" in done.stdout


@pytest.mark.slow
def test_a_new_planner_runs_as_an_arm(made, kind, tmp_path):
    if kind == "agent":
        pytest.skip("the walk through docs/write-an-agent.md does it with an agent")
    words = ["world=tiny", "world.num_users=60", "experiment.burn_in_days=1", "experiment.days=1", "runtime.workers=1"]
    words += ["experiment.arms=[control,random_novel,my_shelf]", "experiment.reference=random_novel"]
    words += ["agents.my_shelf.planner.prior=5.0", "hydra.run.dir=out"]
    done = interestlab("compare", *words, site=made / "site", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert list(json.loads((tmp_path / "out" / "results.json").read_text())["arms"]) == [
        "control", "random_novel", "my_shelf",
    ]  # fmt: skip
    log = InteractionLog.read(tmp_path / "out" / "log_my_shelf.parquet")
    assert (log.planned[log.source == AGENT] >= 0).all()


def imported(made, monkeypatch, name):
    """The class in the package that was made."""
    monkeypatch.syspath_prepend(made / "site")
    for module in [module for module in sys.modules if module.partition(".")[0] == "my_shelf"]:
        monkeypatch.delitem(sys.modules, module)
    module, _, cls = name.partition(":")
    return getattr(import_module(f"my_shelf.{module}"), cls)


def test_it_learns(made, kind, monkeypatch):
    """On planted rates, it shows or plans what is liked."""
    world = planted(successor())
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 60, 20_000), rng.integers(24, 240, 20_000)
    liked = rng.random(20_000) < np.where(item % 8 == 3, 0.6, 0.2)  # items of cluster 3
    log = make_log(user, item, item % 8, np.full(20_000, 6), liked)
    if kind == "planner":
        planner = imported(made, monkeypatch, "planner:MyShelfPlanner")()
        world.records.consumed[:, :] = False
        planner.fit(world.platform, log, STREAM)
        assert (planner.propose(world.requests(5), STREAM)[:, 0] == 3).all()
        return
    agent = imported(made, monkeypatch, "agent:MyShelfAgent")(exploration=0.0)
    agent.fit(world.platform, log, STREAM)
    slates = agent.recommend(world.requests(5), STREAM)
    assert (slates.items % 8 == 3).all()
    assert (slates.propensity == 1).all()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-Agent", "must be a Python name of lower-case letters"),
        ("2fast", "must be a Python name"),
        ("a", "must be a Python name"),
        ("class", "must be a Python name"),
        ("../up", "must be a Python name"),
        ("", "must be a Python name"),
        ("counts", "interestlab has an agent or arm of this name"),
        ("control", "interestlab has an agent or arm of this name"),
        ("json", "there is a Python module of this name"),
        ("numpy", "there is a Python module of this name"),
        ("agents", "there is a Python module of this name"),
    ],
)
def test_a_bad_name_gets_one_clear_line(name, says, tmp_path):
    with pytest.raises(InvalidInput, match=says) as error:
        new_agent(name, tmp_path / "x")
    assert str(error.value).startswith(f"name={name!r}")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "mine.txt").write_text("keep")
    done = interestlab("new-agent", "shelf", site=tmp_path / "none", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "interestlab new-agent: folder='shelf': exists already; name another with folder=PATH\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["shelf", "mine.txt"]


def test_nothing_is_left_half_written(tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(InvalidInput, match="No space left on device"):
        new_agent("shelf", tmp_path / "shelf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["folder", "folder=", "where=x", "planner", "planner=yes"])
def test_an_unknown_argument_is_named(option, tmp_path):
    done = interestlab("new-agent", "shelf", option, site=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert f"argument='{option}': must be folder=PATH, planner=true or planner=false" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", [[], ["--help"]])
def test_help(argument, tmp_path):
    done = interestlab("new-agent", *argument, site=tmp_path, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"interestlab new-agent: {COMMANDS['new-agent'].title}")


def test_class_names():
    assert class_name("shelf") == "ShelfAgent"
    assert class_name("my_agent") == "MyAgent"
    assert class_name("agent") == "AgentAgent"
    assert class_name("shelf", "planner") == "ShelfPlanner"
    assert class_name("my_planner", "planner") == "MyPlanner"
    check_name("my_agent")
