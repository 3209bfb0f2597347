import numpy as np
import pytest

from agents.two_tower import TwoTowerAgent, pool_weights
from tests.agents.planted import STREAM, loyal, make_log, planted, request


@pytest.fixture(scope="module")
def world():
    return planted(loyal(strength=0.95))


def test_planted_preferences_are_learned_to_near_the_optimum(world):
    """The best policy stays with the user's cluster, which chance does for an eighth of the slots."""
    agent = TwoTowerAgent(epochs=20, exploration=0)
    agent.fit(world.platform, world.log, STREAM)
    requests = world.requests(3)
    shown = world.platform.cluster_of_item[agent.recommend(requests, STREAM).items]
    recent = requests.clusters[:, -8:]
    favourite = np.array([np.bincount(row, minlength=8).argmax() for row in recent])
    settled = (recent == favourite[:, None]).mean(axis=1) > 0.7  # the others are just moving on
    assert settled.mean() > 0.8
    assert (shown == favourite[:, None])[settled].mean() > 0.9


def test_two_groups_of_users_get_their_two_groups_of_items():
    """Even users are shown and like the even items, odd users the odd ones, with one slip in twenty."""
    world = planted(loyal(num_clusters=2, strength=0.9), num_users=40)
    user, item = world.log.user, world.log.item
    own = user % 2
    item = np.where(np.random.default_rng(0).random(len(user)) < 0.95, item - item % 2 + own, item)
    log = make_log(user, item, item % 2, world.log.day, step=world.log.step)
    agent = TwoTowerAgent(epochs=10, exploration=0)
    agent.fit(world.platform, log, STREAM)
    last = np.arange(len(item)).reshape(-1, 40)[-20:].T  # (users, 20)
    shown = agent.recommend(request(item[last], item[last] % 2, num_slots=5), STREAM).items
    assert (shown % 2 == np.arange(40)[:, None] % 2).mean() > 0.97


def test_pools_are_means():
    valid = np.array([[False, True, True], [False, False, False]])
    positive = np.array([[False, True, False], [False, False, False]])
    weights = pool_weights(valid, positive)
    assert weights[0, 0] == pytest.approx([0, 0.8, 0.2])
    assert weights[0, 1] == pytest.approx([0, 0.8 / 1.05, 0.25 / 1.05])
    assert (weights[1] == 0).all()


def test_stopping_and_going_on_is_as_not_having_stopped(world, tmp_path):
    past, last = world.log.where(world.log.day < 5), world.log.where(world.log.day == 5)
    straight = TwoTowerAgent(epochs=1)
    straight.fit(world.platform, past, STREAM)
    for name in ("before", "straight", "resumed"):
        (tmp_path / name).mkdir()
    straight.save(tmp_path / "before")
    resumed = TwoTowerAgent(epochs=1)
    resumed.load(tmp_path / "before", world.platform)
    for agent, name in ((straight, "straight"), (resumed, "resumed")):
        agent.update(last, STREAM)
        agent.save(tmp_path / name)
    for file in ("model.safetensors", "events.safetensors"):
        assert (tmp_path / "straight" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes()
