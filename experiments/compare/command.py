"""``interestlab compare``: an A/B comparison of recommenders, from burn-in to report.html."""

import resource
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.compare.page import write_report
from experiments.live import arm_stages, pipeline
from experiments.live.prepare import check_runnable, prepare
from experiments.live.run_arms import arm_days, run_arms
from experiments.live.tracking import make_tracker, track_curve
from experiments.live.watching import Watch
from experiments.llm import arms as llm_arms
from experiments.measures.effects import exact_effects, user_traits
from experiments.measures.metrics import ArmRun, Design
from experiments.measures.results import assemble
from experiments.reporting.figures.comparison import figures_of
from experiments.reporting.figures.files import save_figures
from experiments.results_schema import Results
from experiments.stages.stages import Stage
from experiments.study.described import described
from experiments.study.diversion import assigned_users
from experiments.study.study import Study, check_study
from sim.clusters import InterestClusters
from sim.files import write_json
from sim.log import InteractionLog
from sim.random import RandomStream


def compare(config: DictConfig, folder: Path) -> Path:
    """Run a comparison and write its report, results, logs and figures into ``folder``.

    Returns:
        The path of report.html.
    """
    study = check_study(config)
    settings = check_runnable(study, config)  # before a tracker hears of the run
    config_done = described(config, study.experiment.arms)
    tracker = make_tracker(config.get("tracker"), folder, config_done)
    ready = prepare(study, settings)
    study, before, clustered = ready.study, ready.before, ready.clustered
    extra = llm_arms.results_of(ready.tables)
    for name, of_arm in extra.get("llm_arms", {}).items():
        track_curve(tracker, name, of_arm.get("curve", []))
    watch = Watch(study.experiment.arms, study.experiment.days, tracker)
    arms = run_arms(study, before, clustered, ready.inputs, watch)
    for name, stage in arms.items():
        watch.report_cached(name, arm_days(study, name, clustered, stage.folder))
    stages = ready.stages | {f"arm {name}": stage for name, stage in arms.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, stage in arms.items():
        arm_stages.write_log(study, name, stage, folder / f"log_{name}.parquet")
    results = _results(study, config_done, before, clustered, arms, extra)
    report = _write(folder, results, stages)
    tracker.finish([report, folder / "results.json"])
    return report


def _results(
    study: Study,
    config: dict[str, Any],
    before: Stage,
    clustered: Stage,
    arms: dict[str, Stage],
    extra: dict[str, Any],
) -> Results:
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    past = InteractionLog.read(clustered.folder / "log.parquet")
    experiment = study.experiment
    kept = {name: arm_stages.read_arm(study, name, stage) for name, stage in arms.items()}
    design = Design(
        num_users=study.world.num_users,
        first_day=experiment.burn_in_days,
        num_days=experiment.days,
        diversion=experiment.diversion,
        slots=experiment.slots,
        exploration_slots=experiment.exploration_slots,
        num_clusters=clusters.num_clusters,
        consumed_before=pipeline.consumed_before(clustered),
        burn_in=past,
        control=experiment.control,
        reference=experiment.reference,
        num_items=int(next(iter(kept.values()))[1]["num_items"][0]),
    )
    runs = [
        ArmRun(name, log, assigned_users(study, name), truth["dormant"], truth["discoveries"])
        for name, (log, truth) in kept.items()
    ]
    costs = extra.pop("costs", {})
    generator = RandomStream(study.seed, "report").generator()
    results = assemble(runs, design, config, costs, generator)
    traits = user_traits(pipeline.population_after(before), design.consumed_before)
    results["effects"] = exact_effects(runs, design, traits)
    results.update(extra)  # type: ignore[typeddict-item]  # what the language model's arms add, if there are any
    results["log_sha256"] = {run.name: run.log.digest() for run in runs}
    return results


def _write(folder: Path, results: Results, stages: dict[str, Stage]) -> Path:
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = {name: round(stage.seconds, 1) for name, stage in stages.items()}
    timings = {
        "seconds": seconds,
        "from_cache": [name for name, stage in stages.items() if stage.cached],
        "peak_memory_bytes_of_largest_process": peak * 1024,
    }
    write_json(folder / "timings.json", timings)
    write_json(folder / "results.json", results)
    figures = figures_of(results)
    save_figures(figures, folder / "figures")
    return write_report(results, seconds, figures, folder)


def run(config: DictConfig, folder: Path) -> None:
    """The command."""
    print(f"report: {compare(config, folder).resolve()}")
