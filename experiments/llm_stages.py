"""The language model's stages: transitions, curation, fine-tuning, and the table of all pairs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agents.llm.bulk import fill_table
from agents.llm.curation import Curation, curate, split_by_pair
from agents.llm.finetune import finetune
from agents.llm.settings import LLMSettings
from agents.llm.table import TransitionTable
from agents.llm.weights import prepare_weights, weights_digest
from agents.transitions import Transitions, novel_transitions
from experiments.stages import Stage, run_stage
from experiments.study import Study
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_json
from sim.log import InteractionLog
from sim.random import RandomStream

_CODE = ("sim", "agents/llm", "agents/transitions.py", "agents/text_encoder.py", "experiments/llm_stages.py")


@dataclass(frozen=True)
class TableMade:
    """What the language model's stages left.

    Attributes:
        tuned: the fine-tuning stage; ``model/``, ``curve.json``, ``curation.json`` in its folder.
        table: the bulk inference stage; a ``TransitionTable`` in its folder.
    """

    tuned: Stage
    table: Stage

    def described(self) -> dict[str, Any]:
        """What results.json and the report say of the model: curve, label skew, curation."""
        curve = json.loads((self.tuned.folder / "run" / "curve.json").read_text())
        manifest = TransitionTable.open(self.table.folder / "table").manifest
        curation = json.loads((self.tuned.folder / "curation.json").read_text())
        return {
            "best_step": curve["best_step"],
            "curve": curve["steps"],
            "label_skew": manifest["labels"],
            "curation": curation,
        }

    def costs(self) -> dict[str, Any]:
        """Tokens, bytes and samples."""
        manifest = TransitionTable.open(self.table.folder / "table").manifest
        curation = json.loads((self.tuned.folder / "curation.json").read_text())
        size = sum(file.stat().st_size for file in (self.table.folder / "table").iterdir())
        return {**manifest["cost"], "table_bytes": size, "fine_tuning_samples": curation["samples"]}


def make_table(study: Study, settings: LLMSettings, clustered: Stage) -> TableMade:
    """Fine-tune the model on the burn-in log and let it score all pairs.

    Raises:
        InvalidInput: weights are missing, or the log has no novel transition.
    """
    weights = find_weights(settings, study.cache_dir)
    stream = RandomStream(study.seed, "llm")
    tuning = {key: value for key, value in asdict(settings).items() if key not in _TABLE_ONLY}
    tuned = run_stage(
        study.cache_dir,
        "finetune",
        lambda folder: _finetune(study, settings, clustered, weights, stream, folder),
        config={"seed": study.seed, "llm": tuning, "weights": weights_digest(weights)},
        inputs=[clustered.digest],
        code=_CODE,
    )

    def fill(folder: Path) -> None:
        fill_table(
            tuned.folder / "run" / "model",
            InterestClusters.load(clustered.folder / "clusters.safetensors"),
            settings,
            folder / "table",
            stream.at("table"),
            study.runtime.workers,
        )

    table = run_stage(
        study.cache_dir,
        "table",
        fill,
        config={"seed": study.seed, **{key: getattr(settings, key) for key in _TABLE_ONLY}},
        inputs=[clustered.digest, tuned.digest],
        code=_CODE,
    )
    return TableMade(tuned, table)


_TABLE_ONLY = ("pmi_coefficient", "encoder_weight", "top_n", "pairs_per_shard")
"""Settings that bulk inference reads and fine-tuning does not."""


def find_weights(settings: LLMSettings, cache_dir: Path) -> Path:
    """The model's folder, converted into the cache if need be.

    Raises:
        InvalidInput: there are no such weights; says how to get them.
    """
    with tqdm(total=1, desc="weights", unit="model", leave=False, dynamic_ncols=True) as bar:
        folder = prepare_weights(settings.model, cache_dir)
        bar.update()
    return folder


def _finetune(
    study: Study, settings: LLMSettings, clustered: Stage, weights: Path, stream: RandomStream, folder: Path
) -> None:
    torch.set_num_threads(settings.threads)
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    log = InteractionLog.read(clustered.folder / "log.parquet")
    transitions = novel_transitions(log, stream.at("transitions"), study.world.platform.history_days)
    if not len(transitions.label):
        raise InvalidInput(
            "experiment.burn_in_days",
            study.experiment.burn_in_days,
            "is too short: the log has no novel transition to fine-tune on",
        )
    kept, held_out = split_by_pair(transitions, settings.held_out_share, stream.at("held out"))
    samples = curate(kept, clusters.num_clusters, settings.pairs_per_label, settings.curation, stream.at("curation"))
    write_json(folder / "curation.json", _described(transitions, held_out, samples))
    finetune(weights, clusters, samples, held_out, settings, folder / "run", stream.at("finetune"))


def _described(transitions: Transitions, held_out: Transitions, samples: Curation) -> dict[str, Any]:
    return {
        "novel_transitions": len(transitions.label),
        "held_out_transitions": len(held_out.label),
        "samples": len(samples),
        "labels_with_too_few_pairs": samples.short_labels,
        "labels_without_pairs": samples.missing_labels,
        "distinct_labels_in_log": len(np.unique(transitions.label)),
    }
