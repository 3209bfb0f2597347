"""The main job, end to end, with the real language model, on the tiny world."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.results_schema import Results
from sim.log import InteractionLog
from tests.command_line import interestlab
from tests.conftest import cache_with_weights
from tests.experiments.schema import check_schema

pytestmark = pytest.mark.slow

ARMS = ["control", "two_tower", "hcb", "random_novel", "counts", "llm"]
WORDS = ("world=tiny", "world.clusters.level_2=24", "llm=tiny")


def compare(cache: Path, out: Path, *overrides: str) -> dict:
    done = interestlab("compare", *WORDS, *overrides, f"cache_dir={cache}", f"hydra.run.dir={out}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == f"report: {out / 'report.html'}"
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="module")
def whole(shared_cache, tmp_path_factory):
    """Folder and results of a whole run; the README's first command then finds its stages."""
    out = tmp_path_factory.mktemp("whole")
    return out, compare(shared_cache, out)


def test_the_run_leaves_report_results_logs_and_figures(whole):
    out, results = whole
    page = (out / "report.html").read_text()
    assert page.count("<svg ") >= 3
    assert "http://" not in page.replace("http://www.w3.org", "")  # opens from disk without a network
    for name in ("figure_3", "figure_4a", "figure_4b", "figure_4c", "figure_5"):
        assert (out / "figures" / f"{name}.svg").stat().st_size > 1000
        assert (out / "figures" / f"{name}.png").stat().st_size > 1000
    assert list(results["arms"]) == ARMS
    for arm in ARMS:
        assert InteractionLog.read(out / f"log_{arm}.parquet").digest() == results["log_sha256"][arm]


def test_results_have_the_documented_shape(whole):
    _, results = whole
    check_schema(Results, results)
    parts = {
        "config",
        "arms",
        "lifts",
        "daily",
        "uci",
        "sequential",
        "sample_ratio",
        "effects",
        "llm",
        "llm_arms",
        "costs",
        "claims",
        "log_sha256",
    }
    assert set(results) == parts
    for metrics in results["arms"].values():
        for value in metrics.values():
            assert set(value) == {"value", "low", "high", "n"}
    for arm, lifts in results["lifts"].items():
        assert arm != "control"
        for lift in lifts.values():
            assert set(lift) == {"vs", "relative", "low", "high", "p", "p_adjusted"}
    assert "cache_dir" not in results["config"]
    assert results["config"]["world"]["num_interests"] == 24


def test_the_language_model_was_really_used(whole):
    out, results = whole
    first, last = results["llm"]["curve"][0], results["llm"]["curve"][-1]
    assert last["held_out_loss"] < first["held_out_loss"]
    assert last["match_rate"] > first["match_rate"]
    assert results["llm"]["peaks"]["held_out_loss"]["step"] == last["step"]
    assert len(results["llm"]["label_counts"]) == 24
    assert sum(results["llm"]["label_counts"]) == 576
    assert results["costs"]["llm"]["tokens_computed"] > 576
    log = InteractionLog.read(out / "log_llm.parquet")
    planned = log.planned[log.source == 1]
    assert (planned >= 0).all()
    assert len(set(planned.tolist())) > 5


def test_metrics_are_those_of_the_log(whole):
    out, results = whole
    for arm in ARMS:
        log = InteractionLog.read(out / f"log_{arm}.parquet")
        assert results["arms"][arm]["positive_rate"]["value"] == pytest.approx(log.positive.mean(), rel=1e-6)
        minutes = log.watch_seconds.astype(float).sum() / 60 / (150 * 14)
        assert results["arms"][arm]["watch_minutes_per_user_day"]["value"] == pytest.approx(minutes, rel=1e-5)


def test_threads_and_workers_change_no_byte_of_the_logs(whole, tmp_path, weights_cache):
    _, results = whole
    other = compare(
        cache_with_weights(tmp_path / "cache", weights_cache),
        tmp_path / "out",
        "experiment.arms=[control,counts]",
        "runtime.world_threads=7",
        "runtime.workers=1",
    )
    for arm in ("control", "counts"):
        assert other["log_sha256"][arm] == results["log_sha256"][arm]


def test_another_seed_is_another_world(whole, shared_cache, tmp_path):
    _, results = whole
    other = compare(shared_cache, tmp_path / "out", "seed=1", "experiment.arms=[control,hcb]")
    assert other["log_sha256"]["control"] != results["log_sha256"]["control"]


def test_a_killed_run_goes_on_and_ends_with_the_same_results(tmp_path, weights_cache, model):
    overrides = (f"llm.model={model}", "llm.precision=fp32", "llm.threads=1", "llm.steps=240", "llm.eval_every=240")
    overrides += ("llm.checkpoint_every=20", "experiment.arms=[control,llm]", "experiment.reference=llm")
    overrides += ("experiment.burn_in_days=3", "experiment.days=6", "production.epochs=1")
    alone, reference = "runtime.workers=1", tmp_path / "reference"  # no processes that import everything once more
    compare(cache_with_weights(tmp_path / "cache_a", weights_cache), reference, *overrides, alone)

    cache, out = cache_with_weights(tmp_path / "cache_b", weights_cache), tmp_path / "out"
    words = [sys.executable, "-m", "experiments.compare", *WORDS, *overrides]
    words += [f"cache_dir={cache}", f"hydra.run.dir={out}"]
    kill_when(words, lambda: any(cache.glob("stages/finetune-*.partial/run/checkpoint/*")))
    assert not any(f for f in cache.glob("stages/finetune-*") if f.is_dir() and f.suffix != ".partial")
    kill_when(words, lambda: any(cache.glob("stages/arm-*.partial/days/day_0005")))
    assert not (out / "results.json").exists()
    compare(cache, out, *overrides, alone)
    assert (out / "results.json").read_bytes() == (reference / "results.json").read_bytes()


def kill_when(words, condition):
    """Start a run and kill it, and all of its processes, as soon as the condition holds."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(6000):
            if condition():
                return
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.05)
        raise AssertionError("the run never came to where it should be killed")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
