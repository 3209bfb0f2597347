"""The world: days, sessions, slates in, feedback out; save and load. Ties ``sim`` together.

A world's future depends on its seed, its config and the slates that it is given, and on nothing
else: not on how users are batched or on the number of threads.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import write_json
from sim.hidden.authored import authored_digest
from sim.hidden.config import WorldConfig
from sim.hidden.dynamics import churn_probability, drift_trends, overnight, remember_session, return_probability
from sim.hidden.feedback import Feedback, SessionState
from sim.hidden.items import ItemSource, ItemTruth, joined, permuted_labels
from sim.hidden.personas import Swap, drift_links, follow
from sim.hidden.population import Population, generate_population
from sim.hidden.response import item_traits, respond
from sim.hidden.survey import ask
from sim.hidden.tree import PersonaLinks, load_tree
from sim.platform import PlatformRecords
from sim.random import RandomStream

SAVED_FORMAT = 2
"""Version of the saved world's layout; raised when an older one can no longer be read."""


class World:
    """Simulated people and what is uploaded for them.

    Args:
        config: the world's constants.
        seed: names all of the world's randomness.
        num_threads: shards that users are simulated in, side by side; does not change any result.

    Attributes:
        first_day: ``-prior.days``: users live before day 0.
        day: today; day 0 is the first of an experiment.
        catalog: everything uploaded so far; public.
        truth: the hidden side of the items.
        population: the users' latent state; hidden.
        links: the interests that each persona names today; hidden.
        trend: (M,) float64, how much each interest is in fashion today; hidden.
    """

    def __init__(self, config: WorldConfig, seed: int, num_threads: int = 1) -> None:
        if config.num_interests > config.num_items:
            raise InvalidInput(
                "world.num_items", config.num_items, f"must be at least num_interests={config.num_interests}"
            )
        self.config = config
        self.stream = RandomStream(seed, "world")
        self.tree = load_tree(config.num_interests, config.taxonomy, config.linked_pairs)
        self.labels = permuted_labels(self.tree, config.semantic_alignment, self.stream)
        self.population: Population = generate_population(config.population, config.num_users, self.tree, self.stream)
        self.first_day = -config.prior.days
        self.day = self.first_day
        self.population.joins[self.population.joins == 0] = self.first_day
        self._threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads) if num_threads > 1 else None
        self._source = ItemSource(config.items, config.num_items, self.tree, self.labels, self.stream)
        self.truth: ItemTruth
        self.catalog: Catalog
        self.truth, self.catalog = self._source.upload(self.day, 0, config.num_items)
        self.trend: FloatArray = self._trend_shock(self.day) * config.dynamics.trend_sd
        self.links: PersonaLinks = self.tree.links
        self._traits = self._item_traits()
        self._session = SessionState.begin(config.num_users)

    def new_records(self, clusters: InterestClusters) -> PlatformRecords:
        """Empty platform records for this world's users and items."""
        memory = self.config.platform
        return PlatformRecords(
            self.config.num_users,
            self.catalog,
            clusters,
            memory.history_length,
            memory.history_days,
            memory.seen_length,
        )

    def _item_traits(self) -> FloatArray:
        return item_traits(self.truth.interest, self.truth.latent, self.truth.quality, self.catalog.length)

    def _trend_shock(self, day: int) -> FloatArray:
        return self.stream.at("trend", day).normal(np.arange(self.config.num_interests), 1)[:, 0]

    def begin_day(self, day: int) -> IntArray:
        """Start a day: upload items, move trends, and draw who comes.

        Args:
            day: ``first_day``, or one more than the last day.

        Returns:
            (A,) int64, ascending: the users who come today.
        """
        if day != self.first_day:
            for swap in self._advance(day):
                stream = self.stream.at("follow", day, swap.persona, swap.place)
                follow(self.population, swap, self.links, self.config.population, stream)
        self._session = SessionState.begin(self.config.num_users)
        draws = self.stream.at("return", day).uniform(np.arange(self.config.num_users), 1)[:, 0]
        return np.flatnonzero(draws < return_probability(self.population, day, self.config.dynamics))

    def _advance(self, day: int) -> list[Swap]:
        """Uploads, trends and fashions of a new day, which do not depend on what users do."""
        assert day == self.day + 1, "days follow each other"
        num_new = round(self.config.items.uploads_per_day * self.config.num_items)
        if num_new:
            new = self._source.upload(day, self.catalog.num_items, num_new)
            self.truth, self.catalog = joined((self.truth, self.catalog), new)
            self._traits = self._item_traits()
        dynamics = self.config.dynamics
        self.trend = drift_trends(self.trend, self._trend_shock(day), dynamics)
        fashion = self.stream.at("persona drift", day)
        self.links, swaps = drift_links(self.links, self.trend, dynamics.persona_drift_per_day, fashion)
        self.day = day
        return swaps

    def respond(self, user: IntArray, items: IntArray, step: int) -> Feedback:
        """Show slates to users; changes the users and their sessions.

        Args:
            user: (B,) int64, distinct, ascending.
            items: (B, S) int64, alive today.
            step: the users' request number today.
        """
        stream = self.stream.at("response", self.day, step)
        feedback = Feedback.empty(*items.shape)

        def walk(start: int, stop: int) -> None:
            respond(
                self.population, self._session, user[start:stop], items[start:stop], self._traits, self.trend, stream,
                self.config.response, self.config.dynamics, feedback.where(slice(start, stop)),
            )  # fmt: skip

        ends = np.linspace(0, len(user), self._threads + 1).astype(int).tolist()
        shards = [(start, stop) for start, stop in pairwise(ends) if stop > start]
        if self._pool is None:
            for start, stop in shards:
                walk(start, stop)
        else:
            list(self._pool.map(lambda shard: walk(*shard), shards))
        if self.config.survey.share:
            questions = self.stream.at("survey", self.day)
            interest = self.truth.interest[items]
            ask(self.population, self._session, user, interest, feedback, self.config.survey, questions)
        return feedback

    def counterfactual_response(self, user: IntArray, items: IntArray, stream: RandomStream) -> Feedback:
        """How users would respond to slates now, with other random draws; the world does not change.

        Args:
            user: (B,) int64, distinct.
            items: (B, S) int64, alive today.
            stream: the random stream to use instead of the world's own.
        """
        return respond(
            self.population.copy(), self._session.copy(), user, items, self._traits, self.trend, stream,
            self.config.response, self.config.dynamics,
        )  # fmt: skip

    def end_day(self, user: IntArray) -> None:
        """End the day of active users (A,): update satisfaction and churn, then everybody's overnight changes."""
        dynamics = self.config.dynamics
        active = user[self._session.num_examined[user] > 0]
        satisfaction = self._session.enjoyment[active] / self._session.num_examined[active]
        remember_session(self.population, active, satisfaction, dynamics)
        if dynamics.churn_per_visit and self.day >= 0:  # before day 0 the users are those who stayed
            draws = self.stream.at("churn", self.day).uniform(active, 1)[:, 0]
            self.population.churned[active] = draws < churn_probability(self.population, dynamics)[active]
        overnight(self.population, dynamics)

    def minutes_today(self) -> FloatArray:
        """(N,) float32 minutes that each user has spent today."""
        return self._session.minutes.copy()

    def save(self, folder: Path) -> None:
        """Write what changes (between days), and what it belongs to, into an existing folder."""
        self.population.save(folder / "population.safetensors")
        write_json(folder / "world.json", {"day": self.day, **self._identity()})

    def _identity(self) -> dict[str, Any]:
        """What a saved world must match to be loaded: format, seed, authored files and config."""
        return {
            "format": SAVED_FORMAT,
            "stream": list(self.stream.path),
            "authored files": authored_digest(self.config.taxonomy),
            "world": {
                **asdict(self.config),
                "taxonomy": "",
            },  # a digest of the files' content stands above, so their folder does not matter
        }

    def load(self, folder: Path) -> None:
        """Take over what ``save`` wrote in a world of the same config and seed.

        Raises:
            InvalidInput: a truncated or foreign file, another version, config or seed, or a day that
                this world has already lived past.
        """
        where = f"saved world {folder}"
        try:
            saved = json.loads((folder / "world.json").read_text(encoding="utf-8"))
            _check_identity(where, saved, json.loads(json.dumps(self._identity())))
            population = Population.load(folder / "population.safetensors")
            day = int(saved["day"])
        except (OSError, SafetensorError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InvalidInput("saved world", str(folder), f"must hold a whole saved world ({error})") from None
        for field in fields(Population):
            shape, expected = getattr(population, field.name).shape, getattr(self.population, field.name).shape
            if shape != expected:
                raise InvalidInput(f"{where}: {field.name}", shape, f"must have shape {expected}")
        if day < self.day:
            raise InvalidInput(f"{where}: day", day, f"must not lie before this world's day {self.day}")
        self.population = population
        while self.day < day:
            self._advance(self.day + 1)


def _check_identity(where: str, saved: Any, expected: Any) -> None:
    """Compare two identities, entry by entry.

    Raises:
        InvalidInput: names the first entry that differs, with both values.
    """
    if not isinstance(saved, dict):
        raise InvalidInput(where, saved, "must be a mapping")
    for name, value in expected.items():
        if isinstance(value, dict):
            _check_identity(f"{where}: {name}", saved.get(name), value)
        elif saved.get(name) != value:
            raise InvalidInput(f"{where}: {name}", saved.get(name), f"must be {value!r}, as in this world")
