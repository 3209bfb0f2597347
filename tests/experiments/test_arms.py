"""A day in an arm, with agents whose behaviour is known."""

from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf

from agents.base import Agent, Recommendations
from agents.novelty import earlier_marked
from agents.random import RandomAgent
from experiments.live import arm_stages
from experiments.live.arms import Arm, Dose, _shown, compose_slates, live, production_slates, run_day
from experiments.stages.stages import Stage
from experiments.study.study import TABLE_PLANNERS, check_study, portable
from sim.errors import InvalidInput
from sim.hidden.clustering import build_clusters
from sim.hidden.config import WorldConfig, from_mapping
from sim.hidden.prior import live_prior
from sim.hidden.world import World
from sim.log import AGENT, OWN, InteractionLog
from sim.platform import Platform
from sim.random import RandomStream
from tests.composing import compose


class FixedAgent(Agent):
    """Always the first live items that are not excluded."""

    def fit(self, platform, log, rng):
        self.platform = platform

    def load(self, folder, platform):
        self.platform = platform

    def recommend(self, requests, rng):
        live_items = self.platform.live_items()
        rows = [live_items[~np.isin(live_items, excluded)][: requests.num_slots] for excluded in requests.exclude]
        return Recommendations(np.stack(rows), np.ones((len(requests), requests.num_slots), np.float32))


@pytest.fixture(scope="module")
def config() -> WorldConfig:
    composed = compose("compare", ["world=tiny"])
    return from_mapping(WorldConfig, OmegaConf.to_container(composed.world, resolve=True), "world")


def make_arm(config, name="x", agent=None, production=None, slots=10, explored=2, threads=1) -> Arm:
    world = World(config, 0, threads)
    items = np.arange(world.catalog.num_items)
    clusters = build_clusters(world.catalog, items, np.ones(len(items)), config.clusters)
    records = world.new_records(clusters)
    platform = Platform(records)
    production = production or RandomAgent()
    nothing = InteractionLog.concatenate([])
    production.fit(platform, nothing, RandomStream(0, "fit"))
    if agent is not None:
        agent.fit(platform, nothing, RandomStream(0, "fit"))
    users = np.arange(config.num_users)
    common_stream = RandomStream(0, "luck")
    return Arm(
        name, world, records, platform, production, agent, users, slots, explored, RandomStream(0, name), common_stream
    )


def test_the_agent_fills_its_slots_and_production_the_rest(config):
    arm = make_arm(config, agent=FixedAgent(), explored=3)
    users = np.arange(40)
    slate = compose_slates(arm, users, 0, 0)
    source = slate.source
    assert (source == AGENT).sum(axis=1).tolist() == [3] * 40
    assert len(np.unique((source == AGENT).argmax(axis=1))) > 1  # places differ between users
    first_three = arm.platform.live_items()[:3]
    for row in range(40):
        assert slate.items[row][source[row] == AGENT].tolist() == first_three.tolist()
        assert len(set(slate.items[row].tolist())) == 10
    assert (slate.propensity[source == AGENT] == 1).all()
    assert (slate.propensity[source != AGENT] < 1).all()


def test_all_slots_can_be_the_agents(config):
    arm = make_arm(config, agent=FixedAgent(), explored=10)
    slate = compose_slates(arm, np.arange(5), 0, 0)
    assert (slate.source == AGENT).all()
    assert (slate.items == arm.platform.live_items()[:10]).all()


def test_the_agents_places_are_the_same_in_every_arm(config):
    one = compose_slates(make_arm(config, "one", FixedAgent()), np.arange(30), 0, 0).source
    two = compose_slates(make_arm(config, "two", RandomAgent()), np.arange(30), 0, 0).source
    assert (one == two).all()


def test_two_arms_of_the_same_production_live_the_same_life(config):
    logs = [run_day([make_arm(config, name)], 0).log for name in ("one", "two")]
    assert logs[0].digest() == logs[1].digest()


def test_the_log_does_not_depend_on_threads(config):
    logs = [run_day([make_arm(config, threads=threads)], 0).log for threads in (1, 2)]
    assert logs[0].digest() == logs[1].digest()


def test_nobody_is_shown_what_they_have_just_seen(config):
    log = run_day([make_arm(config)], 0).log
    first = earlier_marked(log.user, np.ones(len(log), bool)) < config.platform.seen_length
    pairs = (log.user * 1_000_000 + log.item)[first]
    assert len(np.unique(pairs)) == len(pairs)


def test_an_arm_that_is_stopped_goes_on_and_ends_the_same(config, tmp_path):
    whole = live([make_arm(config, agent=RandomAgent())], 0, 4, tmp_path / "whole", lambda: None)
    days = []

    class Killed(Exception):
        pass

    def stop_after_two():
        days.append(1)
        if len(days) == 2:
            raise Killed

    with pytest.raises(Killed):
        live([make_arm(config, agent=RandomAgent())], 0, 4, tmp_path / "parts", stop_after_two)
    parts = live([make_arm(config, agent=RandomAgent())], 0, 4, tmp_path / "parts", lambda: days.append(1))
    assert parts.log.digest() == whole.log.digest()
    assert (parts.discovered == whole.discovered).all()


