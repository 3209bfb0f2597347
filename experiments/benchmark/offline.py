"""Cost of off-policy evaluation: a large log read from its file, and every estimator on it."""

import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from experiments.benchmark.rows import Row, benchmark_row
from experiments.off_policy.actions import LoggedActions, Outcomes
from experiments.off_policy.evaluation import Limits, evaluate, slates_of, support
from sim.arrays import FloatArray
from sim.log import InteractionLog
from sim.random import RandomStream
from sim.records import Count, checked

LIMITS = Limits(clip=10.0, switch=10.0)
_ITEMS, _CLUSTERS = 50_000, 761


def offline_rows(config: DictConfig) -> list[Row]:
    """Time a log of ``impressions`` rows, in slates of ``slots``, of ``users`` users, or raise ``InvalidInput``."""
    for name in ("impressions", "slots", "users"):
        checked(Count, config.get(name), name)
    spent: dict[str, float] = {}
    with TemporaryDirectory() as folder, tqdm(total=4, unit="part", dynamic_ncols=True) as bar:
        path = Path(folder) / "log.parquet"
        bar.set_description("writing a log")
        log, evaluated = _log(config.impressions, config.slots, config.users, config.seed)
        log.write(path)
        del log
        bar.update()
        clock = time.perf_counter()

        def lap(part: str) -> None:
            nonlocal clock
            spent[part] = time.perf_counter() - clock
            clock = time.perf_counter()
            bar.set_description(part)
            bar.update()

        read = InteractionLog.read(path)
        lap("reading the log")
        rows = slates_of(read, read.positive.astype(np.float64), evaluated)
        marginal = LoggedActions(rows.user, rows.reward, rows.propensity, rows.evaluated)
        del read
        outcomes = Outcomes(np.full(len(rows), 0.2), np.full(len(rows), 0.25))
        estimates = evaluate(rows, marginal, LIMITS, outcomes)
        lap("every estimator")
        support(rows, marginal, LIMITS)
        lap("diagnostics")
    cases = {part: spent[part] for part in ("reading the log", "every estimator", "diagnostics")}
    named = f"{config.impressions:,} impressions"
    made = [benchmark_row("offline", f"{named}: {part}", [seconds], "s") for part, seconds in cases.items()]
    made[1]["case"] = f"{named}: every estimator ({len(estimates)})"
    made.append(benchmark_row("offline", f"{named}: all of it", [sum(cases.values())], "s"))
    made.append(benchmark_row("offline", f"{named}: peak memory of the process", [peak_memory()], "GB"))
    return made


def peak_memory() -> float:
    """The most memory that this process has had, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _log(num: int, slots: int, users: int, seed: int) -> tuple[InteractionLog, FloatArray]:
    """A log of ``num`` impressions in whole slates, as they happen, and another policy's probabilities (num,)."""
    draws = RandomStream(seed, "benchmark", "offline").generator()
    slates = -(-num // slots)
    nothing, never = np.zeros(num, np.int8), np.zeros(num, bool)
    propensity = draws.uniform(0.05, 1.0, num).astype(np.float32)
    positive = draws.random(num, np.float32) < 0.2
    log = InteractionLog(
        user=np.repeat(np.arange(slates) % users, slots)[:num],
        day=np.repeat(np.arange(slates) // users, slots)[:num].astype(np.int32),
        step=nothing,
        slot=np.tile(np.arange(slots, dtype=np.int32), slates)[:num],
        item=draws.integers(_ITEMS, size=num),
        cluster=draws.integers(_CLUSTERS, size=num, dtype=np.int32),
        watch_seconds=draws.random(num, np.float32) * 30,
        watch_fraction=draws.random(num, np.float32),
        liked=never,
        disliked=never,
        positive=positive,
        consumed=positive,
        propensity=propensity,
        source=nothing,
        planned=nothing - 1,
    )
    return log, np.minimum(propensity * draws.uniform(0.5, 1.5, num).astype(np.float32), 1).astype(np.float64)
