"""The contestants: the language model in several forms, its baselines, and their scores."""

import numpy as np

from agents.llm.prompt import cluster_texts
from agents.llm.ranking import mixed
from agents.llm.recorded import OURS, InterestLists
from agents.llm.recorded_table import cluster_links, name_clusters
from agents.text_encoder import embed_texts, label_similarity
from agents.transition_counts import TransitionCounts
from agents.transitions import Transitions
from experiments.knowledge.exam import Exam
from sim.arrays import FloatArray, IntArray
from sim.clusters import InterestClusters

LLM = "llm"
"""The contestant that all others are compared with."""

_NAME_KEYWORDS = 5  # by which clusters meet the lists' names, as in conf/llm/recorded.yaml

CONTESTANTS = {
    LLM: "fine-tuned language model, corrected by each label's mean probability (as the agent llm is served)",
    "llm_raw": "the same, uncorrected",
    "llm_text": "the same, corrected, and the sentence encoder together",
    "llm_zero_shot": "the language model as it comes, corrected",
    "llm_zero_shot_raw": "the same, uncorrected",
    "llm_random_weights": "twin: the same architecture from random weights, fine-tuned by its own schedule, corrected",
    "llm_random_weights_raw": "the same, uncorrected",
    "text_neighbour": "sentence encoder (MiniLM): similarity of keywords, never trained on the log",
    "recorded": "lists of interests that a strong language model wrote down beforehand, never trained on the log",
    "svd": "nearest neighbours in a truncated SVD of the fine-tuning log's PPMI",
    "counts": "counts of the fine-tuning log's transitions, with back-off",
}
"""All contestants and what they are; chance and the ideal are added to them."""

SCORED = (LLM, "llm_zero_shot", "llm_random_weights")
"""The contestants that are a language model of their own."""


def rivals(
    clusters: InterestClusters, num_keywords: int, kept: Transitions, svd_rank: int, smoothing: float, exam: Exam
) -> dict[str, FloatArray]:
    """Scores of the contestants that are no language models: (T, M) float64 each, the higher the better.

    Args:
        clusters, num_keywords: M, and keywords a cluster that the sentence encoder reads.
        kept: the transitions that the fine-tuning data were chosen from.
        svd_rank, smoothing: dimensions of ``svd``, and of ``counts``; see ``TransitionCounts``.
        exam: T questions.
    """
    counts = TransitionCounts(clusters.num_clusters, smoothing)
    counts.add(kept)
    text = label_similarity(embed_texts(cluster_texts(clusters, num_keywords)))
    return {
        "text_neighbour": mean_similarity(text, exam),
        "recorded": recorded_scores(clusters, exam),
        "svd": mean_similarity(label_similarity(collaborative_vectors(counts.links, svd_rank)), exam),
        "counts": counts.probabilities(np.stack([exam.first, exam.second], axis=1)),
    }


def recorded_scores(clusters: InterestClusters, exam: Exam) -> FloatArray:
    """(T, M) float64: ``cluster_links`` of the lists that come along, summed over the two clusters of each question.

    A label of the same name as one of the pair comes last.
    """
    lists = InterestLists.read(OURS)
    link = cluster_links(lists, name_clusters(clusters, _NAME_KEYWORDS, lists.names).name)
    score = link[exam.first] + link[exam.second]
    return np.asarray(np.where(np.isfinite(score), score, -1.0))


def mean_similarity(similarity: FloatArray, exam: Exam) -> FloatArray:
    """(T, M): mean similarity (M, M) of each label to the two clusters of each question."""
    return np.asarray((similarity[exam.first].astype(np.float64) + similarity[exam.second]) / 2)


def collaborative_vectors(links: IntArray, rank: int) -> FloatArray:
    """Vectors of clusters from co-occurrences, as word vectors are made from a corpus.

    PPMI = max(0, log(n(a, b) n / (n(a) n(b)))), factorised as U S U', rows of U sqrt(|S|) of the ``rank`` largest |S|,
    scaled to length 1 (Levy and Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization", section 5).
    Pairs that were filtered out of the log and pairs that met by chance alone are both 0 in it, so that the filter
    gives nothing away.

    Args:
        links: (M, M) int, symmetric: how often two clusters were linked.
        rank: dimensions; all M where those are fewer.

    Returns:
        (M, rank) float32; the zero vector for a cluster without links.
    """
    num = links.sum(axis=1).astype(np.float64)  # (M,)
    expected = np.outer(num, num) / max(num.sum(), 1)
    ppmi = np.log(np.maximum(np.divide(links, expected, out=np.ones(links.shape), where=links > 0), 1))
    value, vector = np.linalg.eigh(ppmi)
    largest = np.argsort(-np.abs(value), kind="stable")[:rank]
    vectors = vector[:, largest] * np.sqrt(np.abs(value[largest]))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 1e-12, length, 1), np.float32)


def all_scores(
    scored: dict[str, dict[str, FloatArray]],
    of_rivals: dict[str, FloatArray],
    pmi_coefficient: float,
    encoder_weight: float,
) -> dict[str, FloatArray]:
    """Every contestant's scores, (T, M) each, in the order of ``CONTESTANTS``.

    Args:
        scored: of each of ``SCORED``: ``raw`` (T, M) log-probabilities and ``prior`` (M,), the labels' log mean
            probability over validation pairs, of which ``pmi_coefficient`` is subtracted.
        of_rivals: what ``rivals`` gave.
        encoder_weight: of the sentence encoder in ``llm_text``; see ``agents.llm.ranking.mixed``.
    """
    scores_of = dict(of_rivals)
    for name, scores in scored.items():
        scores_of[f"{name}_raw"] = scores["raw"]
        scores_of[name] = scores["raw"] - pmi_coefficient * scores["prior"]
    scores_of["llm_text"] = mixed(scores_of[LLM], scores_of["text_neighbour"], encoder_weight)
    return {name: scores_of[name] for name in CONTESTANTS}
