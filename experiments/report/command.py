"""``interestlab report FOLDER...``: comparisons of several worlds or along dials, joined into one page."""

import argparse
from pathlib import Path

from experiments.results_schema import Joined

_DESCRIPTION = """\
Join comparisons that differ in nothing but the seed, such as those of

  interestlab compare -m seed=0,1,2 hydra.sweep.dir=multirun/mine
  interestlab report multirun/mine

into worlds.html (self-contained), worlds.json, worlds.md (the table) and figures/worlds.svg and .png.

Where they differ in one or two more entries of the config, such as those of

  interestlab compare -m +sweep=alpha
  interestlab report multirun/alpha

what comes out are curves (one entry) or heat-maps (two): dial.html, dial.json, dial.md, figures/dial.svg and .png."""


def table(joined: Joined) -> tuple[list[str], list[list[str]]]:
    """Heads and rows, the longest watched arm first; values and lifts in percent with their 95 % interval."""
    from experiments.reporting.figures.worlds import COLUMNS, by_watch_time, compared_with
    from experiments.reporting.text import shown

    heads = ["arm"]
    for part, metric, title in COLUMNS:
        vs = compared_with(joined, part, metric)
        heads.append(title.replace("\n", " ") + (f", % against {vs}" if vs else ", %"))
    rows = []
    for arm in by_watch_time(joined):
        cells = [shown(joined[part].get(arm, {}).get(metric), part == "lifts") for part, metric, _ in COLUMNS]
        rows.append([arm, *cells])
    return heads, rows


def summary(joined: Joined) -> list[str]:
    """Which differences to the control hold after Holm's adjustment over all arms and metrics, in sentences.

    None where there are too few worlds for any verdict.
    """
    from experiments.inference.multiplicity import holm
    from experiments.inference.worlds import LEAST_WORLDS
    from experiments.measures.significance import significant
    from experiments.reporting.figures.worlds import COLUMNS
    from experiments.reporting.text import estimate, listed

    if len(joined["seeds"]) < LEAST_WORLDS:
        return []
    titles = {metric: title.replace("\n", " ") for part, metric, title in COLUMNS if part == "lifts"}
    lifts = {(metric, arm): joined["lifts"][arm][metric] for metric in titles for arm in joined["lifts"]}
    known = {key: lift for key, lift in lifts.items() if lift["mean"] is not None}
    adjusted = dict(zip(known, holm([lift["p"] for lift in known.values()]), strict=True))
    sentences = []
    for metric, title in titles.items():
        arms = {arm: lift for (of, arm), lift in known.items() if of == metric}
        if not arms:
            continue
        parts = []
        for word, sign in (("higher", 1), ("lower", -1)):
            which = [
                arm for arm in arms if significant(adjusted[metric, arm]) and sign * (arms[arm]["mean"] or 0.0) > 0
            ]
            if which:
                with_lifts = [f"{arm} ({estimate(arms[arm], '+.1f', 100.0, '%')})" for arm in which]
                parts.append(f"{word} under {listed(with_lifts)}")
        others = [arm for arm in arms if not significant(adjusted[metric, arm])]
        parts += [f"no difference detected for {listed(others)}"] if others else []
        vs = next(iter(arms.values()))["vs"]
        sentences.append(f"{title.capitalize()} against {vs}: {'; '.join(parts)}.")
    return sentences


def report(folders: list[Path], out: Path) -> Path:
    """Join the runs in ``folders`` and write the page and what stands in it into ``out``.

    Returns:
        The path of worlds.html, or of dial.html where the runs differ in more than the seed.

    Raises:
        InvalidInput: a folder without results, or runs that cannot be joined.
    """
    from experiments.measures.across_worlds import find_runs, join, read_results
    from experiments.report.dial_page import dial_report, joined_terms
    from experiments.report.dials import dials_of
    from experiments.reporting.definitions import TAU
    from experiments.reporting.figures.worlds import worlds_figure
    from experiments.reporting.html import write_results
    from experiments.reporting.text import markdown
    from experiments.reporting.words import few_worlds
    from sim.files import write_json

    runs = {str(path): read_results(path) for path in find_runs(folders)}
    if dials_of([results["config"] for results in runs.values()]):
        return dial_report(runs, out)
    joined = join(runs)
    heads, rows = table(joined)
    write_json(out / "worlds.json", joined)
    content = {
        "num_worlds": len(joined["seeds"]),
        "few": few_worlds(len(joined["seeds"])),
        "seeds": ", ".join(map(str, joined["seeds"])),
        "terms": joined_terms(TAU),
        "summary": summary(joined),
        "heads": heads,
        "rows": rows,
    }
    figures, narrow = ({"worlds": worlds_figure(joined, narrow=phone)} for phone in (False, True))
    return write_results(out, "worlds", content, figures, markdown(heads, rows), narrow)


def main() -> None:
    """Read the arguments and join; what it takes is imported here, as ``--help`` needs none of it."""
    parser = argparse.ArgumentParser(
        "interestlab report", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="+", type=Path, help="of a comparison, or of a sweep of comparisons")
    parser.add_argument("--out", type=Path, help="where to write; the first folder if not given")
    arguments = parser.parse_args()
    from experiments.stages.stages import check_cache_dir

    out = arguments.folder[0] if arguments.out is None else check_cache_dir(str(arguments.out), "--out")
    path = report(arguments.folder, out)
    print(f"report: {path.resolve()}")
