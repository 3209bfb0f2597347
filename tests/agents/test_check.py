"""Each fault of an agent is found by the check that is meant to find it, and by no other."""

import random

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from agents.base import Agent, Recommendations
from agents.check import CHECKS, examine, validate
from agents.cluster_rankers import RandomWithinClusterRanker
from agents.hierarchical import HierarchicalAgent
from agents.planners import RandomNovelPlanner
from agents.random import RandomAgent, uniform_slate
from agents.sequence import SequenceAgent
from sim.errors import InvalidInput
from tests.agents.built_in import built_in_agents
from tests.agents.faults import NUM_DRAWS, check_agent
from tests.agents.planted import STREAM, planted, successor


@pytest.fixture(scope="module")
def world():
    return planted(successor(), num_users=24, days=3, per_day=4)


@pytest.fixture(scope="module")
def production(world):
    agent = SequenceAgent(epochs=1)
    agent.fit(world.platform, world.log, STREAM)
    return agent


@pytest.mark.slow
@pytest.mark.parametrize("name", built_in_agents())
def test_every_agent_that_is_configured_keeps_the_contract(name, world, production):
    """That propensities are right to the last per mille, ``test_check_propensity`` finds with 100,000 slates each."""
    config = built_in_agents()[name]
    found = examine(lambda: instantiate(config)(), world.platform, world.log, STREAM, production, NUM_DRAWS)
    assert [finding for finding in found if finding.verdict == "fail"] == []
    assert [finding.check for finding in found] == list(CHECKS)
    assert all(finding.verdict == "pass" for finding in found if finding.check != "propensities")


@pytest.mark.slow
def test_a_ranker_may_have_to_train_its_own_model(world):
    config = built_in_agents()["random_novel"]
    assert check_agent(lambda: instantiate(config)(), world.platform, world.log, STREAM) == []


def findings(agent, world):
    """What is found of an agent, by the name of the check."""
    found = examine(agent, world.platform, world.log, STREAM, num_draws=NUM_DRAWS)
    return {finding.check: finding for finding in found}


class NoFit(RandomAgent):
    def fit(self, platform, log, rng):
        raise KeyError("no such column")


class NoSlates(RandomAgent):
    def recommend(self, requests, rng):
        return super().recommend(requests, rng).items


class Repeats(RandomAgent):
    def recommend(self, requests, rng):
        good = super().recommend(requests, rng)
        return Recommendations(np.repeat(good.items[:, :1], requests.num_slots, axis=1))


class DeadAfterUpdate(RandomAgent):
    def update(self, log, rng):
        self.late = True

    def recommend(self, requests, rng):
        good = super().recommend(requests, rng)
        return Recommendations(good.items * 0 + 10**6) if hasattr(self, "late") else good


class Mutating(RandomAgent):
    def recommend(self, requests, rng):
        requests.exclude[:] = -1
        return super().recommend(requests, rng)


class MutatingByTorch(RandomAgent):
    @pytest.mark.filterwarnings("ignore")
    def recommend(self, requests, rng):
        slates = super().recommend(requests, rng)
        torch.from_numpy(requests.watch).add_(1)
        return slates


class GlobalNumpy(RandomAgent):
    def recommend(self, requests, rng):
        np.random.random()  # noqa: NPY002
        return super().recommend(requests, rng)


class GlobalTorch(RandomAgent):
    def load(self, folder, platform):
        super().load(folder, platform)
        torch.nn.Linear(2, 2)


class GlobalPython(RandomAgent):
    def recommend(self, requests, rng):
        random.random()
        return super().recommend(requests, rng)


class Moody(RandomAgent):
    calls = 0

    def recommend(self, requests, rng):
        Moody.calls += 1
        return super().recommend(requests, rng.at(Moody.calls))


class BatchBound(RandomAgent):
    def recommend(self, requests, rng):
        return super().recommend(requests, rng.at(len(requests)))


class Forgetful(RandomAgent):
    days = 0

    def update(self, log, rng):
        self.days += 1

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.days = 1

    def recommend(self, requests, rng):
        return super().recommend(requests, rng.at(self.days))


class BadlyTrained(Forgetful):
    def load(self, folder, platform):
        super().load(folder, platform)
        self.days = 1

    def update(self, log, rng):
        self.days = self.days * 2 if hasattr(self, "fitted") else self.days * 3

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.fitted = True


