import numpy as np
import pytest
from scipy.stats import chisquare

from agents.novel_choice import best_first
from agents.planners import PopularNovelPlanner, RandomNovelPlanner, TransitionCountPlanner
from sim.errors import InvalidInput
from sim.log import InteractionLog
from tests.agents.planted import STREAM, loyal, make_log, planted, request

NOTHING = InteractionLog.concatenate([])


def fresh_world(num_users=6):
    """Nobody has consumed anything."""
    return planted(loyal(), num_users=num_users, days=0)


def walks(*paths, day=0):
    """A log of users 0, 1, ... who consume and like the clusters of their path in order, an event a step."""
    user = np.repeat(np.arange(len(paths)), [len(p) for p in paths])
    cluster = np.concatenate([np.array(p) for p in paths])
    step = np.concatenate([np.arange(len(p)) for p in paths])
    return make_log(user, cluster + 8, cluster, np.full(len(user), day), step=step)


def test_equal_scores_come_in_any_order_and_others_in_theirs():
    score = np.array([[0.5, 0.1, 0.5, 0.9, 0.5, 0.1], [0.2] * 6])
    ranked = np.stack([best_first(score, STREAM.at("ties", call)) for call in range(6000)])
    assert ranked.dtype == np.int32
    assert (ranked[:, 0, 0] == 3).all()
    assert (np.sort(ranked[:, 0, 1:4], axis=1) == [0, 2, 4]).all()
    assert (np.sort(ranked, axis=2) == np.arange(6)).all()
    assert chisquare(np.bincount(ranked[:, 0, 1], minlength=6)[[0, 2, 4]]).pvalue > 1e-3
    assert chisquare(np.bincount(ranked[:, 1, 0])).pvalue > 1e-3


@pytest.mark.parametrize("planner", [PopularNovelPlanner(), TransitionCountPlanner()])
def test_a_clusters_number_does_not_count_where_nothing_is_known(planner):
    """Before anybody liked anything, the first plans had been clusters 0 and 1 for everybody."""
    world = fresh_world()
    planner.fit(world.platform, NOTHING, STREAM)
    first = [planner.propose(world.requests(2), STREAM.at("call", call))[0, 0] for call in range(1000)]
    assert chisquare(np.bincount(first, minlength=8)).pvalue > 1e-3


def test_random_novel_plans_are_novel_distinct_and_uniform():
    world = fresh_world(num_users=8000)
    everyone = np.arange(8000)
    world.records.mark_consumed(everyone, np.full(8000, 2))
    world.records.mark_consumed(everyone, np.full(8000, 5))
    planner = RandomNovelPlanner()
    planner.fit(world.platform, NOTHING, STREAM)
    plan = planner.propose(world.requests(2), STREAM)
    assert plan.dtype == np.int32
    assert (plan[:, 0] != plan[:, 1]).all()
    for slot in range(2):
        counts = np.bincount(plan[:, slot], minlength=8)
        assert counts[[2, 5]].tolist() == [0, 0]
        assert chisquare(np.delete(counts, [2, 5])).pvalue > 1e-3


def test_popular_novel_plans_follow_discounted_positives_and_skip_what_is_known(tmp_path):
    world = planted(loyal(), num_users=3, days=0)
    planner = PopularNovelPlanner(half_life_days=2)
    # On day 8 with a half-life of 2: cluster 5 has 4 * 2^-3 = 0.5, 2 has 2^-0.5, 7 has 3 rows but no positive.
    cluster, day = np.array([5, 5, 5, 5, 2, 7, 7, 7]), np.array([2, 2, 2, 2, 7, 7, 7, 7])
    log = make_log(np.arange(8), cluster + 8, cluster, day, positive=cluster != 7)
    world.records.begin_day(8, world.platform.catalog)
    planner.fit(world.platform, log, STREAM)
    assert planner._popularity.latest[[5, 2, 7]] == pytest.approx([0.5, 2**-0.5, 0])
    for user, known in ((1, 2), (2, 0)):
        world.records.mark_consumed(np.array([user]), np.array([known]))
    for call in range(20):  # what was never liked comes last, in any order
        plan = planner.propose(world.requests(3), STREAM.at(call))
        assert plan[[0, 2], :2].tolist() == [[2, 5], [2, 5]]
        assert plan[1, 0] == 5
        assert len(set(plan[2].tolist()) - {0}) == 3
    planner.save(tmp_path)
    loaded = PopularNovelPlanner(half_life_days=2)
    loaded.load(tmp_path, world.platform)
    world.records.begin_day(12, world.platform.catalog)
    for each in (planner, loaded):
        each.update(make_log(np.zeros(1), np.array([9]), np.array([1]), np.array([12])), STREAM)
        assert each._popularity.latest[[5, 2, 1]] == pytest.approx([0.125, 2**-2.5, 1])
        assert each.propose(world.requests(2), STREAM)[0].tolist() == [1, 2]
    with pytest.raises(InvalidInput, match="half_life_days"):
        PopularNovelPlanner(half_life_days=0)


