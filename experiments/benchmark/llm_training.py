"""Cost of a fine-tuning step, compared with a step of transformers' own Trainer on the same batch."""

import statistics
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from agents.llm.batches import Batches
from agents.llm.evaluation import Samples
from agents.llm.model import compute_dtype, load_model, load_tokenizer
from agents.llm.prompt import PromptTokens, tokenise_prompts
from agents.llm.settings import LLMSettings
from agents.llm.updates import Updates
from experiments.benchmark.rows import Row, benchmark_row
from sim.clusters import InterestClusters
from sim.random import RandomStream

PAPER_STEPS = 3000
"""Updates of Wang et al. (2024), figure 4a."""


@dataclass(frozen=True)
class Rival:
    """A way to use the library's Trainer.

    Attributes:
        bf16: its argument; off by default on a processor.
        frozen: whether embeddings are left as they are, as ``llm.freeze_embeddings`` has it; by default all is trained.
    """

    bf16: bool = False
    frozen: bool = False


RIVALS = {
    "transformers' Trainer": Rival(),
    "transformers' Trainer, embeddings frozen": Rival(frozen=True),
    "transformers' Trainer, bf16": Rival(bf16=True),
}
"""Whom we are compared with; the first has every setting as it comes."""


@dataclass
class Turns:
    """Processor seconds of steps on the same batches, in turns, and the first step's losses.

    Attributes:
        trainer, ours: seconds, a step each; the first, which warms up, is left out.
        losses: of the Trainer's and our first step, nats a label token: the same up to rounding.
    """

    trainer: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    losses: tuple[float, float] = (np.nan, np.nan)


