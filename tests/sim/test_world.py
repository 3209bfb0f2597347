from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.special import expit

from sim.errors import InvalidInput
from sim.hidden.dynamics import return_probability
from sim.hidden.feedback import Feedback
from sim.hidden.population import Population
from sim.hidden.world import SAVED_FORMAT, World
from tests.sim.people import SMALL_TINY, TINY

SLOTS = 6


def slates(world, user, step, shift=0):
    """Slates that depend on the user, the day and the step alone."""
    live = np.flatnonzero(world.catalog.alive(world.day))
    first = user * 13 + world.day * 7 + step * 31 + shift
    return live[(first[:, None] + np.arange(SLOTS)) % len(live)]


def live_days(world, first, last, shift=0):
    """Days ``first`` .. ``last`` - 1; active users and all feedback."""
    history = []
    for day in range(first, last):
        active = world.begin_day(day)
        history.append(active)
        here = active
        for step in range(4):
            feedback = world.respond(here, slates(world, here, step, shift), step)
            history += [getattr(feedback, f.name) for f in fields(Feedback)]
            here = here[~feedback.left]
        world.end_day(active)
    return history


def assert_same_history(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def assert_same_users(one, other):
    for field in fields(Population):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_the_same_seed_gives_the_same_responses_and_another_seed_does_not():
    one, same, other = World(SMALL_TINY, 5), World(SMALL_TINY, 5), World(SMALL_TINY, 6)
    history = live_days(one, 0, 4)
    assert_same_history(history, live_days(same, 0, 4))
    assert_same_users(one.population, same.population)
    assert not np.array_equal(history[0], live_days(other, 0, 1)[0])


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads):
    config = replace(TINY, num_users=101)
    alone, threaded = World(config, 1), World(config, 1, num_threads=threads)
    assert_same_history(live_days(alone, 0, 4), live_days(threaded, 0, 4))
    assert_same_users(alone.population, threaded.population)


def test_a_user_responds_alone_as_in_a_batch():
    together, apart = World(TINY, 2), World(TINY, 2)
    active = together.begin_day(0)
    np.testing.assert_array_equal(active, apart.begin_day(0))
    assert len(active) > 25
    feedback = together.respond(active, slates(together, active, 0), 0)
    for row, user in enumerate(active):
        mine = apart.respond(active[row : row + 1], slates(apart, np.array([user]), 0), 0)
        for field in fields(Feedback):
            np.testing.assert_array_equal(getattr(mine, field.name)[0], getattr(feedback, field.name)[row])
    assert_same_users(together.population, apart.population)
    np.testing.assert_array_equal(together.minutes_today(), apart.minutes_today())


def test_a_user_does_not_depend_on_how_many_others_there_are():
    few, many = World(SMALL_TINY, 3), World(replace(SMALL_TINY, num_users=90), 3)
    active = few.begin_day(0)
    np.testing.assert_array_equal(active, many.begin_day(0)[: len(active)])
    one, other = few.respond(active, slates(few, active, 0), 0), many.respond(active, slates(many, active, 0), 0)
    np.testing.assert_array_equal(one.watch_seconds, other.watch_seconds)


def test_a_counterfactual_response_changes_nothing_and_with_the_worlds_own_stream_is_what_happens():
    world, other = World(TINY, 3), World(TINY, 3)
    for each in (world, other):
        active = each.begin_day(0)
    shown = slates(world, active, 0)
    counterfactual = world.counterfactual_response(active, shown, world.stream.at("response", 0, 0))
    again = world.counterfactual_response(active, shown, world.stream.at("elsewhere"))
    happened, without_counterfactual = world.respond(active, shown, 0), other.respond(active, shown, 0)
    for field in fields(Feedback):
        assert (getattr(counterfactual, field.name) == getattr(happened, field.name)).all()
        assert (getattr(without_counterfactual, field.name) == getattr(happened, field.name)).all()
    assert (again.positive != happened.positive).any()


def test_a_saved_world_goes_on_as_if_never_interrupted(tmp_path):
    straight, first = World(SMALL_TINY, 4), World(SMALL_TINY, 4)
    live_days(straight, 0, 3)
    live_days(first, 0, 3)
    first.save(tmp_path)
    resumed = World(SMALL_TINY, 4)
    resumed.load(tmp_path)
    assert resumed.day == 2
    np.testing.assert_array_equal(resumed.trend, straight.trend)
    assert_same_history(live_days(straight, 3, 6), live_days(resumed, 3, 6))
    assert_same_users(straight.population, resumed.population)
    np.testing.assert_array_equal(straight.catalog.embedding, resumed.catalog.embedding)


