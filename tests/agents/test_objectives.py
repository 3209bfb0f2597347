import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agents.objectives import CrossEntropy, ImpressionLogistic, Scores, TopKReinforce, discounted_returns
from agents.sequence import SequenceAgent
from agents.sequence_training import BehaviourModel
from sim.errors import InvalidInput
from tests.agents.planted import STREAM, loyal, make_log, planted, request


def test_weights_are_the_formula():
    """min(pi / beta, c) * K (1 - pi)^(K - 1) * R at three hand-made points, the last one capped."""
    objective = TopKReinforce(top_k=16, cap=math.e**3)
    log_pi, log_beta = torch.log(torch.tensor([0.1, 0.5, 0.2])), torch.log(torch.tensor([0.2, 0.5, 0.001]))
    expected = [0.5 * 16 * 0.9**15 * 2, 16 * 0.5**15, math.e**3 * 16 * 0.8**15 * 3]
    weights = objective.weights(log_pi.requires_grad_(), log_beta, torch.tensor([2.0, 1.0, 3.0]))
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)
    assert not weights.requires_grad


def test_with_one_slot_there_is_no_multiplier_and_the_cross_entropy_has_no_weights():
    log_pi, log_beta = torch.log(torch.tensor([0.1, 1.0])), torch.log(torch.tensor([0.2, 0.5]))
    reward = torch.tensor([1.0, 4.0])
    assert TopKReinforce(top_k=1).weights(log_pi, log_beta, reward).tolist() == pytest.approx([0.5, 8.0])


def test_the_gradient_is_that_of_the_probability_of_being_in_the_top_k():
    """Uncapped, the estimator's gradient is that of the mean of (1 - (1 - pi)^K) / beta * R (section 4.4)."""
    generator = torch.Generator().manual_seed(0)
    logit = torch.randn(6, generator=generator, dtype=torch.float64).requires_grad_()
    action = torch.tensor([0, 3, 3, 5])
    beta, reward = torch.tensor([0.3, 0.1, 0.1, 0.6]), torch.tensor([1.0, 0.5, 2.0, 1.5])
    objective = TopKReinforce(top_k=4, cap=1e9)
    log_pi = logit.log_softmax(dim=0)[action]
    (-(objective.weights(log_pi, beta.log(), reward) * log_pi).mean()).backward()
    written_out = logit.detach().clone().requires_grad_()
    pi = written_out.softmax(dim=0)[action]
    (-((1 - (1 - pi) ** 4) / beta * reward).mean()).backward()
    assert torch.allclose(logit.grad, written_out.grad, atol=1e-6)


REWARD = np.array([0.5, 0.4, 0.3, 0.2, 0.1])  # of each action, a probability
BETA = np.array([0.02, 0.08, 0.1, 0.2, 0.6])  # shows most what earns least


def best_of_two():
    """The pi that maximises sum of (1 - (1 - pi_a)^2) r_a: 2 (1 - pi_a) r_a is the same wherever pi_a > 0."""
    for num in range(len(REWARD), 0, -1):  # the actions that are played are the best ones
        level = (num - 1) / (1 / REWARD[:num]).sum()
        pi = np.append(1 - level / REWARD[:num], np.zeros(len(REWARD) - num))
        if (pi >= 0).all():
            return pi
    raise AssertionError


def learned(objective):
    """The policy that a log of BETA teaches; each step sees the whole log, equal rows at once."""
    rng = np.random.default_rng(0)
    num = 40_000
    action = rng.choice(len(BETA), num, p=BETA)
    positive = rng.random(num) < REWARD[action]
    user = np.arange(num)  # each impression is a life of its own
    log = make_log(user, action, action * 0, user * 0, positive, propensity=BETA[action])
    reward = objective.rewards(log)
    rows = np.stack([action, np.log(log.propensity), reward], axis=1)[reward > 0]
    kinds, count = (torch.from_numpy(each) for each in np.unique(rows, axis=0, return_counts=True))
    chosen, log_beta, reward = kinds[:, 0].long(), kinds[:, 1], kinds[:, 2]
    logit = torch.zeros(len(BETA), requires_grad=True)
    optimizer = torch.optim.Adam([logit], lr=0.05)
    for _ in range(600):
        log_pi = logit.log_softmax(dim=0)[chosen]
        weight = reward
        if isinstance(objective, TopKReinforce):
            weight = objective.weights(log_pi.detach(), log_beta, reward)
        optimizer.zero_grad()
        (-(count * weight * log_pi).sum() / count.sum()).backward()
        optimizer.step()
    return logit.detach().softmax(dim=0).numpy()


