"""Estimated cost of the paper's run, printed before it starts."""

import json
import math
from collections.abc import Iterable
from typing import Any

import torch

from agents.llm.model import compute_dtype
from experiments.llm.arms import settings_by_arm
from experiments.several.plan import Comparison

# Seconds of one quiet core that multiplies bf16, of world=small (1,000 users, 14 days) and its language model.
_BURN_IN = 60.0
_ARM = 50.0
_TRAINING = {"agents.sequence.SequenceAgent": 60.0, "agents.two_tower.TwoTowerAgent": 20.0}
_SAMPLE, _SAMPLE_ALL_WEIGHTS = 0.09, 0.13  # fine-tuning, embeddings frozen or not
_CURVE_POINT = 10.0
_PAIR = 1 / 150
_WITHOUT_BF16 = 2.5  # times as long, for fine-tuning and pairs
_USERS, _DAYS = 1000, 14


Pieces = dict[str, float]
"""Seconds of one quiet core of every stage of a comparison; stages that are the same have the same key."""


def core_seconds(comparisons: Iterable[Pieces]) -> float:
    """How long comparisons take one quiet core, what they share counted once, an empty cache assumed."""
    together: Pieces = {}
    for pieces in comparisons:
        together |= pieces
    return sum(together.values())


def pieces_of(comparison: Comparison) -> Pieces:
    """Roughly what a comparison takes.

    The constants are those of ``world=small`` and SmolLM2-135M: for other worlds and models it is a guess.
    """
    study, config = comparison.study, comparison.config
    experiment, users = study.experiment, study.world.num_users / _USERS
    where = json.dumps([comparison.seed, config["world"], config["production"], experiment.burn_in_days])
    trained = users * experiment.days / _DAYS
    pieces = {where: _BURN_IN * users * experiment.burn_in_days / _DAYS}
    for settings in settings_by_arm(study, config).values():
        sample = _SAMPLE if settings.freeze_embeddings else _SAMPLE_ALL_WEIGHTS
        points = settings.steps / settings.eval_every + 1 if settings.steps else 0.0
        tuning = settings.steps * settings.batch_size * sample + _CURVE_POINT * points
        pairs = float(study.world.clusters.level_2**settings.past_clusters)
        slower = 1.0 if compute_dtype(settings.precision) == torch.bfloat16 else _WITHOUT_BF16
        pieces[f"{where} {settings}"] = slower * (tuning + _PAIR * pairs)
    for arm in () if comparison.tables_only else experiment.arms:
        agent: dict[str, Any] = config["agents"].get(arm, {})
        dose = [experiment.slots, experiment.exploration_slots, experiment.exploration_per_day]
        key = json.dumps([where, arm, agent, experiment.days, dose])
        pieces[key] = (_ARM + _TRAINING.get(agent.get("_target_", ""), 0.0)) * trained
    return pieces


def cost_lines(comparisons: list[Comparison], workers: int) -> str:
    """The plan in a few lines, with an estimate of the time."""
    left = [each for each in comparisons if not each.is_done()]
    lines = []
    for variant in dict.fromkeys(each.variant for each in comparisons):
        of_variant = [each for each in comparisons if each.variant == variant]
        what = "tables of " if of_variant[0].tables_only else ""
        names = of_variant[0].study.agents if of_variant[0].tables_only else of_variant[0].config["experiment"]["arms"]
        arms = ", ".join(names)
        seeds = ", ".join(str(each.seed) for each in of_variant)
        lines.append(f"  {variant}: {what}{arms}; worlds {seeds}")
    minutes = core_seconds(map(pieces_of, left)) / 60
    side = min(workers, max(1, len(left)))
    lines.insert(0, f"{len(comparisons)} comparisons, {len(comparisons) - len(left)} of them finished")
    lines.append(
        f"  ahead: some {math.ceil(minutes):,} core-minutes with an empty cache, {math.ceil(minutes / side):,} minutes "
        f"on {side} quiet core{'s' if side > 1 else ''} (a guess from world=small); the cache saves what it has"
    )
    return "\n".join(lines)