class Scribbler(Agent):
    """Learns in ``update`` alone, and saves nothing."""

    seen = 0

    def fit(self, platform, log, rng):
        self.platform = platform

    def load(self, folder, platform):
        self.platform = platform

    def update(self, log, rng):
        self.seen += int(log.item.sum())

    def recommend(self, requests, rng):
        return uniform_slate(self.platform.live_items(), requests, rng.at(self.seen))


class ColdScribbler(Scribbler):
    """Saves what it learned in ``update`` once it was fitted on something, and not else."""

    fitted = False

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.fitted = len(log) > 0

    def save(self, folder):
        (folder / "seen").write_text(str(self.seen if self.fitted else 0))

    def load(self, folder, platform):
        super().load(folder, platform)
        self.seen = int((folder / "seen").read_text())
        self.fitted = True


class Overconfident(RandomAgent):
    """Says that a thirtieth of what it says is certain."""

    def recommend(self, requests, rng):
        good = super().recommend(requests, rng)
        return Recommendations(good.items, np.minimum(good.propensity * 30, 1).astype(np.float32))


class Reaching(RandomAgent):
    def recommend(self, requests, rng):
        return Recommendations(self.platform.records.best_items(requests))


class ReachingInSecret(RandomAgent):
    def recommend(self, requests, rng):
        try:
            return self.platform.population
        except Exception:
            return super().recommend(requests, rng)


FAULTY = {
    NoFit: ("trains", "KeyError: 'no such column' (test_check.py, line "),
    NoSlates: ("slates", "must return an agents.base.Recommendations"),
    Repeats: ("slates", "draw without replacement"),
    DeadAfterUpdate: ("slates", "items must be in 0 .. 239"),
    Mutating: ("inputs", "array.copy()"),
    MutatingByTorch: ("inputs", "torch.from_numpy"),
    GlobalNumpy: ("generators", "global random generator"),
    GlobalTorch: ("generators", "global random generator"),
    GlobalPython: ("generators", "global random generator"),
    Moody: ("seed", "same seed, other slates"),
    BatchBound: ("batch", "one by one"),
    Forgetful: ("storage", "save and load all that recommend uses"),
    BadlyTrained: ("learning", "save and load all that update uses"),
    Scribbler: ("learning", "save and load all that update teaches it"),
    ColdScribbler: ("learning", "save and load all that update teaches it"),
    Overconfident: ("propensities", "give the probability of the item that was drawn"),
    Reaching: ("wall", "platform='records': is none of what a recommender may see"),
    ReachingInSecret: ("wall", "platform='population': is none of what"),
}


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("agent", FAULTY, ids=lambda agent: agent.__name__)
def test_a_fault_is_found_by_its_check_and_by_no_other(agent, world):
    check, message = FAULTY[agent]
    found = findings(agent, world).values()
    (fault,) = [finding for finding in found if finding.verdict == "fail"]
    assert fault.check == check
    assert message in fault.message
    assert "\n" not in fault.message
    skipped = [finding.message for finding in found if finding.verdict == "skip"]
    assert all(text == f"cannot tell before {check} is mended" for text in skipped)


class Warm(RandomAgent):
    """Cannot begin with an empty log, as an arm's agent never has to."""

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        log.item.max()


def test_an_agent_may_want_a_log_to_begin_with(world):
    found = findings(Warm, world)
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert "not tried from an empty log" in found["learning"].message


def planning(propose):
    class Own(RandomNovelPlanner):
        def propose(self, requests, rng):
            return propose(super().propose(requests, rng))

    return lambda: HierarchicalAgent(Own(), RandomWithinClusterRanker())


@pytest.mark.parametrize(
    ("propose", "message"),
    [
        (lambda plan: np.repeat(plan[:, :1], plan.shape[1], axis=1), "user 0: must plan different clusters"),
        (lambda plan: plan[:, :-1], "int32 array of shape (24, 4)': propose must return an integer array of shape"),
        (lambda plan: np.c_[plan, plan[:, :1]], "int32 array of shape (24, 6)': propose must"),
        (lambda plan: plan.astype(float), "float64 array of shape (24, 5)': propose must"),
        (lambda plan: plan.tolist(), "'list': propose must"),
        (lambda plan: plan - 1, ": clusters must be in 0 .. 7"),
        (lambda plan: plan + 8, "user 0: clusters must be in 0 .. 7"),
    ],
)
def test_a_faulty_planner_is_named(propose, message, world):
    (fault,) = check_agent(planning(propose), world.platform, world.log, STREAM)
    assert fault.startswith("slates: planner Own=")
    assert message in fault
    assert "\n" not in fault


