"""Does an agent keep the contract? A cheap check of every call, and a thorough one before a run."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations, Requests
from agents.events import Events
from agents.random import RandomAgent
from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput

_NUM_USERS, _NUM_SLOTS, _HISTORY = 24, 5, 50  # of the requests that ``check_agent`` makes


def validate(recommendations: Recommendations, requests: Requests, platform: Platform, agent_name: str) -> None:
    """Check one call's slates; cheap enough for every call.

    Args:
        recommendations: what the agent returned.
        requests: what it was asked.
        platform: whose items are alive today.
        agent_name: named in the message.

    Raises:
        InvalidInput: a slate breaks the contract of ``Recommendations``; the message names the
            user and says how to mend it.
    """
    field = f"agent {agent_name}"
    shape = (len(requests), requests.num_slots)
    items = recommendations.items
    if not isinstance(items, np.ndarray) or items.shape != shape or not np.issubdtype(items.dtype, np.integer):
        raise InvalidInput(field, _looks(items), f"items must be an integer array of shape {shape}, one row a user")

    def refuse(bad: BoolArray, values: object, advice: str) -> None:
        if bad.any():
            row, slot = np.argwhere(bad)[0]
            value = np.asarray(values)[row, slot].item()
            raise InvalidInput(field, value, f"user {requests.user[row]}, slot {slot}: {advice}")

    num_items = platform.catalog.num_items
    refuse((items < 0) | (items >= num_items), items, f"items must be in 0 .. {num_items - 1}")
    refuse(
        ~platform.catalog.alive(platform.day)[items], items, "this item is not alive today; use platform.live_items()"
    )
    in_order = np.argsort(items, axis=1, kind="stable")
    repeated = np.zeros(shape, bool)
    same = np.diff(np.take_along_axis(items, in_order, axis=1), axis=1) == 0
    np.put_along_axis(repeated, in_order[:, 1:], same, axis=1)
    refuse(repeated, items, "this item is on the slate twice; draw without replacement")
    excluded = np.zeros(shape, bool)
    for slot in range(shape[1]):
        excluded[:, slot] = (requests.exclude == items[:, slot, None]).any(axis=1)
    refuse(excluded, items, "this item is in requests.exclude; leave those out before ranking")
    propensity = recommendations.propensity
    if propensity is not None:
        if np.shape(propensity) != shape:
            raise InvalidInput(field, _looks(propensity), f"propensity must have shape {shape}, or be None")
        good = (np.asarray(propensity) > 0) & (np.asarray(propensity) <= 1)  # NaN is not
        refuse(~good, propensity, "propensity must be in (0, 1]; return None if the agent cannot say")
    cluster = recommendations.cluster
    if cluster is not None:
        if np.shape(cluster) != shape or not np.issubdtype(np.asarray(cluster).dtype, np.integer):
            raise InvalidInput(field, _looks(cluster), f"cluster must be an integer array of shape {shape}, or None")
        num_clusters = platform.clusters.num_clusters
        refuse(
            (cluster < 0) | (cluster >= num_clusters), cluster, f"cluster must be in 0 .. {num_clusters - 1}, or None"
        )


def _looks(value: object) -> str:
    """What was found in place of an array, for a message."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__