@pytest.mark.parametrize("name", ["population.safetensors", "world.json"])
@pytest.mark.parametrize("keep", [None, 0.0, 0.6])
def test_a_damaged_save_is_refused(tmp_path, name, keep):
    world = World(SMALL_TINY, 4)
    world.save(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink() if keep is None else (tmp_path / name).write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(InvalidInput, match="must hold a whole saved world"):
        world.load(tmp_path)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (lambda: World(replace(SMALL_TINY, num_users=41), 4), "world: num_users=41: must be 40"),
        (lambda: World(SMALL_TINY, 5), r"stream=\[5, 'world'\]: must be \[4, 'world'\]"),
        (
            lambda: World(replace(SMALL_TINY, dynamics=replace(TINY.dynamics, reinforcement=0.5)), 4),
            "dynamics: reinforcement=0.5: must be 0.015",
        ),
    ],
)
def test_a_save_of_another_world_is_refused(tmp_path, saved, message):
    saved().save(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        World(SMALL_TINY, 4).load(tmp_path)


def test_a_save_of_another_version_is_refused(tmp_path):
    world = World(SMALL_TINY, 4)
    world.save(tmp_path)
    text = (tmp_path / "world.json").read_text().replace(f'"format": {SAVED_FORMAT}', '"format": 1')
    (tmp_path / "world.json").write_text(text)
    with pytest.raises(InvalidInput, match=f"format=1: must be {SAVED_FORMAT}"):
        world.load(tmp_path)


def test_a_world_cannot_go_back_to_an_earlier_day(tmp_path):
    World(SMALL_TINY, 4).save(tmp_path)
    later = World(SMALL_TINY, 4)
    live_days(later, 0, 2)
    with pytest.raises(InvalidInput, match="day=0: must not lie before this world's day 1"):
        later.load(tmp_path)


@pytest.mark.parametrize("shards", [2, 7])
def test_the_story_is_the_same_byte_for_byte_whatever_the_number_of_shards(shards):
    assert_same_history(live_days(World(TINY, 3), 0, 4), live_days(World(TINY, 3, num_threads=shards), 0, 4))


def test_users_who_join_late_come_only_then_and_all_have_joined_after_the_joining_days():
    late = replace(TINY.population, late_share=0.5, joining_days=10, activity_mean=6.0, activity_sd=0.0)
    world = World(replace(TINY, num_users=2000, population=late), 0)
    joins = world.population.joins
    for day in range(12):
        active = world.begin_day(day)
        assert (joins[active] <= day).all()
        expected = 0.5 + 0.5 * min(day, 10) / 10
        assert abs(len(active) / 2000 - expected * expit(6.0)) < 4 * (0.25 / 2000) ** 0.5
    assert joins.max() == 10


def test_churned_users_never_return_and_churn_has_its_rate():
    certain = replace(TINY.dynamics, churn_per_visit=0.2, churn_slope=0.0)
    world = World(replace(TINY, num_users=4000, dynamics=certain), 0)
    active = world.begin_day(0)
    world.respond(active, slates(world, active, 0), 0)
    world.end_day(active)
    churned = np.flatnonzero(world.population.churned)
    assert np.isin(churned, active).all()
    assert abs(len(churned) / len(active) - 0.2) < 4 * (0.16 / len(active)) ** 0.5
    for day in range(1, 4):
        assert not np.isin(churned, world.begin_day(day)).any()


def test_nothing_but_language_depends_on_the_alpha_dial():
    """The same people, uploads, responses and days; only words differ."""
    truth_told, permuted = (World(replace(TINY, semantic_alignment=alpha), 5) for alpha in (1.0, 0.0))
    assert_same_history(live_days(truth_told, 0, 4), live_days(permuted, 0, 4))
    assert_same_users(truth_told.population, permuted.population)
    for name in ("creator", "length", "upload_day", "expiry_day", "embedding"):
        np.testing.assert_array_equal(getattr(truth_told.catalog, name), getattr(permuted.catalog, name))
    np.testing.assert_array_equal(truth_told.truth.interest, permuted.truth.interest)
    assert (truth_told.catalog.title_terms != permuted.catalog.title_terms).any(axis=1).mean() > 0.8


def test_two_arms_share_random_numbers():
    """Common random numbers: what differs between twins is what they were shown, nothing else."""
    one, other = World(TINY, 7), World(TINY, 7)
    live_days(one, 0, 5, shift=0)
    live_days(other, 0, 5, shift=101)
    np.testing.assert_array_equal(one.catalog.embedding, other.catalog.embedding)
    np.testing.assert_array_equal(one.trend, other.trend)
    # Nobody who is as likely to come in both arms comes in one only.
    probability = [return_probability(w.population, 5, TINY.dynamics) for w in (one, other)]
    active = [np.isin(np.arange(150), w.begin_day(5)) for w in (one, other)]
    differs = active[0] != active[1]
    assert (active[0] >= active[1])[probability[0] >= probability[1]].all()
    assert (active[0] <= active[1])[probability[0] <= probability[1]].all()
    assert not np.array_equal(*probability)
    assert differs.mean() < 0.2


def test_people_come_as_often_as_their_probability_says():
    # With no slope, and nobody changed, it is a coin with the same bias each day.
    config = replace(
        TINY, num_users=4000, population=replace(TINY.population, activity_sd=0.0, activity_mean=-0.5, late_share=0.0)
    )
    world = World(config, 0)
    days = [np.isin(np.arange(4000), world.begin_day(day)) for day in range(3)]
    expected = expit(-0.5)
    for active in days:
        assert abs(active.mean() - expected) < 4 * (expected * (1 - expected) / 4000) ** 0.5
    both = (days[0] & days[1]).mean()
    assert abs(both - expected**2) < 0.03  # independent from day to day


def test_users_who_stay_away_change_only_overnight():
    world = World(SMALL_TINY, 0)
    before = world.population.copy()
    active = world.begin_day(0)
    away = np.setdiff1d(np.arange(40), active)
    world.respond(active, slates(world, active, 0), 0)
    world.end_day(active)
    for name in ("interest", "status", "exposures", "positives", "norm", "satisfaction"):
        np.testing.assert_array_equal(getattr(world.population, name)[away], getattr(before, name)[away])
    fade = np.float32(1 - TINY.dynamics.affinity_decay_per_day)
    np.testing.assert_array_equal(world.population.affinity[away], before.affinity[away] * fade)
    assert not np.isnan(world.population.norm[active]).any()
    assert not world.minutes_today()[away].any()


def test_a_day_without_an_examined_item_does_not_change_satisfaction():
    world = World(SMALL_TINY, 0)
    live_days(world, 0, 1)
    before = world.population.satisfaction.copy()
    active = world.begin_day(1)
    known = active[~np.isnan(before[active])]
    idle, shown = known[0], active[active != known[0]]
    world.respond(shown, slates(world, shown, 0), 0)
    world.end_day(active)
    assert world.population.satisfaction[idle] == before[idle]
    assert not (world.population.satisfaction[shown] == before[shown]).any()


def test_trends_drift_day_by_day_with_the_persistence_of_the_constants():
    config = replace(SMALL_TINY, dynamics=replace(TINY.dynamics, trend_persistence=1.0))
    still, moving, frozen = World(config, 0), World(SMALL_TINY, 0), World(SMALL_TINY, 0)
    first = moving.trend.copy()
    for day in (1, 2):
        still.begin_day(day)
        moving.begin_day(day)
    np.testing.assert_array_equal(still.trend, frozen.trend)
    assert not np.isclose(moving.trend, first).any()
    # Two days on, the trend is phi**2 of what it was, and noise of sd sqrt(1 - phi**4) = 0.34.
    assert np.abs(moving.trend - 0.97**2 * first).max() < 4 * 0.34


def test_satisfaction_is_the_mean_probability_of_watching_and_the_day_starts_afresh():
    silent = dict.fromkeys(
        ("interest_weight", "taste_weight", "quality_weight", "novelty_weight", "satiation_weight", "trend_weight",
         "fatigue_weight", "noise_sd"), 0.0)  # fmt: skip
    world = World(replace(SMALL_TINY, response=replace(TINY.response, intercept=0.4, **silent)), 0)
    active = world.begin_day(0)
    for step in range(2):
        world.respond(active, slates(world, active, step), step)
    assert world.minutes_today()[active].min() > 0
    world.end_day(active)
    np.testing.assert_allclose(world.population.satisfaction[active], expit(0.4), rtol=1e-5)
    world.begin_day(1)
    assert not world.minutes_today().any()


def test_uploads_arrive_daily_and_keep_the_stock_level():
    world = World(TINY, 0)
    for day in range(1, 61):
        world.begin_day(day)
        assert world.catalog.num_items == 800 + 16 * day
    assert (world.catalog.upload_day[800:] == np.repeat(np.arange(1, 61), 16)).all()
    assert world.catalog.alive(60).sum() == pytest.approx(800, rel=0.1)
    assert len(world.truth.interest) == world.catalog.num_items


def test_the_dial_leaves_people_and_their_responses_alone():
    honest, lying = World(SMALL_TINY, 3), World(replace(SMALL_TINY, semantic_alignment=0.0), 3)
    assert_same_users(honest.population, lying.population)
    np.testing.assert_array_equal(honest.catalog.embedding, lying.catalog.embedding)
    assert not np.array_equal(honest.catalog.title_terms, lying.catalog.title_terms)
    assert_same_history(live_days(honest, 0, 3), live_days(lying, 0, 3))


def test_global_randomness_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point of the test
    live_days(World(SMALL_TINY, 3), 0, 2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_days_follow_each_other():
    world = World(SMALL_TINY, 3)
    with pytest.raises(AssertionError, match="days follow each other"):
        world.begin_day(2)


def test_fewer_items_than_interests_are_refused():
    with pytest.raises(InvalidInput, match=r"world\.num_items=50: must be at least num_interests=96"):
        World(replace(TINY, num_items=50, num_interests=96), 0)
