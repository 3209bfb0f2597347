"""How well scores rank what was hidden: recall, affinity and AUC a question, all exact in expectation over ties.

A question has candidates, of which some are *hidden* (targets), each with a *weight*, how
typical it is of the persona asked about. What is no candidate never counts.
"""

import numpy as np
from scipy.stats import rankdata

from experiments.knowledge.exam import Exam
from sim.arrays import FloatArray, IntArray

MEASURES = ("auc", "recall@1", "recall@10", "affinity@1", "affinity@5")
_DEPTHS = (("recall", 1), ("recall", 10), ("affinity", 1), ("affinity", 5))

Measured = dict[str, FloatArray]
"""(T,) float64 a measure, one value a question."""


def measure(exam: Exam, scores: FloatArray) -> Measured:
    """Measure a contestant's scores (T, M), the higher the better, of T questions over M labels.

    With n candidates, of which H are hidden, and the k' = min(k, n) best scored of them:

        recall@k   = (number of hidden among the k' best) / min(k', |H|)
        affinity@k = mean weight of the k' best; a label that the persona does not name weighs 0
        auc        = P(score of a hidden one > score of another candidate) + P(equal) / 2

    Equal scores are in random order: the value is the expectation over it. So a contestant that says nothing gets
    exactly ``chance``. recall@1 is the share of questions answered rightly; the auc of single questions, averaged over
    them, is what is also called uAUC or GAUC.
    """
    scores = np.where(exam.candidate, scores, -np.inf)
    return {"auc": _auc(exam, scores), **_ranked(exam, scores)}


def chance(exam: Exam) -> Measured:
    """The exact expectation of random scores."""
    return measure(exam, np.zeros(exam.candidate.shape))


def ideal(exam: Exam) -> Measured:
    """What scores that are the weights themselves get: the best possible."""
    return measure(exam, exam.weight)


def _ranked(exam: Exam, scores: FloatArray) -> Measured:
    """recall@k and affinity@k; scores are -inf where there is no candidate."""
    num, num_hidden = exam.candidate.sum(axis=1), exam.hidden.sum(axis=1)  # (T,)
    measured = {}
    for name, k in _DEPTHS:
        depth = np.minimum(k, num)
        if name == "recall":
            hits = _sum_of_best(scores, exam.hidden.astype(np.float64), depth)
            measured[f"recall@{k}"] = hits / np.minimum(depth, num_hidden)
        else:
            measured[f"affinity@{k}"] = _sum_of_best(scores, exam.weight, depth) / depth
    return measured


def _sum_of_best(scores: FloatArray, value: FloatArray, depth: IntArray) -> FloatArray:
    """(T,) expected sum of the values (T, M) of each row's ``depth`` (T,) best scored."""
    rows = np.arange(len(scores))
    last = np.sort(scores, axis=1)[rows, scores.shape[1] - depth][:, None]  # the depth-th best score
    above, level = scores > last, scores == last
    places = (depth - above.sum(axis=1)) / level.sum(axis=1)  # share of the level ones that get in
    return np.asarray((above * value).sum(axis=1) + places * (level * value).sum(axis=1))


def _auc(exam: Exam, scores: FloatArray) -> FloatArray:
    """(T,) the Mann-Whitney statistic over the pairs of a hidden one and another candidate.

    By ranks: with r the mean ranks among the n candidates, (sum of r over H - |H| (|H| + 1) / 2) / (|H| (n - |H|)).
    """
    num, num_hidden = exam.candidate.sum(axis=1), exam.hidden.sum(axis=1)  # (T,)
    rank = rankdata(scores, axis=1) - (scores.shape[1] - num)[:, None]  # what is no candidate comes first
    wanted = np.where(exam.hidden, rank, 0).sum(axis=1)
    return np.asarray((wanted - num_hidden * (num_hidden + 1) / 2) / (num_hidden * (num - num_hidden)))
