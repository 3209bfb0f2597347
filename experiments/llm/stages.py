"""The language model's stages: transitions, curation, fine-tuning, and the table of all pairs.

With ``llm.engine`` other than transformers there is only the table, of what the engine says.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from agents.llm.ask_lists import ask_lists
from agents.llm.curation import Curation, curate, split_by_pair, split_by_time
from agents.llm.endpoint import read_key
from agents.llm.engines import Engine
from agents.llm.files import file_digest, publish_folder
from agents.llm.finetune import finetune
from agents.llm.generated_table import generate_table
from agents.llm.http_engine import HttpEngine
from agents.llm.local_engines import VllmEngine, check_vllm
from agents.llm.past_tables import fill_table
from agents.llm.recorded import OURS, InterestLists, ReplayEngine, read_answers
from agents.llm.recorded_table import table_of_lists
from agents.llm.settings import OF_ENGINES, OF_TABLES, LLMSettings
from agents.llm.table import TransitionTable
from agents.llm.triples import TripleTable, open_table
from agents.llm.weights import model_digest, prepare_weights
from agents.text_encoder import encoder_digest, encoder_folder
from agents.transitions import Transitions, novel_transitions
from experiments.llm.table_facts import MADE, facts_of, read_clustered, refresh_facts
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import copy_file, write_json
from sim.random import RandomStream


@dataclass(frozen=True)
class TableMade:
    """The results of the language model's stages.

    Attributes:
        tuned: the fine-tuning stage; ``model/``, ``curve.json``, ``curation.json`` in its folder;
            None where the model was taken as it is served.
        table: the bulk inference stage; ``table/`` in its folder, see ``agents.llm.triples.open_table``.
    """

    tuned: Stage | None
    table: Stage

    def described(self) -> dict[str, Any]:
        """The model's entries of results.json and the report: labels, and curve and curation or the answers."""
        table = open_table(self.table.folder / "table")
        labels = {"label_skew": table.manifest["labels"], "label_counts": _label_counts(table)}
        if self.tuned is None:
            return {**labels, "answers": table.manifest["answers"]}
        curve = json.loads((self.tuned.folder / "run" / "curve.json").read_text())
        curation = json.loads((self.tuned.folder / "curation.json").read_text())
        return {
            "best_step": curve["best_step"],
            "peaks": curve["peaks"],
            "curve": curve["steps"],
            **labels,
            "curation": curation,
            **{key: table.manifest[key] for key in ("coverage", "refresh") if table.manifest.get(key) is not None},
        }

    def costs(self) -> dict[str, Any]:
        """Tokens, bytes and samples."""
        manifest = open_table(self.table.folder / "table").manifest
        size = sum(file.stat().st_size for file in (self.table.folder / "table").iterdir())
        costs = {**manifest["cost"], "table_bytes": size}
        if self.tuned is None:
            return costs
        curation = json.loads((self.tuned.folder / "curation.json").read_text())
        return {**costs, "fine_tuning_samples": curation["samples"]}


def _label_counts(table: TransitionTable | TripleTable) -> list[int]:
    """How many pairs have a label as their best, from the most to the least frequent of the M labels (figure 3)."""
    best = table.clusters[:, 0]
    return sorted(np.bincount(best[best >= 0], minlength=table.num_clusters).tolist(), reverse=True)


def make_table(study: Study, settings: LLMSettings, clustered: Stage) -> TableMade:
    """Fine-tune the model on the burn-in log and fill its table, or let an engine complete the prompts of all pairs.

    With ``llm.past_clusters=3`` the table of pairs is a stage of its own, which arms with pairs share.

    Raises:
        InvalidInput: weights are missing, the log has no novel transition, or an endpoint fails.
    """
    if settings.engine != "transformers":
        return TableMade(None, _generated_table(study, settings, clustered))
    plan = plan_table(study, settings, clustered)
    pairs = None
    if settings.past_clusters == 3:
        pairs = make_table(study, replace(settings, past_clusters=2), clustered).table

    def fill(folder: Path) -> None:
        if pairs is not None and not (folder / "table-pairs").is_dir():
            shutil.copytree(pairs.folder / "table", folder / "table-pairs.tmp", dirs_exist_ok=True)
            publish_folder(folder / "table-pairs.tmp", folder / "table-pairs")
        clusters, log = read_clustered(clustered)
        facts, runtime = facts_of(study, settings, clusters, log), study.runtime
        fill_table(
            plan.model, clusters, settings, folder / "table", plan.stream, runtime.workers, runtime.backend, facts
        )
        write_json(folder / MADE, refresh_facts(study, settings, clustered, plan.tuned))

    table = run_stage(
        study.cache_dir,
        "table",
        fill,
        config=plan.config,
        inputs=plan.inputs if pairs is None else [*plan.inputs, pairs.digest],
    )
    return TableMade(plan.tuned, table)


