"""How fast users respond: against numbers of users, items and interests, memory, and one user at a time."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from tqdm import tqdm

import envs  # registers the environments  # noqa: F401
from experiments.benchmark.rows import Row, benchmark_row
from sim.arrays import IntArray
from sim.clusters import InterestClusters
from sim.hidden.config import WorldConfig
from sim.hidden.items import LATENT_SIZE
from sim.hidden.philox import fill_uniforms
from sim.hidden.response import DRAWS_PER_SLOT
from sim.hidden.serving_day import FilledSlates, serving_day
from sim.hidden.world import World
from sim.random import RandomStream

ROUNDS = 5
_BATCH = 100_000  # users who ask at once
_COPIED_BYTES = 2**28  # well beyond any cache
_ENVIRONMENTS = 64


def simulator_rows(
    config: WorldConfig, seed: int, users: list[int], items: list[int], interests: list[int], slots: int, seconds: float
) -> list[Row]:
    """Measure the simulator; see ``conf/benchmark_simulator.yaml`` for the arguments.

    A *user-step* is one user who goes through one slate of ``slots`` random items, in the first
    session of their day. Each sweep varies one size and leaves the other two at the world's. The
    cases take turns within each round, so that a change of the machine's speed hits all alike; each
    figure is the median over rounds, with the lowest and the highest.
    """
    centre = (config.num_users, config.num_items, config.num_interests)
    sizes = [centre, *((n, *centre[1:]) for n in users), *((centre[0], n, centre[2]) for n in items)]
    sizes += [(*centre[:2], n) for n in interests]
    cases = {size: _Case(_world(config, seed, *size), slots) for size in tqdm(dict.fromkeys(sizes), desc="worlds")}
    measures: dict[Any, Callable[[], float]] = {
        size: partial(case.rate, seconds / ROUNDS) for size, case in cases.items()
    }
    measures["bandwidth"] = _bandwidth
    measures |= {
        mode: partial(_environment_rate, mode, slots, seconds / ROUNDS) for mode in ("vector_entry_point", "sync")
    }
    figures = _in_turns(measures)
    bandwidth = statistics.median(figures["bandwidth"])
    rows = [_size_row(size, cases[size], figures[size], figures[centre], bandwidth) for size in cases]
    rows.append(benchmark_row("simulator", "memory bandwidth, one core", figures["bandwidth"], "bytes/s"))
    rows.append(_environment_row(figures))
    return rows + _parts(cases[centre], slots) + _memory(cases[centre].world)


def _world(config: WorldConfig, seed: int, users: int, items: int, interests: int) -> World:
    """A world on day 0: users' life before it is not what is timed."""
    sizes = replace(config, num_users=users, num_items=items, num_interests=interests)
    return World(replace(sizes, prior=replace(config.prior, days=0)), seed)


def _in_turns(measures: dict[Any, Callable[[], float]]) -> dict[Any, list[float]]:
    """Every measure's figures, one a round; a round before the first compiles and is thrown away."""
    figures: dict[Any, list[float]] = {name: [] for name in measures}
    with tqdm(total=(ROUNDS + 1) * len(measures), desc="simulator", unit="case", dynamic_ncols=True) as bar:
        for _ in range(ROUNDS + 1):
            for name, measure in measures.items():
                figures[name].append(measure())
                bar.update()
    return {name: values[1:] for name, values in figures.items()}


