"""The search and its standard errors where the answer is known."""

from functools import partial

import numpy as np
import pytest

from experiments.fit.constants import check_constants
from experiments.fit.fitting import Target, fit
from experiments.fit.identification import identify
from experiments.fit.search import least_evaluations, search
from experiments.fit.statistics import STATISTICS
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.experiments.fit.test_direct import world_of


def test_a_curved_problem_is_solved_within_the_budget():
    truth = np.array([1.5, -0.8, 0.4])
    mix = RandomStream(0, "mix").generator().standard_normal((8, 3)) * 5

    def differences(points):
        return [np.tile(mix @ (np.sinh(x) - np.sinh(truth)), (2, 1)) for x in points]

    result = search(differences, np.full(3, -4.0), np.full(3, 4.0), pull=100.0, budget=60, tolerance=1e-4)
    assert result.x == pytest.approx(truth, abs=0.02)
    assert result.evaluations <= 60
    assert result.jacobians.shape == (2, 8, 3)


def test_an_unidentified_constant_stays_at_the_start_and_limits_are_kept():
    low, high = np.array([-4.0, -4.0]), np.array([4.0, 0.5])
    tried = []

    def differences(points):
        tried.extend(points)
        return [np.array([[10 * (x[1] - 3)]]) for x in points]

    result = search(differences, low, high, pull=3.0, budget=40, tolerance=0.01)
    assert result.x[0] == pytest.approx(0, abs=1e-3)
    assert result.x[1] == pytest.approx(0.5, abs=1e-3)
    assert (np.array(tried) <= high + 1e-9).all()


def test_the_least_budget_pays_for_a_step_and_the_last_jacobians():
    result = search(lambda xs: [5 * (x[None] - 1) for x in xs], np.full(2, -3.0), np.full(2, 3.0), 50.0, 8, 0.01)
    assert result.evaluations <= least_evaluations(2) == 8
    assert result.x == pytest.approx([1, 1], abs=0.3)  # one step, shortened since the ends are near


def test_a_linear_problems_errors_are_those_of_least_squares():
    rng = RandomStream(1, "linear").generator()
    jacobian = rng.standard_normal((12, 3)) * 4
    result = identify(np.stack([jacobian, jacobian]), np.eye(12), pull=1e4)
    expected = np.sqrt(0.75 * np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    assert result.error == pytest.approx(expected, rel=1e-4)
    assert result.alone == pytest.approx((jacobian**2).sum(axis=0))


def test_constants_without_effect_or_with_the_same_effect_are_not_precise():
    one, other = np.eye(6)[0] * 8, np.eye(6)[1] * 8
    jacobian = np.stack([one, other, other, np.zeros(6)], axis=1)
    result = identify(np.stack([jacobian] * 3), np.eye(6), pull=3.0)
    assert result.precise.tolist() == [True, False, False, False]
    assert result.error[3] == pytest.approx(3)
    assert result.refitted[1] == pytest.approx(0, abs=0.3)
    assert result.alone[1] == pytest.approx(64)
    assert (result.like[1], result.like[2]) == (2, 1)
    assert result.correlation[1] < -0.9


def test_chance_in_lives_is_not_taken_for_information():
    rng = RandomStream(2, "chance").generator()
    noise = rng.standard_normal((2, 400, 1)) * 0.5
    assert (noise**2).sum() > 100  # what squares would say
    assert identify(noise, np.eye(400), pull=3.0).alone[0] < 20


MAPPING = {
    "response": {"intercept": {"add": 0.5}, "watch_log_mean": {"add": 0.2}},
    "dynamics": {"return_slope": {"factor": 1.7}},
}


def target_at(intercept, mean, rng, noise):
    logged = {each.name: None for each in STATISTICS}
    logged |= planted(intercept, mean, rng, noise)
    names = ("watch_complete", "watch_skipped", "positive_rate")
    error = {name: noise if name in names else None for name in logged}
    return Target(logged, error, names, np.eye(3))


def planted(intercept, mean, rng, noise):
    """Three statistics, of which two tell of the first constant and two of the second."""
    exact = {"positive_rate": np.tanh(intercept / 4), "watch_complete": mean, "watch_skipped": mean + intercept}
    return {name: float(value + noise * rng.standard_normal()) for name, value in exact.items()}


def planted_lives(stream, noise, worlds):
    result = []
    for world, seed in worlds:
        rng = stream.at("life", seed).generator()
        planted_life = planted(world.response.intercept, world.response.watch_log_mean, rng, noise)
        result.append({**dict.fromkeys(each.name for each in STATISTICS), **planted_life})
    return result


def test_planted_constants_lie_in_their_intervals_as_often_as_stated():
    start, noise = world_of(), 0.03
    constants = check_constants(MAPPING, None, start)
    held, tries = np.zeros(3), 60
    for k in range(tries):
        stream = RandomStream(k, "planted")
        target = target_at(-1.6, -0.5, stream.at("log").generator(), noise)

        lives = partial(planted_lives, stream, noise)
        result = fit(target, start, start, constants, lives, k, 2, 8, 40, 5.0, 3.0, 0.01)
        low, high = result.identification.interval(result.search.x)
        truth = [c.steps(v) for c, v in zip(constants, (-1.6, -0.5, 8.0), strict=True)]
        held += (low <= truth) & (truth <= high)
        assert result.identification.precise.tolist() == [True, True, False]
        assert result.differences(result.lives_after).shape == (8, 3)
    assert (held[:2] / tries >= 0.88).all()  # 95 % within three standard errors of 60 tries
    assert held[2] == tries


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "must name constants to search for"),
        ({"response": None}, "fit.constants.response=None"),
        ({"response": {"colour": {"add": 1}}}, "fit.constants.response.colour={'add': 1}: is no number of the world"),
        ({"dynamics": {"positives_to_discover": {"add": 1}}}, "is no number of the world"),
        ({"response": {"intercept": {"twice": 1}}}, "must be one of add, factor, logit with its step"),
        ({"response": {"intercept": {"add": -1}}}, "fit.constants.response.intercept=-1: must be a number above 0"),
        ({"response": {"interest_weight": {"factor": 1}}}, "must be a number above 1"),
        ({"response": {"intercept": {"factor": 2}}}, "world.response.intercept=-1.7: must be above 0"),
        ({"response": {"interest_weight": {"logit": 1}}}, "must be between 0 and 1"),
    ],
)
def test_impossible_constants_are_named(mapping, says):
    with pytest.raises(InvalidInput) as error:
        check_constants(mapping, None, world_of())
    assert says in str(error.value)


def test_steps_lead_there_and_back_within_the_worlds_limits():
    mapping = {"population": {"adoption": {"logit": 0.7}}, **MAPPING}
    for constant in check_constants(mapping, None, world_of()):
        for x in (-2.0, 0.0, 1.3):
            assert constant.steps(constant.value(x)) == pytest.approx(x)
        low, high = constant.reach(50.0)
        assert constant.low <= constant.value(low) <= constant.value(high) <= constant.high


@pytest.mark.parametrize("only", ["response.intercept", [], ["response.intercept"] * 2, ["response.colour"]])
def test_a_selection_that_is_none_is_named(only):
    with pytest.raises(InvalidInput, match=r"fit\.only="):
        check_constants(MAPPING, only, world_of())


def test_a_selection_keeps_its_order():
    result = check_constants(MAPPING, ["dynamics.return_slope", "response.intercept"], world_of())
    assert [each.name for each in result] == ["dynamics.return_slope", "response.intercept"]
