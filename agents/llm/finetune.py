"""Supervised fine-tuning on novel transitions (Wang et al. 2024, section 3.3).

A plain loop: AdamW, linear warm-up, cosine decay to a tenth, loss on the label's tokens only, the
pair of clusters in random order, batches of like length, fp32 weights and moments with forward and
backward passes in ``precision``. Everything drawn at a step is a function of the seed and the
step, so that a killed run goes on from its checkpoint and ends with the same bytes.
"""

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agents.llm.batches import Batches
from agents.llm.checkpoint import load_into, read_checkpoint, write_checkpoint
from agents.llm.curation import Curation, packed
from agents.llm.curve import FINE_TUNING, HELD_OUT, LATER_DAYS, CurvePoints, best_step, peaks
from agents.llm.evaluation import Samples
from agents.llm.files import empty_folder, publish_folder, write_tensors
from agents.llm.model import check_context, compute_dtype, load_model, load_tokenizer, random_model
from agents.llm.prompt import PromptTokens, tokenise_prompts
from agents.llm.settings import OF_ENGINES, OF_TABLES, LLMSettings
from agents.llm.updates import Updates
from agents.llm.weights import weights_digest
from agents.transitions import Transitions
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_json
from sim.random import RandomStream

_LAST_RATE = 0.1  # learning rate at the end, as a share of its peak


def finetune(
    weights: Path,
    clusters: InterestClusters,
    samples: Curation,
    held_out: Transitions,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
    later: Transitions | None = None,
) -> Path:
    """Fine-tune a model and keep its best step; go on from a checkpoint in ``folder`` if there is one.

    The best of the evaluated steps is the one with the lowest loss on held-out pairs; see ``best_step``.

    Args:
        weights: folder of the model to start from, as ``prepare_weights`` gives it.
        clusters: the interest clusters that samples are made of.
        samples: what to fine-tune on.
        held_out: transitions whose pairs are not among the samples: the validation set.
        settings: see ``conf/llm/smollm2.yaml``.
        folder: the run's own; ``model/`` (merged weights, configuration, tokenizer) and
            ``curve.json`` are left there.
        rng: all of the run's randomness.
        later: transitions of days after the samples': the curve's test set, by which nothing is chosen.

    Returns:
        ``folder/model``.

    Raises:
        InvalidInput: there are steps but no samples, the folder belongs to another run, or a
            checkpoint in it is truncated.
    """
    if settings.steps > 0 and len(samples) == 0:
        raise InvalidInput("llm.steps", settings.steps, "the log has no novel transitions to fine-tune on")
    tokenizer = load_tokenizer(weights)
    prompts = tokenise_prompts(clusters, settings.num_keywords, tokenizer)
    check_context(weights, prompts.longest)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, weights_digest(weights), prompts, (samples, held_out, later), settings, rng)
    final = folder / "model"
    if final.is_dir():
        return _tidied(folder)
    model = random_model(weights, rng.at("weights")) if settings.random_weights else load_model(weights, torch.float32)
    points = CurvePoints(
        tokenizer,
        prompts,
        _evaluated(samples, held_out, later, settings, rng),
        settings.pmi_coefficient,
        rng.at("prior"),
    )
    run = _Run(model, points, prompts, samples, settings, folder, rng)
    run.train()
    temporary = empty_folder(folder / "model.unfinished")
    run.merged().save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    publish_folder(temporary, final)
    return _tidied(folder)


def _tidied(folder: Path) -> Path:
    """The finished run's model, after its temporary files were removed; a run may be killed while it removes them."""
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    for path in folder.glob("best-*.safetensors"):
        path.unlink()
    return folder / "model"


