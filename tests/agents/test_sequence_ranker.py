import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.sequence import SequenceAgent
from agents.sequence_ranker import SequenceRanker
from tests.agents.planted import STREAM, planted, successor


@pytest.fixture(scope="module")
def world():
    return planted(successor())


@pytest.fixture(scope="module")
def ranker(world):
    production = SequenceAgent(epochs=1)
    production.fit(world.platform, world.log, STREAM)
    ranker = SequenceRanker(exploration=1)
    ranker.bind(production)
    ranker.fit(world.platform, world.log, STREAM)
    return ranker


def candidates_one_by_one(world, allowed, exclude):
    live = world.platform.live_items()
    filed = world.platform.cluster_of_item
    return [
        {int(item) for item in live if filed[item] in clusters and item not in shown}
        for clusters, shown in zip(allowed, exclude, strict=True)
    ]


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_candidates_are_the_clusters_live_items_less_what_is_excluded(world, ranker, seed):
    """Dead items, pads, repeated clusters and repeated exclusions among them."""
    rng = np.random.default_rng(seed)
    allowed, exclude = rng.integers(-1, 8, (6, 3)), rng.integers(-1, 240, (6, 40))
    row, item = ranker._candidates(allowed, exclude)
    assert (np.diff(row) >= 0).all()
    expected = candidates_one_by_one(world, allowed, exclude)
    for user in range(6):
        own = item[row == user].tolist()
        assert len(own) == len(set(own))
        assert set(own) == expected[user]


def test_only_candidates_are_scored(world, ranker, monkeypatch):
    """The cost is that of the candidates: one score each, and never the whole catalog's."""
    scored = []
    scores = ranker.model.scores

    def counted(state, items):
        scored.append(items.size)
        return scores(state, items)

    monkeypatch.setattr(ranker.model, "scores", counted)
    monkeypatch.setattr(ranker.model, "live_scores", lambda state: pytest.fail("scored the whole catalog"))
    requests = world.requests(2)
    allowed = (np.arange(len(requests)) % 8)[:, None]
    ranker.rank(requests, allowed, STREAM)
    assert sum(scored) == sum(len(own) for own in candidates_one_by_one(world, allowed, requests.exclude))
