"""Whether a fitted world reproduces its log, a condition for any constant to be identified."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom, norm
from scipy.stats import t as student

from experiments.inference.users import LEVEL
from experiments.inference.worlds import LEAST_WORLDS
from experiments.reporting.text import number
from sim.arrays import FloatArray

DIFFERS = 2.0
"""Standard errors from which a statistic is said to differ."""

FAR = 0.01
"""Probability, over all statistics, below which how far the farthest is off is not taken for chance (chosen)."""


@dataclass(frozen=True)
class Reproduction:
    """How many statistics of the fitted world differ from the log's, and how many would differ by chance.

    Attributes:
        statistics: K, that were fitted.
        worlds: W, that they are means over.
        differing: more than ``DIFFERS`` standard errors off.
        by_chance: as many differ at most in 95 of 100 fits of a right model.
        farthest: standard errors of the statistic that is most off.
        farthest_by_chance: as far is none in 99 of 100 fits of a right model.
        enough_worlds: whether W is at least ``LEAST_WORLDS``, below which a spread over worlds is hardly known.
        reproduced: there are enough worlds, and neither is passed.
    """

    statistics: int
    worlds: int
    differing: int
    by_chance: int
    farthest: float
    farthest_by_chance: float
    enough_worlds: bool
    reproduced: bool


def reproduction(off: FloatArray) -> Reproduction:
    """Compare the differences of W fitted worlds to their log with what chance would leave of a right model.

    Differences are counted in sqrt(2) max(e, w) (``scale_of``), w the standard deviation over W worlds. Where worlds
    differ by more than users' chance e, a mean over W worlds less the log has variance (1 + 1 / W) w^2, and w itself is
    known with W - 1 degrees of freedom, so that a difference x is passed by chance with probability

        p(x) = max(2 P(T > x / r), 2 P(Z > x)),    r = sqrt((1 + 1 / W) / 2),    T ~ t(W - 1),  Z ~ N(0, 1).

    ``by_chance`` is the 95 % quantile of Binomial(K, p(``DIFFERS``)): 5 of 19 with 3 worlds, 4 with 4, 3 with 8 and
    more. ``farthest_by_chance`` has p = ``FAR`` / K (Bonferroni): 12.7 with 4 worlds; a stricter bound on the largest
    would refuse worlds whose constants are recovered. That statistics go together, which the binomial leaves out,
    and that w is no spread where e is more, pull opposite ways: see docs/fit.md for what was measured.

    Args:
        off: (W, K) differences in standard errors, as ``Fit.differences`` counts them.
    """
    worlds, num = off.shape
    far = np.abs(off.mean(axis=0))
    differing, farthest = int((far > DIFFERS).sum()), float(far.max())
    shrunk = float(np.sqrt((1 + 1 / worlds) / 2))
    chance = 2 * max(float(student.sf(DIFFERS / shrunk, worlds - 1)), float(norm.sf(DIFFERS)))
    by_chance = int(binom.ppf(LEVEL, num, chance))
    tail = FAR / num / 2
    bound = max(shrunk * float(student.isf(tail, worlds - 1)), float(norm.isf(tail)))
    enough = worlds >= LEAST_WORLDS
    reproduced = enough and differing <= by_chance and farthest <= bound
    return Reproduction(num, worlds, differing, by_chance, farthest, bound, enough, reproduced)


def sentences(results: dict[str, Any]) -> list[str]:
    """How many statistics differ, and what that means for the constants, in words.

    Args:
        results: as ``experiments.fit.report.record`` returns it.
    """
    of, constants = results["reproduction"], results["constants"]
    precise, vague = ([name for name, row in constants.items() if row["precise"] == is_so] for is_so in (True, False))
    lines = [statistics_sentence(results, f"{of['worlds']} were simulated, at least {LEAST_WORLDS} are needed")]
    if not of["reproduced"]:
        whether = "this one does not" if of["enough_worlds"] else "of this one it is not known"
        lines.append(
            "No constant is identified: standard errors and intervals hold for a world that reproduces the log, and "
            f"{whether}. Precise by their standard errors alone: {', '.join(precise) or 'none'}."
        )
    if vague:
        word = "identified by this log" if of["reproduced"] else "precise either"
        lines.append(f"Not {word} (standard error of a step or more; their values mean little): {', '.join(vague)}.")
    elif of["reproduced"]:
        lines.append(
            "All constants that were searched for are identified: the world reproduces the log, and standard errors "
            "are below one step."
        )
    return lines


def statistics_sentence(results: dict[str, Any], few: str) -> str:
    """How many fitted statistics differ, how many chance would let differ, and which.

    Args:
        results: as ``experiments.fit.report.record`` returns it.
        few: stands in brackets where there are too few worlds to tell.
    """
    of = results["reproduction"]
    rows = [row for row in results["statistics"].values() if row["differs"]]
    which = "; ".join(f"{row['title']} ({number(row['off_after'], '+.1f')})" for row in rows)
    head = "The world reproduces the log" if of["reproduced"] else "The world does not reproduce the log"
    if not of["enough_worlds"]:
        head = f"Too few worlds to tell whether the world reproduces the log ({few})"
    count = (
        f"{head}: of {of['statistics']} fitted statistics {of['differing'] or 'none'} "
        f"{'differs' if of['differing'] == 1 else 'differ'} by more than {DIFFERS:g} standard errors, and chance would "
        f"let up to {of['by_chance']} differ"
    )
    if of["enough_worlds"] and of["farthest"] > of["farthest_by_chance"]:
        count += f", though none by more than {of['farthest_by_chance']:.1f}"
    return f"{count}: {which}." if which else f"{count}."
