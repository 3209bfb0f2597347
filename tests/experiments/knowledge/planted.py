"""Small truths and exams with known answers."""

import numpy as np

from experiments.knowledge.exam import Exam
from experiments.knowledge.truth import CoInterests


def truth_of(interest, named):
    """Clusters' interests, and for each persona the interests that it names, with their strengths."""
    interest = np.asarray(interest, np.int32)
    weight = np.zeros((len(named), len(interest)))
    for persona, strengths in enumerate(named):
        for name, strength in strengths.items():
            weight[persona, interest == name] = strength
    return CoInterests(interest, weight, 1.0)


def exam_of(weight, candidate=None, persona=None):
    """Questions of which only weights and candidates matter."""
    weight = np.asarray(weight, float)
    num = len(weight)
    return Exam(
        persona=np.arange(num) if persona is None else np.asarray(persona),
        first=np.zeros(num, np.int32),
        second=np.ones(num, np.int32),
        candidate=np.ones(weight.shape, bool) if candidate is None else np.asarray(candidate, bool),
        weight=weight,
    )


def random_exam(rng, num=40, labels=30):
    """Questions with some hidden ones, some others, and some labels that are no candidates."""
    weight = np.where(rng.random((num, labels)) < 0.3, rng.uniform(0.2, 1, (num, labels)), 0)
    candidate = rng.random((num, labels)) < 0.7
    weight[:, 0], weight[:, 1], candidate[:, :2] = 0.5, 0, True  # one of either kind at least
    return exam_of(weight, candidate)