def test_counts_and_their_smoothing_are_the_textbook_ones():
    world = fresh_world()
    planner = TransitionCountPlanner(smoothing=2)
    # Four users show (0, 1) -> 2 and one (0, 1) -> 3; a last one (4, 5) -> 3.
    log = walks([0, 1, 2], [1, 0, 2], [0, 1, 2], [0, 1, 2], [0, 1, 3], [4, 5, 3])
    planner.fit(world.platform, log, STREAM)
    prior = np.full(8, 1 / 14)
    prior[[2, 3]] = [5 / 14, 3 / 14]
    single = np.zeros(8)
    single[[2, 3]] = [8, 2]  # after 0 and after 1 together
    backed_off = (single + 2 * prior) / 12
    joint = np.zeros(8)
    joint[[2, 3]] = [4, 1]
    expected = (joint + 2 * backed_off) / 7
    actual = planner.probabilities(np.array([[0, 1], [1, 0], [-1, -1]]))
    assert actual[0] == pytest.approx(expected)
    assert actual[1] == pytest.approx(expected)
    assert actual[2] == pytest.approx(prior)
    assert actual.sum(axis=1) == pytest.approx(1)


def test_plans_take_the_likeliest_cluster_that_is_new():
    world = fresh_world()
    planner = TransitionCountPlanner()
    planner.fit(world.platform, walks([0, 1, 2], [0, 1, 2], [0, 1, 3], [4, 5, 6], [4, 5, 6], [4, 5, 6]), STREAM)
    for user, clusters in ((0, [0, 1]), (1, [0, 1, 2]), (2, [4, 5])):
        for cluster in clusters:
            world.records.mark_consumed(np.array([user]), np.array([cluster]))
    requests = request([[8, 9], [8, 9], [12, 13]], [[0, 1], [0, 1], [4, 5]], num_slots=2)
    plan = planner.propose(requests, STREAM)
    assert plan[:, 0].tolist() == [2, 3, 6]
    assert plan[0].tolist() == [2, 3]  # the second slot goes on down the list


def test_days_add_up_to_the_whole(tmp_path):
    """Daily updates know what users did on the days before, also after save and load."""
    world = planted(loyal(strength=0.5))
    whole, daily = TransitionCountPlanner(), TransitionCountPlanner()
    whole.fit(world.platform, world.log, STREAM)
    daily.fit(world.platform, world.log.where(world.log.day == 0), STREAM)
    for day in range(1, 6):
        daily.update(world.log.where(world.log.day == day), STREAM.at(day))
        if day == 3:
            daily.save(tmp_path)
            daily = TransitionCountPlanner()
            daily.load(tmp_path, world.platform)
    # Which pair an event is given is drawn anew, but not which events there are.
    assert daily._counts._label.sum() > 100
    assert (daily._counts._label == whole._counts._label).all()
    assert daily._counts._pair_count.sum() == whole._counts._pair_count.sum()


def test_old_rows_are_kept_only_where_they_make_a_cluster_known():
    world = fresh_world()
    planner = TransitionCountPlanner(history_days=10)
    planner.fit(world.platform, walks([0, 1, 0, 0]), STREAM)
    planner.update(walks([2], day=20), STREAM)
    assert planner._counts._label.sum() == 0  # nothing recent to come from
    planner.update(walks([0, 3], day=25), STREAM)
    assert planner._counts._label.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]  # 0 is known; 3 came after 2 and 0
    assert sorted(zip(planner._kept.day.tolist(), planner._kept.cluster.tolist(), strict=True)) == [
        (0, 0), (0, 1), (20, 2), (25, 0), (25, 3),
    ]  # fmt: skip


def test_smoothing_must_be_positive():
    with pytest.raises(InvalidInput, match="smoothing"):
        TransitionCountPlanner(smoothing=0)
