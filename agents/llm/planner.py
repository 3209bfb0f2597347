"""The paper's high level: look the next cluster up in the language model's table."""

import json
from pathlib import Path

from agents.llm.triples import open_table
from agents.novel_choice import choose_novel_by_slot
from agents.planner import Planner
from agents.transitions import sample_past
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.files import write_json
from sim.platform import Platform, Requests
from sim.random import RandomStream

TRIES = 3
"""Pasts sampled a slot before a random novel cluster steps in (chosen)."""


class LLMTablePlanner(Planner):
    """Plans by table (Wang et al. 2024, section 3.2).

    For each slot: sample K recent clusters of the user, look them up, take the best cluster
    that the user has never consumed from and that no earlier slot has; where the table offers
    none for them, sample others. Users for whom that fails, or without a history, get a random
    cluster that is new to them. K is the table's own: two in the paper.

    Args:
        table: folder of a ``TransitionTable`` or a ``TripleTable``.

    Attributes:
        num_lookups, num_fallbacks: pasts of users with a history that were looked up since the planner was
            fitted, and those of them that were no triple of the table and were looked up as a pair.

    Raises:
        InvalidInput: no whole table there; from ``fit`` and ``load``: it is for other clusters.
    """

    def __init__(self, table: str) -> None:
        self._folder = Path(table)
        self._table = open_table(self._folder)
        self.num_lookups = self.num_fallbacks = 0

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot; see ``Planner.propose``."""
        consumed = self.platform.consumed_clusters(requests.user)
        return choose_novel_by_slot(self.candidates(requests, rng), consumed, rng.at("fallback"), requests.user)

    def candidates(self, requests: Requests, rng: RandomStream) -> IntArray:
        """What the table offers for every slot, in the order in which ``propose`` comes to it.

        Returns:
            (B, S, c) int, best first, -1 where there is nothing; clusters that the user has consumed from and
            repeats are among them.
        """
        batch, slots = len(requests), requests.num_slots
        past = sample_past(requests, slots * TRIES, self._table.past_clusters, rng.at("pairs"))  # (B, S * tries, K)
        flat = past.reshape(batch * slots * TRIES, -1)
        clusters, known = self._table.next_clusters(flat.clip(0))  # (B * S * tries, n)
        empty = flat[:, 0] < 0
        clusters[empty] = -1  # no history, nothing to look up
        self.num_lookups += int((~empty).sum())
        self.num_fallbacks += int((~empty & ~known).sum())
        # A slot's later tries come after all candidates of its earlier ones.
        return clusters.reshape(batch, slots, TRIES * clusters.shape[1])

    def save(self, folder: Path) -> None:
        """Write how many pasts were looked up; the table stays where it was."""
        write_json(folder / "lookups.json", {"lookups": self.num_lookups, "fallbacks": self.num_fallbacks})

    def load(self, folder: Path, platform: Platform) -> None:
        """Meet the platform, and read what ``save`` wrote."""
        self._meet(platform)
        counts = json.loads((folder / "lookups.json").read_text())
        self.num_lookups, self.num_fallbacks = counts["lookups"], counts["fallbacks"]

    def _meet(self, platform: Platform) -> None:
        if self._table.manifest.get("clusters_digest") != platform.clusters.digest:
            raise InvalidInput("table", str(self._folder), "was made for other clusters; make the table anew")
        super()._meet(platform)
