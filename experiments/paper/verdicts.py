"""A claim's row, and the verdicts that an interval can give."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from experiments.inference.worlds import LEAST_WORLDS, OverWorlds
from experiments.reporting.text import estimate
from experiments.results_schema import ClaimRow

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
        here: the estimate in ``unit``; ``None`` where nothing was run that could say.
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

    def judged(self, found: OverWorlds, unit: str, verdict: str, why: str, factor: float = 100.0) -> Claim:
        """The claim with what was found, shares and relative differences in percent.

        Where ``found`` is of fewer than ``LEAST_WORLDS`` worlds there is no verdict but ``TOO_FEW``, as on the page of
        joined runs: an interval over two worlds reaches 12.7 standard errors, and rests on one difference. What is
        found of something else than worlds has an empty ``by_world``, and is judged as it is.
        """
        if found.by_world:
            reach = None if found.low is None or found.high is None else factor * (found.high - found.low) / 2
            verdict, why = if_enough(len(found.by_world), verdict, why, smallest(reach, unit))
        here, low, high = (None if v is None else factor * v for v in (found.mean, found.low, found.high))
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


def above(found: OverWorlds, bound: float = 0.0) -> str:
    """Whether an interval lies above a bound (holds), below it (does not hold), or holds it (not told apart)."""
    if found.mean is None:
        return NOT_RUN
    if found.low is None or found.high is None:
        return OPEN
    return HOLDS if found.low > bound else FAILS if found.high < bound else OPEN


def gone(found: OverWorlds, margin: float) -> str:
    """Whether there surely is no gain worth the name: the interval lies below ``margin``, and not above 0.

    Holds if it does; does not hold if the interval lies above 0; else not told apart: an interval so wide that
    it holds 0 and ``margin`` shows nothing.
    """
    if found.mean is None:
        return NOT_RUN
    if found.low is None or found.high is None:
        return OPEN
    return FAILS if found.low > 0 else HOLDS if found.high < margin else OPEN


def jointly(verdicts: list[str]) -> str:
    """The verdict on all of several at once: the worst."""
    return next((worst for worst in (NOT_RUN, FAILS, OPEN) if worst in verdicts), HOLDS if verdicts else NOT_RUN)


def percent(found: OverWorlds, digits: int = 1, unit: str = "%") -> str:
    """A relative difference as ``+4.3% [+1.0, +7.6]``."""
    if found.mean is None:
        return "unknown"
    return estimate(vars(found), f"+z.{digits}f", 100.0, unit)


def told(differences: Mapping[str, OverWorlds]) -> str:
    """Several relative differences, each after the name of whom it is to."""
    return ", ".join(f"{name} {percent(found)}" for name, found in differences.items())
