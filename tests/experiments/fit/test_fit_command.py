"""``interestlab fit``: a whole small run, the world that it leaves, bad input, and planted constants recovered."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.datasets.dataset import LoggedDataset
from experiments.fit.command import check_fitting, run_fit
from experiments.fit.direct import with_constants
from experiments.fit.lives import PRODUCTION, SimulationSettings, life
from experiments.fit.statistics import FITTED
from experiments.live.reference_life import simulate_policy, warmed_up
from experiments.live.reference_policies import Greedy
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig, from_mapping
from sim.hidden.world import World
from sim.random import RandomStream
from tests.command_line import interestlab
from tests.composing import by_hydra, compose
from tests.experiments.fit.test_direct import world_of
from tests.experiments.walk_through import DOCS

ONE = "fit.only=[response.leave_intercept]"
SMALL = ("world=tiny", "fit.days=4", "fit.evaluations=5", "fit.search_worlds=1", "fit.worlds=3", "fit.bootstrap=10")


def written_log(folder: Path, num_users: int, days: int, seed: int, constants: dict[str, float]) -> Path:
    """The log of a small world whose constants are known, served by the certificate's greedy policy."""
    config = with_constants(replace(world_of(), num_users=num_users), constants)
    stream = RandomStream(seed, "log")
    warm = warmed_up(World(config, seed), stream)
    log = simulate_policy(warm, Greedy, days, stream).log
    world = World(config, seed)
    for day in range(1, int(log.day.max()) + 1):
        world.begin_day(day)  # what was uploaded does not depend on who was shown what
    LoggedDataset("planted", "interestlab", num_users, log, world.catalog, warm.records.clusters).write(folder)
    return folder


def fitting_of(dataset: Path | None, *overrides: str):
    config = compose("fit", [f"fit.dataset={dataset}", *overrides])
    return check_fitting(config)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, shared_cache):
    """The folder of a run of one constant, its data set's beside it."""
    root = tmp_path_factory.mktemp("fit")
    written_log(root / "log", 60, 4, 7, {"response.leave_intercept": -4.6})
    run_fit(fitting_of(root / "log", *SMALL, ONE, f"cache_dir={shared_cache}"), root / "out")
    return root


def test_a_planted_change_is_recovered_and_reported(fitted):
    results = json.loads((fitted / "out" / "fit.json").read_text())
    assert results["distance"]["after"]["mean"] < results["distance"]["before"]["mean"]
    row = results["constants"]["response.leave_intercept"]
    assert (row["before"], row["identified"]) == (-5.6, True)
    assert row["low"] < row["fitted"] < row["high"]
    assert abs(row["fitted"] - -4.6) < 0.4  # planted, from -5.6
    assert results["search"]["worlds"] == [0]
    assert results["worlds"] == [1, 2, 3]
    assert results["reproduction"]["reproduced"]
    assert results["search"]["evaluations"] <= 5
    assert (results["dataset"]["users"], results["dataset"]["days"]) == (60, 4)
    text = (fitted / "out" / "fit.md").read_text()
    page = (fitted / "out" / "fit.html").read_text()
    for said in ("Distance to the log", "response.leave_intercept", "Zipf exponent"):
        assert said in text
    assert page.count('class="narrow-only"><svg ') == 1
    assert len(list((fitted / "out" / "figures").glob("fit.*"))) == 3


def test_the_same_run_gives_the_same_bytes_from_the_cache(fitted, shared_cache):
    before = {path.name: path.stat().st_mtime_ns for path in (shared_cache / "stages").glob("fit-life-*")}
    run_fit(fitting_of(fitted / "log", *SMALL, ONE, f"cache_dir={shared_cache}"), fitted / "again")
    for name in ("fit.json", "fit.html", "fit.md", "world/fitted.yaml"):
        assert (fitted / "again" / name).read_bytes() == (fitted / "out" / name).read_bytes()
    after = {path.name: path.stat().st_mtime_ns for path in (shared_cache / "stages").glob("fit-life-*")}
    assert before == after


