"""The paper's high level: look the next cluster up in the language model's table."""

from pathlib import Path

from agents.llm.table import TransitionTable
from agents.novel_choice import choose_novel_by_slot
from agents.planner import Planner
from agents.transitions import sample_pairs
from sim.arrays import IntArray
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.platform import Platform, Requests
from sim.random import RandomStream

_TRIES = 3
"""Pairs sampled a slot before a random novel cluster steps in (chosen)."""


class LLMTablePlanner(Planner):
    """Plans by table (Wang et al. 2024, section 3.2).

    For each slot: sample two recent clusters of the user, look the pair up, take the best cluster
    that the user has never consumed from and that no earlier slot has; where the pair offers
    none, sample another pair. Users for whom that fails, or without a history, get a random
    cluster that is new to them.

    Args:
        table: folder of a ``TransitionTable``.

    Raises:
        InvalidInput: no whole table there; from ``fit`` and ``load``: it is for other clusters.
    """

    def __init__(self, table: str) -> None:
        self._folder = Path(table)
        self._table = TransitionTable.open(self._folder)
        self._platform: Platform | None = None

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Meet the platform; nothing is learned here."""
        self._meet(platform)

    def propose(self, requests: Requests, rng: RandomStream) -> IntArray:
        """Plan a cluster for every slot; see ``Planner.propose``."""
        assert self._platform is not None, "fit or load comes first"
        consumed = self._platform.consumed_clusters(requests.user)
        return choose_novel_by_slot(self.candidates(requests, rng), consumed, rng.at("fallback"), requests.user)

    def candidates(self, requests: Requests, rng: RandomStream) -> IntArray:
        """What the table offers for every slot, in the order in which ``propose`` comes to it.

        Returns:
            (B, S, c) int, best first, -1 where there is nothing; clusters that the user knows and
            repeats are among them.
        """
        batch, slots = len(requests), requests.num_slots
        pairs = sample_pairs(requests, slots * _TRIES, rng.at("pairs"))  # (B, S * tries, 2)
        flat = pairs.reshape(-1, 2)
        found, _ = self._table.lookup(flat[:, 0].clip(0), flat[:, 1].clip(0))  # (B * S * tries, n)
        found[flat[:, 0] < 0] = -1  # no history, nothing to look up
        # A slot's later tries come after all candidates of its earlier ones.
        return found.reshape(batch, slots, _TRIES * found.shape[1])

    def load(self, folder: Path, platform: Platform) -> None:
        """Meet the platform; the table stays where it was, so ``save`` has nothing to write."""
        self._meet(platform)

    def _meet(self, platform: Platform) -> None:
        if self._table.manifest.get("clusters_digest") != platform.clusters.digest:
            raise InvalidInput("table", str(self._folder), "was made for other clusters; make the table anew")
        self._platform = platform
