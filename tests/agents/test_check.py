import random
from pathlib import Path

import hydra
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from agents.base import Agent, Recommendations
from agents.check import check_agent, validate
from agents.random import RandomAgent, uniform_slate
from agents.sequence import SequenceAgent
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, planted, successor

CONFIGS = sorted(Path("conf/agent").resolve().glob("*.yaml"))


@pytest.fixture(scope="module")
def world():
    return planted(successor(), days=3)


@pytest.fixture(scope="module")
def production(world):
    agent = SequenceAgent(epochs=1)
    agent.fit(world.platform, world.log, STREAM)
    return agent


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_agent_that_is_configured_keeps_the_contract(path, world, production):
    config = OmegaConf.load(path)
    if OmegaConf.missing_keys(config):
        pytest.skip("needs what only an experiment can fill in")
    assert check_agent(lambda: hydra.utils.instantiate(config)(), world.platform, world.log, STREAM, production) == []


def test_a_ranker_may_have_to_train_its_own_model(world):
    config = OmegaConf.load(Path("conf/agent/random_novel.yaml").resolve())
    assert check_agent(lambda: hydra.utils.instantiate(config)(), world.platform, world.log, STREAM) == []


class Mutating(RandomAgent):
    def recommend(self, requests, rng):
        requests.exclude[:] = -1
        return super().recommend(requests, rng)


class GlobalNumpy(RandomAgent):
    def recommend(self, requests, rng):
        np.random.random()  # noqa: NPY002
        return super().recommend(requests, rng)


class GlobalTorch(RandomAgent):
    def recommend(self, requests, rng):
        torch.rand(1)
        return super().recommend(requests, rng)


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


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (Mutating, "array.copy()"),
        (GlobalNumpy, "global random generator"),
        (GlobalTorch, "global random generator"),
        (GlobalPython, "global random generator"),
        (Moody, "same seed, other slates"),
        (BatchBound, "one by one"),
        (Forgetful, "save and load all that recommend uses"),
        (BadlyTrained, "save and load all that update uses"),
    ],
)
def test_faults_are_found_and_named(agent, message, world):
    faults = check_agent(agent, world.platform, world.log, STREAM)
    assert any(message in fault for fault in faults)
    assert all("\n" not in fault for fault in faults)


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
        (lambda items, r: {"items": items[:, :-1]}, r"shape \(60, 4\)'.*must be|must be an integer array of shape"),
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