def check_agent(
    factory: Callable[[], Agent],
    platform: Platform,
    log: InteractionLog,
    rng: RandomStream,
    production: Agent | None = None,
) -> list[str]:
    """Put an agent through its paces.

    Checks that slates are valid, inputs unchanged and global random generators untouched; that the
    same seed gives the same slates, and so do users asked one by one; and that an agent saved,
    loaded and trained on goes on like one that was not interrupted.

    Args:
        factory: makes a new, untrained agent at every call.
        platform: whose items and users are used.
        log: a burn-in log; its last day is kept for ``update``.
        rng: the randomness of the check.
        production: what the agent is bound to; random recommendations if None.

    Returns:
        One message a fault, each saying how to mend it; none if the agent keeps the contract.
    """
    if production is None:
        production = RandomAgent()
        production.fit(platform, log, rng)
    last_day = int(log.day.max(initial=0))
    parts = (log.where(log.day < last_day), log.where(log.day == last_day))
    requests = requests_from(log, np.unique(log.user)[:_NUM_USERS], platform.day, _NUM_SLOTS)
    faults: list[str] = []

    def trained() -> Agent:
        agent = factory()
        agent.bind(production)
        agent.fit(platform, parts[0], rng.at("fit"))
        return agent

    before = _global_generators()
    try:
        agent = trained()
        slates = agent.recommend(requests, rng.at("first"))
        validate(slates, requests, platform, type(agent).__name__)
        if not _same(slates, trained().recommend(requests, rng.at("first"))):
            faults.append("same seed, other slates: draw everything from the rng that the call brings")
        if not _same(slates, _one_by_one(agent, requests, rng.at("first"))):
            faults.append(
                "users asked one by one get other slates than in a batch: draw with rng.uniform(requests.user, k)"
            )
        agent.update(parts[1], rng.at("update"))
        validate(agent.recommend(requests, rng.at("second")), requests, platform, type(agent).__name__)
        faults += _check_storage(trained(), factory, production, platform, parts[1], requests, rng)
    except InvalidInput as error:
        faults.append(str(error))
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        faults.append(f"an input array was written to ({error}): work on a copy, array.copy()")
    if _global_generators() != before:
        faults.append(
            "a global random generator (random, numpy.random or torch) was used: draw from the rng that the call "
            "brings, rng.uniform, rng.generator() or torch.Generator().manual_seed(rng.integer_seed())"
        )
    return faults


def _check_storage(
    agent: Agent,
    factory: Callable[[], Agent],
    production: Agent,
    platform: Platform,
    day: InteractionLog,
    requests: Requests,
    rng: RandomStream,
) -> list[str]:
    """Compare an agent with what it becomes when it is saved, loaded, and trained on."""
    loaded = factory()
    loaded.bind(production)
    with tempfile.TemporaryDirectory() as folder:
        agent.save(Path(folder))
        loaded.load(Path(folder), platform)
    if not _same(agent.recommend(requests, rng.at("third")), loaded.recommend(requests, rng.at("third")), exact=True):
        return ["a loaded agent gives other slates than the saved one: save and load all that recommend uses"]
    for each in (agent, loaded):
        each.update(day, rng.at("update"))
    if not _same(agent.recommend(requests, rng.at("third")), loaded.recommend(requests, rng.at("third")), exact=True):
        return ["a loaded agent learns otherwise than the saved one: save and load all that update uses (moments too)"]
    return []


def requests_from(log: InteractionLog, user: IntArray, day: int, num_slots: int) -> Requests:
    """What users' requests look like after a log: their last 50 consumed items; the last 20 are excluded."""
    events = Events.of(log)
    rows = events.windows(user, np.searchsorted(events.user, user, side="right"), _HISTORY)  # (B, H)
    order = np.argsort(log.user[log.consumed], kind="stable")
    cluster = log.cluster[log.consumed][order]
    items = np.where(rows >= 0, events.item[rows], -1)
    return Requests(
        user=user,
        day=day,
        items=items,
        clusters=np.where(rows >= 0, cluster[rows], -1).astype(np.int32),
        watch=np.where(rows >= 0, events.watch[rows], 0).astype(np.float32),
        positive=(rows >= 0) & events.positive[rows],
        exclude=items[:, -20:],
        num_slots=num_slots,
    )


def _one_by_one(agent: Agent, requests: Requests, rng: RandomStream) -> Recommendations:
    names = ("user", "items", "clusters", "watch", "positive", "exclude")
    slates = [
        agent.recommend(replace(requests, **{name: getattr(requests, name)[row : row + 1] for name in names}), rng)
        for row in range(len(requests))
    ]
    propensities = [slate.propensity for slate in slates if slate.propensity is not None]
    return Recommendations(
        np.concatenate([slate.items for slate in slates]), np.concatenate(propensities) if propensities else None
    )


def _same(one: Recommendations, other: Recommendations, exact: bool = False) -> bool:
    """Whether slates agree; propensities to rounding, which depends on the batch, unless ``exact``."""
    if not np.array_equal(one.items, other.items) or (one.propensity is None) != (other.propensity is None):
        return False
    if one.propensity is None or other.propensity is None:
        return True
    if exact:
        return np.array_equal(one.propensity, other.propensity)
    return np.allclose(one.propensity, other.propensity, rtol=1e-3, atol=1e-6)


def _global_generators() -> tuple[object, ...]:
    """The states of the global generators, comparable."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return (
        random.getstate(),
        str(name),
        np.asarray(keys).tobytes(),
        tuple(rest),
        torch.get_rng_state().numpy().tobytes(),
    )
