"""The world: days, sessions, slates in, feedback out; save and load. Ties ``sim`` together.

A world's future depends on its seed, its config and the slates that it is given, and on nothing
else: not on how users are batched or on the number of threads.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog
from sim.config import WorldConfig
from sim.dynamics import drift_trends, overnight, remember_session, return_probability
from sim.errors import InvalidInput
from sim.items import ItemSource, ItemTruth, joined, permuted_labels
from sim.population import Population, generate_population
from sim.random import RandomStream
from sim.response import DRAWS_PER_SLOT, Feedback, SessionState, SlateTruth, respond
from sim.tree import load_tree


class World:
    """Simulated people and what is uploaded for them.

    Args:
        config: the world's constants.
        seed: names all of the world's randomness.
        num_threads: threads that simulate users side by side; does not change any result.
    """

    def __init__(self, config: WorldConfig, seed: int, num_threads: int = 1) -> None:
        if config.num_interests > config.num_items:
            raise InvalidInput(
                "world.num_items", config.num_items, f"must be at least num_interests={config.num_interests}"
            )
        self.config = config
        self.stream = RandomStream(seed, "world")
        self.tree = load_tree(config.num_interests)
        self.labels = permuted_labels(self.tree, config.semantic_alignment, self.stream)
        self.population: Population = generate_population(config.population, config.num_users, self.tree, self.stream)
        self.day = 0
        self._threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads) if num_threads > 1 else None
        self._source = ItemSource(config.items, config.num_items, self.tree, self.labels, self.stream)
        self.truth: ItemTruth
        self.catalog: Catalog
        self.truth, self.catalog = self._source.upload(0, 0, config.num_items)
        self.trend: FloatArray = self._trend_shock(0) * config.dynamics.trend_sd
        self._session = SessionState.begin(config.num_users)

    def _trend_shock(self, day: int) -> FloatArray:
        return self.stream.at("trend", day).normal(np.arange(self.config.num_interests), 1)[:, 0]

    def begin_day(self, day: int) -> IntArray:
        """Open a day: uploads, trends, and who comes.

        Args:
            day: 0, or one more than the last day.

        Returns:
            (A,) int64, ascending: the users who come today.
        """
        if day != 0:
            self._advance(day)
        self._session = SessionState.begin(self.config.num_users)
        luck = self.stream.at("return", day).uniform(np.arange(self.config.num_users), 1)[:, 0]
        return np.flatnonzero(luck < return_probability(self.population, self.config.dynamics))

    def _advance(self, day: int) -> None:
        """Uploads and trends of a new day."""
        assert day == self.day + 1, "days follow each other"
        num_new = round(self.config.items.uploads_per_day * self.config.num_items)
        new = self._source.upload(day, self.catalog.num_items, num_new)
        self.truth, self.catalog = joined((self.truth, self.catalog), new)
        self.trend = drift_trends(self.trend, self._trend_shock(day), self.config.dynamics)
        self.day = day

    def respond(self, user: IntArray, items: IntArray, step: int) -> Feedback:
        """Show slates to users and let them (and their sessions) be changed by it.

        Args:
            user: (B,) int64, distinct, ascending.
            items: (B, S) int64, alive today.
            step: the users' request number today.
        """
        stream = self.stream.at("response", self.day, step)
        if self._pool is None or len(user) < 2 * self._threads:
            return self._respond(user, items, stream)
        blocks = np.array_split(np.arange(len(user)), self._threads)
        parts = self._pool.map(lambda rows: self._respond(user[rows], items[rows], stream), blocks)
        return Feedback.concatenate(list(parts))

    def _respond(self, user: IntArray, items: IntArray, stream: RandomStream) -> Feedback:
        interest = self.truth.interest[items]  # (B, S)
        slate = SlateTruth(
            interest=interest,
            latent=self.truth.latent[items],  # (B, S, 16)
            quality=self.truth.quality[items],
            length=self.catalog.length[items],
            trend=self.trend[interest],
        )
        draws = stream.uniform(user, items.shape[1] * DRAWS_PER_SLOT)
        config = self.config
        return respond(self.population, self._session, user, slate, draws, config.response, config.dynamics)

    def end_day(self, user: IntArray) -> None:
        """Close a day for the users (A,) who came: memories of the session, then the night."""
        came = user[self._session.num_examined[user] > 0]
        satisfaction = self._session.enjoyment[came] / self._session.num_examined[came]
        remember_session(self.population, came, satisfaction, self.config.dynamics)
        overnight(self.population, self.config.dynamics)

    def minutes_today(self) -> FloatArray:
        """(N,) float32 minutes that each user has spent today."""
        return self._session.minutes.copy()

    def save(self, folder: Path) -> None:
        """Write what changes (between days) into an existing folder."""
        self.population.save(folder / "population.safetensors")
        save_file({"day": np.array([self.day])}, folder / "world.safetensors")

    def load(self, folder: Path) -> None:
        """Take over what ``save`` wrote in a world of the same config and seed.

        Raises:
            InvalidInput: a truncated or foreign file.
        """
        try:
            population = Population.load(folder / "population.safetensors")
            day = int(load_file(folder / "world.safetensors")["day"][0])
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise InvalidInput("saved world", str(folder), f"must hold a whole saved world ({error})") from None
        for field in fields(Population):
            shape, expected = getattr(population, field.name).shape, getattr(self.population, field.name).shape
            if shape != expected:
                raise InvalidInput(f"saved world: {field.name}", shape, f"must have shape {expected}: another config?")
        self.population = population
        while self.day < day:
            self._advance(self.day + 1)