@dataclass(frozen=True)
class TablePlan:
    """What a table's stage depends on.

    Attributes:
        tuned: the fine-tuning stage.
        model: the fine-tuned model's folder.
        config, inputs: see ``run_stage``.
        stream: the table's randomness.
    """

    tuned: Stage
    model: Path
    config: dict[str, Any]
    inputs: list[str]
    stream: RandomStream


def plan_table(study: Study, settings: LLMSettings, clustered: Stage) -> TablePlan:
    """Fine-tune the model, and say what its table rests on; errors as of ``make_table``."""
    tuned = tuned_model(study, settings, clustered)
    return TablePlan(
        tuned,
        tuned.folder / "run" / "model",
        table_config(study, settings),
        [clustered.digest, tuned.digest],
        table_stream(study),
    )


def table_stream(study: Study) -> RandomStream:
    """The randomness of a table: the random pairs that it is corrected by."""
    return RandomStream(study.seed, "llm").at("table")


def tuned_model(study: Study, settings: LLMSettings, clustered: Stage) -> Stage:
    """Fine-tune the model on the burn-in log, into ``run/model`` of the stage's folder.

    Raises:
        InvalidInput: weights are missing, or the log has no novel transition.
    """
    weights = find_weights(settings, study.cache_dir)
    stream = RandomStream(study.seed, "llm")
    tuning = {key: value for key, value in asdict(settings).items() if key not in (*_TABLE_ONLY, *OF_ENGINES)}
    return run_stage(
        study.cache_dir,
        "finetune",
        lambda folder: _finetune(study, settings, clustered, weights, stream, folder),
        config={"seed": study.seed, "llm": tuning, "weights": model_digest(weights)},
        inputs=[clustered.digest],
    )


def table_config(study: Study, settings: LLMSettings) -> dict[str, Any]:
    """The part of the config that a table's stage depends on."""
    config = {"seed": study.seed, **{key: getattr(settings, key) for key in _TABLE_ONLY}}
    if settings.past_clusters != 3:
        config.pop("triple_min_users")  # tables without triples are the same whatever it is
    if settings.encoder_weight:
        config["encoder"] = encoder_digest()
    return config


_TABLE_ONLY = ("pmi_coefficient", "encoder_weight", *OF_TABLES)
"""Settings that bulk inference reads and fine-tuning does not."""


def _generated_table(study: Study, settings: LLMSettings, clustered: Stage) -> Stage:
    identity = {key: getattr(settings, key) for key in ("engine", "ask", "chat", "num_keywords")}
    if settings.engine == "http":
        identity |= {"url": settings.url, "model": settings.model}
    elif settings.engine == "vllm":
        weights = find_weights(settings, study.cache_dir)
        identity |= {"precision": settings.precision, "weights": model_digest(weights)}
    else:
        identity |= {"record": file_digest(recorded_file(settings))}
    if settings.ask == "lists":
        identity |= {"seed": study.seed, "top_n": settings.top_n, "past_clusters": settings.past_clusters}
        identity |= {"encoder": encoder_digest()}

    def fill(folder: Path) -> None:
        clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
        record = folder / ANSWERS
        if settings.ask == "pairs":
            engine = open_engine(settings, study.cache_dir)
            generate_table(engine, clusters, settings.num_keywords, folder / "table", record)
            return
        if settings.engine == "recorded":
            copy_file(recorded_file(settings), record)
        else:
            ask_lists(open_engine(settings, study.cache_dir), clusters, settings.num_keywords, record)
        table_of_lists(record, clusters, settings, folder / "table", table_stream(study))

    stage = run_stage(study.cache_dir, "table", fill, config=identity, inputs=[clustered.digest])
    if settings.record and settings.engine != "recorded":
        copy_file(stage.folder / ANSWERS, Path(settings.record).expanduser())
    return stage


