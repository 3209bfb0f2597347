"""Exact effects: the effect of an arm on each user, whom twins simulate twice with common random numbers.

A user's effect is the difference of two lives that share every draw until a slate differs. From
then on the same draws apply to other items, so a single user's difference also holds noise. In means
over users this noise averages out, and the sampling error of that many users remains. In counts of users
who gain or lose, noise adds as much to both sides. So the number to use is the *net*: gaining less losing.
"""

from dataclasses import dataclass

import numpy as np

from experiments.inference.multiplicity import holm
from experiments.inference.users import interval_of, two_sided, welch
from experiments.measures.metrics import ArmRun, Design, user_sums
from experiments.measures.results import plain
from experiments.results_schema import Contrast, Effects, Estimate, Harm, MetricEffect, MetricName, Sides
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.population import LOVED, Population

EFFECTS: tuple[MetricName, ...] = (
    "watch_minutes_per_user_day",
    "active_user_share",
    "unique_engaged_pairs",
    "discoveries_per_user",
)
"""Metrics whose denominator is the same for every user, so that each user has a value."""

HARM_METRIC: MetricName = "watch_minutes_per_user_day"
"""What users are taken to gain or lose: the time that they choose to spend."""

HARM_SHARE = 0.1
"""A user gains or loses who watches over this share more, or less, than under the control."""

THIRDS = ("lower third", "middle third", "upper third")


@dataclass(frozen=True)
class Trait:
    """A trait of users before the experiment begins.

    Attributes:
        title: in words.
        low, high: what a small and a large value means.
        value: (N,) float64, NaN where a user has none.
    """

    title: str
    low: str
    high: str
    value: FloatArray


def user_traits(population: Population, consumed_before: BoolArray) -> dict[str, Trait]:
    """Traits of users at the end of the burn-in, by name. All but breadth are hidden truth.

    With s_m the share of users who love interest m, and a_im user i's affinity for it, the
    popularity of i's taste is sum_m a_im s_m / sum_m a_im over what i loves: a small value is a
    minority taste.

    Args:
        population: of N users, as the burn-in left it.
        consumed_before: (N, M) bool, clusters that each user consumed before the A/B.
    """
    loved = np.isin(population.status, LOVED)  # (N, K)
    lovers = np.bincount(population.interest[loved], minlength=1) / population.num_users  # (M,)
    weight = np.where(loved, population.affinity, 0.0)
    total = weight.sum(axis=1)
    popularity = (weight * lovers[np.where(loved, population.interest, 0)]).sum(axis=1)
    taste = np.full(population.num_users, np.nan)
    np.divide(popularity, total, out=taste, where=total > 0)
    activity, appetite = (np.asarray(v, np.float64) for v in (population.activity, population.novelty_appetite))
    breadth = consumed_before.sum(axis=1).astype(np.float64)
    return {
        "activity": Trait("Activity", "seldom there", "often there", activity),
        "novelty_appetite": Trait("Novelty appetite", "dislikes the new", "likes the new", appetite),
        "breadth": Trait("Breadth at start", "few clusters", "many clusters", breadth),
        "taste_popularity": Trait("Popularity of taste", "minority taste", "majority taste", taste),
    }


def exact_effects(arms: list[ArmRun], design: Design, traits: dict[str, Trait]) -> Effects | None:
    """Every arm's effects on users against the control; None in other diversions than twins, or without a control.

    Args:
        arms: with the same users each.
        design: what they have in common.
        traits: of all N users.

    Returns:
        Values in the metrics' units. A contrast is the upper third less the lower one, and its p-values are adjusted
        (Holm) over traits and metrics of an arm. Shares of users worse and better off are of ``HARM_METRIC``;
        ``lost`` is the mean loss of who is worse off.

    Raises:
        InvalidInput: a trait is not of all users.
    """
    runs = {run.name: run for run in arms}
    if design.diversion != "twins" or design.control not in runs:
        return None
    for name, trait in traits.items():
        if trait.value.shape != (design.num_users,):
            raise InvalidInput(f"traits.{name}", trait.value.shape, f"must be of all {design.num_users} users")
    control = runs.pop(design.control)
    thirds = {name: thirds_of(trait.value[control.assigned]) for name, trait in traits.items()}
    base = _values(control, design)
    values = {name: _values(run, design) for name, run in runs.items()}
    of_arms = {name: _effects(of_arm, base, thirds) for name, of_arm in values.items()}
    harm = {name: _harm(of_arm[HARM_METRIC], base[HARM_METRIC], thirds) for name, of_arm in values.items()}
    titles = {name: {"title": t.title, "low": t.low, "high": t.high} for name, t in traits.items()}
    effects: Effects = plain({"vs": design.control, "traits": titles, "arms": of_arms, "harm": harm})
    return effects


