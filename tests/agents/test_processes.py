"""Jobs side by side: wherever they run they give the same, and they end with who started them."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from agents.backends import check_backend
from agents.processes import side_by_side
from sim.errors import InvalidInput

PARENT = """
import os, signal, sys, time
from functools import partial
from pathlib import Path
from agents.processes import side_by_side

def job(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background ignores it
    list(side_by_side({i: partial(job, sys.argv[1]) for i in range(2)}, 2, "loky"))
"""


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:  # who has ended and was not asked about is a zombie
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(true, seconds=30):
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    assert true()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks Linux who is alive")
@pytest.mark.parametrize(
    "how",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),  # nobody handles it: it ends the parent as SIGKILL does
        signal.SIGINT,
    ],
)
def test_a_worker_does_not_outlive_a_killed_parent(how, tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "at_work").mkdir()
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", tmp_path / "at_work"], stderr=subprocess.PIPE)
    wait_until(lambda: len(os.listdir(tmp_path / "at_work")) == 2)
    workers = [int(name) for name in os.listdir(tmp_path / "at_work")]
    assert all(map(alive, workers))
    parent.send_signal(how)
    parent.communicate(timeout=60)
    wait_until(lambda: not any(map(alive, workers)), 10)


def _product(seed, size=200):
    numbers = np.random.default_rng(seed).normal(size=(size, size))
    return (numbers @ numbers.T).tobytes()


def _process(_):
    return os.getpid()


def _nested(seed):
    return dict(side_by_side({each: partial(_product, each) for each in (seed, seed + 1)}, 2))


def _fail_or_go_on(folder, number):
    if number == 1:
        while not (folder / "at work").exists():
            time.sleep(0.02)
        raise InvalidInput("field", number, "must be another")
    (folder / "at work").touch()
    time.sleep(600)
    return number


def _slow(seconds):
    time.sleep(seconds)
    return seconds


def test_processes_change_no_byte():
    jobs = {seed: partial(_product, seed) for seed in range(5)}
    alone, together = list(side_by_side(jobs, 1)), dict(side_by_side(jobs, 2))
    assert [seed for seed, _ in alone] == list(jobs)
    assert together == dict(alone)


def test_one_worker_or_one_job_is_this_process():
    for jobs, workers in ((range(3), 1), (range(1), 2), (range(0), 2)):
        for _, process in side_by_side({n: partial(_process, n) for n in jobs}, workers):
            assert process == os.getpid()
    for _, process in side_by_side({n: partial(_process, n) for n in range(2)}, 2):
        assert process != os.getpid()


def test_jobs_may_run_others_side_by_side():
    actual = dict(side_by_side({seed: partial(_nested, seed) for seed in (0, 10)}, 2))
    assert actual == {seed: {each: _product(each) for each in (seed, seed + 1)} for seed in (0, 10)}


def test_a_mistake_in_one_job_is_raised_at_once_and_ends_the_others(tmp_path):
    started = time.monotonic()
    with pytest.raises(InvalidInput, match="field=1: must be another"):
        list(side_by_side({number: partial(_fail_or_go_on, tmp_path, number) for number in (0, 1)}, 2))
    assert time.monotonic() - started < 60


@pytest.fixture
def quick_looks(monkeypatch):
    """At running jobs, so that these can be short."""
    monkeypatch.setattr("agents.processes._LOOK_EVERY", 0.03)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_watch_function_gets_the_running_jobs(workers, quick_looks):
    seen = []
    jobs = {name: partial(_slow, 0.3) for name in "ab"}
    assert dict(side_by_side(jobs, workers, watch=lambda running: seen.append(tuple(running)))) == {"a": 0.3, "b": 0.3}
    assert ("a", "b") in seen if workers == 2 else {("a",), ("b",)} <= set(seen)


def test_an_error_in_the_watch_function_is_raised(quick_looks):
    def watch(running):
        raise InvalidInput("tracker", None, "must be there")

    for workers in (1, 2):
        with pytest.raises(InvalidInput, match="tracker"):
            list(side_by_side({name: partial(_slow, 0.3) for name in "ab"}, workers, watch=watch))


def test_an_unknown_backend_and_one_that_is_not_installed(monkeypatch):
    assert check_backend("loky") == "loky"
    with pytest.raises(InvalidInput, match=r"runtime.backend='dask': must be one of loky, ray"):
        check_backend("dask")
    monkeypatch.setattr("agents.backends.find_spec", lambda package: None)
    with pytest.raises(InvalidInput, match=r"='ray': is not installed: pip install 'interestlab\[ray\]'"):
        check_backend("ray")


@pytest.mark.slow
def test_a_ray_cluster_does_what_processes_do(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, include_dashboard=False)
    try:
        jobs = {seed: partial(_product, seed) for seed in range(5)}
        assert dict(side_by_side(jobs, 2, "ray")) == dict(side_by_side(jobs, 1))
        nested = dict(side_by_side({seed: partial(_nested_on_ray, seed) for seed in (0, 10)}, 2, "ray", cores=4))
        assert nested == {seed: {each: _product(each) for each in (seed, seed + 1)} for seed in (0, 10)}
        monkeypatch.chdir(tmp_path)
        folders = dict.fromkeys(range(2), os.getcwd)
        assert set(dict(side_by_side(folders, 2, "ray")).values()) == {str(tmp_path)}
        started = time.monotonic()
        with pytest.raises(InvalidInput, match="field=1: must be another") as raised:
            list(side_by_side({number: partial(_fail_or_go_on, tmp_path, number) for number in (0, 1)}, 2, "ray"))
        assert "\n" not in str(raised.value)
        assert dict(side_by_side(jobs, 2, "ray")) == dict(side_by_side(jobs, 1))  # the cluster has its cores back
        assert time.monotonic() - started < 60
    finally:
        ray.shutdown()


def _nested_on_ray(seed):
    return dict(side_by_side({each: partial(_product, each) for each in (seed, seed + 1)}, 2, "ray"))
