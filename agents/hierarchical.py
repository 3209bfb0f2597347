"""Plan a cluster, then rank within it: the paper's idea in one class."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations, Requests
from agents.blame import blamed, naming_code
from agents.check_slates import check_probability
from agents.planner import Planner, check_plan
from agents.ranker import Ranker, check_ranked
from sim.arrays import FloatArray, IntArray


class HierarchicalAgent(Agent):
    """A planner chooses one cluster a slot, a ranker the item within it (Wang et al. 2024, figure 1).

    ``propensity`` is the ranker's: of the item in its slot, given the plan and the slots before. Where
    a cluster has no item left, the ranker takes one from elsewhere; ``cluster`` still holds the planned one.

    A configuration that nests planner and ranker in a Hydra partial builds them once a partial: call
    ``hydra.utils.instantiate`` anew for each agent, or two agents would share them.

    Args:
        planner: the high level.
        ranker: the low level.
    """

    def __init__(self, planner: Planner, ranker: Ranker) -> None:
        self.planner = planner
        self.ranker = ranker

    def bind(self, production: Agent) -> None:
        """Pass production to the ranker."""
        with self._at_work("ranker", "bind"):
            self.ranker.bind(production)

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Train both levels on the burn-in log."""
        self.platform = platform
        for level in ("planner", "ranker"):
            with self._at_work(level, "fit"):
                getattr(self, level).fit(platform, log, rng.at(level))

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Plan all slots, then fill them one after the other.

        Raises:
            InvalidInput: names planner or ranker, its file, and what it returned (``check_plan``, ``check_ranked``).
        """
        plan = self._planned(requests, rng)  # (B, S)
        items = np.empty(plan.shape, np.int64)
        propensity = np.full(plan.shape, np.nan, np.float32)
        for slot in range(requests.num_slots):
            here = replace(requests.after(items[:, :slot]), num_slots=1)
            with self._at_work("ranker", "rank"):
                chosen = self.ranker.rank(here, plan[:, slot : slot + 1], rng.at("ranker", slot))
            check_ranked(chosen, here, self.ranker, self.platform)
            items[:, slot] = chosen.items[:, 0]
            if chosen.propensity is not None:
                propensity[:, slot] = chosen.propensity[:, 0]
        known = not np.isnan(propensity).any()  # a ranker's own are never NaN
        return Recommendations(items, propensity if known else None, plan)

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray | None:
        """See ``Agent.probability``; given the plan that ``recommend`` makes with the same ``rng``.

        Raises:
            InvalidInput: names planner or ranker, its file, and what it returned (``check_plan``,
                ``check_probability``).
        """
        plan = self._planned(requests, rng)  # (B, S)
        probability = np.empty(items.shape)
        for slot in range(items.shape[1]):
            here = replace(requests.after(above[:, :slot]), num_slots=1)
            with self._at_work("ranker", "probability"):
                of_slot = self.ranker.probability(here, plan[:, slot : slot + 1], items[:, slot])
            if of_slot is None:
                return None
            with naming_code(self.ranker):
                check_probability(of_slot, (len(requests),), f"ranker {type(self.ranker).__name__}")
            probability[:, slot] = of_slot
        return probability

    def _planned(self, requests: Requests, rng: RandomStream) -> IntArray:
        with self._at_work("planner", "propose"):
            plan = self.planner.propose(requests, rng.at("planner"))
        return check_plan(plan, requests, self.platform.clusters.num_clusters, self.planner)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Train both levels on the day's rows."""
        for level in ("planner", "ranker"):
            with self._at_work(level, "update"):
                getattr(self, level).update(log, rng.at(level))

    def save(self, folder: Path) -> None:
        """Save the levels into ``folder/planner`` and ``folder/ranker``."""
        for level in ("planner", "ranker"):
            (folder / level).mkdir()
            with self._at_work(level, "save"):
                getattr(self, level).save(folder / level)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self.platform = platform
        for level in ("planner", "ranker"):
            with self._at_work(level, "load"):
                getattr(self, level).load(folder / level, platform)

    def _at_work(self, level: str, method: str) -> AbstractContextManager[None]:
        """Around each call of a planner or ranker: what a plugin's code raises names it."""
        part = getattr(self, level)
        return blamed(f"{level} {type(part).__name__}", part, method)
