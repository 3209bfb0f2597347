"""Diversions: who is served by whom, from what, and who learns from it."""

from dataclasses import replace

import numpy as np
import pytest

from agents.random import RandomAgent
from experiments.live.arms import live, run_day
from experiments.study.diversion import Corpus, arms_that_matter, assigned_users, corpus_of, groups_of
from experiments.study.protocol import DIVERSIONS, check_experiment
from experiments.study.study import check_study
from sim.errors import InvalidInput
from sim.log import AGENT, InteractionLog
from sim.random import RandomStream
from tests.composing import compose
from tests.experiments.test_arms import FixedAgent, make_arm
from tests.experiments.test_arms import config as config  # a fixture


def study_of(*overrides):
    return check_study(compose("compare", ["world=tiny", *overrides]))


class Listener(RandomAgent):
    """Remembers its inputs."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def update(self, log, rng):
        self.heard.append(log)


def together(config, *agents):
    """Arms that share one world, each with a part of the users, dealt in turn."""
    first = make_arm(config, "a", agents[0], Listener())
    parts = np.arange(config.num_users) % len(agents)
    arms = []
    for place, agent in enumerate(agents):
        if agent is not None and place:
            agent.fit(first.platform, InteractionLog.concatenate([]), RandomStream(0, "fit"))
        name = "abc"[place]
        stream = RandomStream(0, name)
        arms.append(replace(first, name=name, agent=agent, users=np.flatnonzero(parts == place), stream=stream))
    return arms


def test_each_user_is_served_by_their_own_arm_and_all_models_hear_of_everybody(config):
    arms = together(config, Listener(), None, FixedAgent())
    record = run_day(arms, 0)
    log = record.log
    with_agent = np.unique(log.user[log.source == AGENT])
    assert set((with_agent % 3).tolist()) == {0, 2}  # the second arm is production alone
    assert set((log.user % 3).tolist()) == {0, 1, 2}
    order = np.lexsort((log.slot, log.user, log.step))
    np.testing.assert_array_equal(order, np.arange(len(log)))  # as a log has its rows
    for listener in (arms[0].agent, arms[0].production):
        assert [heard.digest() for heard in listener.heard] == [log.digest()]
    assert arms[0].production is arms[2].production


def test_what_users_of_a_shared_world_see_does_not_depend_on_their_neighbours_before_models_learn(config):
    """On the first day no model has learnt from anyone: an arm's users live as they do alone."""
    shared = run_day(together(config, Listener(), None), 0).log
    alone = run_day([together(config, Listener(), None)[1]], 0).log
    own = np.flatnonzero(shared.user % 2 == 1)
    assert shared.where(own).digest() == alone.digest()


def test_arms_that_share_a_world_go_on_where_they_were_killed(config, tmp_path):
    whole = live(together(config, RandomAgent(), None), 0, 3, tmp_path / "whole", lambda: None)
    days = []

    def stop_after_one():
        days.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live(together(config, RandomAgent(), None), 0, 3, tmp_path / "parts", stop_after_one)
    parts = live(together(config, RandomAgent(), None), 0, 3, tmp_path / "parts", lambda: None)
    assert parts.log.digest() == whole.log.digest()


def test_parts_of_the_corpus_are_disjoint_whole_and_equal():
    common_stream = RandomStream(0, "luck")
    items = np.arange(30_000)
    held = np.stack([Corpus(part, 3, common_stream).holds(items) for part in range(3)])
    assert (held.sum(axis=0) == 1).all()
    assert held.mean(axis=1) == pytest.approx([1 / 3] * 3, abs=0.01)
    # What is uploaded later does not change who has what is there.
    np.testing.assert_array_equal(Corpus(1, 3, common_stream).holds(items[:100]), held[1, :100])


def test_an_arm_shows_nothing_but_its_part_of_the_corpus(config, tmp_path):
    arm = make_arm(config, agent=RandomAgent())
    arm = replace(arm, corpus=Corpus(1, 2, RandomStream(0, "luck")))
    record = live([arm], 0, 4, tmp_path / "days", lambda: None)
    assert len(record.log) > 100
    assert arm.corpus.holds(record.log.item).all()
    assert record.log.item.max() >= config.num_items  # uploads of later days too
    resumed = replace(make_arm(config, agent=RandomAgent()), corpus=arm.corpus)
    after = live([resumed], 0, 5, tmp_path / "days", lambda: None)
    assert resumed.corpus.holds(after.log.item).all()


@pytest.mark.parametrize("diversion", DIVERSIONS)
def test_everybody_is_in_one_arm_or_in_all(diversion):
    study = study_of(f"experiment.diversion={diversion}", "experiment.arms=[control,counts,hcb]")
    arms = study.experiment.arms
    users = [assigned_users(study, arm) for arm in arms]
    everybody = np.arange(study.world.num_users)
    if diversion == "twins":
        assert all(np.array_equal(of_arm, everybody) for of_arm in users)
    else:
        np.testing.assert_array_equal(np.sort(np.concatenate(users)), everybody)
    assert groups_of(study.experiment) == ([arms] if diversion == "shared" else [(arm,) for arm in arms])
    assert (corpus_of(study, "hcb") is not None) == (diversion == "codiverted")
    assert arms_that_matter(study.experiment) == ([] if diversion == "twins" else list(arms))


def test_who_is_in_which_arm_is_the_same_in_all_divided_experiments():
    studies = [study_of(f"experiment.diversion={each}", "experiment.arms=[control,hcb]") for each in DIVERSIONS[1:]]
    users = [assigned_users(study, "hcb").tolist() for study in studies]
    assert users[0] == users[1] == users[2]


def test_too_few_items_to_divide_are_refused(config):
    mapping = {
        "arms": ["control", "hcb"], "control": "control", "reference": "hcb", "burn_in_days": 2, "days": 2, "slots": 10,
        "exploration_slots": 2, "exploration_per_day": None, "diversion": "codiverted",
    }  # fmt: skip
    small = replace(config, num_items=300)
    with pytest.raises(InvalidInput, match=r"world.num_items=300: must be at least 330"):
        check_experiment(mapping, ["hcb"], small)
    check_experiment({**mapping, "diversion": "shared"}, ["hcb"], small)
    with pytest.raises(InvalidInput, match="must be one of twins, split, shared, codiverted"):
        check_experiment({**mapping, "diversion": "cookies"}, ["hcb"], small)
