"""Supervised fine-tuning on novel transitions (Wang et al. 2024, section 3.3).

A plain loop: AdamW, linear warm-up, cosine decay to a tenth, loss on the label's tokens only, the
pair of clusters in random order, fp32 weights and moments with matrix products in bf16 where
``precision`` says so. Everything drawn at a step is a function of the seed and the step, so that
a killed run goes on from its checkpoint and ends with the same bytes.
"""

import copy
import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agents.llm.checkpoint import load_into, read_checkpoint, write_checkpoint
from agents.llm.curation import Curation
from agents.llm.evaluation import Samples, label_loss, match_rate, recalls
from agents.llm.files import empty_folder, publish_folder, write_tensors
from agents.llm.model import check_context, compute_dtype, load_model, load_tokenizer, random_model
from agents.llm.prompt import PromptTokens, tokenise_prompts
from agents.llm.scoring import label_prior, random_pairs
from agents.llm.settings import OF_ENGINES, OF_TABLES, LLMSettings
from agents.llm.trie import LabelTrie
from agents.llm.weights import weights_digest
from agents.transitions import Transitions
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_json
from sim.random import RandomStream

_LAST_RATE = 0.1  # learning rate at the end, as a share of its peak
_CLIP_NORM = 1.0  # largest norm of the gradient
_PRIOR_PAIRS = 64  # for the correction of the curve's recalls (chosen: 256, as for the table, would take too long)
_WEIGHT_DECAY = 0.0  # a hundred steps leave nothing to decay


