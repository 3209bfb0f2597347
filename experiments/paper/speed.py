"""C8 by the clock: how fast this run's tables were filled, and how fast a table is looked up."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from experiments.measures.across_worlds import read_results
from experiments.paper.language_model import C8, FEW_HOURS, PAPERS_PAIRS
from experiments.paper.live import LLM
from experiments.paper.verdicts import FAILS, HOLDS, Claim
from experiments.several.plan import Comparison


@dataclass(frozen=True)
class Speed:
    """What was measured; goes to ``timings.json``, for it is another each time.

    Attributes:
        pairs_per_second: of one process, over all tables of the arm ``llm`` when they were made; ``None``
            without any.
        clusters: M of these tables; a pair costs more where there are more labels to score.
        processes: that filled tables, or did other work, side by side.
        lookup_milliseconds, lookup_milliseconds_p99: of looking up 1,000 users in a table of M clusters.
    """

    pairs_per_second: float | None
    clusters: int
    processes: int
    lookup_milliseconds: float
    lookup_milliseconds_p99: float

    def facts(self) -> dict[str, Any]:
        """The attributes, and the hours that follow."""
        return {**asdict(self), "hours_for_all_pairs_of_the_paper": self.hours()}

    def hours(self) -> float | None:
        """Hours for the paper's pairs on all processes."""
        return PAPERS_PAIRS / self.pairs_per_second / self.processes / 3600 if self.pairs_per_second else None

    def claim(self) -> Claim:
        """C8: holds if the paper's pairs take at most ``FEW_HOURS`` at the measured rate, else does not hold."""
        hours = self.hours()
        if hours is None or self.pairs_per_second is None:
            return C8.not_run("There is no table.")
        why = (
            f"{self.pairs_per_second:,.0f} pairs a second and process, {self.processes} of them, with {self.clusters} "
            f"clusters{'' if self.clusters == 761 else ' (a pair costs more with 761 labels)'}. Looking 1,000 users up "
            f"takes {self.lookup_milliseconds:.2f} ms (99th percentile {self.lookup_milliseconds_p99:.2f})."
        )
        verdict = HOLDS if hours <= FEW_HOURS else FAILS
        return Claim(C8.id, C8.claim, C8.paper, hours, None, None, "hours", verdict, C8.criterion, why)


def speed_of(comparisons: list[Comparison], lookup: dict[str, Any], processes: int) -> Speed:
    """The speed of finished comparisons' tables, as their stages were timed when they were made.

    Args:
        lookup: the row of ``experiments.benchmark.llm_lookup.lookup_rows`` on the look-up alone.
        processes: comparisons side by side.
    """
    pairs = seconds = 0.0
    for each in comparisons:
        costs = read_results(each.folder / "results.json").get("costs", {})
        spent = json.loads((each.folder / "timings.json").read_text(encoding="utf-8"))["seconds"]
        if LLM in costs and "table" in spent:
            pairs += costs[LLM]["pairs_computed"]
            seconds += spent["table"]
    rate = pairs / seconds if seconds else None
    clusters = comparisons[0].study.world.clusters.level_2
    return Speed(rate, clusters, processes, float(lookup["value"]), float(lookup["p99"]))
