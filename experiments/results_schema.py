"""What ``results.json`` holds, and what is made of several: types for whoever writes or reads them.

All of it is JSON: what is not known is ``None``, never NaN; differences are shares (.1 is 10 %).
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # of typing's own, Python 3.11's cannot be checked at run time

MetricName = Literal[
    "explored_share",
    "novel_impression_ratio",
    "novel_impression_ratio_agent_slots",
    "positive_rate",
    "positive_rate_agent_slots",
    "novel_positive_rate",
    "novel_positive_rate_agent_slots",
    "watch_minutes_per_user_day",
    "active_user_share",
    "unique_engaged_pairs",
    "discoveries_per_user",
    "exploration_precision",
    "distinct_clusters_7d",
    "distinct_clusters_7d_rarefied",
    "new_interests_7d",
    "item_coverage",
    "popularity_gini",
    "consumption_jaccard",
]
"""What ``experiments.measures.metrics.METRICS`` defines."""

DailySeries = Literal["watch_minutes", "active_users"]
"""What is followed day by day (figure 5)."""


class Estimate(TypedDict):
    """A value with its 95 % interval over ``n`` users."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class PlainLift(TypedDict):
    """``treated / control - 1`` with its 95 % interval and p-value against 0."""

    relative: float | None
    low: float | None
    high: float | None
    p: float | None


class AdjustedLift(PlainLift):
    """A lift; where it is adjusted for the burn-in, also what it was without and how much variance that took away."""

    unadjusted: NotRequired[PlainLift]
    variance_reduction: NotRequired[float]


class LiftRow(AdjustedLift):
    """A lift as the table has it: against whom, and the p-value adjusted for many metrics."""

    vs: str | None
    p_adjusted: float | None


class Series(TypedDict):
    """Lifts along days, or N, with their bands; all of one length."""

    relative: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Running(Series):
    """Lifts over all days so far; ``day`` counts from 1."""

    vs: str
    day: list[int]


class Daily(TypedDict):
    """Figure 5: arm -> series -> lift on each day against ``vs``."""

    vs: str | None
    day: list[int]
    arms: dict[str, dict[DailySeries, Series]]


class UciCurve(TypedDict):
    """Figure 4c: lift in users with at least N clusters."""

    n: list[int]
    lift: list[float]
    low: list[float | None]
    high: list[float | None]
    vs: str


class SampleRatioRow(TypedDict):
    """Users by arm, Pearson's chi-square against equal shares, its p-value, and whether that is suspicious."""

    users: dict[str, int]
    chi_square: float
    p: float
    mismatch: bool


class Contrast(TypedDict):
    """A trait's upper third of users less its lower third."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: NotRequired[float | None]


class MetricEffect(TypedDict):
    """Users' own effects in one metric; ``thirds`` and ``contrast`` by trait."""

    mean: Estimate
    sd: float | None
    thirds: dict[str, list[Estimate]]
    contrast: dict[str, Contrast]


class Sides(TypedDict):
    """Shares of users who are worse and better off, and better less worse."""

    worse: float | None
    better: float | None
    net: Estimate


class Harm(Sides):
    """The same of an arm and of each trait's thirds; ``lost`` is the mean loss of who is worse off."""

    lost: float | None
    thirds: dict[str, list[Sides]]


class TraitWords(TypedDict):
    """A trait's title, and what a small and a large value mean."""

    title: str
    low: str
    high: str


class Effects(TypedDict):
    """Users' own effects against ``vs``, by arm and metric."""

    vs: str
    traits: dict[str, TraitWords]
    arms: dict[str, dict[MetricName, MetricEffect]]
    harm: dict[str, Harm]


class LanguageModel(TypedDict, total=False):
    """Entries of a language model's table: curve and curation of one that was fine-tuned, else its answers."""

    best_step: int
    peaks: dict[str, Any]
    curve: list[dict[str, Any]]
    label_skew: dict[str, float]
    label_counts: list[int]
    curation: dict[str, Any]
    answers: dict[str, Any]
    coverage: Any
    refresh: Any


class Results(TypedDict):
    """A comparison's ``results.json``; see ``experiments.measures.results.assemble``.

    ``effects`` and what follows it is added by ``experiments.compare``; the language model's parts are there where an
    arm has one.
    """

    config: dict[str, Any]
    arms: dict[str, dict[MetricName, Estimate]]
    lifts: dict[str, dict[MetricName, LiftRow]]
    daily: Daily
    uci: dict[str, UciCurve]
    sequential: dict[str, dict[MetricName, Running]]
    sample_ratio: SampleRatioRow | None
    costs: dict[str, Any]
    claims: list[Any]
    effects: NotRequired[Effects | None]
    llm: NotRequired[LanguageModel]
    llm_arms: NotRequired[dict[str, LanguageModel]]
    log_sha256: NotRequired[dict[str, str]]


class OverWorldsRow(TypedDict):
    """A mean over worlds, ``experiments.inference.worlds.OverWorlds``."""

    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    tau: float | None
    i_squared: float | None
    by_world: list[float | None]


class JoinedLift(OverWorldsRow):
    """A lift over worlds."""

    vs: str | None


class Joined(TypedDict):
    """Comparisons of several worlds as one, ``worlds.json``."""

    seeds: list[int]
    config: dict[str, Any]
    arms: dict[str, dict[MetricName, OverWorldsRow]]
    lifts: dict[str, dict[MetricName, JoinedLift]]


class DialRow(TypedDict):
    """An entry of the config, by its dotted name, that differs between runs, and entries that follow from it.

    ``values`` are its places, numbers in ascending order, as JSON holds them, and ``labels`` what they are called.
    """

    entry: str
    moved_too: list[str]
    values: list[Any]
    labels: list[str]


class DialCell(TypedDict):
    """One place of the dials: every arm's metrics over its worlds."""

    at: list[int]
    runs: list[str]
    arms: dict[str, dict[MetricName, OverWorldsRow]]
    lifts: dict[str, dict[MetricName, JoinedLift]]


class Dialled(TypedDict):
    """Comparisons along one or two dials, ``dial.json``; intervals are over worlds, or one world's users."""

    dials: list[DialRow]
    seeds: list[int]
    intervals: Literal["worlds", "users"]
    cells: list[DialCell]


Part = Literal["arms", "lifts"]
"""Of joined results: values, or differences."""


class VariantSummary(TypedDict):
    """A variant of the paper's command over its worlds; lifts are against ``control``."""

    seeds: list[int]
    control: str
    arms: dict[str, dict[MetricName, OverWorldsRow]]
    lifts: dict[str, dict[MetricName, OverWorldsRow]]


class ClaimRow(TypedDict):
    """A claim or control, ``experiments.paper.verdicts.Claim``."""

    id: str
    claim: str
    paper: str
    here: float | None
    low: float | None
    high: float | None
    unit: str
    verdict: str
    criterion: str
    why: str


class PaperResults(TypedDict):
    """The paper command's ``results.json``."""

    seeds: list[int]
    claims: list[ClaimRow]
    controls: list[ClaimRow]
    what_language_adds: list[ClaimRow]
    variants: dict[str, VariantSummary]
    config: dict[str, dict[str, Any]]
