"""Arms against each other: lifts, Figure 5's daily curves, running intervals, UCI@N.

In twins every lift is paired. In other diversions every lift of a user-level metric is adjusted for what the
users did in the burn-in (``inference.covariates``), and the unadjusted value is given with it.
"""

from dataclasses import dataclass

import numpy as np

from experiments.inference.bands import curve_band, threshold_band
from experiments.inference.covariates import adjust
from experiments.inference.multiplicity import benjamini_hochberg, holm
from experiments.inference.sequential import running_intervals
from experiments.inference.users import NO_LIFT, Lift, Ratio, UserSums, lift_between, ratio_of, relative_lift
from experiments.measures.metrics import METRICS, PRIMARY, ArmRun, Design, active, distinct_clusters, watch_minutes
from experiments.measures.over_time import burn_in_sums, sums_until
from experiments.results_schema import (
    AdjustedLift,
    Daily,
    DailySeries,
    LiftRow,
    MetricName,
    Running,
    Series,
    UciCurve,
)
from sim.arrays import BoolArray, FloatArray


@dataclass(frozen=True)
class Contrasts:
    """What is needed to compare the arms of one experiment.

    Attributes:
        arms: in the order of the report; in twins all with the same users.
        design: what they have in common.
        before: covariates by metric, over all N users; empty in twins, which need none.
    """

    arms: dict[str, ArmRun]
    design: Design
    before: dict[MetricName, UserSums]

    @staticmethod
    def of(arms: list[ArmRun], design: Design) -> "Contrasts":
        """Prepare the comparison; reads the burn-in where covariates are wanted."""
        before = burn_in_sums(design) if design.diversion != "twins" else {}
        return Contrasts({run.name: run for run in arms}, design, before)

    @property
    def paired(self) -> bool:
        """Whether row i is the same user in all arms."""
        return self.design.diversion == "twins"

    def against(self, metric: MetricName) -> str | None:
        """The arm that a metric is compared with, or ``None`` where that arm was not run."""
        on_agent_slots = next(m.scope for m in METRICS if m.name == metric) == "agent slots"
        name = self.design.reference if on_agent_slots else self.design.control
        return name if name in self.arms else None

    def others(self) -> list[str]:
        """Every arm but the control."""
        return [name for name in self.arms if name != self.design.control]

    def lift(self, metric: MetricName, name: str, other: str, sums: tuple[UserSums, UserSums]) -> AdjustedLift:
        """One lift as it stands in ``results.json``."""
        plain = relative_lift(*sums, self.paired)
        adjusted = self._adjusted(metric, name, other, sums)
        if adjusted is None:
            return plain.row()
        ratios, reduction = adjusted
        lift = lift_between(*ratios, paired=False)
        return {**lift.row(), "unadjusted": plain.row(), "variance_reduction": reduction}

    def ratios(
        self, metric: MetricName, name: str, other: str, sums: tuple[UserSums, UserSums]
    ) -> tuple[Ratio, Ratio] | None:
        """Two arms' ratios with all users' influences, adjusted where there is a covariate."""
        adjusted = self._adjusted(metric, name, other, sums)
        if adjusted is not None:
            return adjusted[0]
        over, under = ratio_of(sums[0]), ratio_of(sums[1])
        return None if over is None or under is None or under.value == 0 else (over, under)

    def _adjusted(
        self, metric: MetricName, name: str, other: str, sums: tuple[UserSums, UserSums]
    ) -> tuple[tuple[Ratio, Ratio], float] | None:
        if metric not in self.before:
            return None
        covariate = self.before[metric]
        adjusted = adjust(*sums, (covariate.only(self.arms[name].assigned), covariate.only(self.arms[other].assigned)))
        if adjusted is None or adjusted.control.value <= 0:
            return None
        return (adjusted.treated, adjusted.control), adjusted.variance_reduction


def lifts(
    contrasts: Contrasts,
    sums: dict[str, dict[MetricName, UserSums]],
    whole: dict[str, dict[MetricName, float | None]],
) -> dict[str, dict[MetricName, LiftRow]]:
    """Every arm's lift of every metric; all ``None`` against itself or an arm that was not run.

    Args:
        contrasts: the arms.
        sums, whole: arm -> metric -> its sums over users, or the whole arm's value.
    """
    rows: dict[str, dict[MetricName, LiftRow]] = {}
    for name in contrasts.others():
        of_arm: dict[MetricName, LiftRow] = {}
        for metric in METRICS:
            other = contrasts.against(metric.name)
            lift = NO_LIFT.row()
            if other is not None and other != name:
                if metric.name in sums[name]:
                    pair = sums[name][metric.name], sums[other][metric.name]
                    lift = contrasts.lift(metric.name, name, other, pair)
                else:
                    over, under = whole[name][metric.name], whole[other][metric.name]
                    lift["relative"] = over / under - 1.0 if over is not None and under else None
            of_arm[metric.name] = {"vs": other, **lift, "p_adjusted": None}
        rows[name] = of_arm
        _adjust_p(of_arm)
    return rows


