"""A planner that uses keywords alone: a baseline for the LLM planner's use of them."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.llm.prompt import cluster_texts
from agents.novel_choice import choose_novel_by_slot
from agents.planner import Planner
from agents.text_encoder import embed_texts, encoder_folder, label_similarity
from agents.transitions import sample_past
from sim.arrays import FloatArray, IntArray
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream
from sim.records import Count, checks_arguments


@checks_arguments
class TextNeighbourPlanner(Planner):
    """Plans the cluster whose keywords mean most nearly what those of two recent interests mean.

    Where the LLM planner asks a fine-tuned language model for what follows on (C1, C2), this one
    asks a sentence encoder, 6 times smaller and never trained on the log, for what lies next to
    them. A label's score, with the similarity s of ``agents.text_encoder.label_similarity``, is

        score(l | c1, c2) = (s(c1, l) + s(c2, l)) / 2

    Each slot samples a pair from the user's history, as the LLM planner does, and takes the best
    cluster that is new to the user; without a history, a random one.

    Args:
        num_keywords: keywords a cluster that the encoder reads; see ``agents.llm.prompt.cluster_texts``.

    Raises:
        InvalidInput: the encoder's weights are missing (says how to get them), or no keywords are wanted.
    """

    def __init__(self, num_keywords: Count = 3) -> None:
        encoder_folder()  # so that missing weights are reported before a burn-in
        self.num_keywords = num_keywords

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Embed the clusters' keywords; nothing is learned from the log."""
        self._keep(platform, embed_texts(cluster_texts(platform.clusters, self.num_keywords)))

    def _keep(self, platform: Platform, vectors: FloatArray) -> None:
        self.platform = platform
        self._vectors = vectors  # (M, 384)
        self._similarity = label_similarity(vectors)  # (M, M), clusters in rows, labels in columns

    def scores(self, pairs: IntArray) -> FloatArray:
        """The class's score of all labels for pairs (P, 2): (P, M) float32."""
        return (self._similarity[pairs[:, 0]] + self._similarity[pairs[:, 1]]) / 2

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Sample a pair a slot and take its nearest cluster that is new to the user; ties by number."""
        pairs = sample_past(requests, requests.num_slots, 2, rng.at("pairs"))  # (B, S, 2)
        consumed = self.platform.consumed_clusters(requests.user)  # (B, M)
        taken, rows = consumed.copy(), np.arange(len(requests))
        nearest = np.empty(pairs.shape[:2], np.int32)
        for slot in range(requests.num_slots):
            score = np.where(taken, -np.inf, self.scores(pairs[:, slot]))
            best = score.argmax(axis=1)
            usable = (pairs[:, slot, 0] >= 0) & ~taken[rows, best]
            nearest[:, slot] = np.where(usable, best, -1)
            taken[rows[usable], best[usable]] = True
        return choose_novel_by_slot(nearest[:, :, None], consumed, rng.at("fill"), requests.user)

    def save(self, folder: Path) -> None:
        """Write the vectors, so that ``load`` need not run the encoder."""
        save_file({"vectors": self._vectors}, folder / "keywords.safetensors")

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self._keep(platform, load_file(folder / "keywords.safetensors")["vectors"])
