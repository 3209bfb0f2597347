"""The world's constants as typed, range-checked records.

Values, units and sources stand in ``conf/world/``; the limits stand here. Building one from a
mapping that has an unknown, missing, mistyped or impossible entry raises ``InvalidInput``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sim.errors import InvalidInput

RecordT = TypeVar("RecordT")


def _limit(low: float, high: float = float("inf")) -> Any:
    """A field that must lie in [low, high]."""
    return dataclasses.field(metadata={"low": low, "high": high})


def from_mapping(record: type[RecordT], mapping: Mapping[str, Any], prefix: str) -> RecordT:
    """Build a record of this module from a (Hydra) mapping.

    Raises:
        InvalidInput: names the entry, e.g. ``world.num_users=0: must be at least 1``.
    """
    known = {f.name: f for f in dataclasses.fields(record)}  # type: ignore[arg-type]
    for name in mapping:
        if name not in known:
            raise InvalidInput(f"{prefix}.{name}", mapping[name], f"unknown entry; known are {', '.join(known)}")
    values = {}
    for name, field in known.items():
        if name not in mapping:
            raise InvalidInput(f"{prefix}.{name}", None, "is missing")
        values[name] = _checked(field, mapping[name], f"{prefix}.{name}")
    return record(**values)


def _checked(field: "dataclasses.Field[Any]", value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(field.type):
        if not isinstance(value, Mapping):
            raise InvalidInput(name, value, "must be a group of entries")
        return from_mapping(field.type, value, name)  # type: ignore[arg-type]
    if field.type is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(name, value, "must be a whole number")
    elif field.type is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidInput(name, value, "must be a number")
        value = float(value)
    else:
        if not isinstance(value, str):
            raise InvalidInput(name, value, "must be text")
        return value
    low, high = field.metadata["low"], field.metadata["high"]
    if not low <= value <= high:  # also refuses NaN
        limits = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise InvalidInput(name, value, f"must be {limits}")
    return value


@dataclass(frozen=True)
class PopulationConfig:
    """Who the users are; see ``sim.population``."""

    interest_slots: int = _limit(8, 512)
    idiosyncratic_interests: int = _limit(0, 32)
    adoption: float = _limit(0, 1)
    love_threshold: float = _limit(0, 1)
    discovered_share: float = _limit(0, 1)
    activity_mean: float = _limit(-6, 6)
    activity_sd: float = _limit(0, 6)
    budget_minutes_median: float = _limit(0.5, 600)
    budget_minutes_sigma: float = _limit(0, 3)
    budget_activity_correlation: float = _limit(-1, 1)
    novelty_appetite_sd: float = _limit(0, 5)
    late_share: float = _limit(0, 1)
    joining_days: int = _limit(1, 100000)


@dataclass(frozen=True)
class ResponseConfig:
    """What a user does with a slate; see ``sim.response``."""

    intercept: float = _limit(-20, 20)
    interest_weight: float = _limit(0, 20)
    taste_weight: float = _limit(0, 20)
    quality_weight: float = _limit(0, 20)
    quality_without_interest: float = _limit(0, 1)
    novelty_weight: float = _limit(0, 20)
    satiation_weight: float = _limit(0, 20)
    trend_weight: float = _limit(0, 20)
    noise_sd: float = _limit(0, 20)
    first_impression: float = _limit(0, 1)
    base_affinity: float = _limit(0, 1)
    watch_log_mean: float = _limit(-5, 5)
    watch_utility_slope: float = _limit(0, 5)
    watch_length_slope: float = _limit(0, 5)
    watch_log_sd: float = _limit(0, 5)
    skip_seconds_mean: float = _limit(0.1, 60)
    like_intercept: float = _limit(-20, 20)
    like_slope: float = _limit(0, 20)
    dislike_intercept: float = _limit(-20, 20)
    dislike_slope: float = _limit(0, 20)
    leave_intercept: float = _limit(-20, 20)
    leave_boredom: float = _limit(0, 20)
    leave_minutes: float = _limit(0, 20)
    boredom_memory: float = _limit(0, 1)


@dataclass(frozen=True)
class DynamicsConfig:
    """How users change; see ``sim.dynamics``."""

    positives_to_discover: int = _limit(1, 100)
    reinforcement: float = _limit(0, 1)
    affinity_decay_per_day: float = _limit(0, 1)
    satiation_per_watch: float = _limit(0, 1)
    satiation_half_life_days: float = _limit(0.01, 1000)
    satisfaction_half_life_sessions: float = _limit(0.1, 1000)
    norm_half_life_sessions: float = _limit(0.1, 100000)
    return_slope: float = _limit(0, 100)
    churn_per_visit: float = _limit(0, 1)
    churn_slope: float = _limit(0, 100)
    persona_drift_per_day: float = _limit(0, 1)
    trend_persistence: float = _limit(0, 1)
    trend_sd: float = _limit(0, 5)


@dataclass(frozen=True)
class ItemsConfig:
    """What is uploaded; see ``sim.items``."""

    items_per_creator: float = _limit(1, 10000)
    creator_activity_sigma: float = _limit(0, 3)
    creator_focus: float = _limit(0, 1)
    supply_sigma: float = _limit(0, 3)
    uploads_per_day: float = _limit(0, 1)
    lifetime_days_mean: float = _limit(1, 100000)
    quality_skew: float = _limit(0, 2)
    quality_limit: float = _limit(0.5, 10)
    length_seconds_median: float = _limit(1, 3600)
    length_sigma: float = _limit(0, 3)
    theme_scale: float = _limit(0, 10)
    interest_scale: float = _limit(0, 10)
    facet_scale: float = _limit(0, 10)
    keyword_scale: float = _limit(0, 10)
    creator_scale: float = _limit(0, 10)
    latent_scale: float = _limit(0, 10)
    noise_scale: float = _limit(0, 10)
    title_noise: float = _limit(0, 1)


@dataclass(frozen=True)
class ClustersConfig:
    """How the platform clusters items; see ``sim.clustering``."""

    level_1: int = _limit(1, 10000)
    level_2: int = _limit(2, 10000)
    level_3_splits: int = _limit(1, 16)
    level_4_splits: int = _limit(1, 16)
    neighbours: int = _limit(1, 200)
    keywords: int = _limit(1, 12)


@dataclass(frozen=True)
class PlatformConfig:
    """What the platform remembers; see ``sim.platform``."""

    history_length: int = _limit(2, 1000)
    history_days: int = _limit(1, 10000)
    seen_length: int = _limit(0, 10000)
    max_requests_per_day: int = _limit(1, 1000)


@dataclass(frozen=True)
class WorldConfig:
    """Everything that, with a seed, makes a world."""

    population: PopulationConfig
    response: ResponseConfig
    dynamics: DynamicsConfig
    items: ItemsConfig
    clusters: ClustersConfig
    platform: PlatformConfig
    taxonomy: str
    num_users: int = _limit(1, 100_000_000)
    num_items: int = _limit(50, 100_000_000)
    num_interests: int = _limit(2, 32_767)
    semantic_alignment: float = _limit(0, 1)
