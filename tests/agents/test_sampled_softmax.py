import numpy as np
import torch

from agents.sampled_softmax import NegativeSampler, accidental_hits, sampled_log_probability

NUM = 20
TRUTH = np.arange(1, NUM + 1) ** 1.5 / (np.arange(1, NUM + 1) ** 1.5).sum()


def fitted(corrected):
    """Distribution learned from draws of TRUTH by the sampled loss, with or without correction."""
    rng = np.random.default_rng(0)
    targets = rng.choice(NUM, 20_000, p=TRUTH)
    sampler = NegativeSampler(targets, np.arange(NUM), NUM, from_log=192, uniform=64)
    logits = torch.zeros(NUM, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(400):
        batch = rng.choice(targets, 128)
        negatives, log_expected = sampler.draw(batch, rng)
        if not corrected:
            log_expected = np.zeros_like(log_expected)
        loss = -sampled_log_probability(
            logits[batch],
            logits[negatives].expand(128, -1),
            torch.from_numpy(log_expected),
            torch.from_numpy(accidental_hits(batch, negatives)),
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach().softmax(dim=0).numpy()


def total_variation(one, other):
    return np.abs(one - other).sum() / 2


def test_the_corrected_loss_recovers_the_true_distribution():
    assert total_variation(fitted(corrected=True), TRUTH) < 0.05


def test_the_uncorrected_loss_does_not():
    assert total_variation(fitted(corrected=False), TRUTH) > 0.1


def test_expected_counts_are_those_of_the_mixture():
    targets = np.array([0, 0, 0, 1])
    sampler = NegativeSampler(targets, np.array([1, 2]), 4, from_log=8, uniform=4)
    rng = np.random.default_rng(0)
    counts = np.zeros(4)
    for _ in range(2000):
        negatives, log_expected = sampler.draw(targets, rng)
        counts += np.bincount(negatives, minlength=4) / 2000
    assert np.allclose(counts, [6, 2 + 2, 2, 0], atol=0.15)
    assert np.allclose(np.exp(sampler._log_expected), [6, 4, 2, 0])
    assert np.allclose(log_expected, np.log([6, 4, 2, 1])[negatives])
