"""Sweeps: whatever starts the jobs, they leave the same bytes, and jobs with one cache do not disturb each other."""

import json
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pytest

from experiments.command import check_choices
from experiments.stages.stages import run_stage
from sim.errors import InvalidInput
from tests.command_line import interestlab

TINY = ("world=tiny", "world.num_users=60", "production.epochs=1", "production.update_epochs=1",
        "experiment.burn_in_days=2", "experiment.days=2", "experiment.reference=control")  # fmt: skip
THREE = (*TINY, "experiment.arms=[control,random]", "seed=0,1,2")  # for two workers
LAUNCHERS = {
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "runtime.workers=1"),
    "submitit_local": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10", "runtime.workers=1"),
    "ray": ("hydra/launcher=ray", "hydra.launcher.num_cpus=2", "runtime.workers=1"),
}
NEEDS = {"joblib": "hydra_plugins.hydra_joblib_launcher", "ray": "ray"}


def need(launcher):
    package = NEEDS.get(launcher, "hydra_plugins.hydra_submitit_launcher")
    if find_spec(package) is None:
        pytest.skip(f"{launcher} is not installed: pip install 'interestlab[sweeps,ray]'")


def sweep(folder, *words):
    """Run a sweep with a cache of its own; every job's results, logs and timings by file name."""
    places = (f"cache_dir={folder / 'cache'}", f"hydra.sweep.dir={folder / 'out'}")
    done = interestlab("compare", "-m", *words, *places)
    assert done.returncode == 0, done.stderr[-3000:]
    files = sorted((folder / "out").glob("[0-9]*/*"))
    return {str(path.relative_to(folder / "out")): path.read_bytes() for path in files if path.is_file()}


def bytes_that_must_agree(files):
    return {name: content for name, content in files.items() if name.endswith(("results.json", ".parquet"))}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("serial"), *THREE, "runtime.workers=1")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_changes_no_byte(launcher, serial, tmp_path):
    need(launcher)
    actual = bytes_that_must_agree(sweep(tmp_path, *THREE, *LAUNCHERS[launcher]))
    expected = bytes_that_must_agree(serial)
    assert len(expected) == 3 * (1 + 2)
    assert set(actual) == set(expected)
    assert [name for name in expected if actual[name] != expected[name]] == []
    for name in ("results.json", "log_control.parquet"):  # another seed is another world
        assert len({expected[f"{job}/{name}"] for job in range(3)}) == 3


@pytest.mark.slow
def test_jobs_that_share_a_cache_make_what_they_share_once(tmp_path):
    need("joblib")
    words = (*TINY, "experiment.arms=[control,random]", "experiment.exploration_slots=1,2")
    files = sweep(tmp_path / "together", *words, *LAUNCHERS["joblib"][:2], "runtime.workers=2")  # processes of its own
    timings = [json.loads(files[f"{job}/timings.json"]) for job in range(2)]
    for stage in ("burn-in", "clusters"):
        assert sum(stage in each["from_cache"] for each in timings) == 1, timings
    for job in range(2):
        alone = sweep(
            tmp_path / f"alone{job}", *words[:-1], f"experiment.exploration_slots={job + 1}", "runtime.workers=1"
        )
        for name in ("results.json", "log_control.parquet", "log_random.parquet"):
            assert files[f"{job}/{name}"] == alone[f"0/{name}"]


@pytest.mark.slow
def test_a_mistake_in_a_ray_job_is_one_line_and_the_other_jobs_go_on(tmp_path):
    need("ray")
    words = [w for w in THREE if not w.startswith("seed")] + ["seed=-1,0", *LAUNCHERS["ray"]]
    done = interestlab("compare", "-m", *words, f"cache_dir={tmp_path / 'cache'}", f"hydra.sweep.dir={tmp_path}")
    assert done.returncode == 2
    assert "interestlab compare: seed=-1: must be a whole number" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "1" / "results.json").is_file()


def _slowly(folder: Path) -> None:
    import time

    (folder / "half").write_text("1")
    time.sleep(0.5)
    (folder / "whole").write_text("2")


_slowly.__module__ = "sim.files"  # as if it stood there: tests are no source of a stage


def _stage(cache: Path) -> tuple[bool, str]:
    stage = run_stage(cache, "demo", _slowly, config=1, inputs=[])
    return stage.cached, (stage.folder / "whole").read_text()


def test_of_processes_that_want_a_stage_at_once_one_makes_it_and_the_others_wait(tmp_path):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        actual = [job.result() for job in [pool.submit(_stage, tmp_path) for _ in range(3)]]
    assert sorted(cached for cached, _ in actual) == [False, True, True]
    assert {content for _, content in actual} == {"2"}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_that_is_not_installed_says_how_to_get_it(launcher, monkeypatch):
    monkeypatch.setattr("experiments.command.find_spec", lambda package: None if package != "hydra" else package)
    extra = "ray" if launcher == "ray" else "sweeps"
    with pytest.raises(InvalidInput, match=rf"hydra/launcher='{launcher}': is not installed.*interestlab\[{extra}\]"):
        check_choices(["-m", f"hydra/launcher={launcher}"])
    check_choices(["-m", "hydra/launcher=basic"])
