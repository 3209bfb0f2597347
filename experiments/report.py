"""``interestlab report FOLDER...``: comparisons in several worlds, joined into one table, figure and page."""

import argparse
from pathlib import Path
from typing import Any

from experiments.across_worlds import find_runs, join, read_results
from experiments.command import clear_errors
from experiments.figures.files import save_figure, svg_source
from experiments.figures.worlds import COLUMNS, by_watch_time, compared_with, worlds_figure
from experiments.html_page import write_page
from sim.files import write_json, write_text

_DESCRIPTION = """\
Join comparisons that differ in nothing but the seed, such as those of

  interestlab compare -m seed=0,1,2 hydra.sweep.dir=multirun/mine
  interestlab report multirun/mine

into worlds.html (self-contained), worlds.json, worlds.md (the table) and figures/worlds.svg and .png."""


def table(joined: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows, the longest watched arm first; values and lifts in percent with their 95 % interval."""
    heads = ["arm"]
    for part, metric, title in COLUMNS:
        vs = compared_with(joined, part, metric)
        heads.append(title.replace("\n", " ") + (f", % against {vs}" if vs else ", %"))
    rows = []
    for arm in by_watch_time(joined):
        cells = [_cell(joined[part].get(arm, {}).get(metric), part == "lifts") for part, metric, _ in COLUMNS]
        rows.append([arm, *cells])
    return heads, rows


def _cell(value: dict[str, Any] | None, signed: bool) -> str:
    if value is None or value["mean"] is None:
        return "\N{EN DASH}"
    style = "+.1f" if signed else ".1f"
    mean, low, high = (100 * value[key] if value[key] is not None else None for key in ("mean", "low", "high"))
    between = "" if low is None else f" [{low:{style}}, {high:{style}}]"
    apart = "" if not signed or value["tau"] is None else f" \N{GREEK SMALL LETTER TAU} {100 * value['tau']:.1f}"
    return f"{mean:{style}}{between}{apart}".replace("-", "\N{MINUS SIGN}")


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """The table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def report(folders: list[Path], out: Path) -> Path:
    """Join the runs in ``folders`` and write the page and what stands in it into ``out``.

    Returns:
        The path of worlds.html.

    Raises:
        InvalidInput: a folder without results, or runs that cannot be joined.
    """
    joined = join({str(path): read_results(path) for path in find_runs(folders)})
    figure = worlds_figure(joined)
    heads, rows = table(joined)
    write_json(out / "worlds.json", joined)
    write_text(out / "worlds.md", markdown(heads, rows))
    save_figure(figure, out / "figures", "worlds")
    content = {
        "num_worlds": len(joined["seeds"]),
        "seeds": ", ".join(map(str, joined["seeds"])),
        "source": svg_source(figure),
        "heads": heads,
        "rows": rows,
    }
    return write_page("worlds.html.j2", content, out / "worlds.html")


def main() -> None:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(
        "interestlab report", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="+", type=Path, help="of a comparison, or of a sweep of comparisons")
    parser.add_argument("--out", type=Path, help="where to write; the first folder if not given")
    arguments = parser.parse_args()
    with clear_errors("report"):
        path = report(arguments.folder, arguments.out or arguments.folder[0])
    print(f"report: {path.resolve()}")


if __name__ == "__main__":
    main()
