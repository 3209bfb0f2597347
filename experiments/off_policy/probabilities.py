"""How likely agents are to show logged slates: what every estimator divides by, or multiplies with.

Estimators ask for two probabilities of item a_s in slot s of a logged slate a_1 .. a_S:

- *conditional*, P(a_s | a_1 .. a_(s-1)): what ``InteractionLog.propensity`` holds, and what products over slots
  are made of;
- *marginal*, P(item a_s in slot s), whatever stands above.

An agent that implements ``Agent.probability`` tells the first exactly. One that draws a plan z before its
first item tells it given the plan; then the probability of the first s items is the mean over plans of
their product, E_z[prod_(t<=s) P(a_t | a_1 .. a_(t-1), z)], of which D plans give an unbiased estimate: the
exact probability given what is drawn in place of the mere indicator that it was drawn (Rao-Blackwell).
The marginal is the mean, over slates and plans drawn from the agent, of the probability of a_s below the
drawn slots. Both are unbiased for any D, and so is whatever is linear in them, as IPS is.
"""

from dataclasses import dataclass

import numpy as np

from agents.base import Agent, Recommendations, Requests
from agents.blame import naming_code
from agents.check import validate
from agents.check_slates import check_probability
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.platform import Platform
from sim.random import RandomStream


@dataclass(frozen=True)
class Probabilities:
    """Of B logged slates of S slots under one agent.

    Attributes:
        conditional: (B, S) float64 in [0, 1]; given the slots above.
        marginal: (B, S) float64 in [0, 1].
    """

    conditional: FloatArray
    marginal: FloatArray


def drawn_slates(
    agent: Agent, platform: Platform, requests: Requests, rng: RandomStream, num_draws: int, name: str
) -> list[Recommendations]:
    """Ask an agent D times, with the stream ``rng.at(d)`` for draw d; ``InvalidInput`` if a slate is not valid."""
    slates = [agent.recommend(requests, rng.at(draw)) for draw in range(num_draws)]
    for slate in slates:
        validate(slate, requests, platform, name, agent)
    return slates


def probabilities_of(
    agent: Agent, requests: Requests, logged: IntArray, drawn: list[Recommendations], rng: RandomStream, name: str
) -> Probabilities:
    """How likely the agent is to show logged slates.

    Unbiased as the module says. Of an agent without ``probability`` mere frequencies among the draws: also unbiased, if
    it draws slot by slot, and noisy.

    Args:
        agent, name: whoever is evaluated.
        requests: B users.
        logged: (B, S) int64, the slates that they were shown.
        drawn: the agent's own, from ``drawn_slates`` with the same ``rng``; the plan of draw d is drawn from
            ``rng.at(d)`` again.
    """
    marginal = np.zeros(logged.shape)
    product = np.zeros(logged.shape)
    num_given = 0
    for number, slate in enumerate(drawn):
        probability = _checked_probability(agent, requests, logged, slate.items, rng.at(number), name)
        if probability is None:
            return _frequencies(agent, requests, logged, drawn, rng)
        marginal += probability
        if number == 0 or slate.cluster is not None:  # without a plan there is nothing to average over
            given = _checked_probability(agent, requests, logged, logged, rng.at(number), name)
            assert given is not None
            product += np.cumprod(given, axis=1)
            num_given += 1
    return Probabilities(_conditional(product / num_given), marginal / len(drawn))


def _conditional(product: FloatArray) -> FloatArray:
    """From probabilities of the first s items (B, S) to that of each given those before; 0 below an impossible one."""
    before = np.concatenate([np.ones((len(product), 1)), product[:, :-1]], axis=1)
    conditional = np.divide(product, before, out=np.zeros_like(product), where=before > 0)
    return np.asarray(np.minimum(conditional, 1.0))  # rounding


