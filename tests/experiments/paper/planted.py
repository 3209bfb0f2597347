"""Results of several worlds in which every number is planted, for the tests of claims, figures and the page."""

import copy
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.table import label_skew
from experiments.measures.metrics import METRICS
from experiments.several.plan import A_A, ALPHA_0, CURATION, MAIN, NOTHING_TO_FIND, TWIN
from experiments.several.worlds import Variants, Worlds
from sim.random import RandomStream
from tests.experiments.synthetic import log_of

ARMS = (
    "control",
    "sequence",
    "two_tower",
    "novelty",
    "hcb",
    "random_novel",
    "counts",
    "llm",
    "persona_oracle",
    "oracle",
)
SEEDS = (0, 1, 2, 3, 4)
CLUSTERS, USERS, DAYS, FIRST_DAY = 96, 60, 4, 14


def results_of(arms: tuple[str, ...], seed: int, control: str, reference: str) -> dict[str, Any]:
    """A comparison in which all arms are alike: every share .5, every lift 0."""
    metric = {"value": 0.5, "low": 0.4, "high": 0.6, "n": USERS}
    lift = {"relative": 0.0, "low": -0.1, "high": 0.1, "p": 0.9}
    days = {"relative": [0.0] * DAYS, "low": [-0.1] * DAYS, "high": [0.1] * DAYS}
    uci = {"n": list(range(1, 41)), "lift": [0.0] * 40, "low": [-0.1] * 40, "high": [0.1] * 40, "vs": reference}
    others = [arm for arm in arms if arm != control]
    world = {"num_users": USERS, "num_items": 800, "num_interests": CLUSTERS, "clusters": {"level_2": CLUSTERS}}
    experiment = {
        "arms": list(arms), "control": control, "reference": reference, "burn_in_days": FIRST_DAY, "days": DAYS,
        "slots": 10, "exploration_slots": 2, "diversion": "twins",
    }  # fmt: skip
    return {
        "config": {"seed": seed, "world": world, "experiment": experiment},
        "arms": {arm: {m.name: dict(metric) for m in METRICS} for arm in arms},
        "lifts": {arm: {m.name: {"vs": reference if m.scope == "agent slots" else control, **lift} for m in METRICS}
                  for arm in others},
        "daily": {"vs": control, "day": list(range(1, DAYS + 1)),
                  "arms": {arm: {s: copy.deepcopy(days) for s in ("watch_minutes", "active_users")} for arm in others}},
        "uci": {arm: copy.deepcopy(uci) for arm in arms if arm != reference},
        "llm_arms": {arm: tuned([0.0, 1.0, 1.0], [0.1, 0.3, 0.2], [0.1, 0.5, 0.9]) for arm in arms if "llm" in arm},
        "costs": {"llm": {"pairs_computed": CLUSTERS**2, "tokens_computed": 12345, "table_bytes": 999}},
    }  # fmt: skip


def tuned(match: list[float], held_out: list[float], seen: list[float]) -> dict[str, Any]:
    """A fine-tuning at steps 0, 25, 50, and a table whose labels all come as often."""
    curve = [
        {"step": 25 * i, "match_rate": m, "held_out": {"recall@10": h}, "fine_tuning": {"recall@10": s}}
        for i, (m, h, s) in enumerate(zip(match, held_out, seen, strict=True))
    ]
    return {"curve": curve, "best_step": 25, **labels([CLUSTERS] * CLUSTERS)}


def labels(counts: list[int]) -> dict[str, Any]:
    """What is known of a table whose labels come first this often."""
    return {"label_counts": sorted(counts, reverse=True), "label_skew": label_skew(np.array(counts))}


def worlds_of(
    arms: tuple[str, ...] = ARMS, control: str = "control", reference: str = "hcb", seeds: tuple[int, ...] = SEEDS
) -> Worlds:
    """Worlds in which all arms are alike."""
    each = tuple(results_of(arms, seed, control, reference) for seed in seeds)
    return Worlds(seeds, each, tuple(Path("nowhere") for _ in seeds))


def variants_of(folder: Path | None = None) -> Variants:
    """Every variant, nothing planted in any.

    Args:
        folder: where the control arm's log is written, in which splits find chance alone.
    """
    main = worlds_of()
    if folder is not None:
        for seed in SEEDS:
            write_log(folder / f"seed_{seed}", seed)
        main = Worlds(main.seeds, main.each, tuple(folder / f"seed_{seed}" for seed in SEEDS))
    twins, twin = ("random_novel", "llm", "llm_random_weights"), "llm_random_weights"
    return {
        MAIN: main,
        TWIN: worlds_of(twins, twin, twin, SEEDS[:3]),
        ALPHA_0: worlds_of(twins, twin, twin, SEEDS[:3]),
        NOTHING_TO_FIND: worlds_of(("control", "random_novel", "counts", "llm"), seeds=SEEDS[:3]),
        A_A: worlds_of(("random_novel", "random_novel_again"), "random_novel", "random_novel"),
        CURATION: curated(),
    }


def curated() -> Worlds:
    """Tables of two curations, as even the one as the other."""
    worlds = worlds_of(("control", "llm", "llm_random_curation"), seeds=SEEDS[:3])
    for results in worlds.each:
        results["arms"], results["lifts"] = {}, {}
    return worlds


def write_log(folder: Path, seed: int) -> None:
    """A control arm's log of users who differ in nothing but chance and activity."""
    rng = RandomStream(seed, "planted log").generator()
    user = np.sort(rng.integers(0, USERS, 40 * USERS))
    log = log_of(
        user=user,
        day=FIRST_DAY + rng.integers(0, DAYS, len(user)),
        positive=rng.random(len(user)) < 0.3,
        watch_seconds=rng.exponential(60, len(user)),
    )
    folder.mkdir(parents=True)
    log.write(folder / "log_control.parquet")


def spread(middle: float, reach: float, worlds: int) -> list[float]:
    """Values a world around ``middle`` whose t interval reaches about ``reach`` to each side (five worlds)."""
    around = np.linspace(-1, 1, worlds)
    return [float(v) for v in middle + reach * 0.65 * around / np.std(around)] if reach else [middle] * worlds


def plant(worlds: Worlds, arm: str, metric: str, relative: float, reach: float = 0.02) -> None:
    """Let an arm's metric lie ``relative`` above all others' .5, with an interval that reaches ``reach``."""
    for results, value in zip(worlds.each, spread(relative, reach, len(worlds.each)), strict=True):
        results["arms"][arm][metric]["value"] = 0.5 * (1 + value)