def training_rows(
    weights: Path, clusters: InterestClusters, settings: LLMSettings, rng: RandomStream, steps: int = 7
) -> list[Row]:
    """Time our step and the Trainer's, in turns on the same batches, on one thread.

    Both start from the same weights, take AdamW on fp32 weights and clip the gradient to norm 1.
    The Trainer computes the logits of the whole vocabulary at every token, which is the library's
    loss. Batches are ours, of samples of like length, which spares the Trainer pads as well; its
    collation is not timed, ours is. Times are processor time.

    Args:
        weights: the model's folder.
        clusters: what prompts are made of.
        settings: ``precision``, ``batch_size``, ``micro_batch_size``, ``num_keywords``, ``freeze_embeddings``.
        rng: the samples, as many as ``pairs_per_label`` times the clusters.
        steps: timed, for each of ``RIVALS``.

    Returns:
        Rows for ``benchmark.json``: seconds a step; our steps a minute with ``ratio``, the median
        over batches of the Trainer's seconds by ours, and its least and largest value as
        ``ratio_low`` and ``ratio_high``; hours for ``PAPER_STEPS`` on one core.
    """
    prompts = tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(weights))
    samples = _random_samples(clusters.num_clusters, settings.pairs_per_label, rng.at("samples"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        turns = {}
        with tqdm(total=len(RIVALS) * (1 + steps), desc="fine-tuning steps", unit="step", dynamic_ncols=True) as bar:
            for name, rival in RIVALS.items():
                batches = Batches(samples, prompts, settings.batch_size, rng)
                turns[name] = take_turns(weights, prompts, batches, settings, steps, rival, bar)
    finally:
        torch.set_num_threads(threads)
    return _rows(turns)


def take_turns(
    weights: Path,
    prompts: PromptTokens,
    batches: Batches,
    settings: LLMSettings,
    steps: int,
    rival: Rival,
    bar: Any,
) -> Turns:
    """Let the Trainer, used as ``rival`` says, train; after each of its steps, make ours on the same batch."""
    model, theirs = (load_model(weights, torch.float32) for _ in range(2))
    theirs.set_attn_implementation("sdpa")  # the library's default
    model.get_input_embeddings().weight.requires_grad_(not settings.freeze_embeddings)
    theirs.get_input_embeddings().weight.requires_grad_(not rival.frozen)
    updates = Updates(
        model, prompts, compute_dtype(settings.precision), settings.learning_rate, settings.micro_batch_size
    )
    pending: deque[Samples] = deque()  # what the Trainer has fetched and not trained on yet

    def collate(numbers: list[int]) -> dict[str, torch.Tensor]:
        pending.append(batches.at(numbers[0] + 1))
        return full_sequences(prompts, pending[-1])

    with tempfile.TemporaryDirectory() as folder:
        chosen = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=1,  # an item is a whole batch of ours
            max_steps=1 + steps,
            learning_rate=settings.learning_rate,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            bf16=rival.bf16,
        )
        clock = _Clock(updates, pending, bar)
        numbers: Any = range(1 + steps)  # whatever has a length and elements passes for a data set
        trainer = Trainer(theirs, chosen, data_collator=collate, train_dataset=numbers, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    first = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    return Turns(clock.turns.trainer[1:], clock.turns.ours[1:], (float(first), clock.losses[0]))


def full_sequences(prompts: PromptTokens, batch: Samples) -> dict[str, torch.Tensor]:
    """A batch as the library takes it: ``input_ids``, ``attention_mask`` and ``labels``, each (n, L), pads right."""
    triples = zip(batch.first.tolist(), batch.second.tolist(), batch.label.tolist(), strict=True)
    rows = [(prompts.prompt(c1, c2), prompts.label[c]) for c1, c2, c in triples]
    longest = max(len(prompt) + len(label) for prompt, label in rows)
    pads = [longest - len(prompt) - len(label) for prompt, label in rows]
    padded = list(zip(rows, pads, strict=True))
    return {
        "input_ids": torch.tensor([p + label + (prompts.end,) * pad for (p, label), pad in padded]),
        "attention_mask": torch.tensor([(1,) * (longest - pad) + (0,) * pad for pad in pads]),
        "labels": torch.tensor([(-100,) * len(p) + label + (-100,) * pad for (p, label), pad in padded]),
    }


class _Clock(TrainerCallback):
    """Times the Trainer's steps, and makes and times ours in between."""

    def __init__(self, updates: Updates, pending: deque[Samples], bar: Any) -> None:
        self.turns, self.losses = Turns(), list[float]()
        self._updates, self._pending, self._bar = updates, pending, bar
        self._begun = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The Trainer has its batch."""
        self._begun = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """The Trainer has updated its weights."""
        self.turns.trainer.append(_now() - self._begun)
        begun = _now()
        self.losses.append(self._updates.apply(self._pending.popleft(), 1.0))
        self.turns.ours.append(_now() - begun)
        self._bar.update()


def _now() -> float:
    """Processor seconds of all threads, which others on the machine don't add to; a GPU's must be waited for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def _random_samples(num_clusters: int, per_label: int, rng: RandomStream) -> Samples:
    """``per_label`` samples of each label, of three clusters each."""
    label = np.repeat(np.arange(num_clusters), per_label)
    shift = rng.generator().integers(1, num_clusters, (2, len(label)))
    return Samples((label + shift[0]) % num_clusters, (label + shift[1]) % num_clusters, label)


def _rows(turns: dict[str, Turns]) -> list[Row]:
    rows = [
        benchmark_row("llm", f"fine-tuning step, {name}", each.trainer, "processor-s") for name, each in turns.items()
    ]
    ours = [seconds for each in turns.values() for seconds in each.ours]
    rows.append(benchmark_row("llm", "fine-tuning step", ours, "processor-s"))
    for name, each in turns.items():
        ratios = [theirs / own for theirs, own in zip(each.trainer, each.ours, strict=True)]
        row = benchmark_row("llm", f"fine-tuning beside {name}", [60 / s for s in each.ours], "steps/processor-minute")
        row |= {"against": name, "ratio": statistics.median(ratios)}
        rows.append({**row, "ratio_low": min(ratios), "ratio_high": max(ratios)})
    hours = [seconds * PAPER_STEPS / 3600 for seconds in ours]
    rows.append(
        benchmark_row("llm", f"fine-tuning for {PAPER_STEPS:,} steps, evaluations not counted", hours, "processor-h")
    )
    return rows