def thirds_of(value: FloatArray) -> IntArray:
    """(U,) 0, 1 or 2: a user's third by rank, -1 where there is no value; who ties goes by place."""
    third = np.full(len(value), -1)
    known = np.flatnonzero(np.isfinite(value))
    order = known[np.argsort(value[known], kind="stable")]
    third[order] = np.arange(len(order)) * len(THIRDS) // max(len(order), 1)
    return third


def _values(run: ArmRun, design: Design) -> dict[MetricName, FloatArray]:
    sums = user_sums(run, design)
    return {name: sums[name].numerator / sums[name].denominator for name in EFFECTS}  # each (U,)


def _effects(
    of_arm: dict[MetricName, FloatArray], base: dict[MetricName, FloatArray], thirds: dict[str, IntArray]
) -> dict[MetricName, MetricEffect]:
    effects: dict[MetricName, MetricEffect] = {}
    for metric in EFFECTS:
        effect = of_arm[metric] - base[metric]  # (U,)
        parts = {trait: [effect[third == k] for k in range(len(THIRDS))] for trait, third in thirds.items()}
        effects[metric] = {
            "mean": mean_interval(effect),
            "sd": float(effect.std(ddof=1)) if len(effect) > 1 else None,
            "thirds": {trait: [mean_interval(part) for part in of_trait] for trait, of_trait in parts.items()},
            "contrast": {trait: _contrast(of_trait[-1], of_trait[0]) for trait, of_trait in parts.items()},
        }
    contrasts = [effects[metric]["contrast"][trait] for metric in EFFECTS for trait in thirds]
    for contrast, p in zip(contrasts, holm([contrast["p"] for contrast in contrasts]), strict=True):
        contrast["p_adjusted"] = p
    return effects


def mean_interval(values: FloatArray) -> Estimate:
    """Mean over (U,) users +- t(0.975) s / sqrt(U), no interval from fewer than two.

    It takes the users for a draw from more users like them; the reach is that of ``reach_of``.
    """
    if len(values) == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    mean = float(values.mean())
    if len(values) < 2:
        return {"value": mean, "low": None, "high": None, "n": 1}
    error = float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    low, high = interval_of(mean, error, len(values) - 1)
    return {"value": mean, "low": low, "high": high, "n": len(values)}


def _contrast(high: FloatArray, low: FloatArray) -> Contrast:
    """The difference of two groups' means: Welch's standard error and degrees of freedom."""
    if min(len(high), len(low)) < 2:
        return {"value": None, "low": None, "high": None, "p": None}
    value = float(high.mean() - low.mean())
    errors = [float(np.sqrt(group.var(ddof=1) / len(group))) for group in (high, low)]
    error = float(np.hypot(errors[0], errors[1]))
    if error == 0:
        return {"value": value, "low": None, "high": None, "p": None}
    freedom = welch(errors[0], errors[1], len(high), len(low))
    ends = interval_of(value, error, freedom)
    return {"value": value, "low": ends[0], "high": ends[1], "p": two_sided(value, error, freedom)}


def _harm(treated: FloatArray, control: FloatArray, thirds: dict[str, IntArray]) -> Harm:
    effect = treated - control
    side = np.sign(effect) * (np.abs(effect) > HARM_SHARE * control)  # (U,) -1 worse, 1 better
    lost = -effect[side < 0]
    of_trait = {name: [_sides(side[third == k]) for k in range(len(THIRDS))] for name, third in thirds.items()}
    return {**_sides(side), "lost": float(lost.mean()) if len(lost) else None, "thirds": of_trait}


def _sides(side: FloatArray) -> Sides:
    if len(side) == 0:
        return {"worse": None, "better": None, "net": mean_interval(side)}
    return {"worse": float((side < 0).mean()), "better": float((side > 0).mean()), "net": mean_interval(side)}