def test_a_ranker_that_fills_no_slot_is_named(world):
    class Empty(RandomWithinClusterRanker):
        def rank(self, requests, allowed, rng):
            return Recommendations(super().rank(requests, allowed, rng).items[:, :0])

    (fault,) = check_agent(lambda: HierarchicalAgent(RandomNovelPlanner(), Empty()), world.platform, world.log, STREAM)
    assert fault.startswith("slates: ranker Empty='int64 array of shape (24, 0)': rank must return items of shape (24")


def test_several_faults_are_told_at_once(world):
    class Both(BatchBound):
        def recommend(self, requests, rng):
            good = super().recommend(requests, rng)
            return Recommendations(good.items, np.ones(good.items.shape, np.float32))

    faults = check_agent(Both, world.platform, world.log, STREAM)
    assert [fault.partition(":")[0] for fault in faults] == ["batch", "propensities"]


def test_without_propensities_that_check_is_left_out(world):
    class Silent(RandomAgent):
        def recommend(self, requests, rng):
            return Recommendations(super().recommend(requests, rng).items)

    found = findings(Silent, world)
    assert found.pop("propensities").verdict == "skip"
    assert {finding.verdict for finding in found.values()} == {"pass"}


class Spoiled(Agent):
    """Random slates, spoiled by a function of them and of the world."""

    def __init__(self, spoil, world):
        self.spoil, self.world = spoil, world

    def recommend(self, requests, rng):
        good = uniform_slate(self.world.platform.live_items(), requests, rng)
        parts = {"items": good.items, "propensity": good.propensity, "cluster": None}
        return Recommendations(**{**parts, **self.spoil(good.items.copy(), requests)})


def put(items, row, slot, value):
    items[row, slot] = value
    return {"items": items}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda items, r: {"items": items[:, :-1]}, r"shape \(24, 4\)'.*must be|must be an integer array of shape"),
        (lambda items, r: {"items": items.astype(float)}, "float64 array.*integer array"),
        (lambda items, r: {"items": items.tolist()}, "list.*integer array"),
        (lambda items, r: put(items, 2, 1, -1), "user 2, slot 1: items must be in 0 .. 239"),
        (lambda items, r: put(items, 2, 1, 240), "items must be in 0 .. 239"),
        (lambda items, r: put(items, 5, 0, 3), "user 5, slot 0: this item is not alive"),
        (lambda items, r: put(items, 4, 3, items[4, 0]), "user 4, slot 3: this item is on the slate twice"),
        (lambda items, r: put(items, 7, 2, r.exclude[7][r.exclude[7] >= 24][0]), "user 7, slot 2: .*exclude"),
        (lambda items, r: {"propensity": np.full(items.shape, np.nan)}, r"propensity must be in \(0, 1\]"),
        (lambda items, r: {"propensity": np.zeros(items.shape)}, r"propensity must be in \(0, 1\]"),
        (lambda items, r: {"propensity": np.full(items.shape, 1.01)}, r"propensity must be in \(0, 1\]"),
        (lambda items, r: {"propensity": np.ones(len(items))}, "propensity must have shape"),
        (lambda items, r: {"cluster": np.full(items.shape, 8)}, "cluster must be in 0 .. 7"),
        (lambda items, r: {"cluster": np.full(items.shape, 0.5)}, "cluster must be an integer array"),
    ],
)
def test_bad_slates_get_one_clear_line(spoil, message, world):
    requests = world.requests(5)
    slates = Spoiled(spoil, world).recommend(requests, STREAM)
    with pytest.raises(InvalidInput, match=message) as error:
        validate(slates, requests, world.platform, "spoiled")
    assert str(error.value).startswith("agent spoiled=")
    assert "\n" not in str(error.value)


def test_good_slates_pass(world):
    requests = world.requests(5)
    good = uniform_slate(world.platform.live_items(), requests, STREAM)
    validate(good, requests, world.platform, "random")
    validate(Recommendations(good.items), requests, world.platform, "random")
