"""The scorer of novel clusters: what it learns from, how it learns, and what it then knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, logit

from agents.llm import feedback_scorer
from agents.llm.feedback_scorer import (
    HISTORY,
    INTERCEPT_L2,
    Contacts,
    FeedbackScorer,
    PenalisedLogistic,
    principal_components,
    split_parameters,
)
from agents.transitions import POSITIVE_WEIGHT
from sim.errors import InvalidInput
from sim.log import AGENT, PRODUCTION, InteractionLog
from sim.platform import Platform
from tests.agents.llm.themed import NUM, THEME, shared_trait, themed, themed_platform
from tests.agents.planted import make_log, request

VECTORS = principal_components(np.random.default_rng(0).normal(size=(NUM, 5)), 5)


def random_contacts(num=300, num_clusters=6, width=3, seed=0):
    rng = np.random.default_rng(seed)
    profile = rng.normal(size=(num, width)).astype(np.float32)
    cluster = rng.integers(0, num_clusters - 1, num)  # one cluster has no rows
    return Contacts(
        profile,
        cluster.astype(np.int32),
        rng.integers(0, 4, num).astype(np.int8),
        np.arange(num),
        rng.random(num) < 0.4,
    )


def designed(contacts, vector):
    """(R, d) the design matrix written out: source, cluster, and the outer product of profile and vector."""
    outer = np.einsum("ri,rj->rij", contacts.profile, vector[contacts.cluster]).reshape(len(contacts), -1)
    return np.concatenate([np.eye(4)[contacts.source], np.eye(len(vector))[contacts.cluster], outer], axis=1)


@pytest.mark.parametrize("l2", [0.5, 20.0])
def test_the_regression_is_the_textbook_one(l2):
    """Against Newton's method on the written-out design matrix; and the start decides nothing."""
    contacts, weight = random_contacts(), np.random.default_rng(1).random(300) + 0.1
    vector = np.random.default_rng(2).normal(size=(6, 3))
    x, y = designed(contacts, vector), contacts.positive.astype(float)
    penalty = np.r_[np.full(10, INTERCEPT_L2), np.full(9, l2)]

    def loss(p):
        f = x @ p
        return (weight * (np.log1p(np.exp(f)) - y * f)).sum() + (penalty * p * p).sum() / 2

    def gradient(p):
        return x.T @ (weight * (expit(x @ p) - y)) + penalty * p

    def hessian(p):
        q = expit(x @ p)
        return (x * (weight * q * (1 - q))[:, None]).T @ x + np.diag(penalty)

    reference = minimize(loss, np.zeros(19), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-10})
    ours = PenalisedLogistic(contacts, weight, vector, l2)
    for start in (np.zeros(19), np.linspace(-2, 2, 19)):
        assert ours.minimise(start) == pytest.approx(reference.x, abs=1e-4)
    value, slope = ours.loss_and_gradient(reference.x)
    assert value == pytest.approx(reference.fun / weight.sum())
    assert np.abs(slope).max() < 1e-8


def test_the_gradient_is_that_of_the_loss():
    contacts, vector = random_contacts(), np.random.default_rng(2).normal(size=(6, 3))
    objective = PenalisedLogistic(contacts, np.full(300, 0.7), vector, 3.0)
    point = np.random.default_rng(3).normal(size=19)
    numeric = approx_fprime(point, lambda p: objective.loss_and_gradient(p)[0], 1e-7)
    assert objective.loss_and_gradient(point)[1] == pytest.approx(numeric, abs=1e-6)


def test_nothing_to_learn_from_is_no_opinion(tmp_path):
    scorer = FeedbackScorer(7.0, 100.0)
    platform = Platform(themed_platform(4))
    scorer.begin(platform, VECTORS)
    scorer.update(InteractionLog.concatenate([]))
    scorer.save(tmp_path)
    scorer = FeedbackScorer(7.0, 100.0)
    scorer.load(tmp_path, platform)
    assert (scorer._parameters == 0).all()
    nothing = np.full((4, 1), -1)
    assert (scorer.scores(request(nothing, nothing), np.tile(np.arange(NUM), (4, 1))) == 0).all()


