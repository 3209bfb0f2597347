"""How informative a data set's histories are, and another's next to them: records, and lines for people."""

from collections.abc import Sequence
from typing import Literal

from typing_extensions import TypedDict

from experiments.datasets.dataset import LoggedDataset
from experiments.measures.histories import DEEP_POSITIVES, Histories, histories
from experiments.reporting.text import estimate
from experiments.results_schema import Estimate


class HistoriesOf(TypedDict):
    """One entry of ``histories`` in summary.json: a data set's name, which of its rows count, and the measures."""

    name: str
    rows: Literal["impressions", "consumed"]
    measures: Histories


def histories_of(datasets: Sequence[LoggedDataset]) -> list[HistoriesOf]:
    """The measures of each data set.

    Where one of them has no negatives, only consumed rows count, in all: so all count the same.
    """
    whole = all(data.has_negatives for data in datasets)
    records: list[HistoriesOf] = []
    for data in datasets:
        log = data.log if whole else data.log.where(data.log.consumed)
        measures = histories(log, data.num_users, data.clusters.num_clusters)
        records.append({"name": data.name, "rows": "impressions" if whole else "consumed", "measures": measures})
    return records


def histories_lines(records: Sequence[HistoriesOf]) -> list[tuple[str, str]]:
    """What the command prints of them; of several, each under its name."""
    shown: list[tuple[str, str]] = []
    for record in records:
        if len(records) > 1:
            rows = ", of what was consumed: one of the two logs has nothing else"
            shown.append(("histories of", record["name"] + (rows if record["rows"] == "consumed" else "")))
        values = record["measures"]
        again, deep = (next(iter(each.values())) for each in (values["earlier_ratio"], values["deep_clusters"]))
        top, second = (_percent(values["concentration"][name]) for name in ("top", "second"))
        first, *_, last = (_percent(each) for each in values["session_place"].values())
        auc = estimate(values["popularity"]["auc"], ".2f")
        shown += [
            (
                "ratio of rates",
                f"{estimate(again, '.2f')}: positive, with an earlier positive in the cluster / without",
            ),
            ("concentration", f"{top} of a user's positives on the top cluster, {second} on the second (medians)"),
            ("deep clusters", f"{estimate(deep, '.2f')} with {DEEP_POSITIVES} or more positives a user"),
            ("popularity", f"{auc}: AUC of items' popularity within users"),
            ("sessions", f"positive rate {first} on the first impression, {last} beyond the 50th"),
        ]
    return shown


def _percent(value: Estimate) -> str:
    return estimate(value, ".1f", 100.0, " %")