def _checked_probability(
    agent: Agent, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream, name: str
) -> FloatArray | None:
    """The agent's probabilities; ``InvalidInput`` names it and its file if they are none, or of another shape."""
    probability = agent.probability(requests, items, above, rng)
    if probability is None:
        return None
    with naming_code(getattr(agent, "inner", agent)):  # the wall has agents within
        check_probability(probability, items.shape, f"agent {name}")
    return np.asarray(np.minimum(np.asarray(probability, np.float64), 1.0))


def _frequencies(
    agent: Agent, requests: Requests, logged: IntArray, drawn: list[Recommendations], rng: RandomStream
) -> Probabilities:
    """Shares of draws that have the logged item in its slot; below logged slots, of draws for the rest of the slate."""
    marginal = np.mean([slate.items == logged for slate in drawn], axis=0)
    conditional = marginal.copy()
    for slot in range(1, logged.shape[1]):
        here = requests.after(logged[:, :slot])
        again = [agent.recommend(here, rng.at(draw, "below", slot)).items[:, 0] for draw in range(len(drawn))]
        conditional[:, slot] = np.mean([items == logged[:, slot] for items in again], axis=0)
    return Probabilities(conditional, marginal)


_TOLERANCE = 2e-3  # relative: float32, and scores that are rounded otherwise in another batch


def check_propensities(agent: Agent, requests: Requests, logged: Recommendations, rng: RandomStream, name: str) -> None:
    """Refuse logged propensities that are not those with which a known policy takes these actions.

    Args:
        agent, name: the policy that is said to have logged.
        requests, logged: B users and the slates that they were shown, with propensities.
        rng: what the slates were drawn with, if the policy draws a plan.

    Raises:
        InvalidInput: with the first one's place and value, and in how many slots they differ.
    """
    probability = _checked_probability(agent, requests, logged.items, logged.items, rng, name)
    if probability is None or logged.propensity is None:
        return
    wrong = np.abs(probability - logged.propensity) > _TOLERANCE * probability + 1e-9
    if wrong.any():
        row, slot = np.argwhere(wrong)[0]
        raise InvalidInput(
            f"logging policy {name}: propensity",
            f"{logged.propensity[row, slot]:.4g} of item {logged.items[row, slot]} for user {requests.user[row]}",
            f"must be {probability[row, slot]:.4g}, with which the policy shows it there; {int(wrong.sum()):,} of "
            f"{wrong.size:,} are not so",
        )


def logging_marginals(
    agent: Agent,
    requests: Requests,
    logged: Recommendations,
    drawn: list[Recommendations],
    rng: RandomStream,
    name: str,
) -> FloatArray:
    """The logging policy's own marginal probabilities of its slates, (B, S) float64, all positive.

        p_s = (1 / (D + 1)) [P(a_s | logged slots above) + sum_d P(a_s | slots above in draw d)]

    Where a slot's reward depends on the slot alone, logged and drawn slots above are exchangeable, and this is the
    balance heuristic over them (Veach and Guibas 1995, "Optimally combining sampling techniques for Monte Carlo
    rendering", section 3.2): weights e_s / p_s are unbiased for any D, but for an item that stands above in all D + 1
    slates, whose share is lost; with D = 32, that of items which are in that slot less often than once in some dozen
    slates. The drawn slots' mean alone would divide by 0 there.

    Args:
        agent, requests, logged, rng, name: as for ``check_propensities``.
        drawn: D other slates of the policy's.

    Raises:
        InvalidInput: the policy plans, does not tell its probabilities, or they are not its propensities.
    """
    if logged.cluster is not None:
        raise InvalidInput(f"logging policy {name}", "plans", "must not: its propensities are given its plans only")
    if logged.propensity is None:
        raise InvalidInput(f"logging policy {name}", "no propensities", "must return them")
    check_propensities(agent, requests, logged, rng, name)
    total = np.asarray(logged.propensity, np.float64)
    for slate in drawn:
        probability = _checked_probability(agent, requests, logged.items, slate.items, rng, name)
        if probability is None:
            raise InvalidInput(f"logging policy {name}", "probability", "must be implemented (agents/base.py)")
        total = total + probability
    return np.asarray(total / (len(drawn) + 1))
