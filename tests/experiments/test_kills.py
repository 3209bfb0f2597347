"""A stage that is killed anywhere, and run again, ends with the same bytes."""

import shutil

import pytest
from hydra import compose, initialize_config_module

from experiments.arena.sides import fit_stage
from experiments.compare.command import check_study
from experiments.knowledge.jobs import RIVALS, Job
from experiments.live import pipeline
from experiments.live.arm_stages import arms_stage
from experiments.stages.stages import run_stage
from tests.experiments.kills import Killed, killed_everywhere

SHORT = ["world=tiny", "world.num_users=20", "world.num_items=200", "experiment.burn_in_days=2", "experiment.days=2"]
ARMS = ["experiment.arms=[control,popular_novel]", "experiment.reference=popular_novel"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A study, its first stages, its cache, and a copy of that."""
    cache = tmp_path_factory.mktemp("cache")
    with initialize_config_module("conf", version_base="1.3"):
        study = check_study(compose("compare", [*SHORT, *ARMS, "agent@production=popular", f"cache_dir={cache}"]))
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    return study, before, clustered, shutil.copytree(cache, tmp_path_factory.mktemp("first") / "cache")


@pytest.mark.slow
def test_burn_in(prepared):
    study = prepared[0]
    kinds = killed_everywhere(lambda: pipeline.burn_in(study).folder, study.cache_dir)
    assert {("os.mkdir", "production"), ("os.rename", "state.tmp"), ("os.rename", "day_N.tmp")} <= kinds


@pytest.mark.slow  # as the test above, with twice as many places to be killed at
def test_an_arm(prepared):
    study, before, clustered, first = prepared

    def run():
        return arms_stage(study, ("popular_novel",), before, clustered, []).folder

    kinds = killed_everywhere(run, study.cache_dir, first)
    assert {("os.mkdir", "popular_novel"), ("os.mkdir", "planner"), ("os.mkdir", "ranker")} <= kinds


@pytest.mark.parametrize("days", [1, 2])
def test_a_burn_in_after_the_life_before_it(days, tmp_path, monkeypatch):
    """Killed between that life and the burn-in's first day; with one day of it, the fresh world is on day -1 too."""

    def killed(*args, **named):
        raise Killed

    def log_of(cache, kill):
        words = [*SHORT, *ARMS, "agent@production=popular", f"world.prior.days={days}", f"cache_dir={tmp_path / cache}"]
        with initialize_config_module("conf", version_base="1.3"):
            study = check_study(compose("compare", words))
        if kill:
            with monkeypatch.context() as patched:
                patched.setattr(pipeline, "live", killed)
                with pytest.raises(Killed):
                    pipeline.burn_in(study)
        return (pipeline.burn_in(study).folder / "log.parquet").read_bytes()

    assert log_of("killed", kill=True) == log_of("whole", kill=False)


def test_an_agent_that_is_fitted(prepared):
    study, before, clustered, first = prepared
    kinds = killed_everywhere(
        lambda: fit_stage(study, "popular_novel", before, clustered, []).folder, study.cache_dir, first
    )
    assert {("os.mkdir", "planner"), ("os.mkdir", "ranker")} <= kinds


def test_a_contestant_whose_model_is_half_thrown_away_does_not_answer_again(tmp_path, monkeypatch):
    """The answers are there before the model goes."""
    asked = []
    monkeypatch.setattr(Job, "_scores", lambda job, folder: asked.append(folder) or {})
    job = Job(RIVALS, 0, None, 1, 1.0, tmp_path, "", tmp_path, None, 0, tmp_path)

    def make(folder):
        (folder / "run" / "model").mkdir(parents=True, exist_ok=True)
        job._write_scores(folder)

    make.__module__ = "sim.files"  # as if it stood there: tests are no source of a stage

    def dies(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("experiments.knowledge.jobs.shutil.rmtree", dies)
        with pytest.raises(Killed):
            run_stage(tmp_path, "demo", make, config=0, inputs=[])
    folder = run_stage(tmp_path, "demo", make, config=0, inputs=[]).folder
    assert len(asked) == 1
    assert (folder / "answers.safetensors").is_file()
    assert not (folder / "run" / "model").exists()
