from dataclasses import replace

import numpy as np
import pytest

from experiments.portrait.command import run
from experiments.portrait.story import simulate_portrait
from sim.errors import InvalidInput
from sim.hidden.population import DISCOVERED, DORMANT
from tests.command_line import interestlab
from tests.composing import compose
from tests.sim.people import TINY

DAYS = 8


@pytest.fixture(scope="module")
def story():
    return simulate_portrait(TINY, 0, None, DAYS)


def test_what_is_discovered_stays_known_and_what_is_drawn_was_loved_or_picked_up(story):
    person, _ = story
    assert person.status.shape == person.satiation.shape == (DAYS, len(person.interests)) == person.consumed.shape
    for row in person.status.T:
        known = np.flatnonzero(row == DISCOVERED)
        assert not len(known) or (row[known[0] :] == DISCOVERED).all()
    assert (person.minutes[person.consumed.any(axis=1)] > 0).all()


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
    person, population = simulate_portrait(config, 0, 3, 4)
    assert person.user == 3
    assert population.discovered.sum() == 0
    assert not (person.status == DORMANT).any()


@pytest.mark.parametrize(
    ("override", "message"),
    [("user=150", "user=150: must be null or from 0 to"), ("days=1", "days=1: must be a whole number, at least 2")],
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
        done = interestlab("portrait", "world=tiny", "days=3", f"hydra.run.dir={tmp_path / folder}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for name in ("person.svg", "population.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