def _adjust_p(of_arm: dict[MetricName, LiftRow]) -> None:
    """Fill in ``p_adjusted`` of one arm's lifts: Holm over the primary metrics, Benjamini-Hochberg over the others.

    The dose (``explored_share``) is set and no outcome: it is in neither family.
    """
    rest = [name for name in of_arm if name not in PRIMARY and name != "explored_share"]
    for names, adjusted in ((list(PRIMARY), holm), (rest, benjamini_hochberg)):
        for name, p in zip(names, adjusted([of_arm[name]["p"] for name in names]), strict=True):
            of_arm[name]["p_adjusted"] = p


def daily(contrasts: Contrasts, rng: np.random.Generator) -> Daily:
    """Figure 5: each day's lift in watch time and in active users against the control, under bands over all days."""
    design = contrasts.design
    control = design.control if design.control in contrasts.arms else None
    days = list(range(1, design.num_days + 1))
    if control is None:
        return {"vs": None, "day": days, "arms": {}}
    under = watch_minutes(contrasts.arms[control], design)
    arms: dict[str, dict[DailySeries, Series]] = {}
    for name in contrasts.others():
        over = watch_minutes(contrasts.arms[name], design)
        series: dict[DailySeries, tuple[MetricName, FloatArray | BoolArray, FloatArray | BoolArray]] = {
            "watch_minutes": ("watch_minutes_per_user_day", over, under),
            "active_users": ("active_user_share", active(over), active(under)),
        }
        arms[name] = {}
        for key, (metric, *minutes) in series.items():
            days_of = zip(*(per_user.T for per_user in minutes), strict=True)
            curve = [contrasts.ratios(metric, name, control, (_mean(one), _mean(two))) for one, two in days_of]
            arms[name][key] = _columns(curve_band(curve, contrasts.paired, rng))
    return {"vs": control, "day": days, "arms": arms}


def sequential(contrasts: Contrasts) -> dict[str, dict[MetricName, Running]]:
    """Each primary metric's lift so far, day by day, with an interval that holds on all days at once."""
    until: dict[str, dict[MetricName, list[UserSums]]] = {}
    running: dict[str, dict[MetricName, Running]] = {}
    for name in contrasts.others():
        running[name] = {}
        own = sums_until(contrasts.arms[name], contrasts.design)
        for metric in PRIMARY:
            other = contrasts.against(metric)
            if other is None or other == name:
                continue
            if other not in until:
                until[other] = sums_until(contrasts.arms[other], contrasts.design)
            pairs = zip(own[metric], until[other][metric], strict=True)
            looks = [contrasts.ratios(metric, name, other, pair) for pair in pairs]
            fixed = [NO_LIFT if pair is None else lift_between(*pair, contrasts.paired) for pair in looks]
            days = list(range(1, contrasts.design.num_days + 1))
            running[name][metric] = {"vs": other, "day": days, **_columns(running_intervals(fixed))}
    return running


def uci(contrasts: Contrasts, rng: np.random.Generator) -> dict[str, UciCurve]:
    """Figure 4c: lift in the share of assigned users with at least N clusters in seven days."""
    design = contrasts.design
    clusters = {name: distinct_clusters(run, design) for name, run in contrasts.arms.items()}
    other = next((name for name in (design.reference, design.control) if name in clusters), None)
    curves: dict[str, UciCurve] = {}
    for name in clusters:
        if other is None or name == other:
            continue
        band = threshold_band(clusters[name], clusters[other], contrasts.paired, rng)
        curves[name] = {
            "n": list(band.thresholds),
            "lift": list(band.lift),
            "low": list(band.low),
            "high": list(band.high),
            "vs": other,
        }
    return curves


def _mean(per_user: FloatArray) -> UserSums:
    """A mean over users, as a ratio."""
    return UserSums(per_user, np.ones(len(per_user)))


def _columns(points: list[Lift]) -> Series:
    relative, low, high = ([getattr(lift, part) for lift in points] for part in ("relative", "low", "high"))
    return {"relative": relative, "low": low, "high": high}