def finetune(
    weights: Path,
    clusters: InterestClusters,
    samples: Curation,
    held_out: Transitions,
    settings: LLMSettings,
    folder: Path,
    rng: RandomStream,
) -> Path:
    """Fine-tune a model and keep its best step; go on from a checkpoint in ``folder`` if there is one.

    The best of the evaluated steps is the one with the highest strict match rate, counted in
    whole tenths; among those the highest held-out recall@10; among those the latest. That is the
    order in which the paper's figure 4a is read: first the language must be learned, then
    alignment decides.

    Args:
        weights: folder of the model to start from, as ``prepare_weights`` gives it.
        clusters: the interest clusters that samples are made of.
        samples: what to fine-tune on.
        held_out: transitions whose pairs are not among the samples: the validation set.
        settings: see ``conf/llm/smollm2.yaml``.
        folder: the run's own; ``model/`` (merged weights, configuration, tokenizer) and
            ``curve.json`` are left there.
        rng: all of the run's randomness.

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
    _claim(folder, weights_digest(weights), prompts, samples, held_out, settings, rng)
    final = folder / "model"
    if final.is_dir():
        return final
    model = random_model(weights, rng.at("weights")) if settings.random_weights else load_model(weights, torch.float32)
    run = _Run(model, tokenizer, prompts, samples, held_out, settings, folder, rng)
    run.train()
    temporary = empty_folder(folder / "model.unfinished")
    run.merged().save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    publish_folder(temporary, final)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    for path in folder.glob("best-*.safetensors"):
        path.unlink()
    return final


class _Run:
    """The state of one fine-tuning run."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: PromptTokens,
        samples: Curation,
        held_out: Transitions,
        settings: LLMSettings,
        folder: Path,
        rng: RandomStream,
    ) -> None:
        self.tokenizer, self.prompts, self.settings, self.folder, self.rng = tokenizer, prompts, settings, folder, rng
        self.trie = LabelTrie.build(prompts.label)
        self.samples = Samples(samples.first, samples.second, samples.label)
        self.seen = _subsample(self.samples, settings.eval_pairs, rng.at("evaluated samples"))
        self.unseen = _subsample(
            _distinct(held_out.first, held_out.second, held_out.label),
            settings.eval_pairs,
            rng.at("evaluated held-out"),
        )
        self.prior_pairs = random_pairs(len(prompts), _PRIOR_PAIRS, rng.at("prior"))
        self.dtype = compute_dtype(settings.precision)
        # Attention by plain products: the fused kernel's backward pass is slow on such short texts.
        model.set_attn_implementation("eager")
        self.model, self.adapters = model, None
        if settings.method == "lora":
            self.model, self.adapters = _with_adapters(model, settings.lora_rank, rng.at("adapters"))
        elif settings.freeze_embeddings:
            model.get_input_embeddings().weight.requires_grad_(False)
            model.get_output_embeddings().weight.requires_grad_(False)
        # Evaluated is what will be served: the weights rounded to the precision of the products.
        self.served = copy.deepcopy(self.model)
        for parameter in self.served.parameters():  # not the buffers: angles of positions stay exact when served
            parameter.data = parameter.data.to(self.dtype)
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.trained.values(), lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY, fused=True
        )
        self.curve: list[dict[str, Any]] = []
        self.best: int | None = None  # step

    def train(self) -> None:
        """Run to the last step, from the newest checkpoint if there is one; load the best step's weights."""
        checkpoints = self.folder / "checkpoint"
        progress = read_checkpoint(checkpoints, dict(self.trained), self.optimizer)
        start = 0
        if progress is None:
            self._evaluate(0)
        else:
            start, self.curve, self.best = progress["step"], progress["curve"], progress["best"]
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
                    write_checkpoint(checkpoints, step, dict(self.trained), self.optimizer, state)
                    self._drop_superseded()
        if self.best != total:
            load_into(dict(self.trained), self._best_file(self.best or 0))
        write_json(self.folder / "curve.json", {"best_step": self.best, "steps": self.curve})

    def merged(self) -> Any:
        """The model with its adapters, if any, multiplied into its weights."""
        return self.model if self.adapters is None else self.adapters.merge_and_unload()

    def _update(self, step: int) -> float:
        """One optimiser step on one batch; gives the batch's loss."""
        batch = self._batch(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate_at(step, self.settings.warmup_steps, self.settings.steps)
        device = self.model.device.type
        with torch.autocast(device, self.dtype, enabled=self.dtype != torch.float32):
            loss = label_loss(self.model, self.prompts, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained.values(), _CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def _batch(self, step: int) -> Samples:
        """The step's samples: epochs are shuffled anew, a batch may span two; pairs in random order."""
        size, num = self.settings.batch_size, len(self.samples)
        places = np.arange((step - 1) * size, step * size)
        shuffles = {e: self.rng.at("epoch", int(e)).generator().permutation(num) for e in np.unique(places // num)}
        batch = self.samples.where(np.array([shuffles[p // num][p % num] for p in places]))
        swap = self.rng.at("order", step).generator().random(size) < 0.5
        return Samples(
            np.where(swap, batch.second, batch.first), np.where(swap, batch.first, batch.second), batch.label
        )

    def _evaluate(self, step: int) -> None:
        """Append a point to the curve, and keep the weights if it is the best."""
        self.served.load_state_dict(self.model.state_dict())
        spoken = self.unseen if len(self.unseen) else self.seen
        prior = label_prior(self.served, self.prompts, self.trie, *self.prior_pairs)
        correction = self.settings.pmi_coefficient * prior
        with torch.inference_mode():
            loss = float(label_loss(self.served, self.prompts, self.unseen)) if len(self.unseen) else math.nan
        point = {
            "step": step,
            "match_rate": match_rate(self.served, self.tokenizer, self.prompts, spoken),
            "fine_tuning": recalls(self.served, self.prompts, self.trie, self.seen, correction),
            "held_out": recalls(self.served, self.prompts, self.trie, self.unseen, correction),
            "held_out_loss": loss,
        }
        self.curve.append(_without_nan(point))
        self.best = max(self.curve, key=_merit)["step"]
        write_json(self.folder / "curve.json", {"best_step": self.best, "steps": self.curve})
        if self.best == step < self.settings.steps:  # the last step's weights are in memory anyway
            write_tensors(self._best_file(step), self.trained)

    def _best_file(self, step: int) -> Path:
        return self.folder / f"best-{step:06d}.safetensors"

    def _drop_superseded(self) -> None:
        # Only once a checkpoint knows the newer best, lest a restart miss the older.
        for path in self.folder.glob("best-*.safetensors"):
            if path != self._best_file(self.best or 0):
                path.unlink()


def rate_at(step: int, warmup_steps: int, steps: int) -> float:
    """Learning rate at step 1 .. ``steps`` as a share of its peak: linear up, cosine down to a tenth."""
    if step <= warmup_steps:
        return step / warmup_steps
    done = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def _merit(point: Mapping[str, Any]) -> tuple[float, float, int]:
    """What the best step is best in; see ``finetune``."""
    recall = point["held_out"]["recall@10"]
    return math.floor(10 * (point["match_rate"] or 0.0) + 1e-9), -1.0 if recall is None else recall, point["step"]


def _without_nan(content: Any) -> Any:
    """JSON knows no nan: None instead."""
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    return None if isinstance(content, float) and math.isnan(content) else content


def _with_adapters(model: Any, rank: int, rng: RandomStream) -> tuple[Any, Any]:
    """The model with LoRA adapters on all linear layers but the head (Hu et al. 2021), and peft's wrapper."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")
    with torch.random.fork_rng():  # peft initialises from the global generator only
        torch.manual_seed(rng.integer_seed())
        wrapper = get_peft_model(model, config)
    return wrapper.get_base_model(), wrapper


def _distinct(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any], label: np.ndarray[Any, Any]) -> Samples:
    """Each triple once, whatever the order of its pair."""
    rows = np.unique(np.stack([np.minimum(first, second), np.maximum(first, second), label], axis=1), axis=0)
    return Samples(rows[:, 0], rows[:, 1], rows[:, 2])


def _subsample(samples: Samples, num: int, rng: RandomStream) -> Samples:
    return samples.where(np.sort(rng.generator().permutation(len(samples))[:num]))


_IRRELEVANT = ("model", "curation", "pairs_per_label", "held_out_share", *OF_TABLES, *OF_ENGINES)
"""Settings that act through other arguments of ``finetune``, or only later."""


def _claim(
    folder: Path,
    weights: str,
    prompts: PromptTokens,
    samples: Curation,
    held_out: Transitions,
    settings: LLMSettings,
    rng: RandomStream,
) -> None:
    """Note what the run is made of, or check that it is what the folder was begun with."""
    arrays = (samples.first, samples.second, samples.label, held_out.first, held_out.second, held_out.label)
    inputs = {
        "weights": weights,
        "prompts": prompts.digest,
        "samples": hashlib.sha256(b"|".join(a.tobytes() for a in arrays)).hexdigest(),
        "settings": {n: v for n, v in vars(settings).items() if n not in _IRRELEVANT},
        "random": list(rng.path),
    }
    note = folder / "inputs.json"
    if note.is_file() and json.loads(note.read_text()) != inputs:
        raise InvalidInput("folder", str(folder), "holds another fine-tuning run; delete it or choose another folder")
    write_json(note, inputs)
