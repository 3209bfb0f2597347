import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.batches import Batches, text_lengths
from agents.llm.evaluation import Samples
from agents.llm.prompt import PromptTokens
from sim.random import RandomStream

RNG = RandomStream(3, "batches")


def prompts_of(lengths):
    """Clusters whose prefixes, suffixes and labels have so many tokens."""
    tokens = [tuple(range(n)) for n in lengths]
    return PromptTokens(tuple(map(str, range(len(tokens)))), *[tuple(tokens)] * 3, 0, *[tuple(tokens)] * 3)


PROMPTS = prompts_of(np.random.default_rng(0).integers(6, 16, 100))


def samples_of(num, seed=0):
    first, second, label = np.random.default_rng(seed).integers(0, 100, (3, num))
    return Samples(np.minimum(first, second), np.maximum(first, second), label)


def triples(batch):
    low, high = np.minimum(batch.first, batch.second), np.maximum(batch.first, batch.second)
    return list(zip(low.tolist(), high.tolist(), batch.label.tolist(), strict=True))


@given(st.integers(1, 700), st.integers(1, 20), st.integers(0, 3))
def test_an_epoch_shows_each_sample_exactly_once(num, size, epoch):
    samples = samples_of(num)
    batches = Batches(samples, PROMPTS, size, RNG)
    steps = range(epoch * batches.an_epoch + 1, (epoch + 1) * batches.an_epoch + 1)
    shown = [batches.at(step) for step in steps]
    assert sorted(t for batch in shown for t in triples(batch)) == sorted(triples(samples))
    sizes = {len(batch) for batch in shown}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_few_tokens_are_pads():
    samples = samples_of(1000)

    def waste(batches):
        lengths = [text_lengths(PROMPTS, batch) for batch in batches]
        return 1 - sum(each.sum() for each in lengths) / sum(len(each) * each.max() for each in lengths)

    rows = np.random.default_rng(1).permutation(1000)
    shuffled = [samples.where(rows[start : start + 16]) for start in range(0, 992, 16)]
    batches = Batches(samples, PROMPTS, 16, RNG)
    bucketed = [batches.at(step) for step in range(1, batches.an_epoch + 1)]
    assert waste(shuffled) > 0.15
    assert waste(bucketed) < 0.03


def test_lengths_come_in_no_order():
    batches = Batches(samples_of(1600), PROMPTS, 16, RNG)
    longest = np.array([text_lengths(PROMPTS, batches.at(step)).max() for step in range(1, 101)])
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.25


def test_a_batch_depends_on_seed_and_step_alone():
    samples = samples_of(100)
    in_turn, at_once = Batches(samples, PROMPTS, 8, RNG), Batches(samples, PROMPTS, 8, RNG)
    for step in range(1, 30):
        last = in_turn.at(step)
    same = at_once.at(29)
    assert (last.first == same.first).all()
    assert (last.label == same.label).all()
    other = Batches(samples, PROMPTS, 8, RandomStream(4, "batches")).at(29)
    assert triples(other) != triples(last)


def test_epochs_and_orders_differ():
    samples = samples_of(64)
    batches = Batches(samples, PROMPTS, 64, RNG)
    first, second = batches.at(1), batches.at(2)
    assert triples(first) != triples(second)
    assert 0.2 < (first.first > first.second).mean() < 0.8


def test_what_the_model_reads():
    prompts = prompts_of([2, 3, 5])
    samples = Samples(np.array([0, 1]), np.array([1, 2]), np.array([2, 0]))
    assert text_lengths(prompts, samples).tolist() == [2 + 3 + 5 - 1, 3 + 5 + 2 - 1]


@pytest.mark.parametrize("num", [1, 15, 16, 17])
def test_fewer_samples_than_a_window(num):
    batches = Batches(samples_of(num), PROMPTS, 16, RNG)
    assert batches.an_epoch == (2 if num == 17 else 1)
    assert sum(len(batches.at(step)) for step in range(1, batches.an_epoch + 1)) == num
