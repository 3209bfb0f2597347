"""The arena's tables and page."""

import math
from pathlib import Path

from scipy.stats import t as student

from experiments.arena.figures import NAMES, arena_figure, sizes_figure
from experiments.arena.rewards import REWARDS
from experiments.arena.schema import ArenaResults, Earned, Judged, PolicyRow, SizeRow
from experiments.arena.summary import total
from experiments.inference.users import LEVEL, reach_of
from experiments.off_policy.evaluation import ESTIMATORS
from experiments.reporting.html import write_results
from experiments.reporting.text import UNKNOWN, estimate, listed, markdown, number


def shown(metric: str, value: float | None) -> str:
    """A slot's value: seconds, or percent."""
    return number(value, ".2f", 1.0 if metric == "watch" else 100.0)


def unit(metric: str) -> str:
    """What ``shown`` shows."""
    return "s" if metric == "watch" else "%"


def summary(arena: ArenaResults) -> list[str]:
    """Which agent is best in the A/B after adjustment, and how estimators fare on the largest logs, in sentences.

    The best agent is called better than another where their intervals do not overlap that hold for all agents at once
    (Bonferroni over agents and metrics). This is conservative, since the agents serve the same users.
    """
    lines = []
    among = len(arena["agents"]) * len(REWARDS)
    for metric, title in REWARDS.items():
        ends = {name: _together(arena["live"][name][metric], among) for name in arena["agents"]}
        best = max(arena["agents"], key=lambda name: arena["live"][name][metric]["value"])
        beaten = [name for name in ends if name != best and ends[name][1] < ends[best][0]]
        others = [name for name in ends if name != best and name not in beaten]
        value = shown(metric, arena["live"][best][metric]["value"]) + (
            " s a slot" if metric == "watch" else "% of slots"
        )
        parts = [f"{best} is highest ({value})"]
        parts += [f"higher than {listed(beaten)} after adjustment"] if beaten else []
        parts += [f"no difference detected to {listed(others)}"] if others else []
        lines.append(f"A/B, {title.partition(' (')[0]}: {'; '.join(parts)}.")
    for policy, each in arena["logging"].items():
        if each["sizes"]:
            size, largest = list(each["sizes"].items())[-1]
            lines += [_best_estimator(policy, int(size), each, largest)]
    return lines


def _together(earned: Earned, among: int) -> tuple[float, float]:
    """Ends of an interval over users that holds together with ``among`` (Bonferroni); none where it has none."""
    value, low, high, freedom = earned["value"], earned["low"], earned["high"], earned["n"] - 1
    if low is None or high is None or freedom < 1:
        return -math.inf, math.inf
    factor = float(student.ppf(1 - (1 - LEVEL) / 2 / among, freedom)) / reach_of(freedom)
    half = factor * (high - low) / 2
    return value - half, value + half


def _best_estimator(policy: str, size: int, of_policy: PolicyRow, largest: SizeRow) -> str:
    """The estimator with the smallest error for each metric on a policy's largest logs, and what it covers."""
    parts = []
    for metric, title in REWARDS.items():
        truth = {name: each[metric]["value"] for name, each in of_policy["truth"].items()}
        over = {name: total(largest["metrics"][metric][name]["agents"], truth) for name in ESTIMATORS}
        errors = {name: each["rmse"] for name, each in over.items() if each["rmse"] is not None}
        if errors:
            best = min(errors, key=lambda name: errors[name])
            covered = f"covers {_percent(over[best]['covered'])}% of truths"
            parts.append(f"{title.partition(' (')[0]}: {NAMES[best]} ({_percent(errors[best])}%, {covered})")
    return (
        f"Smallest median error on logs of {policy} with {size:,} impressions: {'; '.join(parts)}. Estimators share "
        "logs, and no test between them was made."
    )