def by_loop(rows):
    """What ``Contacts`` should hold, row by row; rows are (user, item, day, consumed, positive)."""
    known, past, actual = set(), {}, []
    for user, item, day, consumed, positive in rows:
        cluster = item % NUM
        if (user, cluster) not in known:
            before = past.get(user, [])[-HISTORY:]
            weight = np.array([POSITIVE_WEIGHT if liked else 1.0 for _, liked in before])
            vectors = np.array([VECTORS[c] for c, _ in before]).reshape(-1, VECTORS.shape[1])
            profile = weight @ vectors / weight.sum() if before else np.zeros(VECTORS.shape[1])
            actual.append((profile, cluster, day, positive))
        if consumed:
            known.add((user, cluster))
            past.setdefault(user, []).append((cluster, positive))
    return actual


row = st.tuples(st.integers(0, 1), st.integers(0, 2 * NUM - 1), st.booleans(), st.booleans())


TWO_USERS = Platform(themed_platform(2))


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(row, max_size=90), cuts=st.tuples(st.integers(0, 90), st.integers(0, 90)))
def test_first_contacts_are_those_of_a_loop_however_the_days_are_cut(rows, cuts):
    rows = [(u, i, n // 10, took or liked, liked) for n, (u, i, took, liked) in enumerate(rows)]
    scorer = FeedbackScorer(7.0, 100.0)
    scorer.begin(TWO_USERS, VECTORS)
    low, high = sorted(cuts)
    for part in (rows[:low], rows[low:high], rows[high:]):
        columns = np.array(part, np.int64).reshape(-1, 5).T
        scorer.update(make_log(columns[0], columns[1], columns[1] % NUM, columns[2], columns[4] > 0, columns[3] > 0))
    expected, actual = by_loop(rows), scorer._contacts
    assert actual.cluster.tolist() == [cluster for _, cluster, _, _ in expected]
    assert actual.day.tolist() == [day for _, _, day, _ in expected]
    assert actual.positive.tolist() == [positive for _, _, _, positive in expected]
    for ours, (profile, *_) in zip(actual.profile, expected, strict=True):
        assert ours == pytest.approx(profile, abs=1e-6)


def test_only_the_latest_contacts_are_kept(monkeypatch):
    monkeypatch.setattr(feedback_scorer, "MEMORY", 5)
    scorer = FeedbackScorer(7.0, 100.0)
    scorer.begin(Platform(themed_platform(1)), VECTORS)
    for day in range(3):
        scorer.update(make_log(np.zeros(4), np.arange(4) + 4 * day, np.arange(4) + 4 * day, np.full(4, day)))
    assert scorer._contacts.cluster.tolist() == [7, 8, 9, 10, 11]


@pytest.fixture(scope="module")
def trait_world():
    return themed(shared_trait())


@pytest.fixture(scope="module")
def taught(trait_world):
    scorer = FeedbackScorer(7.0, 10.0)
    scorer.fit(trait_world.platform, trait_world.log)
    return scorer


def everything(world):
    requests = world.records.requests(np.arange(world.records.num_users), 2)
    return requests, np.tile(np.arange(NUM, dtype=np.int32), (len(requests), 1))


def test_a_planted_taste_is_learned_from_feedback(trait_world, taught):
    """What users like is a trait of two themes of which only one is theirs; likeness of words says nothing of it."""
    requests, candidates = everything(trait_world)
    scores = taught.scores(requests, candidates)
    theme = (np.arange(len(requests)) % 6)[:, None]
    other = (theme % 3 == THEME % 3) & (theme != THEME)
    foreign = theme % 3 != THEME % 3
    better = [(mine[o][:, None] > mine[f]).mean() for mine, o, f in zip(scores, other, foreign, strict=True)]
    assert np.mean(better) > 0.95


def test_feedback_of_new_users_is_learned_and_forgotten():
    liked = np.full((6, NUM), 0.2)
    liked[:, [3, 17]] = 0.8
    world = themed(liked)
    scorer = FeedbackScorer(1.0, 10.0)
    scorer.fit(world.platform, world.log)
    _, b, _ = split_parameters(scorer._parameters, NUM)
    assert set(np.argsort(-b)[:2].tolist()) == {3, 17}
    assert b[[3, 17]].min() - np.delete(b, [3, 17]).max() > 0.5
    user = np.arange(world.records.num_users)
    fresh = user[~world.platform.consumed_clusters(user)[:, 3]]
    scorer.update(make_log(fresh, np.full(len(fresh), 3), np.full(len(fresh), 3), np.full(len(fresh), 20),
                           np.zeros(len(fresh), bool), np.zeros(len(fresh), bool)))  # fmt: skip
    _, b, _ = split_parameters(scorer._parameters, NUM)
    assert b.argmin() == 3
    assert b.argmax() == 17


def test_the_agents_slots_being_harder_is_not_held_against_their_clusters():
    """Production knows whom to show what; the agent mostly shows clusters 0 to 11, which are as good as the others."""
    rng = np.random.default_rng(4)
    cluster, user = rng.integers(0, NUM, 6000), np.arange(6000)
    source = np.where(rng.random(6000) < np.where(cluster < 12, 0.8, 0.2), AGENT, PRODUCTION)
    positive = rng.random(6000) < np.where(source == AGENT, 0.25, 0.5)
    scorer = FeedbackScorer(7.0, 100.0)
    scorer.begin(Platform(themed_platform(6000)), VECTORS)
    scorer.update(make_log(user, cluster, cluster, np.zeros(6000), positive, positive, source=source))
    a, b, _ = split_parameters(scorer._parameters, NUM)
    share = [positive[cluster < 12].mean(), positive[cluster >= 12].mean()]
    assert logit(share[1]) - logit(share[0]) > 0.5
    assert abs(b[12:].mean() - b[:12].mean()) < 0.15
    assert a[PRODUCTION] - a[AGENT] == pytest.approx(logit(0.5) - logit(0.25), abs=0.2)


def test_a_user_is_scored_alike_in_any_batch(trait_world, taught):
    requests, candidates = everything(trait_world)
    scores = taught.scores(requests, candidates)
    for rows in (np.array([0]), np.array([3, 99, 512]), np.arange(100, 107)):
        assert (taught.scores(requests.where(rows), candidates[rows]) == scores[rows]).all()
        assert (taught.scores(requests.where(rows), candidates[rows, 5:8]) == scores[rows, 5:8]).all()


def test_a_loaded_scorer_learns_on_as_the_saved_one(trait_world, taught, tmp_path):
    log = trait_world.log
    scorer = FeedbackScorer(7.0, 10.0)
    scorer.fit(trait_world.platform, log.where(log.day < 5))
    scorer.save(tmp_path)
    other = FeedbackScorer(7.0, 10.0)
    other.load(tmp_path, trait_world.platform)
    requests, candidates = everything(trait_world)
    assert (scorer.scores(requests, candidates) == other.scores(requests, candidates)).all()
    for day in (5, 6, 7):
        for each in (scorer, other):
            each.update(log.where(log.day == day))
        assert (scorer._parameters == other._parameters).all()
    # Fed day by day it is, up to the solver's tolerance, the one that had all at once.
    assert scorer._parameters == pytest.approx(taught._parameters, abs=2e-3)
    with pytest.raises(InvalidInput, match="7 users"):
        other.load(tmp_path, Platform(themed_platform(7)))
    (tmp_path / "feedback.safetensors").write_bytes(b"no")
    with pytest.raises(InvalidInput, match="must be whole"):
        other.load(tmp_path, trait_world.platform)


def test_principal_components_keep_distances():
    points = np.random.default_rng(6).normal(size=(12, 30))
    reduced = principal_components(points, 100)
    assert (reduced**2).sum(axis=1).mean() == pytest.approx(1)
    apart = [np.linalg.norm(p[:, None] - p, axis=2) for p in (points, reduced)]
    assert apart[1] / apart[1][0, 1] == pytest.approx(apart[0] / apart[0][0, 1])
    assert principal_components(points, 4) == pytest.approx(
        reduced[:, :4] / np.sqrt((reduced[:, :4] ** 2).sum(axis=1).mean())
    )


@pytest.mark.parametrize(("half_life_days", "l2"), [(0.0, 1.0), (7.0, 0.0), (7.0, float("inf")), (float("nan"), 1.0)])
def test_bad_settings_are_refused(half_life_days, l2):
    with pytest.raises(InvalidInput, match="must be"):
        FeedbackScorer(half_life_days, l2)


def test_a_missing_wheel_is_reported_at_once(monkeypatch):
    monkeypatch.setattr("agents.text_encoder._WHEEL", "no-such-wheel")
    with pytest.raises(InvalidInput, match="make setup"):
        FeedbackScorer(7.0, 1.0)
