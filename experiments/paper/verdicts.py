"""A claim's row, and the verdicts that an interval can give."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import t as student

from experiments.inference.users import LEVEL
from experiments.inference.worlds import LEAST_WORLDS, OverWorlds
from experiments.reporting.text import estimate as estimate_text
from experiments.results_schema import ClaimRow
from experiments.several.bands import Curve

HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "not told apart", "not run"
TOO_FEW = "too few worlds to tell"
"""Instead of any of the first three where there are fewer than ``LEAST_WORLDS``."""


@dataclass(frozen=True)
class Claim:
    """A row of the claims table; also of a control's.

    Attributes:
        id: ``C1`` to ``C8``, or a control's name.
        claim: what is claimed.
        paper: what the paper says and where; of a control, what it is for.
        here: the estimate in ``unit``; ``None`` where what it needs was not run.
        low, high: its 95 % interval over worlds.
        unit: of the three.
        verdict: one of the five above.
        criterion: by which the verdict is given, fixed before any run.
        why: what was seen.
    """

    id: str
    claim: str
    paper: str
    here: float | None
    low: float | None
    high: float | None
    unit: str
    verdict: str
    criterion: str
    why: str

    def row(self) -> ClaimRow:
        """The claim as ``results.json`` has it."""
        row: ClaimRow = asdict(self)  # type: ignore[assignment]  # its fields are these
        return row


@dataclass(frozen=True)
class Stated:
    """What is said of a claim before anything is run: the fields of ``Claim`` of these names."""

    id: str
    claim: str
    paper: str
    criterion: str

    def judged(self, estimate: OverWorlds, unit: str, verdict: str, why: str, factor: float = 100.0) -> Claim:
        """The claim with its estimate, shares and relative differences in percent.

        An estimate from fewer than ``LEAST_WORLDS`` worlds gets no verdict but ``TOO_FEW``, as on the page of
        joined runs: an interval over two worlds reaches 12.7 standard errors, and rests on one difference. An
        estimate that is not over worlds has an empty ``by_world``, and is judged as it is.
        """
        if estimate.by_world:
            reach = (
                None if estimate.low is None or estimate.high is None else factor * (estimate.high - estimate.low) / 2
            )
            verdict, why = if_enough(len(estimate.by_world), verdict, why, smallest(reach, unit))
        here, low, high = (None if v is None else factor * v for v in (estimate.mean, estimate.low, estimate.high))
        return Claim(self.id, self.claim, self.paper, here, low, high, unit, verdict, self.criterion, why)

    def not_run(self, why: str) -> Claim:
        """The claim where what it needs was not run."""
        return Claim(self.id, self.claim, self.paper, None, None, None, "", NOT_RUN, self.criterion, why)


def if_enough(worlds: int, verdict: str, why: str, seen: str = "") -> tuple[str, str]:
    """A verdict and what was seen, or ``TOO_FEW`` and why so where there are fewer than ``LEAST_WORLDS``.

    Args:
        worlds: how many there are.
        verdict, why: with enough worlds.
        seen: the smallest effect that could have been seen (``smallest``), where there is one.
    """
    if worlds >= LEAST_WORLDS or verdict not in (HOLDS, FAILS, OPEN):
        return verdict, why
    return TOO_FEW, f"{worlds} world{'s' * (worlds != 1)}, and {LEAST_WORLDS} are the fewest that tell.{seen} {why}"


def smallest(reach: float | None, unit: str) -> str:
    """The smallest effect that could have been seen: half the interval's width, in the claim's unit."""
    if reach is None:
        return " One has no interval: no effect could have been seen."
    if reach == 0:
        return " They are alike, so that their interval says nothing."
    size = f"{reach:.{1 if reach >= 1 else 2}f}{'' if unit.startswith('%') else ' '}{unit}"
    return f" The smallest effect that could have been seen is ±{size}."


def above(estimate: OverWorlds, bound: float = 0.0, among: int = 1) -> str:
    """Whether an interval lies above a bound (holds), below it (does not hold), or holds it (not told apart).

    Args:
        estimate: with its interval.
        bound: in the estimate's unit.
        among: of how many claims this is one; see ``together``.
    """
    if estimate.mean is None:
        return NOT_RUN
    low, high = together(estimate, among)
    if low is None or high is None:
        return OPEN
    return HOLDS if low > bound else FAILS if high < bound else OPEN


def gone(estimate: OverWorlds, margin: float, among: int = 1) -> str:
    """Whether there surely is no gain of ``margin``: the interval lies below it, and not above 0.

    Holds if it does; does not hold if the interval lies above 0; else not told apart: an interval so wide that
    it holds 0 and ``margin`` shows nothing. ``among`` as in ``above``.
    """
    if estimate.mean is None:
        return NOT_RUN
    low, high = together(estimate, among)
    if low is None or high is None:
        return OPEN
    return FAILS if low > 0 else HOLDS if high < margin else OPEN


def together(estimate: OverWorlds, among: int) -> tuple[float | None, float | None]:
    """Ends of an interval over W worlds that holds together with those of ``among`` claims, with 95 % probability.

        mean +- t(1 - .025 / among, W - 1) s / sqrt(W)

    (Bonferroni). Of one claim alone it is the 95 % interval.
    """
    if among == 1 or estimate.mean is None or estimate.low is None or estimate.high is None:
        return estimate.low, estimate.high
    freedom = len(estimate.by_world) - 1
    factor = student.ppf(1 - (1 - LEVEL) / 2 / among, freedom) / student.ppf(0.5 + LEVEL / 2, freedom)
    half = float(factor) * (estimate.high - estimate.low) / 2
    return estimate.mean - half, estimate.mean + half


def band_together(curve: Curve, among: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Ends (P,) of a band over W worlds that holds at all places together with ``among`` claims (Bonferroni).

        mean(x) +- t(1 - .025 / (among P), W - 1) s(x) / sqrt(W)

    Of one claim alone it is the curve's own band; one world has none.
    """
    worlds, places = len(curve.by_world), len(curve.x)
    if among == 1 or worlds < 2:
        return curve.low, curve.high
    mean = np.array(curve.mean)
    error = np.array(curve.by_world).std(axis=0, ddof=1) / math.sqrt(worlds)
    reach = float(student.ppf(1 - (1 - LEVEL) / 2 / (among * places), worlds - 1)) * error
    return tuple((mean - reach).tolist()), tuple((mean + reach).tolist())


def jointly(verdicts: list[str]) -> str:
    """The verdict on all of several at once: the worst."""
    return next((worst for worst in (NOT_RUN, FAILS, OPEN) if worst in verdicts), HOLDS if verdicts else NOT_RUN)


def percent(estimate: OverWorlds, digits: int = 1, unit: str = "%") -> str:
    """A relative difference as ``+4.3% [+1.0, +7.6]``."""
    if estimate.mean is None:
        return "unknown"
    return estimate_text(vars(estimate), f"+z.{digits}f", 100.0, unit)


def named(differences: Mapping[str, OverWorlds]) -> str:
    """Several relative differences, each after the name of the arm that it is to."""
    return ", ".join(f"{name} {percent(each)}" for name, each in differences.items())
