"""Cells and tables of pages: percent with an interval, nested settings as rows, Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.results_schema import OverWorldsRow


def shown(value: OverWorldsRow | None, signed: bool) -> str:
    """A mean in percent with its interval and, where it is known, tau, such as ``+4.3 [+1.0, +7.6]``."""
    if value is None or value["mean"] is None:
        return "\N{EN DASH}"
    style = "+.1f" if signed else ".1f"
    ends = value["mean"], value["low"], value["high"]
    mean, low, high = (None if end is None else 100 * end for end in ends)
    between = "" if low is None else f" [{low:{style}}, {high:{style}}]"
    tau = value["tau"] if signed else None
    apart = "" if tau is None else f" \N{GREEK SMALL LETTER TAU} {100 * tau:.1f}"
    return f"{mean:{style}}{between}{apart}".replace("-", "\N{MINUS SIGN}")


def flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Nested entries, such as settings, by dotted name."""
    for key, value in tree.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, name)
        else:
            yield name, value


def markdown(heads: list[str], rows: list[list[str]], names: int = 1) -> str:
    """A table in Markdown, whose first ``names`` columns are text."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * names + "|---:" * (len(heads) - names) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
