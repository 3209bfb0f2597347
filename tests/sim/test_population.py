from dataclasses import fields, replace

import numpy as np
import pytest

from sim.hidden.population import DISCOVERED, DORMANT, FREE, Population, find, generate_population
from sim.hidden.tree import PersonaLinks, load_tree
from sim.random import RandomStream
from tests.sim.people import TINY

TREE = load_tree(96)
LINK = TREE.links.dense(96)
STREAM = RandomStream(0, "world")
MANY = generate_population(TINY.population, 3000, TREE, STREAM)


def test_a_user_does_not_depend_on_how_many_there_are():
    few = generate_population(TINY.population, 20, TREE, STREAM)
    for field in fields(Population):
        np.testing.assert_array_equal(getattr(few, field.name), getattr(MANY, field.name)[:20])


def test_a_user_does_not_depend_on_the_chunks_in_which_users_are_generated(monkeypatch):
    monkeypatch.setattr("sim.hidden.population._CHUNK", 7)
    chunked = generate_population(TINY.population, 20, TREE, STREAM)
    for field in fields(Population):
        np.testing.assert_array_equal(getattr(chunked, field.name), getattr(MANY, field.name)[:20])


def test_slots_hold_distinct_loved_interests_or_nothing():
    loved = np.isin(MANY.status, [DORMANT, DISCOVERED])
    assert (loved | (MANY.status == FREE)).all()
    assert (MANY.interest[~loved] == -1).all()
    assert not MANY.affinity[~loved].any()
    assert MANY.affinity[loved].min() >= TINY.population.love_threshold
    assert MANY.affinity.max() <= 1
    for row, kept in zip(MANY.interest[:200], loved[:200], strict=True):
        assert len(set(row[kept].tolist())) == kept.sum()


def test_the_discovered_share_is_the_constant_but_at_least_two():
    loved = np.isin(MANY.status, [DORMANT, DISCOVERED]).sum(axis=1)
    known = (MANY.status == DISCOVERED).sum(axis=1)
    expected = np.minimum(loved, np.maximum(2, np.rint(TINY.population.discovered_share * loved)))
    np.testing.assert_array_equal(known, expected)
    assert (MANY.exposures[MANY.status == DORMANT] == 0).all()


def test_without_idiosyncrasies_every_love_is_some_personas():
    config = replace(TINY.population, idiosyncratic_interests=0)
    population = generate_population(config, 300, TREE, STREAM)
    linked = LINK > 0
    for row in population.interest:
        mine = row[row >= 0]
        # Up to three personas, so at least a third of the interests are one persona's.
        assert linked[:, mine].sum(axis=1).max() >= len(mine) / 3
        assert linked[:, mine].any(axis=0).all()


def test_full_adoption_of_one_persona_gives_all_of_its_interests():
    one = replace(
        TREE,
        personas=TREE.personas[:1],
        persona_weight=np.ones(1),
        links=PersonaLinks(TREE.links.interest[:1], TREE.links.strength[:1]),
    )
    config = replace(TINY.population, adoption=1.0, idiosyncratic_interests=0, love_threshold=0.0)
    population = generate_population(config, 50, one, STREAM)
    theirs = set(np.flatnonzero(LINK[0]).tolist())
    for row, affinity in zip(population.interest, population.affinity, strict=True):
        kept = row >= 0
        assert set(row[kept].tolist()) == theirs
        ratio = affinity[kept] / LINK[0][row[kept]]
        assert ratio.min() >= 0.75
        assert ratio.max() <= 1.15 + 1e-6


def test_traits_have_the_moments_of_the_constants():
    config = TINY.population
    log_budget = np.log(MANY.budget_minutes)
    error = 4 / 3000**0.5
    assert MANY.activity.mean() == pytest.approx(config.activity_mean, abs=error * config.activity_sd)
    assert MANY.activity.std() == pytest.approx(config.activity_sd, rel=error)
    assert log_budget.mean() == pytest.approx(np.log(config.budget_minutes_median), abs=error)
    assert np.corrcoef(MANY.activity, log_budget)[0, 1] == pytest.approx(config.budget_activity_correlation, abs=error)
    assert np.abs(MANY.taste.mean(axis=0)).max() < error


def test_find_returns_the_slot_and_whether_the_user_has_the_interest():
    user = np.array([0, 0, 1])
    interest = np.array([MANY.interest[0, 2], 999, MANY.interest[1, 0]])
    slot, kept = MANY.find(user, interest)
    assert [find(MANY.interest, i, m) for i, m in zip(user, interest, strict=True)] == [2, -1, 0]
    assert kept.tolist() == [True, False, True]
    assert slot[[0, 2]].tolist() == [2, 0]


def test_a_copy_is_independent_and_files_keep_everything(tmp_path):
    twin = MANY.copy()
    twin.affinity[0, 0] = 0.123
    assert MANY.affinity[0, 0] != np.float32(0.123)
    twin.save(tmp_path / "population.safetensors")
    read = Population.load(tmp_path / "population.safetensors")
    for field in fields(Population):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(twin, field.name))
        assert getattr(read, field.name).dtype == getattr(twin, field.name).dtype