ANSWERS = "answers.jsonl"
"""File of a table's stage with what an engine said; see ``agents.llm.recorded``."""


def recorded_file(settings: LLMSettings) -> Path:
    """The file of answers that ``llm.engine=recorded`` reads."""
    return Path(settings.record).expanduser() if settings.record else OURS


def open_engine(settings: LLMSettings, cache_dir: Path) -> Engine:
    """The engine that generates, ready to be asked.

    Raises:
        InvalidInput: its key, its package or its weights are missing; says how to get them.
    """
    if settings.engine == "recorded":
        return ReplayEngine(recorded_file(settings), settings.chat)
    if settings.engine == "http":
        return HttpEngine(
            url=settings.url,
            model=settings.model,
            chat=settings.chat,
            key_variable=settings.key_variable,
            timeout=settings.timeout,
            retries=settings.retries,
            requests_per_minute=settings.requests_per_minute,
            requests_in_flight=settings.requests_in_flight,
        )
    return VllmEngine(find_weights(settings, cache_dir), settings.precision, settings.chat)


def check_ready(settings: LLMSettings, cache_dir: Path) -> None:
    """Check that the model can be had, before anything runs; weights are converted into the cache if need be.

    Endpoints are not called here: a table that is in the cache needs none.

    Raises:
        InvalidInput: weights, package or key are missing; says how to get them.
    """
    if settings.engine == "http":
        read_key(settings.key_variable)
        return
    if settings.engine == "recorded":
        answers = read_answers(recorded_file(settings))
        if settings.ask == "lists":
            InterestLists.of(answers, recorded_file(settings))
            encoder_folder()
        return
    if settings.engine == "vllm":
        check_vllm()
    find_weights(settings, cache_dir)


def find_weights(settings: LLMSettings, cache_dir: Path) -> Path:
    """The model's folder, converted into the cache if need be; ``InvalidInput`` says how to get what is missing."""
    with tqdm(total=1, desc="weights", unit="model", leave=False, dynamic_ncols=True) as bar:
        folder = prepare_weights(settings.model, cache_dir)
        bar.update()
    return folder


def _finetune(
    study: Study, settings: LLMSettings, clustered: Stage, weights: Path, stream: RandomStream, folder: Path
) -> None:
    torch.set_num_threads(settings.threads)
    clusters, log = read_clustered(clustered)
    memory = study.world.platform
    transitions = novel_transitions(log, stream.at("transitions"), memory.history_days, memory.history_length)
    if not len(transitions.label):
        raise InvalidInput(
            "experiment.burn_in_days",
            study.experiment.burn_in_days,
            "is too short: the log has no novel transition to fine-tune on",
        )
    earlier, later = split_by_time(transitions, int(log.day.max(initial=0)), settings.held_out_days)
    if not len(earlier):
        expected = "must leave days with novel transitions to fine-tune on: of the log, all are later"
        raise InvalidInput("llm.held_out_days", settings.held_out_days, expected)
    kept, held_out = split_by_pair(earlier, settings.held_out_share, stream.at("held out"))
    samples = curate(kept, clusters.num_clusters, settings.pairs_per_label, settings.curation, stream.at("curation"))
    described = _described(transitions, held_out, later, samples)
    write_json(folder / "curation.json", {"mode": settings.curation, **described})
    tested = later if settings.held_out_days else None
    finetune(weights, clusters, samples, held_out, settings, folder / "run", stream.at("finetune"), tested)


def _described(
    transitions: Transitions, held_out: Transitions, later: Transitions, samples: Curation
) -> dict[str, Any]:
    return {
        "novel_transitions": len(transitions),
        "held_out_transitions": len(held_out),
        "later_transitions": len(later),
        "later_transitions_among_the_samples": samples.holds(later),
        "samples": len(samples),
        "repeated_samples": samples.repeated_samples,
        "labels_with_too_few_pairs": samples.short_labels,
        "labels_without_pairs": samples.missing_labels,
        "distinct_labels_in_log": len(np.unique(transitions.label)),
    }
