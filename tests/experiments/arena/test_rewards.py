"""Rewards of slots, by hand and as the log's own definition of novelty has them."""

import numpy as np

from agents.novelty import novel_rows
from experiments.arena.rewards import novel_slots, rewards_of
from sim.hidden.feedback import Feedback
from tests.experiments.synthetic import log_of


def test_a_positive_is_novel_until_its_cluster_has_been_consumed():
    feedback = Feedback.empty(1, 4)
    feedback.positive[0], feedback.consumed[0] = [True, True, True, False], [True, True, True, False]
    feedback.watch_seconds[0] = [20, 30, 40, 0]
    known = np.array([[False, True, False]])
    actual = rewards_of(feedback, known, np.array([[0, 1, 0, 2]]))
    assert actual[0].T.tolist() == [[1, 1, 1, 0], [20, 30, 40, 0], [1, 0, 0, 0]]


def test_novelty_is_that_of_the_log():
    rng = np.random.default_rng(0)
    known, cluster = rng.random((200, 6)) < 0.3, rng.integers(6, size=(200, 5))
    consumed = rng.random((200, 5)) < 0.5
    user = np.repeat(np.arange(200), 5)
    log = log_of(user=user, cluster=cluster.ravel(), consumed=consumed.ravel())
    assert (novel_slots(known, cluster, consumed).ravel() == novel_rows(log, known)).all()
