"""Probabilities of logged slates: exact where they can be, else unbiased; and what they are good for."""

import numpy as np
import pytest

from agents.base import Agent, Recommendations
from experiments.inference.users import Interval
from experiments.off_policy.actions import LoggedActions
from experiments.off_policy.evaluation import Limits, evaluate
from experiments.off_policy.probabilities import check_propensities, logging_marginals, probabilities_of
from experiments.off_policy.slates import LoggedSlates
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.experiments.off_policy.policies import Fixed, Planning, Reward, requests_of

STREAM = RandomStream(5, "probabilities")
LOGGING = Fixed([0.5, 0.0, 0.3, 0.2, 0.0, 0.4])
EVALUATED = {
    "fixed": Fixed([0.0, 1.5, 0.0, 1.0, 2.0, 0.0], exploration=0.6),
    "planning": Planning([Fixed([0, 2.0, 0, 0, 1.0, 0]), Fixed([1.0, 0, 3.0, 0, 0, 0]), Fixed([0, 0, 0, 2.0, 2.0, 0])]),
}


def draws_of(agent, requests, rng, num):
    return [agent.recommend(requests, rng.at(draw)) for draw in range(num)]


@pytest.mark.parametrize("name", EVALUATED)
def test_products_and_marginals_are_unbiased(name):
    """Over 20,000 users, each with draws of their own, means are those of the exact distribution."""
    agent, slots, num = EVALUATED[name], 3, 20_000
    every, exact = agent.slates(slots)
    requests = requests_of(num, slots)
    for asked in (every[7], every[60]):
        rng = STREAM.at(name, int(asked[0]))
        actual = probabilities_of(
            agent, requests, np.tile(asked, (num, 1)), draws_of(agent, requests, rng, 2), rng, name
        )
        product = actual.conditional.prod(axis=1)
        expected = exact[(every == asked).all(axis=1)][0]
        assert abs(product.mean() - expected) <= 4 * product.std() / num**0.5 + 1e-12
        for slot in range(slots):
            marginal = exact[every[:, slot] == asked[slot]].sum()
            each = actual.marginal[:, slot]
            assert abs(each.mean() - marginal) <= 4 * each.std() / num**0.5 + 1e-12


def test_without_a_plan_conditionals_are_exact():
    agent, requests = EVALUATED["fixed"], requests_of(40, 3)
    logged = LOGGING.recommend(requests, STREAM).items
    actual = probabilities_of(agent, requests, logged, draws_of(agent, requests, STREAM, 1), STREAM, "fixed")
    assert actual.conditional == pytest.approx(agent.probability(requests, logged, logged, STREAM))


def estimates(kind, name, num=40_000, slots=2):
    """All estimators on a large log, and the exact truth."""
    reward, agent, requests = Reward(slots, kind), EVALUATED[name], requests_of(num, slots)
    rng = STREAM.at(kind, name)
    logged = LOGGING.recommend(requests, rng.at("log"))
    actual = probabilities_of(agent, requests, logged.items, draws_of(agent, requests, rng, 3), rng, name)
    others = draws_of(LOGGING, requests, rng.at("others"), 8)
    marginal = logging_marginals(LOGGING, requests, logged, others, rng, "log")
    user, slate = np.repeat(np.arange(num), slots), np.repeat(np.arange(num), slots)
    values = reward(logged.items).ravel()
    rows = LoggedSlates(user, slate, values, logged.propensity.ravel(), actual.conditional.ravel())
    single = LoggedActions(user, values, marginal.ravel(), actual.marginal.ravel())
    return evaluate(rows, single, Limits(1e9, 1e9)), agent.value(reward)


def error_of(found: Interval, truth):
    """Standard errors between an estimate and the truth."""
    return abs(found.value - truth) / ((found.high - found.low) / 3.92)


