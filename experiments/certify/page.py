"""``certificate.html``: the facts with their intervals, targets, verdicts and figures, in one file."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments.certify.figures import captions
from experiments.certify.schema import Certificate, FactRow, Numbers
from experiments.live.reference_life import SLOTS, WARM_UP_DAYS
from experiments.live.reference_policies import EXPLORED_SLOTS, Exploring, Greedy, Informed, Popular, Random, WarmUp
from experiments.reporting.html import write_results
from experiments.reporting.text import between, entry_rows, number

_POLICIES = (WarmUp, Random, Greedy, Popular, Exploring, Informed)
_LEVELS = (1, 2, 3, 4)
_CLUSTERS = (
    ("agreement", "agreement of level 2 with the true interests (adjusted mutual information; 1 = the same)"),
    ("unique_keywords", "share of level-2 clusters whose keywords no other cluster has"),
    *((f"imbalance_cut_{n}", f"traffic of the largest cluster over the mean, level {n}, as cut") for n in _LEVELS),
    *((f"imbalance_filed_{n}", f"the same, level {n}, as filed") for n in _LEVELS),
    *((f"imbalance_floor_{n}", f"the least possible, level {n}: the heaviest item has a cluster") for n in _LEVELS),
)
_VOLUMES = (
    ("visits_per_user_day", "sessions a user and day"),
    ("impressions_per_visit", "items examined a session"),
    ("minutes_per_visit", "minutes watched a session"),
)


def write_certificate(certificate: Certificate, figures: dict[int, Figure], folder: Path) -> Path:
    """Write the figures and ``certificate.html`` into ``folder``.

    Args:
        certificate: what ``certificate.json`` holds.
        figures: by the fact's number.
        folder: where.

    Returns:
        The path of the page.
    """
    named = {f"fact_{number}": figure for number, figure in figures.items()}
    return write_results(folder, "certificate", _content(certificate), named)


def summary(certificate: Certificate) -> list[str]:
    """What the certificate says, in sentences."""
    facts = certificate["facts"]
    failing = [row for row in facts if row["verdict"] == "fail"]
    lines = [f"{len(facts) - len(failing)} of {len(facts)} facts pass.", *map(_failure, failing)]
    for row in facts:
        if row["must_fail"]:
            ends = "and does" if row["verdict"] == "fail" else "and does not: something is wrong"
            lines.append(f"Fact {row['fact'].split('.')[0]} must fail here, since {row['must_fail']}, {ends}.")
    return lines


def _failure(row: FactRow) -> str:
    """Which statistics of a fact fail, by why they do."""
    number, _, title = row["fact"].partition(". ")
    by_reason: dict[str, list[str]] = {}
    for part in row["parts"]:
        if part["why"]:
            by_reason.setdefault(part["why"], []).append(part["part"])
    reasons = [f"{why[0].upper()}{why[1:]}: {'; '.join(parts)}." for why, parts in by_reason.items()]
    return " ".join([f"Fact {number} fails ({title}).", *reasons])


def _content(certificate: Certificate) -> dict[str, Any]:
    seeds = certificate["seeds"]
    text = captions()
    return {
        "title": f"Certificate of the world “{certificate['world']}”",
        "setting": f"{len(seeds)} worlds (seeds {seeds[0]} to {seeds[-1]}), each with "
        f"{certificate['config']['num_users']:,} users, {certificate['config']['num_items']:,} items and "
        f"{certificate['config']['num_interests']:,} interests; {certificate['days']} days for each policy.",
        "summary": summary(certificate),
        "facts": [
            {
                **row,
                "parts": [{**part, **_shown(part)} for part in row["parts"]],
                "number": number,
                "caption": text.get(number, ""),
            }
            for number, row in enumerate(certificate["facts"], start=1)
        ],
        "clusters": [(title, *_shown(certificate["clusters"][name]).values()) for name, title in _CLUSTERS],
        "volumes": [(title, *_shown(certificate["volumes"][name]).values()) for name, title in _VOLUMES],
        "policies": [
            (policy.name, (policy.__doc__ or "").split("\n")[0].replace("``EXPLORED_SLOTS``", str(EXPLORED_SLOTS)))
            for policy in _POLICIES[bool(certificate["config"]["prior"]["days"]) :]
        ],
        "slots": SLOTS,
        "explored": EXPLORED_SLOTS,
        "warm_up": WARM_UP_DAYS,
        "own": f"{100 * certificate['config']['own_share']:g} %",
        "prior": certificate["config"]["prior"]["days"],
        "config": entry_rows(certificate["config"], ""),
    }


def _shown(row: Numbers) -> dict[str, str]:
    value = "not defined" if row["value"] is None else number(row["value"])
    return {"number": value, "between": between(row["low"], row["high"])}
