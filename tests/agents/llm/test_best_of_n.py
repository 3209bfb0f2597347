"""Best of n: what is chosen among, and that feedback makes the choice better."""

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.check import CHECKS, examine
from agents.llm.best_of_n import BestOfNPlanner
from agents.llm.planner import LLMTablePlanner
from agents.llm.table import TransitionTable
from agents.novel_choice import choose_novel_by_slot
from agents.sequence import SequenceAgent
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.platform import Platform
from sim.random import RandomStream
from tests.agents.faults import NUM_DRAWS
from tests.agents.llm.themed import NUM, random_table, shared_trait, themed, themed_clusters, themed_platform
from tests.agents.planted import STREAM, planted, successor
from tests.composing import compose

NOTHING = InteractionLog.concatenate([])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Proposes at random: whatever is known of users comes from feedback."""
    return str(random_table(tmp_path_factory.mktemp("table") / "table", themed_clusters()))


@pytest.fixture(scope="module")
def trait_world():
    return themed(shared_trait())


def fitted(planner, world):
    planner.fit(world.platform, world.log, STREAM)
    return planner


def everyone(world, num_slots=2):
    return world.records.requests(np.arange(world.records.num_users), num_slots)


def planned_rate(planner, world):
    """(N,) the mean probability of positive feedback of each user's plan, over five draws of pairs."""
    plans = [planner.propose(everyone(world), STREAM.at(draw)) for draw in range(5)]
    plan = np.concatenate(plans, axis=1).astype(np.int64)
    return np.take_along_axis(world.likes, plan, axis=1).mean(axis=1)


def test_feedback_makes_the_plan_better_and_the_more_proposals_the_better(table, trait_world):
    """Paired over users: the table's first choice shares the trait by chance, the best of n by choice."""
    first = planned_rate(fitted(LLMTablePlanner(table), trait_world), trait_world)
    gain = {}
    for n in (2, 8):
        gain[n] = planned_rate(fitted(BestOfNPlanner(table, n), trait_world), trait_world) - first
        error = gain[n].std(ddof=1) / np.sqrt(len(first))
        assert gain[n].mean() > 8 * error
    assert gain[2].mean() > 0.08
    assert gain[8].mean() > gain[2].mean() + 0.08


def test_noise_is_no_reason_to_prefer_what_is_worse(table, trait_world):
    """Feedback is shuffled over all rows: scores then differ by chance, and the plan is as good as the first entry."""
    log, requests = trait_world.log, everyone(trait_world)
    first = planned_rate(fitted(LLMTablePlanner(table), trait_world), trait_world)
    every = np.tile(np.arange(NUM, dtype=np.int32), (len(requests), 1))
    gain, spread = [], []
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(log.positive)
        planner = BestOfNPlanner(table, 8)
        noisy = InteractionLog(**{**vars(log), "positive": shuffled, "consumed": log.consumed | shuffled})
        planner.fit(trait_world.platform, noisy, STREAM)
        gain.append((planned_rate(planner, trait_world) - first).mean())
        spread.append(planner._scorer.scores(requests, every).std(axis=1).mean())
    assert abs(np.mean(gain)) < 0.03  # undisturbed feedback gains .3
    rate = log.positive.mean()
    assert max(spread) < 1.6 / np.sqrt(len(log) / NUM * rate * (1 - rate))  # the standard error of a cluster's logit


def test_of_one_proposal_nothing_is_left_to_choose(table, trait_world):
    """Exactly the table's planner, taught or not, in any number of slots."""
    planner = fitted(BestOfNPlanner(table, 1), trait_world)
    for num_slots in (1, 3, 10):
        requests = everyone(trait_world, num_slots)
        plain = fitted(LLMTablePlanner(table), trait_world).propose(requests, STREAM)
        assert (planner.propose(requests, STREAM) == plain).all()
        planner.update(trait_world.log.where(slice(0, 50)), STREAM)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 40), num_slots=st.integers(1, 6), width=st.integers(1, 4),
    known=st.floats(0, 1), holes=st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
