"""Fine-tuning beside the library's Trainer, on a model that takes milliseconds."""

import numpy as np
import pytest
import torch
from tqdm import tqdm

from agents.llm.batches import Batches
from agents.llm.evaluation import Samples
from agents.llm.model import load_tokenizer
from agents.llm.prompt import tokenise_prompts
from sim.random import RandomStream
from tests.agents.llm.conftest import clusters, make_settings, small_weights, weights  # noqa: F401

RNG = RandomStream(2, "benchmark")


@pytest.fixture(scope="module")
def training():
    """The module, not imported where tests are collected: the library's Trainer takes seconds."""
    from experiments.benchmark import llm_training

    return llm_training


def test_both_train_on_the_same_batch(training, small_weights, clusters, make_settings):  # noqa: F811
    """Label tokens alone count, and count the same, in their loss and in ours."""
    rival = next(iter(training.RIVALS.values()))
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(small_weights))
    rows = np.random.default_rng(0).integers(0, 10, (3, 24))
    batches = Batches(Samples(*rows), prompts, 8, RNG)
    turns = training.take_turns(
        small_weights, prompts, batches, make_settings(batch_size=8), 3, rival, tqdm(disable=True)
    )
    assert len(turns.trainer) == len(turns.ours) == 3
    assert min(turns.trainer + turns.ours) > 0
    assert turns.losses[0] == pytest.approx(turns.losses[1], rel=1e-4)


def test_rows(training, small_weights, clusters, make_settings):  # noqa: F811
    threads = torch.get_num_threads()
    rows = training.training_rows(small_weights, clusters, make_settings(pairs_per_label=2), RNG, steps=3)
    assert torch.get_num_threads() == threads
    assert [row["against"] for row in rows if row["against"]] == list(training.RIVALS)
    for row in rows:
        assert row["part"] == "llm"
        assert 0 < row["low"] <= row["value"] <= row["high"]
        if row["against"]:
            assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    seconds = next(row["value"] for row in rows if row["case"] == "fine-tuning step")
    assert rows[-1]["value"] == pytest.approx(seconds * 3000 / 3600)


def test_sequences_as_the_library_takes_them(training, small_weights, clusters):  # noqa: F811
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(small_weights))
    batch = Samples(np.array([0, 1]), np.array([2, 3]), np.array([4, 9]))
    made = training.full_sequences(prompts, batch)
    for row in range(2):
        prompt, label = prompts.prompt(int(batch.first[row]), int(batch.second[row])), prompts.label[batch.label[row]]
        length = int(made["attention_mask"][row].sum())
        assert made["input_ids"][row, :length].tolist() == [*prompt, *label]
        assert made["labels"][row, made["labels"][row] >= 0].tolist() == list(label)
        assert (made["labels"][row, length:] == -100).all()
    assert int(made["attention_mask"].sum(dim=1).max()) == made["input_ids"].shape[1]