def limits_table(arena: ArenaResults) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: what each agent earns in the A/B, at the logged requests, and as far as a log can show."""
    heads = ["agent", "logging policy", "new clusters, %", "in reach, %"]
    for metric, title in REWARDS.items():
        name = title.partition(" (")[0]
        heads += [f"{name} ({unit(metric)}): A/B", "same requests", "in reach"]
    rows = []
    for agent in arena["agents"]:
        for policy, each in arena["logging"].items():
            row = [agent, policy, f"{100 * arena['novel'][agent]:.0f}", f"{100 * each['reach'][agent]:.0f}"]
            for metric in REWARDS:
                values = (
                    arena["live"][agent][metric]["value"],
                    each["truth"][agent][metric]["value"],
                    each["seen"][agent][metric],
                )
                row += [shown(metric, value) for value in values]
            rows.append(row)
    return heads, rows


def ranking_table(arena: ArenaResults) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: how each estimator fares on logs of each policy and size, over all agents."""
    heads = ["logging policy", "impressions", "estimator", "logs"]
    for title in REWARDS.values():
        heads += [f"{title}: error, %", "covered, %", "\N{GREEK SMALL LETTER TAU}", "winner, %"]
    rows = []
    for policy, each in arena["logging"].items():
        for size, cell in each["sizes"].items():
            for estimator in ESTIMATORS:
                row = [policy, f"{int(size):,}", NAMES[estimator], str(cell["logs"])]
                for metric in REWARDS:
                    row += _accuracy(each, cell["metrics"][metric][estimator], metric)
                rows.append(row)
        seen = [each["limits"][metric]["seen"] for metric in REWARDS]
        truth = [each["limits"][metric]["truth"] for metric in REWARDS]
        for words, limits in (("truth, part in reach", seen), ("truth at these requests", truth)):
            row = [policy, "\N{INFINITY}", words, UNKNOWN]
            for limit in limits:
                row += [UNKNOWN, UNKNOWN, _number(limit["tau"]), _percent(limit["winner"])]
            rows.append(row)
    return heads, rows


def _accuracy(of_policy: PolicyRow, judged: Judged, metric: str) -> list[str]:
    truth = {name: each[metric]["value"] for name, each in of_policy["truth"].items()}
    over = total(judged["agents"], truth)
    return [_percent(over["rmse"]), _percent(over["covered"]), _number(judged["tau"]), _percent(judged["winner"])]


def _percent(value: float | None) -> str:
    return number(value, ",.0f", 100.0)


def _number(value: float | None) -> str:
    return number(value, "+.2f")


def support_table(arena: ArenaResults) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: whether the first of the largest logs supports each agent."""
    heads = ["logging policy", "agent", "impressions"]
    heads += ["effective rows", "mean weight", "largest share, %", "problem"]
    rows = []
    for policy, each in arena["logging"].items():
        if not each["sizes"]:
            continue
        cell = list(each["sizes"].values())[-1]
        for agent in arena["agents"]:
            weights = cell["support"][agent]["slots"]
            rows.append(
                [
                    policy,
                    agent,
                    f"{weights['rows']:,}",
                    f"{weights['effective_rows']:,.0f}",
                    estimate(weights["mean_weight"], ".2f"),
                    f"{100 * weights['largest_share']:.0f}",
                    cell["support"][agent]["verdict"] or "none",
                ]
            )
    return heads, rows


def write_arena(arena: ArenaResults, facts: dict[str, str], folder: Path) -> Path:
    """Write arena.md, the figures and arena.html into ``folder``.

    Args:
        arena: as ``summarise`` returns it.
        facts: of the world, for the page: ``users``, ``days``, ``log_days``.

    Returns:
        The path of arena.html.
    """
    tables = {"limits": limits_table(arena), "ranking": ranking_table(arena), "support": support_table(arena)}
    titles = {
        "limits": "What agents earn, and how much of it a log can show",
        "ranking": "Error, coverage and ranking of estimators",
        "support": "Support of the largest logs",
    }
    texts = [f"## {title}\n\n{markdown(*tables[name], names=3)}" for name, title in titles.items()]
    figures, narrow = (
        {"arena": arena_figure(arena, phone)}
        | {f"arena_sizes_{metric}": sizes_figure(arena, metric, phone) for metric in REWARDS}
        for phone in (False, True)
    )
    content = {
        "facts": facts,
        "seed": arena["seed"],
        "slots": arena["slots"],
        "policies": list(arena["logging"]),
        "rewards": REWARDS,
        "estimators": [(NAMES[name], words) for name, words in ESTIMATORS.items()],
        "summary": summary(arena),
        "titles": titles,
        "tables": tables,
    }
    return write_results(folder, "arena", content, figures, "\n".join(texts), narrow)
