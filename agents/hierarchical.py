"""Plan a cluster, then rank within it: the paper's idea in one class."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations, Requests
from agents.planner import Planner, check_plan
from agents.ranker import Ranker
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput


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
        self.ranker.bind(production)

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Train both levels on the burn-in log."""
        self.platform = platform
        self.planner.fit(platform, log, rng.at("planner"))
        self.ranker.fit(platform, log, rng.at("ranker"))

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Plan all slots, then fill them one after the other.

        Raises:
            InvalidInput: a plan is none (``check_plan``), or the ranker fills no slot.
        """
        plan = self._planned(requests, rng)  # (B, S)
        items = np.empty(plan.shape, np.int64)
        propensity = np.full(plan.shape, np.nan, np.float32)
        for slot in range(requests.num_slots):
            here = replace(requests.after(items[:, :slot]), num_slots=1)
            chosen = self.ranker.rank(here, plan[:, slot : slot + 1], rng.at("ranker", slot))
            if np.shape(chosen.items) != (len(requests), 1):
                expected = f"rank must return items of shape {(len(requests), 1)} where one slot is asked for"
                raise InvalidInput(f"ranker {type(self.ranker).__name__}", np.shape(chosen.items), expected)
            items[:, slot] = chosen.items[:, 0]
            if chosen.propensity is not None:
                propensity[:, slot] = chosen.propensity[:, 0]
        known = not np.isnan(propensity).any()
        return Recommendations(items, propensity if known else None, plan)

    def probability(self, requests: Requests, items: IntArray, above: IntArray, rng: RandomStream) -> FloatArray | None:
        """See ``Agent.probability``; given the plan that ``recommend`` makes with the same ``rng``."""
        plan = self._planned(requests, rng)  # (B, S)
        probability = np.empty(items.shape)
        for slot in range(items.shape[1]):
            here = replace(requests.after(above[:, :slot]), num_slots=1)
            of_slot = self.ranker.probability(here, plan[:, slot : slot + 1], items[:, slot])
            if of_slot is None:
                return None
            probability[:, slot] = of_slot
        return probability

    def _planned(self, requests: Requests, rng: RandomStream) -> IntArray:
        plan = self.planner.propose(requests, rng.at("planner"))
        return check_plan(plan, requests, self.platform.clusters.num_clusters, self.planner)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Train both levels on the day's rows."""
        self.planner.update(log, rng.at("planner"))
        self.ranker.update(log, rng.at("ranker"))

    def save(self, folder: Path) -> None:
        """Save the levels into ``folder/planner`` and ``folder/ranker``."""
        for name, level in (("planner", self.planner), ("ranker", self.ranker)):
            (folder / name).mkdir()
            level.save(folder / name)

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote."""
        self.platform = platform
        self.planner.load(folder / "planner", platform)
        self.ranker.load(folder / "ranker", platform)
