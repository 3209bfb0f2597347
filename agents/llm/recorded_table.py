"""The table from lists of interests: single pasts, fused for pairs, without a model.

A list is about a named interest, a table about the platform's clusters. What a cluster is called in public, its
keywords, is the only bridge between them.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.engines import Cost
from agents.llm.files import file_digest
from agents.llm.prompt import cluster_texts
from agents.llm.recorded import InterestLists
from agents.llm.settings import LLMSettings
from agents.llm.table import TransitionTable, about_table, check_num_clusters
from agents.llm.triples import finished_table
from agents.novel_choice import best_first
from agents.text_encoder import embed_texts, encoder_digest
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.random import RandomStream

FUSION = "S(C1, CL) + S(C2, CL)"
"""What a pair's labels are ordered by; see ``InterestLists.together``."""


@dataclass(frozen=True)
class Named:
    """Which of n names each of M clusters goes by.

    Attributes:
        name: (M,) int64.
        exact: (M,) bool, whether it is the cluster's text, or one of its keywords, word for word.
        cosine: (M,) float64, by the sentence encoder.
    """

    name: IntArray
    exact: BoolArray
    cosine: FloatArray


def name_clusters(clusters: InterestClusters, num_keywords: int, names: tuple[str, ...]) -> Named:
    """Find each cluster's name: the one that is its text or its first keyword, else the nearest one in meaning.

    Nearness is the mean of two cosines with the name: of the cluster's ``num_keywords`` keywords as one text, and of
    the mean vector of its keywords one by one. (With five keywords .83 to .88 of clusters get the name of most of
    their items' interest, over worlds of 96 and of 256 interests and all 761 names; with either alone, .82 to .88.)
    """
    number = {name.casefold(): place for place, name in enumerate(names)}
    texts = cluster_texts(clusters, num_keywords)
    vectors = embed_texts(names)
    whole = embed_texts(texts)
    words = [keywords[:num_keywords] for keywords in clusters.keywords]
    each = embed_texts([word for some in words for word in some])
    ends = np.cumsum([len(some) for some in words])
    mean = np.stack([each[end - len(some) : end].mean(axis=0) for end, some in zip(ends, words, strict=True)])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    cosine = np.einsum("md,nd->mn", (whole + mean).astype(np.float64) / 2, vectors.astype(np.float64))
    name = np.round(cosine, 9).argmax(axis=1)
    said = [next((number[text.casefold()] for text in (t, *w[:1]) if text.casefold() in number), -1)
            for t, w in zip(texts, words, strict=True)]  # fmt: skip
    exact = np.array(said) >= 0
    name = np.where(exact, said, name)
    return Named(name, exact, cosine[np.arange(len(name)), name])


def cluster_links(lists: InterestLists, name: IntArray) -> FloatArray:
    """(M, M) float64: ``InterestLists.together`` of the names of two clusters, clusters in rows, labels in columns.

    A cluster of the same name is of the same interest, and no label: -inf.
    """
    link = lists.together()[np.ix_(name, name)]
    link[name == name[:, None]] = -np.inf
    return np.asarray(link)


def table_of_lists(
    path: Path, clusters: InterestClusters, settings: LLMSettings, folder: Path, rng: RandomStream
) -> TransitionTable:
    """Make the table of what a file of lists says, or open the one that is there.

    The labels of a past of K clusters are ordered by the sum of ``cluster_links`` over it. Labels of the past's own
    names, and labels of which the lists say nothing, are never offered. Equal ones, as clusters of one name are, come
    in random order, the same for both orders of a pair.

    Args:
        path: of the lists.
        clusters: M of them.
        settings: ``num_keywords``, ``past_clusters`` (1 or 2) and ``top_n`` are used.
        folder: of the table; an existing one is opened, not overwritten.
        rng: the order of equal labels.

    Raises:
        InvalidInput: fewer than 3 clusters; the file is none of lists; the encoder's weights are missing; the folder
            holds a damaged table or one of other inputs.
    """
    num, past_clusters = clusters.num_clusters, settings.past_clusters
    check_num_clusters(num)
    top_n = min(settings.top_n, num - past_clusters)
    inputs = inputs_of_lists(path, clusters, settings, rng)
    table: TransitionTable | None = finished_table(folder, inputs, top_n)
    if table is not None:
        return table
    lists = InterestLists.read(path)
    named = name_clusters(clusters, settings.num_keywords, lists.names)
    link = cluster_links(lists, named.name)
    best = _best_of_pairs(link, top_n, rng) if past_clusters == 2 else _best(link, top_n, rng)
    texts = cluster_texts(clusters, settings.num_keywords)
    template = FUSION if past_clusters == 2 else FUSION.split(" + ")[0]
    about = {
        **about_table(inputs, template, texts, best[:, 0]),
        "answers": _described(lists, named, best),
        "cost": asdict(Cost()),
    }
    TransitionTable.write(folder, best, np.full(best.shape, np.nan, np.float32), about, past_clusters)
    return TransitionTable.open(folder)


def inputs_of_lists(path: Path, clusters: InterestClusters, settings: LLMSettings, rng: RandomStream) -> dict[str, Any]:
    """What such a table is made of."""
    return {
        "engine": {"engine": "recorded", "record_digest": file_digest(path)},
        "num_keywords": settings.num_keywords,
        "encoder_digest": encoder_digest(),
        "ties": list(rng.path),
        "clusters_digest": clusters.digest,
    }


def _best_of_pairs(link: FloatArray, top_n: int, rng: RandomStream) -> IntArray:
    """(M * M, n): of every ordered pair; each unordered one is computed once."""
    num = len(link)
    best = np.empty((num, num, top_n), np.int32)
    for first in range(num):
        best[first, first:] = _best(link[first] + link[first:], top_n, rng.at(first))
        best[first:, first] = best[first, first:]
    return best.reshape(num * num, top_n)


def _best(score: FloatArray, top_n: int, rng: RandomStream) -> IntArray:
    """(R, n) int32 the labels of the largest scores (R, M), best first; -1 where none is above 0."""
    best = best_first(score, rng)[:, :top_n]
    return np.where(np.take_along_axis(score, best, axis=1) > 0, best, -1).astype(np.int32)


def _described(lists: InterestLists, named: Named, best: IntArray) -> dict[str, Any]:
    """What the manifest says of the lists and of how clusters met them."""
    return {
        "pairs": len(best),
        "matched": int((best[:, 0] >= 0).sum()),
        "strict_match_rate": float((best[:, 0] >= 0).mean()),
        "lists": len(lists.names),
        "names_in_use": len(np.unique(named.name)),
        "clusters_named_exactly": int(named.exact.sum()),
        "lowest_cosine": float(named.cosine.min()),
        "median_cosine": float(np.median(named.cosine)),
        "unusable_names": lists.faults,
    }
