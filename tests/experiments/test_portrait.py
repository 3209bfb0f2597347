from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from experiments.portrait.command import run
from experiments.portrait.figures import _SOURCES, person_figure, population_figure
from experiments.portrait.story import OTHER, simulate_portrait
from sim.errors import InvalidInput
from sim.hidden.population import DISCOVERED, DORMANT, LOVED
from sim.hidden.prior import first_records, live_prior
from sim.hidden.serving_day import Served
from sim.hidden.world import World
from sim.log import AGENT, OWN, PRIOR, PRODUCTION, InteractionLog
from tests.command_line import interestlab
from tests.composing import compose
from tests.sim.people import TINY

DAYS, BURN_IN, BEFORE = 8, 3, 3
WITH_PAST = replace(TINY, prior=replace(TINY.prior, days=BEFORE), own_share=0.3)


@pytest.fixture(scope="module")
def story():
    return simulate_portrait(TINY, 0, None, DAYS, BURN_IN)


@pytest.fixture(scope="module")
def past():
    """A person with a life before day 0, the population, and the log of all users."""
    parts, rows = [], Served.rows

    def kept(served):
        parts.append(rows(served))
        return parts[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Served, "rows", kept)
        person, population = simulate_portrait(WITH_PAST, 0, 7, DAYS, BURN_IN)
    return person, population, InteractionLog.concatenate(parts)


def test_what_is_discovered_stays_known_and_what_is_drawn_was_loved_or_picked_up(story):
    person, _ = story
    assert person.status.shape == person.satiation.shape == (DAYS, len(person.interests)) == person.consumed.shape[1:]
    for row in person.status.T:
        known = np.flatnonzero(row == DISCOVERED)
        assert not len(known) or (row[known[0] :] == DISCOVERED).all()
    assert (person.minutes[person.consumed.any(axis=2)] > 0).all()
    assert person.consumed.any()


def test_two_users_have_a_typical_one_too():
    """Of users who love different numbers of interests, none may love the median number."""
    world = World(replace(TINY, num_users=2), 0)
    loved = np.isin(world.population.status, LOVED).sum(axis=1)
    assert loved[0] != loved[1]
    person, _ = simulate_portrait(replace(TINY, num_users=2), 0, None, 2, 1)
    assert person.user == np.abs(loved - int(np.median(loved))).argmin()


def test_nobody_to_choose_on_the_first_day_is_said():
    late = replace(TINY, num_users=5, population=replace(TINY.population, late_share=1.0))
    with pytest.raises(InvalidInput, match=r"user=None: must be a user's number.*nobody has joined"):
        simulate_portrait(late, 0, None, 2, 1)
    simulate_portrait(late, 0, 3, 2, 1)


def test_the_dots_and_minutes_add_up_to_the_log_by_source_and_day(past):
    person, _, log = past
    assert person.first_day == -BEFORE
    for source in (PRIOR, OWN, PRODUCTION, AGENT):
        assert person.consumed[source].any()
        for t, day in enumerate(range(-BEFORE, DAYS)):
            rows = log.where((log.user == person.user) & (log.source == source) & (log.day == day))
            assert person.consumed[source, t].sum() == rows.consumed.sum()
            assert person.minutes[source, t] == pytest.approx(rows.watch_seconds.sum() / 60, rel=1e-5)


def test_prior_dots_are_before_day_0_and_agent_dots_after_the_burn_in(past):
    person, _, log = past
    assert not person.minutes[PRIOR, BEFORE:].any()
    assert not person.minutes[[OWN, PRODUCTION, AGENT], :BEFORE].any()
    assert not person.minutes[AGENT, : BEFORE + BURN_IN].any()
    assert log.day[log.source == AGENT].min() == BURN_IN  # of all users
    assert set(log.source[log.day == BURN_IN - 1].tolist()) == {PRODUCTION, OWN}


