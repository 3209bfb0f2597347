"""``dial.html`` and what stands in it: the page of comparisons along one or two dials."""

from pathlib import Path

from experiments.report.dials import join_dials
from experiments.report.dials_figure import axis_title, dials_figure, shown_arms
from experiments.reporting import definitions
from experiments.reporting.figures.worlds import COLUMNS
from experiments.reporting.html import write_results
from experiments.reporting.text import listed, markdown, shown
from experiments.reporting.words import few_worlds, setting_in_words
from experiments.results_schema import Dialled, MetricName, Part, Results
from sim.files import write_json


def dial_report(runs: dict[str, Results], out: Path) -> Path:
    """Join runs along their dials and write the page, its table, data and figure into ``out``.

    Args:
        runs: path -> results.
        out: a folder.

    Returns:
        The path of dial.html.

    Raises:
        InvalidInput: the runs cannot be joined.
    """
    joined = join_dials(runs)
    tables = tables_of(joined)
    heading = "Arms by " + listed([setting_in_words(dial["entry"]) for dial in joined["dials"]])
    note = intervals_in_words(joined)
    write_json(out / "dial.json", joined)
    parts = [f"# {heading}\n", f"{note}\n"]
    parts += [f"## {title}\n\n{markdown(heads, rows, names)}" for title, heads, rows, names in tables]
    content = {
        "heading": heading,
        "dials": [{**dial, "words": setting_in_words(dial["entry"])} for dial in joined["dials"]],
        "seeds": ", ".join(map(str, joined["seeds"])),
        "num_runs": len(runs),
        "note": note,
        "tables": tables,
        "terms": joined_terms(),
    }
    figures, narrow = ({"dial": dials_figure(joined, phone)} for phone in (False, True))
    return write_results(out, "dial", content, figures, "\n".join(parts), narrow)


def joined_terms(*more: str) -> list[tuple[str, str]]:
    """Definitions for pages of joined comparisons: terms, those of ``more``, and the metrics of ``COLUMNS``."""
    names = ("world", "arm", "control", "agent's slots", "relative difference", "95% interval")
    metrics = definitions.metrics(metric for _, metric, _ in COLUMNS)
    return definitions.terms(*names, *more) + metrics


def intervals_in_words(joined: Dialled) -> str:
    """What the intervals are about: a reader must not take users' for worlds'."""
    num = len(joined["seeds"])
    if joined["intervals"] == "worlds":
        return (
            f"Means over {num} worlds (seeds {', '.join(map(str, joined['seeds']))}) with 95% t intervals over worlds. "
            f"{few_worlds(num)}"
        ).rstrip()
    return (
        f"One world (seed {joined['seeds'][0]}): 95% intervals are over its users, and say nothing about other "
        "worlds. Run more seeds before you believe a shape."
    )


def tables_of(joined: Dialled) -> list[tuple[str, list[str], list[list[str]], int]]:
    """A table a metric: title, heads, rows, and how many of a row's cells are names.

    The last dial's places are the columns; rows are arms, under a second dial arms times its places.
    """
    return [_table(joined, part, metric, title.replace("\n", " ")) for part, metric, title in COLUMNS]


def _table(joined: Dialled, part: Part, metric: MetricName, title: str) -> tuple[str, list[str], list[list[str]], int]:
    *outer, across = joined["dials"]
    name = setting_in_words(across["entry"])
    heads = ["arm", *(setting_in_words(dial["entry"]) for dial in outer)]
    heads += [f"{name}: {label}" for label in across["labels"]]
    cells = {tuple(cell["at"]): cell for cell in joined["cells"]}
    rows = []
    for arm in shown_arms(joined, part, metric):
        for place in range(len(outer[0]["values"])) if outer else (None,):
            before = () if place is None else (place,)
            row = [cells.get((*before, at)) for at in range(len(across["values"]))]
            values = [None if cell is None else cell[part].get(arm, {}).get(metric) for cell in row]
            names = [arm] if place is None else [arm, outer[0]["labels"][place]]
            rows.append([*names, *(shown(value, part == "lifts") for value in values)])
    return f"{title}, {axis_title(joined['cells'][0], part, metric)}", heads, rows, 1 + len(outer)