class _Case:
    """A world of one size, whose users are as on day 0 before every pass."""

    def __init__(self, world: World, slots: int) -> None:
        self.world = world
        self.slots = slots
        self.examined = 0.0  # slots that a user looks at, on average
        self._fresh = world.population.copy()
        self._generator = np.random.default_rng(0)

    def rate(self, seconds: float) -> float:
        """User-steps a second of ``World.respond``, in passes over all users for at least ``seconds``."""
        world, steps, spent, looked = self.world, 0, 0.0, 0
        while spent < seconds:
            world.population = self._fresh.copy()
            world.begin_day(world.first_day)
            for start in range(0, world.config.num_users, _BATCH):
                user = np.arange(start, min(start + _BATCH, world.config.num_users))
                slates = self._generator.integers(0, world.catalog.num_items, (len(user), self.slots))
                begun = time.perf_counter()
                feedback = world.respond(user, slates, steps)
                spent += time.perf_counter() - begun
                steps += len(user)
                looked += int(feedback.examined.sum())
        self.examined = looked / steps
        return steps / spent

    @property
    def bytes_touched(self) -> int:
        """Bytes of users, items, slates and feedback that a user-step reads or writes, each counted once."""
        population, item = self.world.population, 4 * (LATENT_SIZE + 4)
        feedback, session, slate = 7 + 2 * 4, 3 * 4 + 8, 8
        return int(population.num_bytes // population.num_users + session + self.slots * (item + slate + feedback))


def _bandwidth() -> float:
    """Bytes a second that one core reads and writes when it copies memory."""
    source = np.ones(_COPIED_BYTES // 8)
    target = np.empty_like(source)
    target[:] = 0.0  # has the pages handed out
    begun = time.perf_counter()
    np.copyto(target, source)
    return 2 * source.nbytes / (time.perf_counter() - begun)


def _environment_rate(mode: str, slots: int, seconds: float) -> float:
    """User-steps a second of ``interestlab/Exploration-v0``, stepped with random slates."""
    vector = gym.make_vec(
        "interestlab/Exploration-v0", num_envs=_ENVIRONMENTS, vectorization_mode=mode, num_slots=slots
    )
    _, info = vector.reset(seed=0)
    generator, steps, spent = np.random.default_rng(0), 0, 0.0
    while spent < seconds:
        actions = generator.integers(0, 100, (_ENVIRONMENTS, slots))
        begun = time.perf_counter()
        _, _, _, _, info = vector.step(actions)
        spent += time.perf_counter() - begun
        steps += int(np.sum(info.get("_items", False)))  # rows whose slate was shown
    vector.close()
    return steps / spent


_PARTS = {
    "begin_day: uploads, trends, who comes": ("world", "begin_day"),
    "records.begin_day: filing uploads": ("records", "begin_day"),
    "respond: the response itself": ("world", "respond"),
    "of which drawing luck": ("", ""),
    "records.record: book-keeping": ("records", "record"),
    "records.requests: histories": ("records", "requests"),
    "end_day: memories, churn, night": ("world", "end_day"),
}
"""Parts of a day that are timed, and the method that each is."""


def _parts(case: _Case, slots: int) -> list[Row]:
    """A day's costs other than the response, in nanoseconds a user-step."""
    world = case.world
    clusters = InterestClusters(np.zeros((1, 4), np.int32), world.catalog.embedding[:1].astype(np.float32), (("all",),))
    records = world.new_records(clusters)
    spent = {part: [0.0] * ROUNDS for part in _PARTS}

    def timed(part: str, call: Callable[..., Any], *given: Any) -> Any:
        begun = time.perf_counter()
        result = call(*given)
        spent[part][day - 1] += time.perf_counter() - begun
        return result

    for part, (whose, method) in _PARTS.items():
        owner = {"world": world, "records": records}.get(whose)
        if owner is not None:  # drawing uniforms is a part of the response, and timed by itself below
            setattr(owner, method, partial(timed, part, getattr(owner, method)))
    steps = [0] * ROUNDS
    generator = np.random.default_rng(0)

    def random_slates(user: IntArray, step: int) -> FilledSlates:
        return FilledSlates.of(generator.integers(0, world.catalog.num_items, (len(user), slots)))

    for day in tqdm(range(1, ROUNDS + 1), desc="parts", unit="day", dynamic_ncols=True):
        with serving_day(world, records, day) as today:
            for served in today.requests(random_slates):
                draws = np.empty((256, slots, DRAWS_PER_SLOT))
                key = RandomStream(0, "benchmark", served.step).key
                timed("of which drawing luck", _draw_all, key, served.user, draws)
                records.requests(served.user, slots)  # which random slates do without
                steps[day - 1] += len(served.user)
    return [
        benchmark_row("simulator", part, [1e9 * s / n for s, n in zip(seconds, steps, strict=True)], "ns/user-step")
        for part, seconds in spent.items()
    ]


def _draw_all(key: IntArray, user: IntArray, draws: Any) -> None:
    for start in range(0, len(user), len(draws)):
        fill_uniforms(key, user, start, min(start + len(draws), len(user)), draws)


def _memory(world: World) -> list[Row]:
    platform, n = world.config.platform, world.config.num_users
    records = platform.history_length * (8 + 4 + 1 + 4) + platform.seen_length * 8 + world.config.clusters.level_2 + 16
    per_user = world.population.num_bytes / n + 20
    return [
        benchmark_row("simulator", "memory of a user in the world", [per_user], "bytes/user"),
        benchmark_row("simulator", "memory of a user in the platform's records", [float(records)], "bytes/user"),
    ]


def _size_row(
    size: tuple[int, int, int], case: _Case, rates: list[float], centre: list[float], bandwidth: float
) -> Row:
    bound = bandwidth / case.bytes_touched
    row = benchmark_row("simulator", "{:,} users, {:,} items, {:,} interests".format(*size), rates, "user-steps/s")
    return {
        **row,
        "against": "the world's sizes",
        "ratio": row["value"] / statistics.median(centre),
        "bound": bound,
        "of_bound": row["value"] / bound,
        "slots": case.slots,
        "examined": case.examined,
        "bytes_touched": case.bytes_touched,
    }


def _environment_row(figures: dict[Any, list[float]]) -> Row:
    row = benchmark_row(
        "simulator", f"vector environment, {_ENVIRONMENTS} users of tiny", figures["vector_entry_point"], "user-steps/s"
    )
    against = f"{_ENVIRONMENTS} scalar environments in SyncVectorEnv"
    return {**row, "against": against, "ratio": row["value"] / statistics.median(figures["sync"])}