def test_what_always_holds(tmp_path_factory, seed, n, num_slots, width, known, holes):
    """Plans are distinct; new to the user as long as anything is; proposals as long as there are any."""
    rng = np.random.default_rng(seed)
    clusters, folder = themed_clusters(), tmp_path_factory.mktemp("tables") / "table"
    rows = np.where(rng.random((NUM * NUM, width)) < holes, -1, rng.integers(0, NUM, (NUM * NUM, width)))
    TransitionTable.write(folder, rows, np.full(rows.shape, np.nan), {"clusters_digest": clusters.digest})
    records = themed_platform(12)
    for user in range(12):
        items = np.flatnonzero(rng.random(NUM) < known)[None] if user else np.empty((1, 0), np.int64)
        yes = np.ones(items.shape, bool)
        records.record(np.array([user]), items, yes, yes, yes.astype(np.float32), rng.random(items.shape) < 0.5)
    planner = BestOfNPlanner(str(folder), n)
    planner._proposer.fit(Platform(records), NOTHING, RandomStream(0, "nothing"))
    planner._scorer.begin(Platform(records), rng.normal(size=(NUM, 4)))
    planner._scorer._parameters = rng.normal(size=4 + NUM + 16)
    requests = records.requests(np.arange(12), num_slots)
    plan, offered = planner.propose(requests, STREAM), planner._proposer.candidates(requests, STREAM)
    assert plan.shape == (12, num_slots)
    assert plan.dtype == np.int32
    some = np.sort(rng.permutation(12)[:5])
    assert (planner.propose(requests.where(some), STREAM) == plan[some]).all()
    for user in range(12):
        novel, taken = set(np.flatnonzero(~records.consumed[user]).tolist()), set()
        assert len(set(plan[user].tolist())) == num_slots
        assert len(novel & set(plan[user].tolist())) == min(num_slots, len(novel))
        for slot in range(num_slots):
            chosen = int(plan[user, slot])
            proposals = [c for c in dict.fromkeys(offered[user, slot].tolist()) if c in novel - taken]
            assert not proposals or chosen in proposals[:n]
            taken.add(chosen)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), pool=st.integers(1, 8), num_slots=st.integers(1, 4))
def test_the_choice_by_scores_is_that_of_a_loop(seed, pool, num_slots):
    rng = np.random.default_rng(seed)
    candidates = rng.integers(-1, 9, (10, num_slots, 7)).astype(np.int32)
    consumed = rng.random((10, 9)) < 0.3
    by_cluster = rng.integers(0, 4, (10, 9)).astype(float)  # ties are frequent
    scores = np.take_along_axis(by_cluster[:, None].repeat(num_slots, axis=1), candidates.clip(0), axis=2)
    rows = np.arange(10)
    plan = choose_novel_by_slot(candidates, consumed, STREAM, rows, scores, pool)
    for user in rows:
        taken = consumed[user].copy()
        for slot in range(num_slots):
            free = [c for c in dict.fromkeys(candidates[user, slot].tolist()) if c >= 0 and not taken[c]][:pool]
            if free:
                best = max(free, key=lambda c: by_cluster[user, c])  # the first of equal ones
                assert plan[user, slot] == best
                taken[best] = True
    if pool == 1:
        assert (plan == choose_novel_by_slot(candidates, consumed, STREAM, rows)).all()


def test_the_configured_agent_keeps_the_contract(tmp_path):
    world = planted(successor(), num_users=24, days=3, per_day=4)
    production = SequenceAgent(epochs=1)
    production.fit(world.platform, world.log, STREAM)
    folder = random_table(tmp_path / "table", world.platform.clusters, top_n=4)
    config = compose(overrides=["+agent=llm_best_of_n", f"agent.planner.table={folder}"]).agent
    actual = examine(lambda: instantiate(config)(), world.platform, world.log, STREAM, production, NUM_DRAWS)
    assert [finding for finding in actual if finding.verdict == "fail"] == []
    assert [finding.check for finding in actual] == list(CHECKS)


def test_stored_it_plans_and_learns_the_same(table, trait_world, tmp_path):
    log, requests = trait_world.log, everyone(trait_world)
    planner = BestOfNPlanner(table, 4)
    planner.fit(trait_world.platform, log.where(log.day < 6), STREAM)
    planner.save(tmp_path)
    again = BestOfNPlanner(table, 4)
    again.load(tmp_path, trait_world.platform)
    for day in (6, 7):
        assert (planner.propose(requests, STREAM) == again.propose(requests, STREAM)).all()
        for each in (planner, again):
            each.update(log.where(log.day == day), STREAM)
    assert (planner.propose(requests, STREAM) == again.propose(requests, STREAM)).all()


def test_a_table_for_other_clusters_is_refused(table):
    with pytest.raises(InvalidInput, match="other clusters"):
        BestOfNPlanner(table).fit(planted(successor(), days=1).platform, NOTHING, STREAM)


@pytest.mark.parametrize("n", [0, -3])
def test_at_least_one_proposal_is_needed(table, n):
    with pytest.raises(InvalidInput, match=r"n=.*at least 1"):
        BestOfNPlanner(table, n)
