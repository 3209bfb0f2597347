"""Does an agent keep the contract? A cheap check of every call, and a thorough one before a run."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from agents.base import Agent, InteractionLog, Platform, RandomStream
from agents.blame import writes_to_input
from agents.check_exam import CannotTell, Exam, Fault
from agents.check_propensity import NUM_DRAWS
from agents.check_slates import validate
from agents.check_source import source_faults, sources, targets
from sim.errors import InvalidInput, WallBreach, breaches

__all__ = ["CHECKS", "Finding", "check_source", "examine", "run_check", "run_checks", "validate"]

CHECKS: dict[str, tuple[Callable[[Exam], str], tuple[str, ...]]] = {
    "trains": (Exam.trains, ()),
    "slates": (Exam.slates, ("trains",)),
    "inputs": (Exam.inputs, ("trains",)),
    "generators": (Exam.generators, ("trains",)),
    "seed": (Exam.seed, ("slates", "generators")),
    "batch": (Exam.batch, ("seed",)),
    "storage": (Exam.storage, ("seed",)),
    "learning": (Exam.learning, ("storage",)),
    "propensities": (Exam.propensities, ("seed",)),
    "wall": (Exam.wall, ()),
}
"""What an agent is examined in, in order; and which checks must have passed before one can tell."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name, one of ``CHECKS``.
        verdict: ``pass``, ``fail``, or ``skip`` where it could not tell.
        message: what is right, or what is wrong and how to mend it; one line.
    """

    check: str
    verdict: str
    message: str


def examine(
    factory: Callable[[], Agent],
    platform: Platform,
    log: InteractionLog,
    rng: RandomStream,
    production: Agent | None = None,
    num_draws: int = NUM_DRAWS,
    on_check: Callable[[str], object] = lambda name: None,
) -> list[Finding]:
    """Put an agent through its paces.

    Checks that slates are valid, inputs unchanged and global random generators untouched; that the
    same seed gives the same slates, and so do users asked one by one; that an agent saved, loaded and
    trained on, also from an empty log, goes on like one that was not interrupted; that propensities are
    the frequencies of what is drawn; and that nothing hidden is reached for.

    Args:
        factory: makes a new, untrained agent at every call.
        platform: whose items and users are used.
        log: a burn-in log; its last day is kept for ``update``.
        rng: the randomness of the check.
        production: what the agent is bound to; random recommendations if None.
        num_draws: how often the same requests are repeated to compare propensities with frequencies.
        on_check: called with a check's name before it runs.

    Returns:
        A finding a check, in the order of ``CHECKS``.
    """
    exam = Exam(factory, platform, log, rng, production, num_draws)
    return list(run_checks(exam, on_check).values())


def run_checks(exam: Exam, on_check: Callable[[str], object] = lambda name: None) -> dict[str, Finding]:
    """Run all of ``CHECKS``; a finding a check, in their order. ``on_check`` gets each name before it runs."""
    breaches.clear()
    found: dict[str, Finding] = {}
    for name, (check, needs) in CHECKS.items():
        on_check(name)
        if name in found:  # an earlier check met this one's fault
            continue
        missing = [found[need] for need in needs if found[need].verdict != "pass"]
        if missing:
            found[name] = replace(missing[0], check=name, verdict="skip")
            if missing[0].verdict == "fail":
                found[name] = Finding(name, "skip", f"cannot tell before {missing[0].check} is mended")
            continue
        finding = run_check(name, check, exam)
        if finding.check != name:
            found[name] = Finding(name, "skip", f"cannot tell before {finding.check} is mended")
        found[finding.check] = finding
    for name in ("inputs", "generators"):  # once more, after all that the agent was asked to do
        if found[name].verdict == "pass":
            found[name] = run_check(name, CHECKS[name][0], exam)
    return {name: found[name] for name in CHECKS}


def check_source(config: dict[str, Any]) -> Finding:
    """Read the source of every package that an agent's config names, and run nothing of it."""
    packages = sorted({target.partition(".")[0] for target in targets(config)})
    read = [_read(package) for package in packages]
    faults = [fault for _, found in read for fault in found]
    if faults:
        return Finding("source", "fail", "; ".join(faults))
    num_files = sum(num for num, _ in read)
    return Finding("source", "pass", f"imports nothing that is hidden ({num_files} files of {', '.join(packages)})")


@cache
def _read(package: str) -> tuple[int, list[str]]:
    """How many Python files a package has, and the faults in them; read once a process."""
    files = {name: path for name, path in sources(package).items() if name.endswith(".py")}
    return len(files), source_faults(files)


def run_check(name: str, check: Callable[[Exam], str], exam: Exam) -> Finding:
    """One check's finding; errors that belong to another check are that one's finding."""
    try:
        return Finding(name, "pass", check(exam))
    except CannotTell as reason:
        return Finding(name, "skip", str(reason))
    except Fault as fault:
        return Finding(name, "fail", str(fault))
    except WallBreach as breach:
        return Finding("wall", "fail", str(breach))
    except ValueError as error:
        if writes_to_input(error) or "must not change its input" in str(error):
            return Finding("inputs", "fail", f"an input array was written to ({error}): work on a copy, array.copy()")
        if isinstance(error, InvalidInput):
            return Finding(name, "fail", str(error))
        return Finding(name, "fail", _where(error))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # whatever a plugin may raise, SystemExit too
        return Finding(name, "fail", _where(error))


def _where(error: BaseException) -> str:
    """An unexpected error in one line: what, and where in the agent."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({Path(last.filename).name}, line {last.lineno})"
