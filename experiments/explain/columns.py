"""What follows on a pair of clusters, by the language model and by counts: the numbers behind a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from agents.hierarchical import HierarchicalAgent
from agents.llm.bulk import PRIOR_PAIRS
from agents.llm.model import compute_dtype, load_model, load_tokenizer
from agents.llm.prompt import PromptTokens, tokenise_prompts
from agents.llm.ranking import mask_inputs, mixed
from agents.llm.scoring import label_prior, random_pairs, score_pairs
from agents.llm.settings import LLMSettings
from agents.llm.trie import LabelTrie
from agents.llm.weights import model_digest
from agents.planners import TransitionCountPlanner
from agents.text_encoder import embed_texts, label_similarity
from agents.wall import Walled
from experiments.live.arms import Arm
from experiments.llm.stages import table_stream
from experiments.stages.stages import Stage, run_stage
from experiments.study.study import Study
from sim.arrays import FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.log import InteractionLog


@dataclass(frozen=True)
class Column:
    """One planner's scores of all M clusters after a pair.

    Attributes:
        name: in explain.json.
        title: on the terminal.
        order: in words, what the clusters are ordered by.
        probability: (M,) float64, of each as the next one.
        merit: (M,) float64, what they are ordered by; -inf for the pair's own.
    """

    name: str
    title: str
    order: str
    probability: FloatArray
    merit: FloatArray

    def best(self, num: int) -> IntArray:
        """The ``num`` best clusters, or as many as there are besides the pair's own; ties by number."""
        order = np.argsort(-self.merit, kind="stable")
        return np.asarray(order[np.isfinite(self.merit[order])][:num])

    @property
    def rank_by_probability(self) -> IntArray:
        """(M,) 1 = the most probable besides the pair's own; 0 for these."""
        free = np.isfinite(self.merit)
        order = np.argsort(np.where(free, -self.probability, np.inf), kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(1, len(order) + 1)
        return np.where(free, rank, 0)


def prompts_for(weights: Path, clusters: InterestClusters, settings: LLMSettings) -> PromptTokens:
    """The prompts of all clusters, as fine-tuning and the table have them."""
    return tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(weights))


def prior_of(study: Study, settings: LLMSettings, clustered: Stage, weights: Path) -> FloatArray:
    """(M,) float64 log mean probability of labels over the random pairs that the table takes too, kept in the cache."""
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")

    def make(folder: Path) -> None:
        torch.set_num_threads(1)
        prompts = prompts_for(weights, clusters, settings)
        model = load_model(weights, compute_dtype(settings.precision))
        pairs = random_pairs(len(prompts), PRIOR_PAIRS, table_stream(study))
        log_mean = label_prior(model, prompts, LabelTrie.build(prompts.label), *pairs)
        save_file({"log_mean": log_mean}, folder / "prior.safetensors")

    identity = {"seed": study.seed, "precision": settings.precision, "num_keywords": settings.num_keywords}
    inputs = [clustered.digest, model_digest(weights)]
    stage = run_stage(study.cache_dir, "prior", make, config=identity, inputs=inputs)
    return np.asarray(load_file(stage.folder / "prior.safetensors")["log_mean"])


def llm_columns(
    study: Study, settings: LLMSettings, clustered: Stage, models: dict[tuple[str, str], Path], pair: tuple[int, int]
) -> list[Column]:
    """A column a language model, in the order of the table that it would fill; see ``agents.llm.bulk``.

    Args:
        settings: ``num_keywords``, ``precision``, ``pmi_coefficient``, ``encoder_weight`` are used.
        models: folder of each model, by name and title of its column.
        pair: two level-2 clusters, in the order in which the prompt names them.
    """
    torch.set_num_threads(1)  # as for the table: another number rounds differently
    clusters = InterestClusters.load(clustered.folder / "clusters.safetensors")
    first, second = np.array(pair[:1]), np.array(pair[1:])
    columns = []
    with tqdm(models.items(), desc="asking the models", unit="model", leave=False, dynamic_ncols=True) as bar:
        for (name, title), weights in bar:
            prior = prior_of(study, settings, clustered, weights)
            prompts = prompts_for(weights, clusters, settings)
            model = load_model(weights, compute_dtype(settings.precision))
            scores = score_pairs(model, prompts, LabelTrie.build(prompts.label), first, second)  # (1, M)
            corrected: FloatArray = scores - settings.pmi_coefficient * prior
            if settings.encoder_weight:
                similarity = label_similarity(embed_texts(prompts.text))
                near = (similarity[first] + similarity[second]) / 2  # (1, M)
                corrected = mixed(corrected, near, settings.encoder_weight)
            merit = mask_inputs(corrected, first, second)[0].astype(np.float64)
            probability = np.exp(scores[0].astype(np.float64))
            columns.append(Column(name, title, table_order(settings), probability, merit))
    return columns


def table_order(settings: LLMSettings) -> str:
    """What the table of these settings is ordered by, in words."""
    order = "log p"
    if settings.pmi_coefficient:
        order += f" - {settings.pmi_coefficient:g} x log of its mean p over {PRIOR_PAIRS} random pairs"
    if settings.encoder_weight:
        order = f"z({order}) + {settings.encoder_weight:g} x z(similarity by the sentence encoder)"
    return order


def count_planner(agent: Any) -> TransitionCountPlanner:
    """The planner of the agent ``counts``; ``InvalidInput`` if it plans otherwise."""
    inner = agent.inner if isinstance(agent, Walled) else agent
    if not isinstance(inner, HierarchicalAgent) or not isinstance(inner.planner, TransitionCountPlanner):
        expected = "must be a HierarchicalAgent that plans by agents.planners.TransitionCountPlanner"
        raise InvalidInput("agents.counts", type(inner).__name__, expected)
    return inner.planner


def counts_column(arm: Arm, log: InteractionLog, pair: tuple[int, int]) -> Column:
    """The column of the arm ``counts`` as its planner is at the end of the burn-in, after a pair in either order.

    The planner is trained here on the burn-in's log, with the same random stream as in a comparison.
    """
    planner = count_planner(arm.agent)
    planner.fit(arm.platform, log, arm.stream.at("fit", "planner"))
    probability = planner.probabilities(np.array([pair]))  # (1, M)
    merit = mask_inputs(probability, np.array(pair[:1]), np.array(pair[1:]))[0]
    return Column("counts", "transition counts", "p", probability[0], merit)
