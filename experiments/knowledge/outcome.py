"""From scores to estimates over personas: every contestant's measures, and differences to the language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.inference.users import UserSums, ratio_interval
from experiments.knowledge.contestants import LLM
from experiments.knowledge.exam import Exam
from experiments.knowledge.measures import MEASURES, Measured, chance, ideal, measure
from experiments.knowledge.schema import Table
from experiments.results_schema import Estimate
from sim.arrays import FloatArray, IntArray

CHANCE, IDEAL = "chance", "ideal"
"""Random scores, and the personas' own: both exact, without a contestant."""

SAME_MODEL = "llm_elsewhere"
"""The difference of the language model to itself in the world of another alpha, on the same questions."""


@dataclass(frozen=True)
class Marks:
    """What every contestant got for each of the T questions of all folds.

    Attributes:
        persona: (T,) int64, whom the question is about.
        asked: (T, 2) int32, the pair.
        candidate: (T, M) bool, the labels that were ranked.
        of: contestant -> measure -> (T,) float64; ``CHANCE`` and ``IDEAL`` are among them.
    """

    persona: IntArray
    asked: IntArray
    candidate: Any
    of: dict[str, Measured]

    def same_questions(self, other: "Marks") -> bool:
        """Whether the two were asked the same, with the same labels to choose from."""
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in ("persona", "asked", "candidate"))


def mark(exams: Sequence[Exam], scores: Sequence[dict[str, FloatArray]]) -> Marks:
    """Measure every contestant's scores, (T, M) each, in every fold; no persona is in two of them."""
    each = [
        {name: measure(exam, scores) for name, scores in given.items()} | {CHANCE: chance(exam), IDEAL: ideal(exam)}
        for exam, given in zip(exams, scores, strict=True)
    ]
    return Marks(
        persona=np.concatenate([exam.persona for exam in exams]),
        asked=np.concatenate([np.stack([exam.first, exam.second], axis=1) for exam in exams]),
        candidate=np.concatenate([exam.candidate for exam in exams]),
        of={name: {m: np.concatenate([fold[name][m] for fold in each]) for m in MEASURES} for name in each[0]},
    )


def over_personas(values: FloatArray, persona: IntArray) -> Estimate:
    """The mean over questions (T,), with a 95 % interval that takes personas (T,), not questions, as independent.

    With e_g the sum over persona g's questions of (value - mean), T questions and G personas,

        var(mean) = G / (G - 1) * sum_g e_g^2 / T^2

    (cluster-robust, Liang and Zeger 1986), which is what ``ratio_interval`` is for sums of values over numbers of
    questions. ``n`` is the number of personas.
    """
    _, group = np.unique(persona, return_inverse=True)
    return ratio_interval(UserSums(np.bincount(group, weights=values), np.bincount(group))).row()


def estimates(marks: Marks) -> Table:
    """Every contestant's measures; of ``CHANCE`` and ``IDEAL`` the value alone, for they are not estimated."""
    table = {
        name: {m: over_personas(values, marks.persona) for m, values in measured.items()}
        for name, measured in marks.of.items()
    }
    for name in (CHANCE, IDEAL):
        for estimate in table[name].values():
            estimate["low"] = estimate["high"] = None
    return table


def differences(marks: Marks, elsewhere: Marks | None = None) -> Table:
    """The language model less each other contestant, question by question.

    With ``elsewhere``, of another world with the same questions, the language model there is one more rival.
    """
    own = marks.of[LLM]
    others = {name: measured for name, measured in marks.of.items() if name not in (LLM, IDEAL)}
    if elsewhere is not None:
        others[SAME_MODEL] = elsewhere.of[LLM]
    return {
        name: {m: over_personas(own[m] - measured[m], marks.persona) for m in MEASURES}
        for name, measured in others.items()
    }


NO_DIFFERENCE = "no difference seen"


def verdict(estimate: Estimate) -> str:
    """What a difference's own interval says: ``above`` or ``below`` 0, or ``NO_DIFFERENCE`` where it holds 0.

    A difference that is the same for every persona is its own interval; one persona says nothing.
    """
    value = estimate["value"]
    low, high = (value if end is None else end for end in (estimate["low"], estimate["high"]))
    if estimate["n"] < 2 or low is None or high is None or low <= 0 <= high:
        return NO_DIFFERENCE
    return "above" if low > 0 else "below"
