"""The survey: who is asked, and how often answers are true."""

from dataclasses import replace

import numpy as np
import pytest

from envs.config import world_config
from sim.errors import InvalidInput
from sim.hidden.config import SurveyConfig, from_mapping
from sim.hidden.feedback import Feedback, SessionState
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT
from sim.hidden.prior import first_records, live_prior
from sim.hidden.survey import ask
from sim.hidden.world import World
from sim.log import NOT_ASKED
from sim.random import RandomStream
from tests.sim.people import people

USERS = 20_000


def asked(share=0.3, precision=0.8, status=DISCOVERED, interest=0, session=None):
    """Everybody consumes the second and third of three items of an interest."""
    population = people(USERS, status=status)
    feedback = Feedback.empty(USERS, 3)
    feedback.examined[:], feedback.consumed[:, 1:] = True, True
    session = session or SessionState.begin(USERS)
    config, stream = SurveyConfig(share, precision), RandomStream(0, "survey")
    ask(population, session, np.arange(USERS), np.full((USERS, 3), interest), feedback, config, stream)
    return feedback.survey


def test_a_share_of_the_users_is_asked_after_the_first_item_that_they_consume():
    answers = asked()
    assert (answers[:, [0, 2]] == NOT_ASKED).all()
    assert abs((answers[:, 1] != NOT_ASKED).mean() - 0.3) < 5 * (0.3 * 0.7 / USERS) ** 0.5


@pytest.mark.parametrize(
    ("status", "interest", "loves"),
    [(DISCOVERED, 0, True), (DORMANT, 0, True), (ACQUIRED, 0, False), (DISCOVERED, 5, False)],
)
@pytest.mark.parametrize("precision", [0.8, 1.0])
def test_answers_are_true_as_often_as_stated(status, interest, loves, precision):
    answers = asked(1.0, precision, status, interest)[:, 1]
    assert set(np.unique(answers)) <= {0, 1}
    assert abs((answers == loves).mean() - precision) <= 5 * (precision * (1 - precision) / USERS) ** 0.5


def test_nobody_is_asked_twice_a_day():
    session = SessionState.begin(USERS)
    assert (asked(1.0, session=session)[:, 1] != NOT_ASKED).all()
    assert (asked(1.0, session=session) == NOT_ASKED).all()


def test_in_a_world_it_is_logged_and_changes_nothing_else():
    tiny = world_config("tiny")
    logs = []
    for share in (0.0, 0.5):
        config = replace(tiny, prior=replace(tiny.prior, days=3), survey=SurveyConfig(share, 0.9))
        world = World(config, 0)
        logs.append(live_prior(world, first_records(world)))
    silent, answered = logs
    assert (silent.survey == NOT_ASKED).all()
    assert (answered.survey != NOT_ASKED).sum() > 50
    assert answered.consumed[answered.survey != NOT_ASKED].all()
    asked_at = (answered.user * 100 + answered.day)[answered.survey != NOT_ASKED]
    assert len(np.unique(asked_at)) == len(asked_at)
    assert replace(answered, survey=silent.survey).digest() == silent.digest()


@pytest.mark.parametrize("precision", [0.5, 1.01, 0.2])
def test_a_precision_that_says_nothing_or_cannot_be_is_refused(precision):
    with pytest.raises(InvalidInput, match=rf"world.survey.precision={precision}: must be a number"):
        from_mapping(SurveyConfig, {"share": 0.1, "precision": precision}, "world.survey")
