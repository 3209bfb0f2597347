"""The jobs: each contestant's fine-tuning and scores in each fold, cached."""

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from agents.llm.files import file_digest
from agents.llm.finetune import finetune
from agents.llm.model import check_context, compute_dtype, load_model, load_tokenizer
from agents.llm.prompt import tokenise_prompts
from agents.llm.recorded import OURS
from agents.llm.scoring import label_prior, score_pairs
from agents.llm.settings import OF_ENGINES, LLMSettings
from agents.llm.trie import LabelTrie
from agents.text_encoder import encoder_digest
from experiments.knowledge.contestants import rivals
from experiments.knowledge.fold import Fold
from experiments.knowledge.folds_stage import fold_file
from experiments.knowledge.schema import TrainingRow
from experiments.stages.stages import Stage, partial_folder, run_stage, stage_digest, stage_folder
from sim.arrays import FloatArray
from sim.clusters import InterestClusters
from sim.files import written_whole
from sim.random import RandomStream

RIVALS = "rivals"
"""The job of all contestants that are no language models."""

_SCORED_LATER = ("encoder_weight", "top_n", "pairs_per_shard", *OF_ENGINES)
"""Settings that neither fine-tuning nor the scores of a question's labels depend on."""


@dataclass(frozen=True)
class Job:
    """A contestant's scores in one fold; small enough to send to a worker.

    Attributes:
        who: one of ``SCORED``, or ``RIVALS``.
        number: of the fold.
        settings: of the language model, or of the one that the rivals accompany.
        svd_rank, counts_smoothing: of the rivals.
        weights: folder of the model as it comes.
        weights_digest: of them.
        clusters: file of the platform's clusters.
        folds: the folds' stage.
        seed, cache_dir: the study's.
    """

    who: str
    number: int
    settings: LLMSettings
    svd_rank: int
    counts_smoothing: float
    weights: Path
    weights_digest: str
    clusters: Path
    folds: Stage
    seed: int
    cache_dir: Path

    def _identity(self) -> dict[str, Any]:
        identity: dict[str, Any] = {"seed": self.seed, "who": self.who, "fold": self.number}
        if self.who == RIVALS:
            words = {
                "num_keywords": self.settings.num_keywords,
                "encoder": encoder_digest(),
                "record": file_digest(OURS),
            }
            return identity | words | {"svd_rank": self.svd_rank, "counts_smoothing": self.counts_smoothing}
        tuning = {key: value for key, value in asdict(self.settings).items() if key not in _SCORED_LATER}
        return identity | {"llm": tuning, "weights": self.weights_digest}

    @property
    def _name(self) -> str:
        return f"knowledge-{self.who}"

    @property
    def folder(self) -> Path:
        """The folder of the scores."""
        digest = stage_digest(self._name, self._identity(), [self.folds.digest], __name__)
        return stage_folder(self.cache_dir, self._name, digest)

    @property
    def steps(self) -> int:
        """Updates that the job takes."""
        return 0 if self.who == RIVALS else self.settings.steps

    @property
    def samples_seen(self) -> int:
        """Samples of all updates together: roughly what the job costs."""
        return self.steps * self.settings.batch_size

    def steps_done(self) -> int:
        """Updates done so far, by the curve that fine-tuning leaves."""
        curve = partial_folder(self.folder) / "run" / "curve.json"
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(json.loads(curve.read_text())["steps"][-1]["step"])
        return 0

    def run(self) -> Stage:
        """Read the scores from the cache, or compute them."""
        return run_stage(
            self.cache_dir,
            self._name,
            self._write_scores,
            config=self._identity(),
            inputs=[self.folds.digest],
        )

    def _write_scores(self, folder: Path) -> None:
        path = folder / "answers.safetensors"
        if not path.is_file():  # else a run was killed while it threw the model away
            torch.set_num_threads(1 if self.who == RIVALS else self.settings.threads)
            scores = self._scores(folder)
            with written_whole(path) as temporary:
                save_file({name: np.ascontiguousarray(value) for name, value in scores.items()}, temporary)
        shutil.rmtree(folder / "run" / "model", ignore_errors=True)  # half a gigabyte that nobody reads again

    def _scores(self, folder: Path) -> dict[str, FloatArray]:
        fold = Fold.load(fold_file(self.folds.folder, self.number))
        clusters = InterestClusters.load(self.clusters)
        if self.who == RIVALS:
            words, of_counts = self.settings.num_keywords, self.counts_smoothing
            return rivals(clusters, words, fold.kept, self.svd_rank, of_counts, fold.exam)
        return self._scores_by_model(fold, clusters, folder)

    def _scores_by_model(self, fold: Fold, clusters: InterestClusters, folder: Path) -> dict[str, FloatArray]:
        """``raw`` (T, M) and ``prior`` (M,); see ``all_scores``."""
        settings, run = self.settings, folder / "run"
        model_folder = self.weights
        if settings.steps or settings.random_weights:
            rng = RandomStream(self.seed, "knowledge", "finetune", self.number, self.who)
            # Bars of several processes would write over each other; ``run_jobs`` shows one for all.
            with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
                model_folder = finetune(self.weights, clusters, fold.samples, fold.validation, settings, run, rng)
        prompts = tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(model_folder))
        check_context(model_folder, prompts.longest)
        trie = LabelTrie.build(prompts.label)
        model = load_model(model_folder, compute_dtype(settings.precision))
        return {
            "prior": label_prior(model, prompts, trie, *fold.prior_pairs),
            "raw": score_pairs(model, prompts, trie, fold.exam.first, fold.exam.second),
        }

    def training(self) -> TrainingRow:
        """How the finished job's fine-tuning went: the best step, and what the model was like there."""
        curve = json.loads((self.folder / "run" / "curve.json").read_text())
        best = next(point for point in curve["steps"] if point["step"] == curve["best_step"])
        return {
            "who": self.who,
            "fold": self.number,
            "steps": self.steps,
            "best_step": curve["best_step"],
            "match_rate": best["match_rate"],
            "validation_loss": best["held_out_loss"],
            "validation_recall@10": best["held_out"]["recall@10"],
            "last_validation_loss": curve["steps"][-1]["held_out_loss"],
        }

    def scores(self) -> dict[str, FloatArray]:
        """What the finished job wrote."""
        return dict(load_file(self.folder / "answers.safetensors"))
