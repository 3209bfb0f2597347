import numpy as np
import pytest

from agents.bandit_planners import HierarchicalBanditPlanner, ProgressiveBanditPlanner
from agents.cluster_tree import ClusterTree
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords
from tests.agents.planted import STREAM, make_catalog, make_log, request

NOTHING = InteractionLog.concatenate([])
NUM_GROUPS, GROUP = 4, 6  # level-1 clusters, and level-2 clusters in each
NUM = NUM_GROUPS * GROUP
PLANNERS = {
    "hcb": HierarchicalBanditPlanner,
    "hcb shared": lambda **options: HierarchicalBanditPlanner(parameters="shared", **options),
    "phcb": ProgressiveBanditPlanner,
}


@pytest.fixture(params=PLANNERS.values(), ids=PLANNERS)
def make_planner(request):
    return request.param


def topical_clusters(seed=1):
    """Clusters of a group resemble each other."""
    rng = np.random.default_rng(seed)
    group = np.arange(NUM) // GROUP
    centroid = rng.normal(size=(NUM_GROUPS, 256))[group] + 0.8 * rng.normal(size=(NUM, 256))
    centroid /= np.linalg.norm(centroid, axis=1, keepdims=True)
    path = np.stack([group] + [np.arange(NUM)] * 3, axis=1)
    return InterestClusters(path, centroid.astype(np.float32), tuple((f"keyword {c}",) for c in range(NUM)))


def platform_of(num_users):
    clusters = topical_clusters()
    rng = np.random.default_rng(2)
    catalog = make_catalog(np.repeat(np.arange(NUM), 3), clusters.centroid, rng, np.full(3 * NUM, 1000))
    return Platform(PlatformRecords(num_users, catalog, clusters, 10, 30, 20))


def asked(num_users, num_slots):
    nothing = np.full((num_users, 1), -1)
    return request(nothing, nothing, num_slots=num_slots)


def impressions(user, cluster, positive, day=0):
    return make_log(user, cluster, cluster, np.full(len(user), day), positive)


def life(planner, probability, days, num_slots=3, per_day=8, first_day=0):
    """Serve users whose positives on each cluster have a probability (N, M).

    Returns:
        (days,) expected positives of each day's plans as a share of the best plans', and the last plan.
    """
    num_users = len(probability)
    best = np.sort(probability, axis=1)[:, -num_slots:].mean()
    user = np.tile(np.repeat(np.arange(num_users), num_slots), per_day)
    shares = []
    for day in range(first_day, first_day + days):
        plan = planner.propose(asked(num_users, num_slots), STREAM)
        expected = np.take_along_axis(probability, plan.astype(np.int64), axis=1)
        shares.append(expected.mean() / best)
        draws = np.random.default_rng(day).random(len(user))
        planner.update(
            impressions(user, np.tile(plan.ravel(), per_day), draws < np.tile(expected.ravel(), per_day), day), STREAM
        )
    return np.array(shares), plan


