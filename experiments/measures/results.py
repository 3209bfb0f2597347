"""Assemble ``results.json`` from what the arms left behind: estimates, and what ``contrasts`` makes of them.

The dictionary holds only what JSON can: no NaN (``None`` instead), no numpy, floats rounded to ten
significant digits so that the file is the same on another machine's summation order. It holds no
times of day and no durations: a re-run writes the same bytes.
"""

import math
from typing import Any

import numpy as np

from experiments.inference.sample_ratio import sample_ratio
from experiments.inference.users import Interval, UserSums, ratio_interval
from experiments.measures.contrasts import Contrasts, daily, lifts, sequential, uci
from experiments.measures.metrics import METRICS, ArmRun, Design, arm_values, user_sums
from experiments.measures.variety import JACCARD_PAIRS
from experiments.results_schema import Estimate, MetricName, Results
from experiments.study.protocol import DIVERSIONS
from sim.errors import InvalidInput


def assemble(
    arms: list[ArmRun], design: Design, config: dict[str, Any], costs: dict[str, Any], rng: np.random.Generator
) -> Results:
    """Everything that the report and the figures show; no durations.

    Lifts are against the control, on the agent's slots (of which the control has none) against the reference. Without
    the reference arm, ``uci`` is against the control. In all diversions but twins, lifts are adjusted by CUPED
    where there is a covariate; in twins, where every arm has everybody, ``sample_ratio`` is ``None``.

    Args:
        arms: in the order of the report; in twins all with the same users.
        design, config, costs: of them all; the last two are passed on as they are.
        rng: resamples and sampled pairs of users.
    """
    names = [run.name for run in arms]
    if len(set(names)) != len(names):
        raise InvalidInput("arms", names, "must have distinct names")
    for run in arms:
        check_run(run, design)
    paired = design.diversion == "twins"
    if paired and not all(np.array_equal(run.assigned, arms[0].assigned) for run in arms):
        raise InvalidInput("assigned", "differs between arms", "must be the same users in every arm of twins")
    draws = rng.random((JACCARD_PAIRS, 2))
    num_items = design.num_items or _largest_item(arms, design) + 1
    sums = {run.name: user_sums(run, design) for run in arms}
    whole = {run.name: arm_values(run, design, num_items, draws) for run in arms}
    contrasts = Contrasts.of(arms, design)
    curves = uci(contrasts, rng)
    diverted = None if paired else sample_ratio({run.name: len(run.assigned) for run in arms})
    results: Results = plain(
        {
            "config": config,
            "arms": {run.name: _estimates(sums[run.name], whole[run.name], len(run.assigned)) for run in arms},
            "lifts": lifts(contrasts, sums, whole),
            "daily": daily(contrasts, rng),
            "uci": curves,
            "sequential": sequential(contrasts),
            "sample_ratio": diverted,
            "costs": costs,
            "claims": [],
        }
    )
    return results


def check_run(run: ArmRun, design: Design) -> None:
    """Refuse a run that does not fit its design.

    Raises:
        InvalidInput: lengths disagree, or a row is of a day, a user or a cluster that the arm cannot have.
    """
    log = run.log
    if len(run.dormant) != len(log):
        raise InvalidInput(f"{run.name}.dormant", len(run.dormant), f"must have the log's {len(log)} rows")
    if len(run.discoveries) != design.num_users:
        raise InvalidInput(f"{run.name}.discoveries", len(run.discoveries), f"must have {design.num_users} users")
    if design.diversion not in DIVERSIONS:
        raise InvalidInput("diversion", design.diversion, f"must be one of {', '.join(DIVERSIONS)}")
    if len(log) == 0:
        return
    days = int(log.day.min()), int(log.day.max())
    if days[0] < design.first_day or days[1] >= design.first_day + design.num_days:
        raise InvalidInput(f"{run.name}.log.day", days, f"must lie in the {design.num_days} A/B days")
    if not np.isin(log.user, run.assigned).all():
        raise InvalidInput(f"{run.name}.log.user", "another arm's user", "must be assigned to the arm")
    if int(log.cluster.min()) < 0 or int(log.cluster.max()) >= design.num_clusters:
        raise InvalidInput(
            f"{run.name}.log.cluster", int(log.cluster.max()), f"must be in 0..{design.num_clusters - 1}"
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


def _largest_item(arms: list[ArmRun], design: Design) -> int:
    return max([int(log.item.max()) for log in (design.burn_in, *(run.log for run in arms)) if len(log)], default=-1)


def _estimates(
    sums: dict[MetricName, UserSums], whole: dict[MetricName, float | None], users: int
) -> dict[MetricName, Estimate]:
    results = {name: ratio_interval(of_users) for name, of_users in sums.items()}
    results |= {name: Interval(value, None, None, users) for name, value in whole.items()}
    return {metric.name: results[metric.name].row() for metric in METRICS}
