"""The world's constants as typed, range-checked records.

Values, units and sources stand in ``conf/world/``; the limits stand here. ``sim.records.from_mapping`` builds one.
"""

from dataclasses import dataclass
from typing import Annotated

from sim.errors import InvalidInput
from sim.records import Share, limits, record
from sim.records import from_mapping as from_mapping


@record
@dataclass(frozen=True)
class PopulationConfig:
    """Who the users are; see ``sim.hidden.population``."""

    interest_slots: Annotated[int, limits(8, 512)]
    idiosyncratic_interests: Annotated[int, limits(0, 32)]
    adoption: Share
    love_threshold: Share
    discovered_share: Share
    activity_mean: Annotated[float, limits(-6, 6)]
    activity_sd: Annotated[float, limits(0, 6)]
    budget_minutes_median: Annotated[float, limits(0.5, 600)]
    budget_minutes_sigma: Annotated[float, limits(0, 3)]
    budget_activity_correlation: Annotated[float, limits(-1, 1)]
    novelty_appetite_sd: Annotated[float, limits(0, 5)]
    late_share: Share
    joining_days: Annotated[int, limits(1, 100000)]


@record
@dataclass(frozen=True)
class ResponseConfig:
    """What a user does with a slate; see ``sim.hidden.response``."""

    intercept: Annotated[float, limits(-20, 20)]
    interest_weight: Annotated[float, limits(0, 20)]
    taste_weight: Annotated[float, limits(0, 20)]
    quality_weight: Annotated[float, limits(0, 20)]
    quality_without_interest: Share
    novelty_weight: Annotated[float, limits(0, 20)]
    satiation_weight: Annotated[float, limits(0, 20)]
    trend_weight: Annotated[float, limits(0, 20)]
    fatigue_weight: Annotated[float, limits(0, 20)]
    noise_sd: Annotated[float, limits(0, 20)]
    first_impression: Share
    base_affinity: Share
    watch_log_mean: Annotated[float, limits(-5, 5)]
    watch_utility_slope: Annotated[float, limits(0, 5)]
    watch_length_slope: Annotated[float, limits(0, 5)]
    watch_log_sd: Annotated[float, limits(0, 5)]
    skip_seconds_mean: Annotated[float, limits(0.1, 60)]
    like_intercept: Annotated[float, limits(-20, 20)]
    like_slope: Annotated[float, limits(0, 20)]
    dislike_intercept: Annotated[float, limits(-20, 20)]
    dislike_slope: Annotated[float, limits(0, 20)]
    leave_intercept: Annotated[float, limits(-20, 20)]
    leave_boredom: Annotated[float, limits(0, 20)]
    leave_minutes: Annotated[float, limits(0, 20)]
    boredom_memory: Share


@record
@dataclass(frozen=True)
class DynamicsConfig:
    """How users change; see ``sim.hidden.dynamics``."""

    positives_to_discover: Annotated[int, limits(1, 100)]
    reinforcement: Share
    affinity_decay_per_day: Share
    satiation_per_watch: Share
    satiation_half_life_days: Annotated[float, limits(0.01, 1000)]
    satisfaction_half_life_sessions: Annotated[float, limits(0.1, 1000)]
    norm_half_life_sessions: Annotated[float, limits(0.1, 100000)]
    return_slope: Annotated[float, limits(0, 100)]
    churn_per_visit: Share
    churn_slope: Annotated[float, limits(0, 100)]
    persona_drift_per_day: Share
    trend_persistence: Share
    trend_sd: Annotated[float, limits(0, 5)]


@record
@dataclass(frozen=True)
class ItemsConfig:
    """What is uploaded; see ``sim.hidden.items``."""

    items_per_creator: Annotated[float, limits(1, 10000)]
    creator_activity_sigma: Annotated[float, limits(0, 3)]
    creator_focus: Share
    supply_sigma: Annotated[float, limits(0, 3)]
    uploads_per_day: Share
    lifetime_days_mean: Annotated[float, limits(1, 100000)]
    quality_skew: Annotated[float, limits(0, 2)]
    quality_limit: Annotated[float, limits(0.5, 10)]
    length_seconds_median: Annotated[float, limits(1, 3600)]
    length_sigma: Annotated[float, limits(0, 3)]
    theme_scale: Annotated[float, limits(0, 10)]
    interest_scale: Annotated[float, limits(0, 10)]
    facet_scale: Annotated[float, limits(0, 10)]
    keyword_scale: Annotated[float, limits(0, 10)]
    creator_scale: Annotated[float, limits(0, 10)]
    latent_scale: Annotated[float, limits(0, 10)]
    noise_scale: Annotated[float, limits(0, 10)]
    title_noise: Share


@record
@dataclass(frozen=True)
class ClustersConfig:
    """How the platform clusters items; see ``sim.hidden.clustering``."""

    level_1: Annotated[int, limits(1, 10000)]
    level_2: Annotated[int, limits(2, 10000)]
    level_3_splits: Annotated[int, limits(1, 16)]
    level_4_splits: Annotated[int, limits(1, 16)]
    neighbours: Annotated[int, limits(1, 200)]
    keywords: Annotated[int, limits(1, 12)]

    def __post_init__(self) -> None:
        if self.level_1 > self.level_2:
            expected = f"must be at most world.clusters.level_2={self.level_2}"
            raise InvalidInput("world.clusters.level_1", self.level_1, expected)


@record
@dataclass(frozen=True)
class PlatformConfig:
    """What the platform remembers; see ``sim.platform``."""

    history_length: Annotated[int, limits(2, 1000)]
    history_days: Annotated[int, limits(1, 10000)]
    seen_length: Annotated[int, limits(0, 10000)]
    max_requests_per_day: Annotated[int, limits(1, 1000)]


@record
@dataclass(frozen=True)
class PriorConfig:
    """The users' life before day 0; see ``sim.hidden.prior``."""

    days: Annotated[int, limits(0, 1000)]
    own: Share
    trending: Share
    stray: Share

    def __post_init__(self) -> None:
        total = self.own + self.trending + self.stray
        if abs(total - 1) > 1e-6:
            shares = {"own": self.own, "trending": self.trending, "stray": self.stray}
            raise InvalidInput("world.prior", shares, f"own, trending and stray must sum to 1, not to {total:g}")


@record
@dataclass(frozen=True)
class SurveyConfig:
    """Questions that users are asked; see ``sim.hidden.survey``."""

    share: Share
    precision: Annotated[float, limits(above=0.5, high=1)]


@record
@dataclass(frozen=True)
class WorldConfig:
    """Everything that, with a seed, makes a world."""

    population: PopulationConfig
    response: ResponseConfig
    dynamics: DynamicsConfig
    items: ItemsConfig
    clusters: ClustersConfig
    platform: PlatformConfig
    prior: PriorConfig
    own_share: Annotated[float, limits(0, below=1)]
    survey: SurveyConfig
    taxonomy: str
    num_users: Annotated[int, limits(1, 100_000_000)]
    num_items: Annotated[int, limits(50, 100_000_000)]
    num_interests: Annotated[int, limits(2, 32_767)]
    semantic_alignment: Share
    linked_pairs: Annotated[float, limits(above=0, high=1)]
