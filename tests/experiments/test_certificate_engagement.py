"""Facts 12 to 20: engagement on logs whose answer is known, and room for knowledge in small worlds."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from experiments.certify.engagement import engagement, id_model_auc, true_interest
from experiments.certify.facts import FACTS
from experiments.certify.knowledge import linked_share, room_for_knowledge
from experiments.live.reference_life import simulate_policy, warmed_up
from experiments.live.reference_policies import Greedy
from sim.hidden.population import ACQUIRED, DISCOVERED, DORMANT
from sim.hidden.world import World
from sim.log import OWN, PRODUCTION
from sim.random import RandomStream
from tests.experiments.certified import changed, life_of, log_of, tiny
from tests.sim.people import people

STREAM = RandomStream(3, "engagement")


def test_12_precision_and_recall_by_hand():
    """One user who loves interests 0 and 1, has picked up 2, and has no place for 3; five positives, three loved."""
    fan = people(1)
    fan.interest[0, :3], fan.status[0, :3] = [0, 1, 2], [DISCOVERED, DORMANT, ACQUIRED]
    log = log_of(np.zeros(8), [0, 0, 1, 1, 2, 2, 3, 3], positive=[1, 1, 1, 0, 1, 0, 1, 0])
    life = life_of(log, 1, 4, interest=[0, 1, 2, 3])
    assert true_interest(log, life, fan) == {"precision": pytest.approx(3 / 5), "recall": pytest.approx(3 / 4)}


def test_15_an_id_model_ranks_what_was_liked_before_and_nothing_else():
    """Cluster 0 was always liked and cluster 1 never, by the only user; then the same happens, or the reverse."""
    before = {"item": [0, 1] * 10, "day": np.arange(20)}
    for liked, auc in (([1, 0], 1.0), ([0, 1], 0.0)):
        item = np.array([*before["item"], 0, 1])
        log = log_of(
            np.zeros(22), item, cluster=item, day=[*before["day"] - 20, 7, 7], positive=[*([1, 0] * 10), *liked]
        )
        assert id_model_auc(log, 1) == auc


def test_20_linked_pairs_by_hand():
    """Persona 0 has interests 0 and 1, persona 1 has 1 and 2: of three pairs two are linked."""
    assert linked_share(np.array([[0.5, 0.1, 0.0], [0.0, 1.0, 0.2]])) == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def warm():
    config = changed(tiny(), prior={"days": 5}, clusters={"level_2": 72})
    config = replace(config, num_users=1000, num_items=2000, num_interests=48, linked_pairs=0.2, own_share=0.3)
    return warmed_up(World(config, 3), STREAM)


def test_20_true_personas_pay_and_wrong_ones_do_not(warm):
    before = copy.deepcopy(warm.world.population)
    room = room_for_knowledge(warm, STREAM)
    assert room["ratio"] == pytest.approx(room["oracle"] / room["random"])
    assert room["ratio"] > 1.5
    assert room["ratio"] > 1.5 * room["control"]
    assert room["personal"] > 1
    assert room["linked"] <= 0.2
    assert room == room_for_knowledge(warm, STREAM)  # and the world is as it was
    assert (warm.world.population.status == before.status).all()


def test_20_with_nothing_dormant_nobody_aims_at_anything():
    config = changed(tiny(), population={"discovered_share": 1.0}, dynamics={"persona_drift_per_day": 0.0})
    room = room_for_knowledge(warmed_up(World(config, 3), STREAM), STREAM)
    assert (room["oracle"], room["random"]) == (0, 0)
    assert np.isnan(room["ratio"])


def test_20_nobody_to_plan_for_is_no_aim():
    config = changed(tiny(), population={"activity_mean": -8.0})
    warm = warmed_up(World(replace(config, num_users=2), 3), STREAM)
    assert len(copy.deepcopy(warm.world).begin_day(warm.world.day + 1)) == 0
    room = room_for_knowledge(warm, STREAM)
    assert np.isnan([value for name, value in room.items() if name != "linked"]).all()


def test_own_choices_are_in_the_log_and_in_no_statistic_of_what_was_shown(warm):
    life = simulate_policy(warm, Greedy, 3, STREAM)
    assert set(np.unique(life.log.source)) == {OWN, PRODUCTION}
    assert set(np.unique(life.recommended.source)) == {PRODUCTION}
    assert (life.log.source == OWN).mean() == pytest.approx(0.3, abs=0.06)


def test_all_parts_of_facts_12_to_19_are_measured(warm):
    life = simulate_policy(warm, Greedy, 10, STREAM)
    measured, rates = engagement(warm, life, warm.world.population)
    assert {key: len(values) for key, values in rates.items()} == {"earlier": 6, "place": 6}
    assert sorted(measured) == list(range(12, 20))
    for fact in FACTS[11:19]:
        assert {part.name for part in fact.parts} == set(measured[fact.number])
        assert all(np.isfinite(value) for value in measured[fact.number].values()), fact.title
