"""Claims of one table together: their verdicts when all of the table's intervals have to hold at once."""

from experiments.paper.controls import controls, what_language_adds
from experiments.paper.language_model import c5, c6, c7, c8
from experiments.paper.live import c1, c2, c3, c4
from experiments.paper.verdicts import FAILS, HOLDS, OPEN, Claim
from experiments.results_schema import PaperResults
from experiments.several.worlds import Variants


def claims_of(variants: Variants, among: int = 1) -> list[Claim]:
    """The paper's claims, the verdict of each as one of ``among`` (``verdicts.together``)."""
    return [claim(variants, among) for claim in (c1, c2, c3, c4, c5, c6, c7, c8)]


def adjusted_verdicts(variants: Variants, results: PaperResults) -> dict[str, str]:
    """Id of a claim, control or finding -> its verdict, adjusted for the number of those in its table.

    Verdicts rest on intervals that hold together (Bonferroni over a table's claims, controls or findings that were
    run). What was counted or timed has no interval, and keeps its verdict.

    Args:
        variants: all variants' results.
        results: as ``interestlab paper`` writes them, with every verdict by its own interval.
    """
    tables = (
        (claims_of, results["claims"]),
        (controls, results["controls"]),
        (what_language_adds, results["what_language_adds"]),
    )
    adjusted: dict[str, str] = {}
    for table, rows in tables:
        among = max(1, sum(row["verdict"] in (HOLDS, FAILS, OPEN) for row in rows))
        adjusted |= {claim.id: claim.verdict for claim in table(variants, among)}
    return adjusted
