"""Runs the plan: comparisons side by side, each in a process of its own, under one progress bar."""

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from agents.processes import side_by_side
from experiments.compare.command import compare
from experiments.live.prepare import check_runnable, prepare
from experiments.llm.arms import results_of
from experiments.measures.results import plain
from experiments.several.cost import core_seconds, pieces_of
from experiments.several.plan import Comparison
from experiments.study.described import described
from experiments.study.study import check_study
from sim.errors import InvalidInput
from sim.files import write_json, write_text

_PROGRESS = "progress.log"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep a run's folder to one process at a time; ``InvalidInput`` if another is at work there."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        expected = "must be a folder of its own: another run is at work there"
        raise InvalidInput("hydra.run.dir", str(folder), expected) from None
    try:
        yield
    finally:
        lock.release()


def check_all(comparisons: list[Comparison]) -> None:
    """Check before anything runs what would stop a comparison later, agents or weights; raises ``InvalidInput``."""
    for each in {comparison.variant: comparison for comparison in comparisons}.values():
        check_runnable(each.study, OmegaConf.create(each.config))


def run_all(comparisons: list[Comparison], workers: int, backend: str) -> None:
    """Run what is not finished, ``workers`` comparisons at a time; the bar counts estimated work."""
    left = [each for each in comparisons if not each.is_done()]
    if not left:
        return
    each_has = max(1, workers // len(left))
    named = {each.name: each for each in left}
    jobs = {name: partial(run_one, each, each_has) for name, each in named.items()}
    pieces = {name: pieces_of(each) for name, each in named.items()}
    total, finished = core_seconds(pieces.values()), set[str]()
    with tqdm(
        total=100, desc="comparisons", unit="%", dynamic_ncols=True, bar_format="{l_bar}{bar}| {elapsed}{postfix}"
    ) as bar:

        def look(running: list[str]) -> None:
            waiting = core_seconds(pieces[name] for name in named if name not in finished)
            bar.update(max(0.0, round(100 * (1 - waiting / total), 1) - bar.n))
            doing = [f"{name}: {step}" for name in running if (step := _step(named[name]))]
            bar.set_postfix_str(", ".join([f"{len(finished)} of {len(left)} done", *doing]))

        for name, _ in side_by_side(jobs, workers, backend, cores=each_has, watch=look):
            finished.add(name)
            look([])


def run_one(comparison: Comparison, workers: int) -> None:
    """Run one comparison into its folder; its progress goes to a file next to the results."""
    folder = comparison.folder
    digest = comparison.digest()  # of the files as they are now: one that changes during the run is another's
    config = OmegaConf.create({**comparison.config, "runtime": {**comparison.config["runtime"], "workers": workers}})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "done").unlink(missing_ok=True)
    progress = folder / _PROGRESS
    with open(progress, "w", encoding="utf-8", buffering=1) as log, contextlib.redirect_stderr(log):
        make_tables(config, folder) if comparison.tables_only else compare(config, folder)
    progress.unlink()
    write_text(folder / "done", digest + "\n")


def make_tables(config: DictConfig, folder: Path) -> None:
    """What ``compare`` does up to its language models' tables; their facts go to ``results.json``."""
    study = check_study(config)
    ready = prepare(study, check_runnable(study, config))
    seconds = {name: round(stage.seconds, 1) for name, stage in ready.stages.items()}
    write_json(folder / "timings.json", {"seconds": seconds})
    facts = results_of(ready.tables)
    results = {"config": described(config, study.experiment.arms), "arms": {}, "lifts": {}, **facts}
    write_json(folder / "results.json", plain(results))


def _step(comparison: Comparison) -> str | None:
    """What a running comparison is at, by its own progress bar: ``A/B 43%``."""
    with contextlib.suppress(OSError):
        text = (comparison.folder / _PROGRESS).read_text(encoding="utf-8", errors="replace")[-4000:]
        bars = re.findall(r"([^\r\n:]+): +([0-9]+)%\|", text)
        if bars:
            return f"{bars[-1][0].strip()} {bars[-1][1]}%"
    return None