class _Run:
    """The state of one fine-tuning run."""

    def __init__(
        self,
        model: Any,
        points: CurvePoints,
        prompts: PromptTokens,
        samples: Curation,
        settings: LLMSettings,
        folder: Path,
        rng: RandomStream,
    ) -> None:
        self.points, self.settings, self.folder = points, settings, folder
        self.batches = Batches(_samples_of(samples), prompts, settings.batch_size, rng)
        self.adapters = None
        if settings.method == "lora":
            model, self.adapters = _with_adapters(model, settings.lora_rank, rng.at("adapters"))
        elif settings.freeze_embeddings:
            model.get_input_embeddings().weight.requires_grad_(False)
            model.get_output_embeddings().weight.requires_grad_(False)
        dtype = compute_dtype(settings.precision)
        self.updates = Updates(model, prompts, dtype, settings.learning_rate, settings.micro_batch_size)
        self.curve: list[dict[str, Any]] = []
        self.best: int | None = None  # step

    def train(self) -> None:
        """Run to the last step, from the newest checkpoint if there is one; load the best step's weights."""
        checkpoints, trained = self.folder / "checkpoint", self.updates.trained
        progress = read_checkpoint(checkpoints, dict(trained), self.updates.optimizer)
        start = 0
        if progress is None:
            self._evaluate(0)
        else:
            start, self.curve, self.best = progress["step"], progress["curve"], progress["best"]
            self.updates.round()
        total = self.settings.steps
        with tqdm(total=total, initial=start, desc="fine-tuning", unit="step", disable=total == 0) as bar:
            for step in range(start + 1, total + 1):
                loss = self._update(step)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update()
                if step % self.settings.eval_every == 0 or step == total:
                    self._evaluate(step)
                if step % self.settings.checkpoint_every == 0 and step < total:
                    state = {"curve": self.curve, "best": self.best}
                    write_checkpoint(checkpoints, step, dict(trained), self.updates.optimizer, state)
                    self._drop_superseded()
        if self.best != total:
            load_into(dict(trained), self._best_file(self.best or 0))
        self._write_curve()

    def merged(self) -> Any:
        """The model with its adapters, if any, multiplied into its weights."""
        return self.updates.model if self.adapters is None else self.adapters.merge_and_unload()

    def _update(self, step: int) -> float:
        """One optimiser step on one batch; gives the batch's loss."""
        rate = rate_at(step, self.settings.warmup_steps, self.settings.steps)
        return self.updates.apply(self.batches.at(step), rate)

    def _evaluate(self, step: int) -> None:
        """Append a point to the curve, and keep the weights if it is the best."""
        self.curve.append(self.points.at(step, self.updates.served))
        self.best = best_step(self.curve)
        self._write_curve()
        if self.best == step < self.settings.steps:  # the last step's weights are in memory anyway
            write_tensors(self._best_file(step), self.updates.trained)

    def _write_curve(self) -> None:
        content = {"best_step": self.best, "peaks": peaks(self.curve), "steps": self.curve}
        write_json(self.folder / "curve.json", content)

    def _best_file(self, step: int) -> Path:
        return self.folder / f"best-{step:06d}.safetensors"

    def _drop_superseded(self) -> None:
        # Only once a checkpoint records the newer best, so that a restart still has the older one.
        for path in self.folder.glob("best-*.safetensors"):
            if path != self._best_file(self.best or 0):
                path.unlink()


def rate_at(step: int, warmup_steps: int, steps: int) -> float:
    """Learning rate at step 1 .. ``steps`` as a share of its peak: linear up, cosine down to a tenth."""
    if step <= warmup_steps:
        return step / warmup_steps
    done = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def _with_adapters(model: Any, rank: int, rng: RandomStream) -> tuple[Any, Any]:
    """The model with LoRA adapters on all linear layers but the head (Hu et al. 2021), and peft's wrapper."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")
    with torch.random.fork_rng():  # peft initialises from the global generator only
        torch.manual_seed(rng.integer_seed())
        wrapper = get_peft_model(model, config)
    return wrapper.get_base_model(), wrapper


def _evaluated(
    samples: Curation, held_out: Transitions, later: Transitions | None, settings: LLMSettings, rng: RandomStream
) -> dict[str, Samples]:
    """What the curve's recalls are taken on."""
    sets = {
        FINE_TUNING: (_samples_of(samples), rng.at("evaluated samples")),
        HELD_OUT: (_distinct(held_out), rng.at("evaluated held-out")),
    }
    if later is not None:
        sets[LATER_DAYS] = _distinct(later), rng.at("evaluated later")
    return {name: _subsample(each, settings.eval_pairs, stream) for name, (each, stream) in sets.items()}


def _samples_of(rows: Curation | Transitions) -> Samples:
    return Samples(rows.first, rows.second, rows.label)


def _distinct(transitions: Transitions) -> Samples:
    """Each triple once, whatever the order of its pair."""
    low, high = transitions.unordered
    size = 1 + max(int(high.max(initial=0)), int(transitions.label.max(initial=0)))
    pair, label = np.divmod(np.unique(packed(low, high, transitions.label, size)), size)
    return Samples(pair // size, pair % size, label)


def _subsample(samples: Samples, num: int, rng: RandomStream) -> Samples:
    return samples.where(np.sort(rng.generator().permutation(len(samples))[:num]))


_IRRELEVANT = ("model", "curation", "pairs_per_label", "held_out_share", "held_out_days", *OF_TABLES, *OF_ENGINES)
"""Settings that act through other arguments of ``finetune``, or only later."""


def _claim(
    folder: Path,
    weights: str,
    prompts: PromptTokens,
    data: tuple[Curation | Transitions | None, ...],
    settings: LLMSettings,
    rng: RandomStream,
) -> None:
    """Note what the run is made of, or check that it is what the folder was begun with."""
    arrays = [a for each in data if each is not None for a in (each.first, each.second, each.label)]
    inputs = {
        "weights": weights,
        "prompts": prompts.digest,
        "samples": hashlib.sha256(b"|".join(a.tobytes() for a in arrays)).hexdigest(),
        "settings": {n: v for n, v in vars(settings).items() if n not in _IRRELEVANT},
        "dtype": str(compute_dtype(settings.precision)).removeprefix("torch."),
        "random": list(rng.path),
    }
    note = folder / "inputs.json"
    if note.is_file() and json.loads(note.read_text()) != inputs:
        raise InvalidInput("folder", str(folder), "holds another fine-tuning run; delete it or choose another folder")
    write_json(note, inputs)
