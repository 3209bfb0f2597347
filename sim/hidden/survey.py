"""A survey: some users are asked after a watch whether they care for such videos (hidden; the answers are public).

Of the users who come on a day a share ``survey.share`` is asked once, at the first item of the day that they consume.
With probability ``survey.precision`` the answer is true: yes if they love the item's interest, known to them or not.
Otherwise it is the opposite.

Platforms ask such questions to learn what engagement does not say, and train on the answers (Meta's survey of true
interests, 2026). That all answers are right with the same probability is our choice.
"""

import numpy as np

from sim.arrays import IntArray
from sim.hidden.config import SurveyConfig
from sim.hidden.feedback import Feedback, SessionState
from sim.hidden.population import LOVED, Population
from sim.random import RandomStream


def ask(
    population: Population, session: SessionState, user: IntArray, interest: IntArray, feedback: Feedback,
    config: SurveyConfig, stream: RandomStream,
) -> None:  # fmt: skip
    """Ask users (B,) after their slates; writes ``feedback.survey`` and ``session.surveyed``.

    Args:
        population: all users.
        session: all users' day so far.
        user: (B,) int64, distinct.
        interest: (B, S) int32 of the items that they were shown.
        feedback: what they did.
        config: constants.
        stream: the day's draws; row = user.
    """
    draws = stream.uniform(user, 2)
    due = (draws[:, 0] < config.share) & ~session.surveyed[user] & feedback.consumed.any(axis=1)
    row = np.flatnonzero(due)
    slot = feedback.consumed[row].argmax(axis=1)  # the first
    place, kept = population.find(user[row], interest[row, slot])
    loves = kept & np.isin(population.status[user[row], place], LOVED)
    feedback.survey[row, slot] = np.where(draws[row, 1] < config.precision, loves, ~loves)
    session.surveyed[user[row]] = True
