"""The arena's tables and page."""

from pathlib import Path

from experiments.arena.figures import arena_figure, sizes_figure
from experiments.arena.rewards import REWARDS
from experiments.arena.schema import ArenaResults, Judged, PolicyRow
from experiments.arena.summary import total
from experiments.off_policy.evaluation import ESTIMATORS
from experiments.reporting.html import write_found
from experiments.reporting.text import UNKNOWN, estimate, markdown, number


def shown(metric: str, value: float | None) -> str:
    """A slot's value: seconds, or percent."""
    return number(value, ".2f", 1.0 if metric == "watch" else 100.0)


def unit(metric: str) -> str:
    """What ``shown`` shows."""
    return "s" if metric == "watch" else "%"


def limits_table(results: ArenaResults) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: what each agent earns in the A/B, at the logged requests, and as far as a log can show."""
    heads = ["agent", "logging policy", "new clusters, %", "in reach, %"]
    for metric, title in REWARDS.items():
        heads += [f"{title} ({unit(metric)}): A/B", "same requests", "in reach"]
    rows = []
    for agent in results["agents"]:
        for policy, each in results["logging"].items():
            row = [agent, policy, f"{100 * results['novel'][agent]:.0f}", f"{100 * each['reach'][agent]:.0f}"]
            for metric in REWARDS:
                values = (
                    results["live"][agent][metric]["value"],
                    each["truth"][agent][metric]["value"],
                    each["seen"][agent][metric],
                )
                row += [shown(metric, value) for value in values]
            rows.append(row)
    return heads, rows


def ranking_table(results: ArenaResults) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: how each estimator fares on logs of each policy and size, over all agents."""
    heads = ["logging policy", "impressions", "estimator", "logs"]
    for title in REWARDS.values():
        heads += [f"{title}: error, %", "covered, %", "\N{GREEK SMALL LETTER TAU}", "winner, %"]
    rows = []
    for policy, each in results["logging"].items():
        for size, cell in each["sizes"].items():
            for estimator in ESTIMATORS:
                row = [policy, f"{int(size):,}", estimator, str(cell["logs"])]
                for metric in REWARDS:
                    row += _accuracy(each, cell["metrics"][metric][estimator], metric)
                rows.append(row)
        seen = [each["limits"][metric]["seen"] for metric in REWARDS]
        truth = [each["limits"][metric]["truth"] for metric in REWARDS]
        for words, limits in (("all that is in reach", seen), ("truth at these requests", truth)):
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


def support_table(results: ArenaResults) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: whether the first of the largest logs supports each agent."""
    heads = ["logging policy", "agent", "impressions"]
    heads += ["worth, rows", "mean weight", "largest share, %", "what is wrong"]
    rows = []
    for policy, each in results["logging"].items():
        if not each["sizes"]:
            continue
        cell = list(each["sizes"].values())[-1]
        for agent in results["agents"]:
            support = cell["support"][agent]["slots"]
            rows.append(
                [
                    policy,
                    agent,
                    f"{support['rows']:,}",
                    f"{support['effective_rows']:,.0f}",
                    estimate(support["mean_weight"], ".2f"),
                    f"{100 * support['largest_share']:.0f}",
                    cell["support"][agent]["verdict"] or "nothing",
                ]
            )
    return heads, rows


def write_arena(results: ArenaResults, facts: dict[str, str], folder: Path) -> Path:
    """Write arena.md, the figures and arena.html into ``folder``.

    Args:
        results: as ``summarise`` returns it.
        facts: what the page says of the world: ``users``, ``days``, ``log_days``.

    Returns:
        The path of arena.html.
    """
    tables = {"limits": limits_table(results), "ranking": ranking_table(results), "support": support_table(results)}
    titles = {
        "limits": "What agents earn, and how much of it a log can show",
        "ranking": "How estimators fare",
        "support": "What the largest logs support",
    }
    texts = [f"## {title}\n\n{markdown(*tables[name], names=3)}" for name, title in titles.items()]
    figures = {"arena": arena_figure(results)}
    figures |= {f"arena_sizes_{metric}": sizes_figure(results, metric) for metric in REWARDS}
    content = {
        "facts": facts,
        "seed": results["seed"],
        "slots": results["slots"],
        "policies": list(results["logging"]),
        "rewards": REWARDS,
        "estimators": ESTIMATORS,
        "titles": titles,
        "tables": tables,
    }
    return write_found(folder, "arena", content, figures, "\n".join(texts))