class DeadItems(FixedAgent):
    def recommend(self, requests, rng):
        return Recommendations(np.full((len(requests), requests.num_slots), 10**9))


class Repeats(FixedAgent):
    def recommend(self, requests, rng):
        item = self.platform.live_items()[0]
        return Recommendations(np.full((len(requests), requests.num_slots), item))


class WrongShape(FixedAgent):
    def recommend(self, requests, rng):
        return Recommendations(np.zeros((len(requests), 1), np.int64))


class NotANumber(FixedAgent):
    def recommend(self, requests, rng):
        fine = super().recommend(requests, rng)
        return Recommendations(fine.items, np.full(fine.items.shape, np.nan, np.float32))


@pytest.mark.parametrize("agent", [DeadItems, Repeats, WrongShape, NotANumber])
def test_a_faulty_agent_stops_the_arm_with_one_line(config, agent):
    with pytest.raises(InvalidInput, match="agent x") as error:
        run_day([make_arm(config, agent=agent())], 0)
    assert "\n" not in str(error.value)


class Mutates(FixedAgent):
    def recommend(self, requests, rng):
        requests.items[:] = 0
        return super().recommend(requests, rng)


def test_an_agent_cannot_change_its_input(config):
    with pytest.raises(InvalidInput, match="agent x='recommend': must not change its input"):
        run_day([make_arm(config, agent=Mutates())], 0)


def test_only_a_language_models_table_is_left_out_of_what_an_arm_is_known_by():
    """Settings of plugins that are called ``table`` had been left out too: another value found the old arm."""
    mine = {"_target_": "agents.hierarchical.HierarchicalAgent", "planner": {"_target_": "mine.Mine", "table": "first"}}
    assert portable(mine) == mine
    llm = {"planner": {"_target_": TABLE_PLANNERS[0], "table": "/somewhere", "width": 3}}
    assert portable(llm) == {"planner": {"_target_": TABLE_PLANNERS[0], "width": 3}}


def test_an_arm_is_known_by_its_table_and_not_by_where_the_cache_is(tmp_path):
    """Folders that settings name are digested by their paths; a table's folder is not, since its stage has a digest."""
    study = check_study(compose("compare", ["world=tiny", f"cache_dir={tmp_path}"]))
    stage = Stage(tmp_path, "digest", 0.0, False)

    def known_by(place: str) -> object:
        folder = tmp_path / place / "table"
        folder.mkdir(parents=True)
        agent = {"planner": {"_target_": TABLE_PLANNERS[0], "table": str(folder)}}
        return arm_stages._rests_on(replace(study, agents={"llm": agent}), ("llm",), stage, stage, ["table's digest"])

    assert known_by("here") == known_by("there")


def test_the_agent_explores_no_more_than_its_dose_a_day(config):
    most_of_user = {}
    for per_day in (None, 2, 5):
        arm = replace(make_arm(config, agent=RandomAgent(), explored=2), exploration_per_day=per_day)
        log = run_day([arm], 0).log
        requests = len(np.unique(log.user * 1000 + log.step))
        explored = np.unique((log.user * 1000 + log.step)[log.source == AGENT])
        shown = np.bincount(explored // 1000)  # requests a user in which the agent had slots
        most_of_user[per_day] = shown.max()
        assert (np.bincount(explored % 1000)[: shown.max()] > 0).all()  # the day's first ones
        assert len(explored) <= requests
    assert most_of_user[2] == 1
    assert most_of_user[5] == 2
    assert most_of_user[None] > 2


def test_where_the_dose_is_used_up_production_serves_alone(config):
    arm = replace(make_arm(config, agent=FixedAgent(), explored=2), exploration_per_day=2)
    user = np.arange(30)
    dose = {arm.name: Dose(arm)}
    explored, then = (_shown([arm], dose, user, 0, 0) for _ in range(2))
    assert ((explored.source == AGENT).sum(axis=1) == 2).all()
    assert (then.items == production_slates(arm, user, 0, 0).items).all()
    mixed = _shown([arm], {arm.name: Dose(arm)}, user[:10], 0, 0)
    assert (mixed.items == explored.items[:10]).all()


def test_users_own_choices_are_logged_and_learned_from(config):
    warm = replace(config, own_share=0.4, prior=replace(config.prior, days=2))
    settings = make_arm(warm, agent=RandomAgent())
    world, records = settings.world, settings.records
    live_prior(world, records)
    log = run_day([settings], 0).log
    own = log.source == OWN
    assert 0.2 < own.mean() < 0.6
    assert np.isnan(log.propensity[own]).all()
    assert (log.planned[own] == -1).all()
    assert not np.isnan(log.propensity[~own]).any()
    per_request = {}
    for user, step, source in zip(log.user.tolist(), log.step.tolist(), own.tolist(), strict=True):
        per_request.setdefault((user, step), set()).add(source)
    assert all(len(sources) == 1 for sources in per_request.values())
