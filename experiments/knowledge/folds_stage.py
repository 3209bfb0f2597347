"""The folds as a cached stage: the truth is read once, and what is hidden leaves the fine-tuning data."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from agents.transitions import novel_transitions
from experiments.knowledge.fold import Fold, make_fold
from experiments.knowledge.protocol import KnowledgeConfig
from experiments.knowledge.truth import co_interests, persona_folds
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.clusters import InterestClusters
from sim.files import write_json
from sim.log import InteractionLog
from sim.random import RandomStream


def fold_stage(study: Study, knowledge: KnowledgeConfig, before: Stage, clustered: Stage) -> Stage:
    """Read the truth, split the personas, and write every fold; ``facts.json`` says how much there is."""
    settings = next(iter(knowledge.models.values()))
    stream = RandomStream(study.seed, "knowledge")

    def make(folder: Path) -> None:
        world = study.build_world()
        world.load(before.folder / "state")
        truth = co_interests(world, InterestClusters.load(clustered.folder / "clusters.safetensors"))
        log = InteractionLog.read(clustered.folder / "log.parquet")
        memory = study.world.platform
        transitions = novel_transitions(log, stream.at("transitions"), memory.history_days, memory.history_length)
        fold_of = persona_folds(len(truth.weight), knowledge.folds, stream.at("folds"))
        facts: list[dict[str, Any]] = []
        for number in range(knowledge.folds):
            fold = make_fold(
                truth,
                transitions,
                fold_of == number,
                settings,
                knowledge.pairs_per_persona,
                knowledge.prior_pairs,
                stream.at("fold", number),
            )
            fold.save(fold_file(folder, number))
            facts.append(_described(fold, len(transitions), int((fold_of == number).sum())))
        of_clusters = {"purity": truth.purity, "interests": len(set(truth.interest.tolist()) - {-1})}
        write_json(folder / "facts.json", {"clusters": of_clusters, "folds": facts})

    used = ("curation", "pairs_per_label", "held_out_share")
    return run_stage(
        study.cache_dir,
        "knowledge-folds",
        make,
        config={
            "seed": study.seed,
            **{name: getattr(knowledge, name) for name in ("folds", "pairs_per_persona", "prior_pairs")},
            **{name: getattr(settings, name) for name in used},
        },
        inputs=[clustered.digest],
    )


def fold_file(folder: Path, number: int) -> Path:
    """The file of a fold in the stage's folder, for ``Fold.load``."""
    return folder / f"fold-{number}.safetensors"


def facts_of(stage: Stage) -> dict[str, Any]:
    """What ``facts.json`` says: of the clusters, and of each fold."""
    facts: dict[str, Any] = json.loads((stage.folder / "facts.json").read_text(encoding="utf-8"))
    return facts


def _described(fold: Fold, num_transitions: int, personas: int) -> dict[str, Any]:
    exam = fold.exam
    return {
        "personas": personas,
        "personas_asked": len(np.unique(exam.persona)),
        "questions": len(exam),
        "candidates_a_question": float(exam.candidate.sum(axis=1).mean()),
        "hidden_a_question": float(exam.hidden.sum(axis=1).mean()),
        "transitions": num_transitions,
        "transitions_removed": num_transitions - len(fold.kept),
        "samples": len(fold.samples),
        "validation_transitions": len(fold.validation),
        "prior_pairs": fold.prior_pairs.shape[1],
    }
