"""What is estimated without a simulation: planted activity, sizes, and what a log must have."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from experiments.fit.direct import activity_of_days, constant_of, direct_constants, sized, with_constants
from experiments.fit.observation import observed_dataset
from experiments.fit.statistics import statistics
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig, from_mapping
from sim.log import OWN, PRIOR, PRODUCTION
from sim.random import RandomStream
from tests.composing import compose
from tests.experiments.fit.planted import dataset_of
from tests.experiments.synthetic import log_of

STREAM = RandomStream(0, "test")


def world_of(name="tiny"):
    config = compose("fit", [f"world={name}"])
    return from_mapping(WorldConfig, OmegaConf.to_container(config.world, resolve=True), "world")


@pytest.mark.parametrize(("mean", "sd"), [(0.3, 1.4), (-1.5, 0.7)])
def test_planted_activity_is_recovered_without_users_who_were_never_active(mean, sd):
    rng = STREAM.at("activity").generator()
    chance = 1 / (1 + np.exp(-(mean + sd * rng.standard_normal(20000))))
    days = rng.binomial(14, chance)
    actual = activity_of_days(days[days > 0].astype(float), 14)
    assert actual == pytest.approx((mean, sd), abs=0.06)


def test_users_who_are_all_equally_active_give_no_spread():
    assert activity_of_days(np.full(5, 3.0), 14) is None


def two_users(days=3):
    day = np.arange(days)
    return log_of(user=[0] * days + [1], day=[*day, days - 1], item=[0] * days + [4], cluster=[0] * days + [2])


def test_a_world_has_the_logs_size():
    data = dataset_of(two_users(), 2)
    seen = observed_dataset(data, 14, 1000, STREAM)
    world = sized(world_of(), data, seen, 8000)
    assert (world.num_users, world.clusters.level_2, world.clusters.level_1) == (2, 3, 1)
    assert (world.num_interests, world.num_items) == (24, 8 * 24)  # as few as a world can have
    assert seen.num_days == 3


def test_lengths_are_the_logs_own_and_unknown_without_watch_time():
    data = dataset_of(two_users(), 2)
    seen = observed_dataset(data, 14, 1000, STREAM)
    actual = direct_constants(world_of(), data, seen)
    assert actual["items.length_seconds_median"] == 30
    assert actual["items.length_sigma"] == 0
    data = dataset_of(two_users(), 2, has_watch=False)
    actual = direct_constants(world_of(), data, observed_dataset(data, 14, 1000, STREAM))
    assert set(actual) == {"population.activity_mean", "population.activity_sd"}


def test_constants_are_changed_and_nothing_else_is():
    world = world_of()
    changed = with_constants(
        world, {"response.intercept": -1.0, "dynamics.return_slope": 2.0, "response.noise_sd": 0.5}
    )
    assert [constant_of(changed, n) for n in ("response.intercept", "dynamics.return_slope")] == [-1, 2]
    back = {name: constant_of(world, name) for name in ("response.intercept", "dynamics.return_slope")}
    assert with_constants(changed, {**back, "response.noise_sd": world.response.noise_sd}) == world


@pytest.mark.parametrize(
    ("log", "users", "says"),
    [
        (log_of(user=[]), 2, "must have impressions; its log is empty"),
        (log_of(user=[0, 1]), 2, "must reach over 2 days or more, not 1"),
        (log_of(user=[0, 0], day=[0, 1]), 1, "must have at least 2 users with impressions on its last 2 days, not 1"),
    ],
)
def test_a_log_with_nothing_to_fit_to_is_refused_in_one_line(log, users, says):
    with pytest.raises(InvalidInput) as error:
        observed_dataset(dataset_of(log, users), 14, 1000, STREAM)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_life_before_day_0_is_not_fitted_to():
    source = np.array([PRIOR, PRIOR, OWN, PRODUCTION, PRODUCTION, PRODUCTION])
    log = log_of(user=[0, 1, 0, 1, 0, 1], day=[-2, -1, 0, 0, 1, 1], source=source)
    seen = observed_dataset(dataset_of(log, 2), 14, 1000, STREAM)
    assert seen.num_days == 2
    assert len(seen.log) == 4
    with pytest.raises(InvalidInput, match="must reach beyond the life before day 0"):
        observed_dataset(dataset_of(log.where(slice(0, 2)), 2), 14, 1000, STREAM)


def test_users_drawn_are_whole_and_drawn_twice_count_twice():
    rng = STREAM.at("drawn").generator()
    day, user = np.divmod(np.sort(rng.integers(0, 5 * 30, 400)), 30)
    place = np.arange(400) - np.searchsorted(day * 30 + user, day * 30 + user)  # a user's rows of a day are one slate
    log = log_of(user=user, day=day, slot=place, cluster=rng.integers(0, 3, 400), positive=rng.random(400) < 0.4)
    data = dataset_of(log, 30)
    seen = observed_dataset(data, 14, 1000, STREAM)
    assert statistics(seen.of_users(np.arange(30))) == statistics(seen)
    twice = statistics(seen.of_users(np.repeat(np.arange(30), 2)))
    for name in ("active_share", "visit_impressions", "positive_rate", "staying", "satiation_ratio", "return_share"):
        assert twice[name] == pytest.approx(statistics(seen)[name])
    some = observed_dataset(data, 14, 10, STREAM)
    assert some.num_users == 10
    assert set(np.bincount(some.log.user)) <= set(np.bincount(log.user))