def total_variation(one, other):
    return np.abs(one - other).sum() / 2


def test_the_correction_finds_the_best_distribution_in_a_skewed_log():
    assert best_of_two() == pytest.approx([0.489, 0.362, 0.149, 0, 0], abs=1e-3)
    assert total_variation(learned(TopKReinforce(top_k=2, cap=1e9)), best_of_two()) < 0.05
    assert learned(TopKReinforce(top_k=1, cap=1e9))[0] > 0.97  # one slot: the best action alone


def test_without_it_the_policy_imitates_the_log():
    imitation = BETA * REWARD / (BETA * REWARD).sum()
    assert total_variation(learned(CrossEntropy()), imitation) < 0.02
    assert total_variation(imitation, best_of_two()) > 0.5


def test_returns_are_discounted_sums_of_what_follows():
    user, reward = np.array([1, 0, 1, 1, 0]), np.array([1.0, 2.0, 0.0, 4.0, 8.0])
    assert discounted_returns(user, reward, 0.5) == pytest.approx([1 + 0 + 1, 2 + 4, 2, 4, 8])
    log = make_log(user, user, user, user * 0, positive=[True, False, False, True, True])
    assert TopKReinforce(discount=0.5).rewards(log) == pytest.approx([1.25, 0, 0, 1, 1])
    assert len(discounted_returns(user[:0], reward[:0], 0.5)) == 0


@given(
    user=hnp.arrays(np.int64, st.shared(st.integers(0, 30), key="n"), elements=st.integers(0, 3)),
    reward=hnp.arrays(np.float64, st.shared(st.integers(0, 30), key="n"), elements=st.floats(0, 5)),
    discount=st.floats(0, 0.99),
)
def test_returns_obey_their_recursion(user, reward, discount):
    """G_t = r_t + gamma G_(t + 1)."""
    returns = discounted_returns(user, reward, discount)
    for one in np.unique(user):
        own, earned = returns[user == one], reward[user == one]
        assert own == pytest.approx(earned + discount * np.append(own[1:], 0))


def test_the_behaviour_model_learns_what_was_shown_in_a_state():
    """Two states with opposite habits; all eight items are negatives, so that nothing is left to chance."""
    generator = torch.Generator().manual_seed(0)
    model = BehaviourModel(4, 0.02, generator)
    content = torch.randn(8, 256, generator=generator) / 16
    truth = torch.tensor([[0.02, 0.02, 0.02, 0.04, 0.1, 0.1, 0.2, 0.5], [0.5, 0.2, 0.1, 0.1, 0.04, 0.02, 0.02, 0.02]])
    state = torch.tensor([[2.0, 0, 0, 0], [0, 2.0, 0, 0]])
    total, count = torch.zeros(2, 8), torch.zeros(2, 8)
    for step in range(600):
        which = torch.arange(64) % 2
        shown = torch.multinomial(truth[which], 1, generator=generator)[:, 0]
        hits = shown[:, None] == torch.arange(8)
        log_beta = model.step(state[which], np.arange(8), content, shown, torch.arange(8), torch.zeros(8), hits)
        if step >= 300:
            total[which, shown] += log_beta.exp()
            count[which, shown] += 1
    assert (total / count - truth).abs().max() < 0.03


QUICK = {"num_layers": 1, "learning_rate": 0.004}  # a shorter history would be more windows, so more steps


