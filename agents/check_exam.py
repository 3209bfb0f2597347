"""The checks that an agent goes through before a run, one by one; ``agents.check`` runs them."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations
from agents.check_inputs import digest_of_inputs, global_generators, requests_from, same
from agents.check_propensity import NUM_SLOTS, NUM_USERS, compare_propensities, draw
from agents.check_slates import check_probability, validate
from agents.random import RandomAgent
from agents.slate import joined
from sim.errors import WallBreach, breaches

_NUM_USERS, _NUM_SLOTS = 24, 5  # of the requests that most checks make


class Fault(Exception):
    """A check's own finding; the argument is the message."""


class CannotTell(Exception):
    """Nothing to check; the argument says why."""


class Exam:
    """One agent's examination: the checks, each of which returns what it saw or raises ``Fault``.

    Attributes:
        requests: of 24 users for 5 slots, which most checks make.
        slates_seen: what the agent returned for them before and after an update, as far as ``slates`` came.
        name: of the agent's class.
    """

    def __init__(
        self,
        factory: Callable[[], Agent],
        platform: Platform,
        log: InteractionLog,
        rng: RandomStream,
        production: Agent | None,
        num_draws: int,
    ) -> None:
        self.factory: Callable[[], Agent] = factory
        self.platform, self.rng, self.num_draws = platform, rng, num_draws
        if production is None:
            production = RandomAgent()
            production.fit(platform, log, rng)
        self.production = production
        last_day = int(log.day.max(initial=0))
        self.past, self.day = log.where(log.day < last_day), log.where(log.day == last_day)
        users = np.unique(log.user)
        self.requests = requests_from(log, users[:_NUM_USERS], platform.day, _NUM_SLOTS)
        self.repeated = requests_from(log, users[:NUM_USERS], platform.day, NUM_SLOTS)
        self.slates_seen: list[Recommendations] = []
        self.name = ""
        self._generators = global_generators()
        self._inputs = self._digest()

    def _digest(self) -> str:
        return digest_of_inputs([self.requests, self.repeated, self.past, self.day, self.platform.catalog])

    def _trained(self) -> Agent:
        agent = self._new()
        agent.fit(self.platform, self.past, self.rng.at("fit"))
        return agent

    def _new(self) -> Agent:
        agent = self.factory()
        agent.bind(self.production)
        return agent

    def _reloaded(self, saved: Agent) -> Agent:
        loaded = self._new()
        with TemporaryDirectory() as folder:
            saved.save(Path(folder))
            loaded.load(Path(folder), self.platform)
        return loaded

    def trains(self) -> str:
        """Is it made, bound and fitted?"""
        self.agent = self._trained()
        self.name = type(getattr(self.agent, "inner", self.agent)).__name__  # the wall has agents within
        return f"on {len(self.past)} impressions of {len(np.unique(self.past.user))} users"

    def slates(self) -> str:
        """Are slates valid, before and after an update?"""
        self.first = self.agent.recommend(self.requests, self.rng.at("first"))
        self.slates_seen.append(self.first)
        validate(self.first, self.requests, self.platform, self.name, self.agent)
        older = self._trained()
        older.update(self.day, self.rng.at("update"))
        self.slates_seen.append(older.recommend(self.requests, self.rng.at("second")))
        validate(self.slates_seen[-1], self.requests, self.platform, self.name, older)
        return f"{_NUM_USERS} users, {_NUM_SLOTS} slots: distinct, alive, none excluded, also after a day's update"

    def inputs(self) -> str:
        """Is the input what it was?"""
        if self._digest() != self._inputs:
            raise Fault(
                "an input array was changed past its write protection, as torch.from_numpy(...).add_() does: "
                "work on a copy, array.copy()"
            )
        return "requests, log and catalog are what they were"

    def generators(self) -> str:
        """Are the global generators where they were?"""
        if global_generators() != self._generators:
            raise Fault(
                "a global random generator (random, numpy.random or torch) was used: draw from the rng that the call "
                "brings, rng.uniform, rng.generator() or torch.Generator().manual_seed(rng.integer_seed())"
            )
        return "random, numpy.random and torch were left alone"

    def seed(self) -> str:
        """Does the same seed give the same slates?"""
        for agent in (self.agent, self._trained()):
            if not same(self.first, agent.recommend(self.requests, self.rng.at("first"))):
                raise Fault("same seed, other slates: draw everything from the rng that the call brings")
        return "same seed, same slates, asked again and trained again"

    def batch(self) -> str:
        """Do users get the same slates alone as in a batch?"""
        for size in (1, 7):
            parts = [
                self.agent.recommend(self.requests.where(slice(start, start + size)), self.rng.at("first"))
                for start in range(0, len(self.requests), size)
            ]
            if not same(self.first, joined(parts)):
                raise Fault(
                    "users asked one by one get other slates than in a batch: draw with rng.uniform(requests.user, k)"
                )
        return f"the same slates one by one, by sevens, and {len(self.requests)} at once"

    def storage(self) -> str:
        """Is a loaded agent the saved one?"""
        self.saved = self._trained()
        self.loaded = self._reloaded(self.saved)
        if not self._agree(self.saved, self.loaded):
            raise Fault("a loaded agent gives other slates than the saved one: save and load all that recommend uses")
        return "saved and loaded, the same slates"

    def learning(self) -> str:
        """Does a loaded agent learn on like the saved one, and is what an update taught saved?"""
        self._learns_on(self.saved, self.loaded)
        cold = self._new()  # an agent that only update teaches knows nothing else
        try:
            cold.fit(self.platform, self.past.where(np.empty(0, np.int64)), self.rng.at("fit"))
        except WallBreach:
            raise
        except Exception:
            return "the loaded agent learns on like the saved one; not tried from an empty log, on which fit fails"
        self._learns_on(cold, self._reloaded(cold))
        return "the loaded agent learns on like the saved one, also from an empty log"

    def _learns_on(self, saved: Agent, loaded: Agent) -> None:
        """Two that should be the same learn a day, one is saved and loaded again, and both learn another."""
        for day in range(2):
            for agent in (saved, loaded):
                agent.update(self.day, self.rng.at("update", day))
            if not self._agree(saved, loaded):
                raise Fault(
                    "a loaded agent learns otherwise than the saved one: save and load all that update uses "
                    "(moments too)"
                )
            loaded = self._reloaded(saved)
            if not self._agree(saved, loaded):
                raise Fault(
                    "saved after an update and loaded, an agent gives other slates: save and load all that update "
                    "teaches it"
                )

    def _agree(self, one: Agent, other: Agent) -> bool:
        """Whether two agents give the same slates."""
        first, second = (agent.recommend(self.requests, self.rng.at("third")) for agent in (one, other))
        return same(first, second, exact=True)

    def propensities(self) -> str:
        """Are propensities the frequencies of what is drawn?"""
        draws = draw(self.agent.recommend, self.repeated, self.rng, self.num_draws)
        if draws is None:
            raise CannotTell("recommend returns no propensities; off-policy estimators cannot use its log")
        found = compare_propensities(draws)
        if found.faults:
            raise Fault("; ".join(found.faults))
        self._told_alike()
        return f"agree with {draws.items.size} draws ({found.cells} cells compared)"

    def _told_alike(self) -> None:
        """Does ``probability``, where the agent offers it, say of its own slates what ``recommend`` said?"""
        slate, rng = self.first, self.rng.at("first")
        told = self.agent.probability(self.requests, slate.items, slate.items, rng)
        if told is None or slate.propensity is None:
            return
        check_probability(told, slate.items.shape, f"agent {self.name}")
        if not np.allclose(told, slate.propensity, rtol=2e-3, atol=1e-9):
            raise Fault(
                "probability(requests, items, items, rng) of the agent's own slates, with the same rng, must be the "
                "propensity that recommend returns, (B, S)"
            )

    def wall(self) -> str:
        """Did nothing reach for what is hidden, not even behind a caught error?"""
        if breaches:
            raise Fault(f"{breaches[0]} (and the error was caught)")
        return "asked for nothing that is hidden"
