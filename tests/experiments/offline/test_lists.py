"""Agents' recommendation lists; an agent with the future's log scores perfectly."""

import numpy as np
import pytest

from agents.base import Agent, Recommendations
from agents.making import build_agent
from experiments.offline.lists import Lists, distinct, greedy, recommended_lists
from experiments.offline.outcome import Past, measured
from experiments.offline.replay import replay
from experiments.offline.split import split
from experiments.offline.tasks import tasks_of
from sim.errors import InvalidInput
from sim.hidden.config import PlatformConfig
from sim.platform import Platform
from sim.random import RandomStream
from tests.composing import compose
from tests.experiments.offline.ring import NUM_CLUSTERS, ring_dataset

STREAM = RandomStream(4, "answers")
MEMORY = PlatformConfig(history_length=50, history_days=30, seen_length=40, max_requests_per_day=12)


@pytest.fixture(scope="module")
def morning():
    parts = split(ring_dataset(), 2)
    return parts, replay(parts.history, parts.cluster_of_item, parts.day, MEMORY, exclude_seen=True)


@pytest.fixture(scope="module")
def production(morning):
    parts, records = morning
    made = build_agent({**config_of("sequence"), "epochs": 1}, "production")
    made.fit(Platform(records), parts.history.log, STREAM)
    return made


def config_of(agent):
    return greedy(dict(compose(overrides=[f"+agent={agent}"]).agent))


class Knowing(Agent):
    """Shows, of the clusters that the ring has next for a user, the items that will please first."""

    def __init__(self, liked, plans):
        self.liked, self.plans = liked, plans

    def fit(self, platform, log, rng):
        self.platform = platform

    def recommend(self, requests, rng):
        items = np.empty((len(requests), requests.num_slots), np.int64)
        for row, user in enumerate(requests.user):
            first = np.setdiff1d(self.liked.item[self.liked.user == user], requests.exclude[row])
            rest = np.setdiff1d(self.platform.live_items(), np.concatenate([first, requests.exclude[row]]))
            items[row] = [*first, *rest][: requests.num_slots]
        ring = (requests.user[:, None] + requests.day + np.arange(requests.num_slots)) % NUM_CLUSTERS
        return Recommendations(items, cluster=ring.astype(np.int32) if self.plans else None)


def test_an_agent_with_the_future_log_is_perfect(morning):
    parts, records = morning
    platform = Platform(records)
    given = {}
    for name, agent in (("knows", Knowing(parts.liked, True)), ("shows", Knowing(parts.liked, False))):
        agent.fit(platform, parts.history.log, STREAM)
        given[name] = recommended_lists(agent, name, records, parts.asked, 6, STREAM)
    tasks = tasks_of(parts, platform, records.requests(parts.asked, 6))
    actual = measured(given, tasks, Past.of(parts, platform), "shows", STREAM, 100)
    for name, of_task in actual.items():
        best = of_task["agents"]["knows"]["measures"]
        for measure in ("recall", "ndcg", "mrr"):
            assert best[measure] == pytest.approx({"value": 1, "low": 1, "high": 1}), (name, measure)
    assert actual["next_item"]["users"] == len(parts.asked) == 120
    # The day before the ring's next two clusters: a slate of 6 has both days' items and so both clusters.
    assert actual["next_novel_cluster"]["targets"] == 2 * 120
    assert actual["next_novel_cluster"]["agents"]["knows"]["measures"]["serendipity"]["value"] == pytest.approx(2 / 6)
    assert actual["next_novel_cluster"]["agents"]["shows"]["measures"]["recall"]["value"] == 1
    assert actual["next_cluster"]["differences"]["knows"]["recall"]["p_holm"] is None


def test_counts_find_the_next_cluster_of_the_ring_and_popularity_does_not(morning, production):
    parts, records = morning
    platform = Platform(records)
    given = {}
    for name in ("counts", "popular", "popular_novel", "random_novel", "random"):
        agent = build_agent(config_of(name), name)
        agent.bind(production)
        agent.fit(platform, parts.history.log, STREAM)
        given[name] = recommended_lists(agent, name, records, parts.asked, 2, STREAM)
    tasks = tasks_of(parts, platform, records.requests(parts.asked, 2))
    actual = measured(given, tasks, Past.of(parts, platform), "popular", STREAM, 300)
    novel = actual["next_novel_cluster"]
    of = {name: agent["measures"]["recall"] for name, agent in novel["agents"].items()}
    assert of["counts"]["value"] > 0.9
    assert of["counts"]["low"] > max(of[name]["high"] for name in of if name != "counts")
    assert novel["differences"]["counts"]["recall"]["p_holm"] < 1e-6
    # Chance is exact: 2 of the 16 clusters that are new to the user, in 2 places.
    assert novel["chance"]["recall"] == pytest.approx(2 / 16)
    assert of["random_novel"]["low"] < 2 / 16 < of["random_novel"]["high"]
    items = actual["next_item"]["agents"]["random"]["measures"]["recall"]
    assert items["low"] <= actual["next_item"]["chance"]["recall"] <= items["high"]


@pytest.mark.parametrize("name", ["counts", "random_novel", "two_tower", "random"])
def test_lists_do_not_depend_on_the_batch(morning, production, name):
    parts, records = morning
    agent = build_agent(config_of(name), name)
    agent.bind(production)
    agent.fit(Platform(records), parts.history.log, STREAM)
    whole, small = (recommended_lists(agent, name, records, parts.asked, 5, STREAM, batch) for batch in (1024, 7))
    np.testing.assert_array_equal(whole.items, small.items)
    np.testing.assert_array_equal(whole.clusters, small.clusters)
    assert whole.planned == small.planned == (name in ("counts", "random_novel"))


def test_an_agent_that_breaks_the_contract_is_named(morning):
    parts, records = morning

    class Repeating(Agent):
        def recommend(self, requests, rng):
            return Recommendations(np.zeros((len(requests), requests.num_slots), np.int64))

    with pytest.raises(InvalidInput, match="agent mine"):
        recommended_lists(Repeating(), "mine", records, parts.asked, 3, STREAM)


def test_no_config_explores():
    config = config_of("counts")
    assert config["ranker"]["exploration"] == 0
    assert config["planner"]["smoothing"] == 20
    assert greedy({"a": [{"exploration": 0.3}], "b": 1}) == {"a": [{"exploration": 0.0}], "b": 1}


def test_a_cluster_stands_where_it_comes_first():
    clusters = np.array([[4, 2, 4, 2, 1], [3, 3, 3, 3, 3], [0, 1, 2, 3, 4], [-1, 5, -1, 5, 0]], np.int32)
    expected = [[4, 2, 1, -1, -1], [3, -1, -1, -1, -1], [0, 1, 2, 3, 4], [5, 0, -1, -1, -1]]
    assert distinct(clusters).tolist() == expected
    assert isinstance(Lists(clusters, distinct(clusters), False).clusters, np.ndarray)