def skewed_log(num, num_items, repeats=0.7):
    """Behaviour mostly repeats the last cluster, which pleases less than the one after it, which it rarely shows.

    Returns:
        The world, its log, and requests as they follow it; positives are those of the story above.
    """
    world = planted(loyal(strength=repeats), num_users=num, num_items=num_items)
    log = world.log
    before = np.concatenate([log.user[:num] % 8, log.cluster[:-num]])  # all users, then all of them again
    step = (log.cluster - before) % 8  # 0 the same cluster, 1 the next
    others = (1 - repeats) / 8
    propensity = np.where(step == 0, repeats + others, others) / (num_items // 8)
    chance = np.select([step == 0, step == 1], [0.3, 0.9], 0.05)
    positive = np.random.default_rng(3).random(len(log)) < chance
    log = replace(log, positive=positive, watch_fraction=np.where(positive, 0.9, 0.3), propensity=propensity)
    latest = np.arange(len(log)).reshape(-1, num)[-32:].T  # (users, 32)
    requests = request(log.item[latest], log.cluster[latest], positive=positive[latest], num_slots=3)
    return world, log, replace(requests, watch=np.where(positive[latest], 0.9, 0.3).astype(np.float32))


def share_of_the_next_cluster(agent, world, requests):
    shown = world.platform.cluster_of_item[agent.recommend(requests, STREAM).items]
    return (shown == (requests.clusters[:, -1:] + 1) % 8).mean()


@pytest.mark.parametrize(
    ("behaviour", "least", "num_users", "options"),
    [
        ("logged", 0.35, 150, QUICK),
        pytest.param("logged", 0.35, 300, {}, marks=pytest.mark.slow),
        pytest.param("estimated", 0.25, 300, {}, marks=pytest.mark.slow),
    ],
)
def test_reinforcement_sees_through_a_skewed_log(behaviour, least, num_users, options, tmp_path):
    """Far above chance, an eighth; the policy gradient fades where pi does, so that it is slow to finish."""
    world, log, requests = skewed_log(num_users, num_items=40)
    objective = TopKReinforce(top_k=4, behaviour=behaviour, discount=0)
    agent, again = (SequenceAgent(**options, epochs=3, exploration=0, objective=objective) for _ in range(2))
    agent.fit(world.platform, log, STREAM)
    assert share_of_the_next_cluster(agent, world, requests) > least
    agent.save(tmp_path)
    again.load(tmp_path, world.platform)
    for each in (agent, again):
        each.update(log.where(log.day == 5), STREAM)
    assert torch.equal(agent.encode(requests), again.encode(requests))


def test_the_cross_entropy_follows_the_skewed_log():
    world, log, requests = skewed_log(80, num_items=40)
    agent = SequenceAgent(**QUICK, epochs=2, exploration=0, objective=CrossEntropy(logq_correction=1))
    agent.fit(world.platform, log, STREAM)
    assert share_of_the_next_cluster(agent, world, requests) < 0.1


@pytest.mark.parametrize(
    ("options", "field"),
    [({"top_k": 0}, "top_k"), ({"cap": 0}, "cap"), ({"behaviour": "guessed"}, "behaviour"), ({"discount": 1}, "disc")],
)
def test_bad_options_are_refused(options, field):
    with pytest.raises(InvalidInput, match=field):
        TopKReinforce(**options)


def test_bad_options_of_the_other_objectives_are_refused():
    with pytest.raises(InvalidInput, match="logq_correction"):
        CrossEntropy(logq_correction=1.5)
    with pytest.raises(InvalidInput, match="unseen"):
        ImpressionLogistic(unseen=-1)


@pytest.mark.slow
def test_the_logistic_recovers_tastes_with_its_own_settings():
    """As the test below, with unseen items among the negatives and the network of the agent's defaults."""
    world, log, requests = skewed_log(400, num_items=80)
    agent = SequenceAgent(epochs=3, exploration=0, objective=ImpressionLogistic())
    agent.fit(world.platform, log, STREAM)
    assert share_of_the_next_cluster(agent, world, requests) > 0.9


def test_the_logistic_recovers_tastes_from_a_skewed_log_and_is_calibrated():
    """It asks what pleases where it was shown, not what was shown and pleased.

    0.3 of what repeats the last cluster pleases, 0.9 of what follows it, 0.05 of the rest.
    """
    world, log, requests = skewed_log(260, num_items=32, repeats=0.5)
    agent = SequenceAgent(**QUICK, epochs=3, exploration=0, objective=ImpressionLogistic(unseen=0))
    agent.fit(world.platform, log, STREAM)
    assert share_of_the_next_cluster(agent, world, requests) > 0.9
    with torch.no_grad():
        chance = agent.live_scores(agent.encode(requests)).sigmoid().numpy()
    step = (world.platform.cluster_of_item[world.platform.live_items()] - requests.clusters[:, -1:]) % 8
    assert chance[step == 0].mean() == pytest.approx(0.3, abs=0.1)
    assert chance[step == 1].mean() > 0.7
    assert chance[step > 1].mean() == pytest.approx(0.05, abs=0.05)


def test_the_logistic_loss_equals_its_formula():
    target, negative = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([[0.0, 1.0]] * 3)
    scores = Scores(target, negative, torch.zeros(2), torch.zeros(3, 2, dtype=bool), torch.tensor([4.0, 0, 1]), target)
    each = [4 * np.log(1 + np.exp(-1.0)), np.log(1 + np.exp(-2.0)), np.log(1 + np.exp(-0.5))]
    unseen = (np.log(2) + np.log(1 + np.exp(1.0))) / 2
    assert ImpressionLogistic(unseen=0.5).loss(scores).item() == pytest.approx(np.mean(each) + 0.5 * unseen)
