"""Assemble ``results.json`` from what the arms left behind: estimates, lifts, series, bands.

The dictionary holds only what JSON can: no NaN (``None`` instead), no numpy, floats rounded to ten
significant digits so that the file is the same on another machine's summation order. It holds no
times of day and no durations: a re-run writes the same bytes.
"""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.inference.users import Lift, UserSums, ratio_interval, relative_lift, threshold_band
from experiments.metrics import (
    ACTIVE_MINUTES,
    JACCARD_PAIRS,
    METRICS,
    ArmRun,
    Setting,
    arm_values,
    distinct_clusters,
    user_sums,
    watch_minutes,
)
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput

_NO_LIFT = Lift(None, None, None, None)


def assemble(
    arms: list[ArmRun], setting: Setting, config: dict[str, Any], costs: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Everything that the report and the figures show.

    Args:
        arms: the arms in the order of the report; in twins all with the same users.
        setting: what they have in common.
        config: the resolved configuration, passed on as it is.
        costs: tokens, bytes and the like, passed on as they are; no durations.
        rng: resamples and sampled pairs of users.

    Returns:
        ``{"config", "arms": {ARM: {METRIC: {"value", "low", "high", "n"}}}, "lifts": {ARM: {METRIC:
        {"vs", "relative", "low", "high", "p"}}}, "daily": {"vs", "day": [...], "arms": {ARM: {SERIES:
        {"relative", "low", "high": [...]}}}}, "uci": {ARM: {"n", "lift", "low", "high": [...],
        "vs"}}, "costs", "claims": []}``. Lifts are against the control, on the agent's slots (of
        which the control has none) against the reference. Without the reference arm, ``uci`` is
        against the control.
    """
    names = [run.name for run in arms]
    if len(set(names)) != len(names):
        raise InvalidInput("arms", names, "must have distinct names")
    for run in arms:
        check_run(run, setting)
    paired = setting.diversion == "twins"
    if paired and not all(np.array_equal(run.assigned, arms[0].assigned) for run in arms):
        raise InvalidInput("assigned", "differs between arms", "must be the same users in every arm of twins")
    draws = rng.random((JACCARD_PAIRS, 2))
    num_items = setting.num_items or _largest_item(arms, setting) + 1
    sums = {run.name: user_sums(run, setting) for run in arms}
    whole = {run.name: arm_values(run, setting, num_items, draws) for run in arms}
    clusters = {run.name: distinct_clusters(run, setting) for run in arms}
    minutes = {run.name: watch_minutes(run, setting) for run in arms}
    against = {m.name: _baseline(m.scope == "agent slots", names, setting) for m in METRICS}
    return dict(
        plain(
            {
                "config": config,
                "arms": {run.name: _estimates(sums[run.name], whole[run.name], len(run.assigned)) for run in arms},
                "lifts": {n: _lifts(n, against, sums, whole, paired) for n in names if n != setting.control},
                "daily": _daily(minutes, setting, paired),
                "uci": _uci(clusters, setting, paired, rng),
                "costs": costs,
                "claims": [],
            }
        )
    )


def check_run(run: ArmRun, setting: Setting) -> None:
    """Refuse a run that does not fit its setting.

    Raises:
        InvalidInput: lengths disagree, a row lies outside the A/B days or belongs to a user or a
            cluster that the arm cannot have.
    """
    log = run.log
    if len(run.dormant) != len(log):
        raise InvalidInput(f"{run.name}.dormant", len(run.dormant), f"must have the log's {len(log)} rows")
    if len(run.discoveries) != setting.num_users:
        raise InvalidInput(f"{run.name}.discoveries", len(run.discoveries), f"must have {setting.num_users} users")
    if setting.diversion not in ("twins", "split"):
        raise InvalidInput("diversion", setting.diversion, "must be twins or split")
    if len(log) == 0:
        return
    days = int(log.day.min()), int(log.day.max())
    if days[0] < setting.first_day or days[1] >= setting.first_day + setting.num_days:
        raise InvalidInput(f"{run.name}.log.day", days, f"must lie in the {setting.num_days} A/B days")
    if not np.isin(log.user, run.assigned).all():
        raise InvalidInput(f"{run.name}.log.user", "another arm's user", "must be assigned to the arm")
    if int(log.cluster.min()) < 0 or int(log.cluster.max()) >= setting.num_clusters:
        raise InvalidInput(
            f"{run.name}.log.cluster", int(log.cluster.max()), f"must be in 0..{setting.num_clusters - 1}"
        )


def plain(value: Any) -> Any:
    """The same value in JSON's types: NaN and infinity become ``None``, floats keep ten digits."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _largest_item(arms: list[ArmRun], setting: Setting) -> int:
    return max([int(log.item.max()) for log in (setting.burn_in, *(run.log for run in arms)) if len(log)], default=-1)