def topical_tastes(num_users=150):
    """Each user loves one group."""
    group = np.random.default_rng(5).integers(0, NUM_GROUPS, num_users)
    return np.where(np.arange(NUM) // GROUP == group[:, None], 0.7, 0.1)


@pytest.mark.parametrize("name", ["hcb", "phcb"])
def test_a_world_of_loved_topics_is_learned_to_near_the_optimum(name):
    planner = PLANNERS[name]()
    planner.fit(platform_of(150), NOTHING, STREAM)
    shares, plan = life(planner, topical_tastes(), days=15)
    assert shares[0] < 0.5  # who knows nothing is far from it
    assert shares[-3:].mean() > 0.95
    assert all(len(set(row)) == 3 for row in plan.tolist())


def test_a_world_of_linear_tastes_is_learned_to_near_the_optimum():
    platform = platform_of(150)
    tree = ClusterTree.of(platform.clusters, 16)
    taste = np.random.default_rng(6).normal(size=(150, tree.fine.shape[1]))
    probability = np.clip(0.4 + 0.2 * taste @ tree.fine.T, 0.02, 0.98)
    for planner in (HierarchicalBanditPlanner(), ProgressiveBanditPlanner()):
        planner.fit(platform, NOTHING, STREAM)
        shares, _ = life(planner, probability, days=30)
        assert shares[0] < 0.6
        assert shares[-3:].mean() > 0.9


def test_the_burn_in_is_learned_at_once(make_planner):
    """Fitted on random exposure, plans are good from the first day, and get better.

    Shared parameters need it: they are certain too soon to explore for each user.
    """
    probability = topical_tastes()
    user = np.repeat(np.arange(150), 120)
    rng = np.random.default_rng(7)
    cluster = rng.integers(0, NUM, len(user))
    day = np.tile(np.repeat(np.arange(6), 20), 150)
    order = np.argsort(day, kind="stable")
    positive = rng.random(len(user)) < probability[user, cluster]
    log = make_log(user[order], cluster[order], cluster[order], day[order], positive[order])
    planner = make_planner()
    planner.fit(platform_of(150), log, STREAM)
    shares, _ = life(planner, probability, days=8, first_day=6)
    assert shares[0] > 0.85
    assert shares[-1] > 0.97


def test_every_cluster_can_be_asked_for_and_each_comes_once(make_planner):
    planner = make_planner()
    platform = platform_of(5)
    planner.fit(platform, NOTHING, STREAM)
    life(planner, topical_tastes(5), days=6)
    plan = planner.propose(asked(5, NUM), STREAM)
    assert plan.dtype == np.int32
    assert (np.sort(plan, axis=1) == np.arange(NUM)).all()
    with pytest.raises(InvalidInput, match="num_slots"):
        planner.propose(asked(5, NUM + 1), STREAM)


def test_a_loaded_planner_goes_on_as_the_saved_one(make_planner, tmp_path):
    probability = topical_tastes(40)
    planner, other = make_planner(), make_planner()
    platform = platform_of(40)
    planner.fit(platform, NOTHING, STREAM)
    life(planner, probability, days=4)
    planner.save(tmp_path)
    other.load(tmp_path, platform)
    for day in (4, 5, 6):
        _, plan = life(planner, probability, days=1, first_day=day)
        _, others = life(other, probability, days=1, first_day=day)
        assert (plan == others).all()
    before, after = planner._state(), other._state()
    assert all((before[name] == after[name]).all() for name in before)
    wider = make_planner(width=3)
    with pytest.raises(InvalidInput, match="checkpoint"):
        wider.load(tmp_path, platform)


def test_a_user_in_a_crowd_is_planned_for_as_if_alone(make_planner):
    probability = topical_tastes(30)
    planner = make_planner()
    planner.fit(platform_of(30), NOTHING, STREAM)
    life(planner, probability, days=3)
    crowd = asked(30, 4)
    plan = planner.propose(crowd, STREAM)
    for user in (0, 11, 29):
        columns = {
            name: getattr(crowd, name)[[user]] for name in ("user", "items", "clusters", "watch", "positive", "exclude")
        }
        alone = type(crowd)(**columns, day=crowd.day, num_slots=4)
        assert (planner.propose(alone, STREAM)[0] == plan[user]).all()


def test_hcb_walks_the_path_of_largest_bounds():
    """Both levels are linear bandits over all impressions, whoever chose them."""
    planner = HierarchicalBanditPlanner(alpha=0.7, width=5)
    platform = platform_of(2)
    rng = np.random.default_rng(8)
    cluster, positive = rng.integers(0, NUM, 50), rng.random(50) < 0.4
    planner.fit(platform, impressions(np.zeros(50, np.int64), cluster, positive), STREAM)
    tree = ClusterTree.of(platform.clusters, 5)

    def bounds(nodes, seen):
        x, seen = np.c_[nodes, np.ones(len(nodes))], np.c_[nodes, np.ones(len(nodes))][seen]
        inverse = np.linalg.inv(np.eye(6) + seen.T @ seen)
        return x @ inverse @ seen.T @ positive + 0.7 * np.sqrt(np.einsum("vd,de,ve->v", x, inverse, x))

    broad, fine = bounds(tree.broad, cluster // GROUP), bounds(tree.fine, cluster)
    expected = []
    for _ in range(8):
        group = max((g for g in range(NUM_GROUPS) if broad[g] > -np.inf), key=lambda g: broad[g])
        below = [c for c in range(group * GROUP, (group + 1) * GROUP) if c not in expected]
        expected.append(max(below, key=lambda c: fine[c]))
        if len(below) == 1:
            broad[group] = -np.inf
    assert planner.propose(asked(2, 8), STREAM)[0].tolist() == expected


def test_phcb_expands_what_is_visited_and_liked_enough():
    """p ln 2 = 6.93 visits and q ln 2 = 0.069 positives a visit are needed."""
    planner = ProgressiveBanditPlanner()
    planner.fit(platform_of(4), NOTHING, STREAM)
    liked_late = np.zeros(16, bool)
    liked_late[15] = True
    for user, positive in ((0, np.ones(6, bool)), (1, np.ones(7, bool)), (2, np.zeros(50, bool)), (3, liked_late)):
        planner.update(impressions(np.full(len(positive), user), np.full(len(positive), 7), positive), STREAM)
    assert not planner._expanded[[0, 2, 3]].any()  # too few visits; never liked; 1 / 16 = 0.0625
    assert planner._expanded[1].tolist() == [False, True, False, False]
    planner.update(impressions(np.full(2, 3), np.full(2, 8), np.ones(2, bool)), STREAM)
    assert planner._expanded[3].tolist() == [False, True, False, False]  # at 2 / 17
    assert planner._num_visits[3, 1] == 17  # visits to its children are no longer counted


def test_phcb_takes_the_largest_depth_times_bound_of_its_field():
    planner = ProgressiveBanditPlanner(width=5)
    platform = platform_of(1)
    rng = np.random.default_rng(9)
    cluster, positive = np.repeat([7, 8, 13, 1], 5), rng.random(20) < 0.5
    positive[:2] = True
    planner.fit(platform, impressions(np.zeros(20, np.int64), cluster, positive), STREAM)
    assert planner._expanded[0].tolist() == [False, True, False, False]
    tree = ClusterTree.of(platform.clusters, 5)
    broad, fine = np.c_[tree.broad, np.ones(NUM_GROUPS)], np.c_[tree.fine, np.ones(NUM)]
    seen = []  # features and rewards, in order: the level-1 cluster's while it is whole, and the level-2 cluster's
    for nth, c in enumerate(cluster):
        whole = c // GROUP != 1 or nth < 7
        seen += [(broad[c // GROUP], positive[nth])] * int(whole) + [(fine[c], positive[nth])]
    x, r = np.array([s[0] for s in seen]), np.array([s[1] for s in seen])
    inverse = np.linalg.inv(np.eye(6) + x.T @ x)

    def bound(v):
        return v @ inverse @ x.T @ r + 0.5 * np.sqrt(v @ inverse @ v)

    field = {("broad", g): 2 * bound(broad[g]) for g in (0, 2, 3)}
    field |= {("fine", c): 3 * bound(fine[c]) for c in range(6, 12)}
    expected = []
    while len(expected) < 10:
        level, node = max(field, key=field.get)
        if level == "fine":
            expected.append(node)
            del field[level, node]
            continue
        below = [c for c in range(node * GROUP, (node + 1) * GROUP) if c not in expected]
        expected.append(max(below, key=lambda c: bound(fine[c])))
        if len(below) == 1:
            del field[level, node]
    assert planner.propose(asked(1, 10), STREAM)[0].tolist() == expected


def test_shared_parameters_distinguish_users_by_their_profile():
    """Users 0 and 1 like different groups; user 2 did too, but long ago, and lately the other."""
    planner = HierarchicalBanditPlanner(parameters="shared", alpha=0.0)
    planner.fit(platform_of(3), NOTHING, STREAM)
    for day in range(4):
        user, cluster = np.repeat([0, 1], NUM), np.tile(np.arange(NUM), 2)
        positive = cluster // GROUP == user
        planner.update(impressions(user, cluster, positive, day), STREAM)
    for day, group in ((4, 0), (40, 1)):
        planner.update(impressions(np.full(4, 2), group * GROUP + np.arange(4), np.ones(4, bool), day), STREAM)
    plan = planner.propose(asked(3, 3), STREAM)
    assert (plan // GROUP).tolist() == [[0] * 3, [1] * 3, [1] * 3]


def test_shared_bounds_are_those_of_the_features_with_profile():
    planner = HierarchicalBanditPlanner(parameters="shared", alpha=0.7, width=5)
    planner.fit(platform_of(3), NOTHING, STREAM)
    tree, rng = planner._tree, np.random.default_rng(10)
    user, cluster, positive = rng.integers(0, 3, 60), rng.integers(0, NUM, 60), rng.random(60) < 0.5
    for day in range(3):
        rows = slice(20 * day, 20 * day + 20)
        planner.update(impressions(user[rows], cluster[rows], positive[rows], day), STREAM)
    on_day = np.arange(60) // 20

    def features(who, what, day):
        """(z, 1, u * z), u the discounted mean of what was liked on earlier days."""
        mine = (on_day < day) & (user == who) & positive
        weight = 0.5 ** (-on_day[mine] / 7)
        profile = weight @ tree.fine[cluster[mine]] / weight.sum() if mine.any() else np.zeros(5)
        return np.r_[tree.fine[what], 1, profile * tree.fine[what]]

    x = np.array([features(*row) for row in zip(user, cluster, on_day, strict=True)])
    inverse = np.linalg.inv(np.eye(11) + x.T @ x)
    ours = planner._bounds(np.arange(3), planner._fine, tree.fine)
    for u in range(3):
        for c in range(NUM):
            v = features(u, c, 3)
            stated = v @ inverse @ x.T @ positive + 0.7 * np.sqrt(v @ inverse @ v)
            assert ours[u, c] == pytest.approx(stated, abs=1e-9)


def test_bytes_a_user_are_as_stated():
    for planner, stated in ((HierarchicalBanditPlanner(), 4896), (ProgressiveBanditPlanner(), 2448 + 9 * NUM_GROUPS)):
        sizes = []
        for num_users in (10, 20):
            planner.fit(platform_of(num_users), NOTHING, STREAM)
            sizes.append(sum(array.nbytes for array in planner._state().values()))
        assert (sizes[1] - sizes[0]) / 10 == stated


def test_features_are_the_principal_components_of_mean_embeddings():
    clusters = topical_clusters()
    tree = ClusterTree.of(clusters, 100)  # all that there are
    assert tree.fine.shape == (NUM, NUM - 1)
    assert (tree.fine**2).sum(axis=1).mean() == pytest.approx(1)
    assert tree.broad == pytest.approx(tree.fine.reshape(NUM_GROUPS, GROUP, -1).mean(axis=1))
    embedding = clusters.centroid.astype(np.float64)
    distance = np.linalg.norm(embedding[:, None] - embedding, axis=2)
    ours = np.linalg.norm(tree.fine[:, None] - tree.fine, axis=2)
    assert ours / ours[0, 1] == pytest.approx(distance / distance[0, 1])
    spread = ClusterTree.of(clusters, 4).fine.var(axis=0)
    assert (np.diff(spread) < 0).all()
    assert spread.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HierarchicalBanditPlanner(alpha=-0.1), "alpha"),
        (lambda: HierarchicalBanditPlanner(width=0), "width"),
        (lambda: HierarchicalBanditPlanner(parameters="mine"), "must be one of user, shared"),
        (lambda: ProgressiveBanditPlanner(alpha=float("nan")), "alpha"),
        (lambda: ProgressiveBanditPlanner(visits=-1), "visits"),
        (lambda: ProgressiveBanditPlanner(reward=float("inf")), "reward"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
