"""The settings of ``conf/arena.yaml``, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.study import Study
from sim.errors import InvalidInput

_LEAST = {"log_days": 1, "redraws": 1, "draws": 1, "logging_draws": 1, "lucks": 1, "max_logs": 1}
_POSITIVE = ("clip", "switch")


@dataclass(frozen=True)
class ArenaConfig:
    """What is logged, by whom, and how it is judged.

    Attributes:
        logging: logging policies; entries that differ from production's config, or an agent's own.
        log_days: days that a logging policy serves.
        redraws: R, independent logs at the same requests: the policy draws again, users have other luck.
        draws: D, slates drawn from an agent for each request.
        logging_draws: the same from the logging policy, for its marginal probabilities; these stand in a divisor.
        lucks: L, how often users respond to each of them for the truth.
        sizes: impressions in a log, ascending.
        max_logs: logs of a size that are looked at, at most.
        clip: largest weight of the clipped estimator.
        switch: weight from which SWITCH-DR leaves a row to the model.
        learning: whether agents also serve the A/B while they learn.
    """

    logging: dict[str, dict[str, Any]]
    log_days: int
    redraws: int
    draws: int
    logging_draws: int
    lucks: int
    sizes: tuple[int, ...]
    max_logs: int
    clip: float
    switch: float
    learning: bool


def check_arena(mapping: Mapping[str, Any], study: Study) -> ArenaConfig:
    """Build the settings from the plain, composed config.

    Raises:
        InvalidInput: names the entry, the value and what would be right.
    """
    for name, least in _LEAST.items():
        value = mapping[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidInput(f"arena.{name}", value, f"must be a whole number, at least {least}")
    for name in _POSITIVE:
        value = mapping[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise InvalidInput(f"arena.{name}", value, "must be a positive number")
    if not isinstance(mapping["learning"], bool):
        raise InvalidInput("arena.learning", mapping["learning"], "must be true or false")
    experiment = study.experiment
    if experiment.exploration_slots != experiment.slots:
        raise InvalidInput(
            "experiment.exploration_slots",
            experiment.exploration_slots,
            f"must be experiment.slots={experiment.slots}: whole slates are evaluated",
        )
    if experiment.diversion != "twins":
        raise InvalidInput("experiment.diversion", experiment.diversion, "must be twins: the truth is of everybody")
    if len(experiment.arms) < 2:
        raise InvalidInput("experiment.arms", list(experiment.arms), "must name at least two agents to rank")
    return ArenaConfig(
        logging=_logging(mapping["logging"]),
        sizes=_sizes(mapping["sizes"], experiment.slots),
        clip=float(mapping["clip"]),
        switch=float(mapping["switch"]),
        learning=mapping["learning"],
        **{name: mapping[name] for name in _LEAST},
    )


def _logging(given: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(given, dict) or not given:
        raise InvalidInput("arena.logging", given, "must name a logging policy, such as {production: {}}")
    for name, entries in given.items():
        if not isinstance(entries, dict):
            expected = "must be entries of production's config that are different, or an agent's config"
            raise InvalidInput(f"arena.logging.{name}", entries, expected)
    return dict(given)


def _sizes(given: Any, slots: int) -> tuple[int, ...]:
    expected = f"must be a list of whole numbers, at least {2 * slots} and ascending, such as [1000,10000]"
    if not isinstance(given, list) or not given:
        raise InvalidInput("arena.sizes", given, expected)
    for value in given:
        if isinstance(value, bool) or not isinstance(value, int) or value < 2 * slots:
            raise InvalidInput("arena.sizes", given, expected)
    if sorted(set(given)) != given:
        raise InvalidInput("arena.sizes", given, expected)
    return tuple(given)