@pytest.mark.parametrize("name", EVALUATED)
@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("item", ("ips", "snips", "standard", "reward_interaction")),
        ("cascade", ("standard", "reward_interaction")),
        ("slate", ("standard",)),
    ],
)
def test_estimators_are_right_where_their_assumptions_hold(kind, right, name):
    actual, truth = estimates(kind, name)
    for estimator in right:
        assert error_of(actual[estimator], truth) < 4, estimator


def test_and_wrong_where_they_do_not():
    actual, truth = estimates("slate", "fixed")
    assert error_of(actual["ips"], truth) > 6
    assert error_of(actual["logged"], truth) > 6


class Silent(Agent):
    """One that does not tell."""

    def __init__(self, inner):
        self.inner = inner

    def recommend(self, requests, rng):
        return self.inner.recommend(requests, rng)


def test_an_agent_without_probabilities_is_evaluated_by_frequencies():
    agent, num = Silent(Fixed([1.0, 0.0, 2.0])), 20_000
    requests = requests_of(num, 1)
    asked = np.full((num, 1), 2)
    actual = probabilities_of(agent, requests, asked, draws_of(agent, requests, STREAM, 4), STREAM, "silent")
    assert set(np.unique(actual.marginal)) == {0, 0.25, 0.5, 0.75, 1}
    exact = np.exp(2) / (1 + np.e + np.exp(2))
    assert actual.conditional.mean() == pytest.approx(exact, abs=4 * 0.5 / (4 * num) ** 0.5)


def test_a_logging_policy_must_give_its_true_probabilities():
    requests = requests_of(10, 2)
    slate = LOGGING.recommend(requests, STREAM)
    logging_marginals(LOGGING, requests, slate, [slate], STREAM, "log")
    wrong = Recommendations(slate.items, slate.propensity * np.float32(0.5))
    with pytest.raises(InvalidInput, match=r"logging policy log: propensity=.*must be .*; 20 of 20 are not so"):
        check_propensities(LOGGING, requests, wrong, STREAM, "log")
    agent = EVALUATED["planning"]
    planned = agent.recommend(requests, STREAM)
    with pytest.raises(InvalidInput, match=r"logging policy log='plans'"):
        logging_marginals(agent, requests, planned, [planned], STREAM, "log")
    with pytest.raises(InvalidInput, match=r"logging policy log='no propensities'"):
        logging_marginals(LOGGING, requests, Recommendations(slate.items), [slate], STREAM, "log")
    with pytest.raises(InvalidInput, match="must be implemented"):
        logging_marginals(Silent(LOGGING), requests, slate, [slate], STREAM, "log")


def test_numbers_that_are_no_probabilities_are_refused():
    class Boastful(Fixed):
        def probability(self, requests, items, above, rng):
            return 3 * super().probability(requests, items, above, rng) + 1

    requests = requests_of(4, 2)
    slate = LOGGING.recommend(requests, STREAM)
    with pytest.raises(InvalidInput, match=r"agent boastful: probability=.*must be in \[0, 1\]"):
        probabilities_of(Boastful([1.0, 2.0, 3.0, 0, 0, 0]), requests, slate.items, [slate], STREAM, "boastful")


def test_probabilities_of_another_type_or_shape_are_refused():
    class Words(Fixed):
        def probability(self, requests, items, above, rng):
            return [["likely"] * items.shape[1]] * len(items)

    class Narrow(Fixed):
        def probability(self, requests, items, above, rng):
            return super().probability(requests, items, above, rng)[:, :1]

    requests = requests_of(4, 2)
    slate = LOGGING.recommend(requests, STREAM)
    for kind, came in ((Words, "list"), (Narrow, r"float64 array of shape \(\d+, 1\)")):
        with pytest.raises(InvalidInput, match=rf"^agent mine: probability='{came}': must be an array of floats"):
            probabilities_of(kind([1.0, 2.0, 3.0, 0, 0, 0]), requests, slate.items, [slate], STREAM, "mine")