def _baseline(on_agent_slots: bool, names: list[str], setting: Setting) -> str | None:
    """The arm that a metric is compared with, or ``None`` where that arm was not run."""
    name = setting.reference if on_agent_slots else setting.control
    return name if name in names else None


def _estimates(sums: dict[str, UserSums], whole: dict[str, float | None], users: int) -> dict[str, dict[str, Any]]:
    return {
        m.name: asdict(ratio_interval(sums[m.name]))
        if m.name in sums
        else {"value": whole[m.name], "low": None, "high": None, "n": users}
        for m in METRICS
    }


def _lifts(
    name: str,
    against: dict[str, str | None],
    sums: dict[str, dict[str, UserSums]],
    whole: dict[str, dict[str, float | None]],
    paired: bool,
) -> dict[str, dict[str, Any]]:
    """Every metric's lift of one arm; all ``None`` against itself or an arm that was not run."""
    lifts = {}
    for metric, other in against.items():
        lift = _NO_LIFT
        if other is not None and other != name:
            if metric in sums[name]:
                lift = relative_lift(sums[name][metric], sums[other][metric], paired)
            else:
                over, under = whole[name][metric], whole[other][metric]
                lift = Lift(over / under - 1.0, None, None, None) if over is not None and under else _NO_LIFT
        lifts[metric] = {"vs": other, **asdict(lift)}
    return lifts


def _daily(minutes: dict[str, FloatArray], setting: Setting, paired: bool) -> dict[str, Any]:
    """Figure 5: each day's lift in watch time and in active users against the control."""
    control = setting.control if setting.control in minutes else None
    arms = {}
    for name in minutes:
        if control is None or name == control:
            continue
        watched = minutes[name], minutes[control]
        active = minutes[name] >= ACTIVE_MINUTES, minutes[control] >= ACTIVE_MINUTES
        arms[name] = {"watch_minutes": _daily_lifts(*watched, paired), "active_users": _daily_lifts(*active, paired)}
    return {"vs": control, "day": list(range(1, setting.num_days + 1)), "arms": arms}


def _daily_lifts(treated: npt.NDArray[Any], control: npt.NDArray[Any], paired: bool) -> dict[str, list[float | None]]:
    """Lifts of the means over users, column by column of (U_T, D) and (U_C, D)."""
    over, under = np.ones(len(treated)), np.ones(len(control))
    lifts = [
        relative_lift(UserSums(treated[:, d], over), UserSums(control[:, d], under), paired)
        for d in range(treated.shape[1])
    ]
    return {part: [getattr(lift, part) for lift in lifts] for part in ("relative", "low", "high")}


def _uci(clusters: dict[str, IntArray], setting: Setting, paired: bool, rng: np.random.Generator) -> dict[str, Any]:
    """Figure 4c: lift in the share of assigned users with at least N clusters in seven days."""
    other = next((name for name in (setting.reference, setting.control) if name in clusters), None)
    curves = {}
    for name in clusters:
        if other is None or name == other:
            continue
        band = threshold_band(clusters[name], clusters[other], paired, rng)
        curves[name] = {"n": band.thresholds, "lift": band.lift, "low": band.low, "high": band.high, "vs": other}
    return curves