def test_the_world_serves_any_command_from_any_folder_as_the_docs_say(fitted, tmp_path):
    command = next(c for c in re.findall(r"interestlab compare .*world=fitted", (DOCS / "fit.md").read_text()))
    words = command.replace("outputs/fit/mine", str(fitted / "out")).split()[1:]
    done = interestlab(*words, "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((fitted / "out" / "fit.json").read_text())
    value = results["constants"]["response.leave_intercept"]["fitted"]
    assert f"leave_intercept: {value}" in done.stdout
    assert "num_users: 60" in done.stdout
    assert "level_2: ${world.num_interests}" in done.stdout
    by_hydra("compare", ["world=tiny"])  # and the group is as it was without it


def test_a_fitted_world_lives(fitted):
    config = compose("compare", [f"hydra.searchpath=[file://{fitted / 'out'}]", "world=fitted"])
    world = World(from_mapping(WorldConfig, OmegaConf.to_container(config.world, resolve=True), "world"), 0)
    assert 0 < len(world.begin_day(0)) <= 60


@pytest.mark.slow
def test_two_workers_give_the_results_of_one(fitted, tmp_path, shared_cache):
    arguments = (*SMALL, ONE, f"cache_dir={shared_cache}", "runtime.workers=2")
    run_fit(fitting_of(fitted / "log", *arguments), tmp_path)
    assert (tmp_path / "fit.json").read_bytes() == (fitted / "out" / "fit.json").read_bytes()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("fit.dataset=null", "fit.dataset=None: must be the folder of a logged data set"),
        ("fit.policy=best", "fit.policy='best': must be one of greedy, popular, random, production"),
        ("fit.users=1", "fit.users=1: must be a whole number, at least 2"),
        ("fit.days=1", "fit.days=1: must be a whole number, at least 2"),
        ("fit.evaluations=28", "fit.evaluations=28: must be a whole number, at least 29"),
        ("fit.worlds=1", "fit.worlds=1: must be a whole number, at least 2"),
        ("fit.pull=0", "fit.pull=0: must be a number above 0"),
        ("runtime.workers=0", "runtime.workers=0: must be a whole number from 1 to 4096"),
        ("world.num_users=0", "world.num_users=0: must be a whole number from 1 to 100000000"),
    ],
)
def test_impossible_settings_are_named(tmp_path, override, says):
    with pytest.raises(InvalidInput) as error:
        fitting_of(tmp_path, f"cache_dir={tmp_path}", override)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_or_damaged_data_set_is_one_line(tmp_path, fitted):
    copy = shutil.copytree(fitted / "log", tmp_path / "log")
    (copy / "log.parquet").write_bytes(b"no")
    with pytest.raises(InvalidInput, match="must be a readable Parquet file"):
        run_fit(fitting_of(copy, f"cache_dir={tmp_path / 'c'}"), tmp_path / "out")
    words = [f"fit.dataset={tmp_path / 'nowhere'}", f"cache_dir={tmp_path / 'c'}", f"hydra.run.dir={tmp_path / 'out'}"]
    done = interestlab("fit", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("interestlab fit: dataset=")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_log_without_watch_time_and_negatives_is_fitted_by_the_rest(fitted, tmp_path, shared_cache):
    data = LoggedDataset.read(fitted / "log")
    poor = replace(data, log=data.log.where(data.log.consumed), has_watch=False, has_negatives=False)
    poor.write(tmp_path / "poor")
    run_fit(fitting_of(tmp_path / "poor", *SMALL, ONE, f"cache_dir={shared_cache}"), tmp_path / "out")
    results = json.loads((tmp_path / "out" / "fit.json").read_text())
    fitted_names = [name for name, row in results["statistics"].items() if row["fitted"]]
    assert not set(fitted_names) & {
        "positive_rate",
        "watch_complete",
        "watch_skipped",
        "satiation_ratio",
        "novel_ratio",
    }
    assert {"active_share", "visit_impressions", "new_clusters"} <= set(fitted_names)
    assert "Not in this log: " in (tmp_path / "out" / "fit.md").read_text()


@pytest.mark.slow
def test_production_itself_can_be_the_logging_policy(tmp_path, shared_cache):
    production = fitting_of(tmp_path, f"cache_dir={shared_cache}").production
    simulation = SimulationSettings(PRODUCTION, production, 2, True, True, shared_cache)
    world = replace(world_of(), num_users=60)
    results = life(simulation, world, 0)
    assert 0 < results["positive_rate"] < 1
    assert results == life(simulation, world, 0)


@pytest.mark.slow
def test_a_changed_worlds_constants_are_recovered(tmp_path, shared_cache):
    planted = {
        "response.intercept": -0.9, "response.leave_intercept": -4.6, "dynamics.satiation_per_watch": 0.075,
        "population.activity_mean": -1.6,
    }  # fmt: skip
    written_log(tmp_path / "log", 400, 10, 77, planted)
    only = "fit.only=[response.intercept,response.leave_intercept,dynamics.satiation_per_watch]"
    overrides = ("world=tiny", only, "fit.evaluations=24", "fit.worlds=3", "fit.bootstrap=300")
    run_fit(fitting_of(tmp_path / "log", *overrides, f"cache_dir={shared_cache}"), tmp_path / "out")
    results = json.loads((tmp_path / "out" / "fit.json").read_text())
    before, after = (results["distance"][when] for when in ("before", "after"))
    assert max(after["by_world"]) < min(before["by_world"])
    for name, row in results["constants"].items():
        assert row["identified"]
        # Three intervals of 95 % miss a planted value in one log of seven, also where they are right: so this asks for
        # 3.3 standard errors, which one in a thousand exceeds. 30 draws gave standard errors that are off by a half.
        side = row["high"] - row["fitted"] if planted[name] > row["fitted"] else row["fitted"] - row["low"]
        assert abs(row["fitted"] - planted[name]) < 3.3 / 1.96 * side, name
        assert abs(row["fitted"] - planted[name]) < abs(row["before"] - planted[name])
    assert results["direct"]["population.activity_mean"]["estimate"] == pytest.approx(-1.6, abs=0.35)
    assert len([row for row in results["statistics"].values() if row["fitted"]]) == len(FITTED)
