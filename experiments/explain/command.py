"""``interestlab explain TEXT TEXT``: planners' next clusters after two interests, and the true ones."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from agents.llm.prompt import prompt_text
from agents.llm.settings import LLMSettings
from agents.llm.table import check_num_clusters
from agents.making import build_agent
from experiments.explain.columns import Column, count_planner, counts_column, llm_columns, prompts_for
from experiments.explain.search import Match, check_text, find_cluster
from experiments.explain.text import as_text
from experiments.live import arm_stages, pipeline
from experiments.live.arms import Arm
from experiments.llm.arms import settings_by_arm
from experiments.llm.stages import find_weights, tuned_model
from experiments.oracles.truth import majority_interests, personas_of_clusters, sharing
from experiments.study.described import described
from experiments.study.study import Study, check_study
from sim.arrays import BoolArray
from sim.errors import InvalidInput
from sim.files import write_json
from sim.hidden.authored import read_interests
from sim.hidden.tree import load_tree

USAGE = 'interestlab explain "home espresso" "sourdough"'

SHOWN = 10
"""Clusters a column."""

_ARMS = ("counts", "llm")


def explain(texts: Sequence[str], config: DictConfig, folder: Path) -> dict[str, Any]:
    """Explain a pair of interests, in the order in which the prompt names them, and write ``explain.json``.

    Returns:
        What ``explain.json`` holds; see ``explanation_of``.

    Raises:
        InvalidInput: a text that means nothing here, settings that cannot be, or missing weights.
    """
    study, settings = _checked(texts, config)
    weights = find_weights(settings, study.cache_dir)
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    (arm,), log = arm_stages.prepare_arms(study, ("counts",), before, clustered)
    matches = [find_cluster(text, arm.platform, arm.world.tree) for text in texts]
    pair = (matches[0].cluster, matches[1].cluster)
    tuned = tuned_model(study, settings, clustered).folder / "run"
    models = {("zero_shot", "zero-shot LLM"): weights, ("fine_tuned", "fine-tuned LLM"): tuned / "model"}
    columns = [*llm_columns(study, settings, clustered, models, pair), counts_column(arm, log, pair)]
    prompts = prompts_for(weights, arm.platform.clusters, settings)
    prompt = {
        "text": prompt_text(prompts.text, *pair, chat=False),
        "tokens": list(prompts.prompt(*pair)),
    }
    explanation = explanation_of(matches, columns, prompts.text, arm)
    curve = json.loads((tuned / "curve.json").read_text())
    fine_tuning = {"random_weights": settings.random_weights, "best_step": curve["best_step"], "steps": settings.steps}
    explanation = {"prompt": prompt, **explanation, "fine_tuning": fine_tuning, "config": described(config, _ARMS)}
    write_json(folder / "explain.json", explanation)
    return explanation


def _checked(texts: Sequence[str], config: DictConfig) -> tuple[Study, LLMSettings]:
    """Check all inputs before the burn-in."""
    if len(texts) != 2 or not all(text.strip() for text in texts):
        raise InvalidInput("interests", list(texts), f"must be two texts, each in quotation marks: {USAGE}")
    study = check_study(config)
    tree = load_tree(study.world.num_interests, study.world.taxonomy, study.world.linked_pairs)
    for text in texts:
        check_text(text, tree, read_interests(study.world.taxonomy))
    agents: dict[str, Any] = OmegaConf.to_container(config.agents, resolve=False)  # type: ignore[assignment]
    for name in _ARMS:
        if name not in agents:
            raise InvalidInput("agents", list(agents), f"must have {name}, whose column is to be shown")
    # No arm will live, so that it doesn't matter which of them a comparison has.
    study = replace(
        study,
        experiment=replace(study.experiment, arms=_ARMS),
        agents={name: agents[name] for name in _ARMS},
    )
    count_planner(build_agent(study.agents["counts"], "counts"))
    settings = settings_by_arm(study, config).get("llm")
    if settings is None:
        raise InvalidInput("agents.llm", agents["llm"].get("_target_"), "must plan by a language model's table")
    if settings.engine != "transformers":
        raise InvalidInput("llm.engine", settings.engine, "must be transformers: others give no probabilities")
    check_num_clusters(study.world.clusters.level_2)
    return study, settings


def explanation_of(
    matches: Sequence[Match], columns: Sequence[Column], called: Sequence[str], arm: Arm
) -> dict[str, Any]:
    """The pair, the columns, and what of them is true.

    A cluster's interest is that of most of its live items (``majority_interests``); it shares a persona with another
    if some persona names both their interests today. Chance takes clusters at random among all but the pair's own.

    Args:
        matches, columns: the pair, and planners' scores of the M clusters.
        called: M texts, what the prompt calls each.
        arm: the world, of which the truth is read, and its platform.
    """
    world, platform = arm.world, arm.platform
    live, num_interests = platform.live_items(), arm.world.config.num_interests
    filed = platform.cluster_of_item[live]
    interest, share = majority_interests(world.truth.interest[live], filed, len(called), num_interests)
    personas = personas_of_clusters(world.links, interest, num_interests)  # (P, M)
    shares = sharing(personas, (matches[0].cluster, matches[1].cluster))  # (M, 2)
    others = np.setdiff1d(np.arange(len(called)), [each.cluster for each in matches])

    def words_of(cluster: int) -> dict[str, Any]:
        return {"cluster": cluster, "called": called[cluster], "keywords": list(platform.clusters.keywords[cluster])}

    def truth_of(cluster: int) -> dict[str, Any]:
        named = np.flatnonzero(personas[:, cluster]).tolist()
        return {
            "interest": world.tree.interests[interest[cluster]] if interest[cluster] >= 0 else None,
            "share_of_items": float(share[cluster]),
            "personas": [world.tree.personas[p] for p in named],
        }

    def row_of(column: Column, rank: int, cluster: int) -> dict[str, Any]:
        return {
            "rank": rank,
            **words_of(cluster),
            "probability": float(column.probability[cluster]),
            "rank_by_probability": int(column.rank_by_probability[cluster]),
            "shares_persona_with": dict(zip(("first", "second"), shares[cluster].tolist(), strict=True)),
            "truth": truth_of(cluster),
        }

    return {
        "pair": [
            {
                "text": each.text,
                "found_by": each.by,
                **({"missing_words": list(each.missing)} if each.missing else {}),
                **words_of(each.cluster),
                "truth": truth_of(each.cluster),
            }
            for each in matches
        ],
        "num_candidates": len(others),
        "columns": [
            {
                "name": column.name,
                "title": column.title,
                "order": column.order,
                "best": [row_of(column, rank, c) for rank, c in enumerate(column.best(SHOWN).tolist(), start=1)],
                "sharing": {key: int(value) for key, value in _sharing(shares[column.best(SHOWN)]).items()},
            }
            for column in columns
        ],
        "chance": {
            key: min(SHOWN, len(others)) * value / max(len(others), 1)
            for key, value in _sharing(shares[others]).items()
        },
    }


def _sharing(shares: BoolArray) -> dict[str, float]:
    """How many of clusters (n, 2) share a persona with at least one of the pair, and with both."""
    return {"one_or_both": float(shares.any(axis=1).sum()), "both": float(shares.all(axis=1).sum())}


def run(config: DictConfig, folder: Path, texts: Sequence[str]) -> None:
    """The command."""
    explanation = explain(texts, config, folder)
    print(as_text(explanation, shutil.get_terminal_size((140, 24)).columns))
    print(f"\nexplain: {(folder / 'explain.json').resolve()}")
