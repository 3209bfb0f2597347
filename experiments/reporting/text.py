"""Numbers, intervals, lists and tables as text. A minus is a minus sign, and what is not known an en dash."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.results_schema import OverWorldsRow
from experiments.study.described import flat

UNKNOWN = "\N{EN DASH}"


def minus(text: str) -> str:
    """The text with minus signs for hyphens: of numbers only."""
    return text.replace("-", "\N{MINUS SIGN}")


def number(value: float | None, style: str = ".3g", factor: float = 1.0, unit: str = "") -> str:
    """``factor`` times a value in a format such as ``+.1f``, with its unit."""
    return UNKNOWN if value is None else minus(f"{factor * value:{style}}") + unit


def between(low: float | None, high: float | None, style: str = ".3g", factor: float = 1.0) -> str:
    """An interval such as ``[+1.0, +7.6]``; nothing where an end is not known."""
    return "" if low is None or high is None else f"[{number(low, style, factor)}, {number(high, style, factor)}]"


def ends(row: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """A row's value (as it may be called: ``value``, ``mean``, or ``relative``) and the ends of its interval."""
    value = next(row[key] for key in ("value", "mean", "relative") if key in row)
    return value, row["low"], row["high"]


def estimate(row: Mapping[str, Any], style: str = ".3g", factor: float = 1.0, unit: str = "") -> str:
    """A value and its interval, such as ``+4.3% [+1.0, +7.6]``; see ``ends`` and ``number``."""
    value, low, high = ends(row)
    return f"{number(value, style, factor, unit)} {between(low, high, style, factor)}".rstrip()


def p_value(p: float | None) -> str:
    """A p-value in a table, such as ``.030``."""
    return UNKNOWN if p is None else "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def shown(value: OverWorldsRow | None, signed: bool) -> str:
    """A mean in percent with its interval and, where it is known, tau, such as ``+4.3 [+1.0, +7.6]``."""
    if value is None or value["mean"] is None:
        return UNKNOWN
    tau = value["tau"] if signed else None
    apart = "" if tau is None else f" \N{GREEK SMALL LETTER TAU} {100 * tau:.1f}"
    return estimate(value, "+.1f" if signed else ".1f", 100.0) + apart


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def entry_text(value: Any, style: str = ".4g") -> str:
    """An entry as a page has it: fractions in ``style``, lists with commas."""
    if isinstance(value, list):
        return ", ".join(entry_text(each, style) for each in value)
    return UNKNOWN if value is None else f"{value:{style}}" if isinstance(value, float) else str(value)


def entry_rows(tree: Mapping[str, Any], style: str = ".4g") -> list[tuple[str, str]]:
    """Nested entries as ``(dotted name, text)``."""
    return [(name, entry_text(value, style)) for name, value in flat(tree)]


def record_table(records: Sequence[Mapping[str, Any]], style: str = ".4g") -> dict[str, list[Any]]:
    """``heads`` and ``rows`` of records with text, numbers or nothing under the same names, or under some of them.

    Heads are the records' names, so they should be words; see ``reporting.words.worded``.
    """
    names = list(dict.fromkeys(name for record in records for name in record))
    rows = [[entry_text(record.get(name), style) for name in names] for record in records]
    return {"heads": names, "rows": rows}


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """A table in Markdown, whose first ``names`` columns are text."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * names + "|---:" * (len(heads) - names) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
