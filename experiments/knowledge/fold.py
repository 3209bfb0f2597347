"""One fold: a group of personas is held out, and what only they explain leaves the fine-tuning data."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.llm.curation import Curation, curate, split_by_pair
from agents.llm.settings import LLMSettings
from agents.transitions import Transitions
from experiments.knowledge.exam import Exam, set_exam
from experiments.knowledge.truth import CoInterests, shown_links, without
from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput
from sim.random import RandomStream


@dataclass(frozen=True)
class Fold:
    """What models may learn from, and what they are asked.

    Attributes:
        kept: the log's transitions less those with a link that held-out personas alone explain.
        samples: what is fine-tuned on, chosen from most of ``kept``.
        validation: the others of ``kept``: they choose the best step.
        prior_pairs: (2, n) int32, pairs of validation transitions, none of them asked: over them the
            labels' mean probabilities are taken.
        exam: the questions.
    """

    kept: Transitions
    samples: Curation
    validation: Transitions
    prior_pairs: IntArray
    exam: Exam

    def save(self, path: Path) -> None:
        """Write safetensors."""
        parts: dict[str, Any] = {"kept": self.kept, "samples": self.samples, "validation": self.validation}
        arrays = {
            f"{part}.{field.name}": np.asarray(getattr(rows, field.name))
            for part, rows in parts.items()
            for field in fields(rows)
        }
        save_file({**arrays, "prior_pairs": np.ascontiguousarray(self.prior_pairs)}, path)
        self.exam.save(path.with_name(f"{path.stem}-exam.safetensors"))

    @staticmethod
    def load(path: Path) -> "Fold":
        """Read what ``save`` wrote."""
        arrays = load_file(path)

        def part(name: str) -> dict[str, Any]:
            return {key.partition(".")[2]: value for key, value in arrays.items() if key.startswith(f"{name}.")}

        samples: dict[str, Any] = {key: int(v) if v.ndim == 0 else v for key, v in part("samples").items()}
        return Fold(
            kept=Transitions(**part("kept")),
            samples=Curation(**samples),
            validation=Transitions(**part("validation")),
            prior_pairs=arrays["prior_pairs"],
            exam=Exam.load(path.with_name(f"{path.stem}-exam.safetensors")),
        )


def make_fold(
    truth: CoInterests,
    transitions: Transitions,
    held_out: BoolArray,
    settings: LLMSettings,
    pairs_per_persona: int,
    prior_pairs: int,
    rng: RandomStream,
) -> Fold:
    """Hold some personas out.

    Args:
        truth: who names what.
        transitions: all of the log's.
        held_out: (P,) bool.
        settings: ``held_out_share``, ``pairs_per_label`` and ``curation`` are used.
        pairs_per_persona, prior_pairs: questions a persona, and pairs for the labels' mean probabilities, at most.
        rng: all of the fold's randomness.

    Raises:
        InvalidInput: nothing is left to fine-tune on, to validate with, or to ask.
    """
    kept = without(transitions, truth.only_of(held_out))
    training, validation = split_by_pair(kept, settings.held_out_share, rng.at("validation"))
    num = len(truth.interest)
    samples = curate(training, num, settings.pairs_per_label, settings.curation, rng.at("curation"))
    shown = shown_links(samples.first, samples.second, samples.label, truth.interest)
    exam = set_exam(truth, held_out, shown, pairs_per_persona, rng.at("exam"))
    pairs = _unasked_pairs(validation, exam, num)
    pairs = pairs[:, rng.at("prior").generator().permutation(pairs.shape[1])[:prior_pairs]]
    if not len(samples) or not pairs.shape[1]:
        raise InvalidInput(
            "experiment.burn_in_days", len(transitions), "is too short: the log has too few novel transitions"
        )
    if not len(exam):
        raise InvalidInput("llm.pairs_per_label", settings.pairs_per_label, "is too many: no link is left unshown")
    return Fold(kept, samples, validation, pairs, exam)


def _unasked_pairs(validation: Transitions, exam: Exam, num_clusters: int) -> IntArray:
    """(2, n) int32 the distinct unordered pairs of transitions, without those that the exam asks."""

    def key(first: IntArray, second: IntArray) -> IntArray:
        low, high = np.minimum(first, second).astype(np.int64), np.maximum(first, second)
        return np.asarray(low * num_clusters + high)

    unasked = np.setdiff1d(key(validation.first, validation.second), key(exam.first, exam.second))
    return np.stack(np.divmod(unasked, num_clusters)).astype(np.int32)
