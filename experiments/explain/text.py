"""An explanation as text for a terminal: one aligned table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.explain.search import BY_SEARCH, BY_TERM, meaning

MARKS = ("", "*", "**")
"""By with how many of the pair a cluster shares a persona."""

_NARROWEST = 100  # characters a line, below which lines are broken by the terminal
_GAP = "   "


def as_text(explanation: dict[str, Any], width: int) -> str:
    """Draw what explain.json holds (``explanation_of``) for a terminal of ``width`` characters."""
    columns = explanation["columns"]
    parts = [
        *_pair(explanation["pair"]),
        "",
        f"The prompt, word for word ({len(explanation['prompt']['tokens'])} tokens):",
        "",
        *(f"  | {line}" for line in explanation["prompt"]["text"].splitlines()),
        "",
        f"The best of the {explanation['num_candidates']} other clusters, p = probability as the next interest.",
        *_orders(columns),
        _fine_tuning(explanation["fine_tuning"]),
        "",
        *_table(columns, max(width, _NARROWEST)),
        "",
        *_truth(explanation),
    ]
    return "\n".join(line.rstrip() for line in parts)


def _pair(pair: Sequence[dict[str, Any]]) -> list[str]:
    given = max(len(repr(each["text"])) for each in pair)
    lines = [
        f"{each['text']!r:{given}} was taken for cluster {each['cluster']}: "
        f"{', '.join(each['keywords'])} (found by {each['found_by']})"
        for each in pair
    ]
    return [*lines, *(line for each in pair for line in _weakness(each))]


def _weakness(match: dict[str, Any]) -> list[str]:
    """That a text was found in few words only; a text that is a keyword, or an interest's name, was not."""
    where = f"cluster {match['cluster']}"
    if match.get("missing_words"):
        missing = " or ".join(map(repr, match["missing_words"]))
        return [f"Weak match: no title, hashtag or keyword of {where} has {missing}."]
    if match["found_by"] in (BY_TERM, BY_SEARCH) and not meaning(match["text"]) & meaning(*match["keywords"]):
        return [f"Weak match: no keyword of {where} has a word of {match['text']!r}; some titles or hashtags have."]
    return []


def _orders(columns: Sequence[dict[str, Any]]) -> list[str]:
    """What each column is ordered by; those of one order together."""
    titles: dict[str, list[str]] = {}
    for column in columns:
        titles.setdefault(column["order"], []).append(column["title"])
    return [
        f"{' and '.join(names)}: in the order of {order}{'' if order == 'p' else ' (by p = rank by p alone)'}."
        for order, names in titles.items()
    ]


def _fine_tuning(made: dict[str, Any]) -> str:
    start = "random weights" if made["random_weights"] else "the zero-shot LLM"
    return f"Fine-tuned: from {start}, on the burn-in's novel transitions; step {made['best_step']} of {made['steps']}."


def _table(columns: Sequence[dict[str, Any]], width: int) -> list[str]:
    """Rank by rank: mark, cluster, p, and the rank by p where the order is another."""
    corrected = [column["order"] != "p" for column in columns]
    numbers = [" ".join(["     p", *(["by p"] if also else [])]) for also in corrected]
    spare = width - 2 - sum(len(_GAP) + len(MARKS[-1]) + 2 + len(n) for n in numbers)
    name = spare // len(columns)
    lines = [_GAP.join([" #", *(f"   {c['title']:{name}} {n}" for c, n in zip(columns, numbers, strict=True))])]
    for rank in range(max(len(column["best"]) for column in columns)):
        cells = [f"{rank + 1:2}"]
        for column, also in zip(columns, corrected, strict=True):
            row = column["best"][rank]
            mark = MARKS[sum(row["shares_persona_with"].values())]
            cell = f"{mark:2} {_fitted(row['called'], name)} {row['probability']:6.4f}"
            cells.append(cell + (f" {row['rank_by_probability']:4}" if also else ""))
        lines.append(_GAP.join(cells))
    return lines


def _fitted(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 2]}.."


def _truth(explanation: dict[str, Any]) -> list[str]:
    """The privileged part."""
    rows = [("", *(column["title"] for column in explanation["columns"]), "by chance")]
    for key, title in (("one_or_both", "share a persona with one or both"), ("both", "share a persona with both")):
        shares = [(column["sharing"][key], len(column["best"])) for column in explanation["columns"]]
        chance = explanation["chance"][key]
        rows.append((title, *(f"{shared} of {num}" for shared, num in shares), f"{chance:.1f} of {shares[0][1]}"))
    widths = [max(map(len, cells)) for cells in np.array(rows).T.tolist()]
    lines = [
        "The hidden truth, which agents never see: * shares a persona with one of the pair, ** with both.",
        "",
        *(_GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows),
        "",
    ]
    for each in explanation["pair"]:
        truth = each["truth"]
        personas = ", ".join(truth["personas"]) or "none"
        lines.append(
            f"Cluster {each['cluster']} is {truth['interest']!r} to {truth['share_of_items']:.0%}; personas: {personas}"
        )
    return lines