def test_days_before_day_0_are_read_in_the_evening(past):
    person, _, _ = past
    world = World(WITH_PAST, 0)
    live_prior(world, first_records(world))
    people, user, night = world.population, person.user, 0.5 ** (1 / WITH_PAST.dynamics.satiation_half_life_days)
    here = {world.tree.interests[m]: k for k, m in enumerate(people.interest[user]) if m >= 0}
    shown = [(i, here[name]) for i, name in enumerate(person.interests) if name in here]
    assert people.satiation[user].max() > 0
    for i, k in shown:
        assert person.status[BEFORE - 1, i] == people.status[user, k]
        assert person.satiation[BEFORE - 1, i] * night == pytest.approx(people.satiation[user, k], abs=1e-6)


def legend(person):
    return [text.get_text() for text in person_figure(person).legends[0].texts]


def test_the_figure_shows_each_source_on_its_days(past):
    person, population, _ = past
    tree, minutes = person_figure(person).axes
    assert tree.get_xlim() == minutes.get_xlim() == (-BEFORE, DAYS)
    starts = [line.get_xdata()[0] for line in minutes.lines]
    assert starts == [0, BURN_IN]
    first = {PRIOR: -BEFORE, OWN: 0, PRODUCTION: 0, AGENT: BURN_IN}
    last = {PRIOR: 0, OWN: DAYS, PRODUCTION: DAYS, AGENT: DAYS}
    for source, (colour, *_, label) in _SOURCES.items():
        dots = [each.get_offsets() for each in tree.collections if same_colour(each, colour)]
        x = np.concatenate(dots)[:, 0]
        assert len(x) == np.count_nonzero(person.consumed[source])
        assert first[source] < x.min()
        assert x.max() < last[source]
        assert label in legend(person)
    heights = sum(bar.get_height() for bar in minutes.patches)
    assert heights == pytest.approx(person.minutes.sum())
    assert population_figure(population).axes[2].get_xlim() == (0, DAYS)


def same_colour(collection, colour):
    return any(to_hex(each).upper() == colour for each in collection.get_facecolor())


def test_without_a_life_before_day_0_the_warm_up_is_not_shown(story):
    person, _ = story
    tree, _ = person_figure(person).axes
    assert person.first_day == 0
    assert tree.get_xlim() == (0, DAYS)
    assert not person.consumed[[PRIOR, OWN]].any()
    assert "own choice" not in legend(person)


def test_what_is_consumed_from_interests_without_a_row_of_their_own_is_in_the_last_row(past):
    person, _, log = past
    assert person.interests[-1] == OTHER
    assert person.consumed[:, :, -1].any()
    assert not person.status[:, -1].any()
    assert person.consumed.sum() == log.consumed[log.user == person.user].sum()


def test_the_population_adds_up(story):
    _, population = story
    assert (population.known <= population.loved).all()
    assert (np.diff(population.discovered.astype(int), axis=0) >= 0).all()
    assert (np.diff(population.joined) >= 0).all()
    assert (np.diff(population.churned) >= 0).all()
    assert (population.active <= population.joined - np.concatenate([[0], population.churned[:-1]])).all()


def test_where_everything_is_known_nothing_is_discovered():
    config = replace(
        TINY,
        population=replace(TINY.population, discovered_share=1.0),
        dynamics=replace(TINY.dynamics, persona_drift_per_day=0.0),
    )
    person, population = simulate_portrait(config, 0, 3, 4, 1)
    assert person.user == 3
    assert population.discovered.sum() == 0
    assert not (person.status == DORMANT).any()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("user=150", "user=150: must be null or from 0 to"),
        ("days=1", "days=1: must be a whole number, at least 2"),
        ("burn_in_days=30", "burn_in_days=30: must be from 0 to days - 1 = 29"),
        ("burn_in_days=-1", "burn_in_days=-1: must be from 0 to days - 1 = 29"),
    ],
)
def test_bad_input_is_one_line(override, message, tmp_path):
    with pytest.raises(InvalidInput) as error:
        run(compose("portrait", ["world=tiny", override]), tmp_path)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_writes_the_same_figures_again(tmp_path):
    for folder in ("one", "two"):
        done = interestlab(
            "portrait", "world=tiny", "days=3", "burn_in_days=1", f"hydra.run.dir={tmp_path / folder}", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    for name in ("person.svg", "population.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
