"""Everything that is measured in one world: each fact's statistics, and what its figure draws."""

from dataclasses import replace
from typing import Any

from experiments.certify.behaviour import activity, behaviour_curves, session_lengths, watching
from experiments.certify.consumption import (
    concentration,
    exposure_gap,
    narrowing,
    novelty_cost,
    popularity,
    rank_curve,
    taste,
    weekly_variety,
)
from experiments.certify.engagement import engagement
from experiments.certify.knowledge import room_for_knowledge
from experiments.certify.probes import drift_dial, satiation, satiation_probe, successor_stability
from experiments.live.reference_life import WarmWorld, simulate_policy, warmed_up
from experiments.live.reference_policies import Exploring, Greedy, Informed, Popular, Random
from sim.hidden.cluster_quality import ClusterQuality, cluster_quality
from sim.hidden.config import WorldConfig
from sim.hidden.world import World
from sim.random import RandomStream

Measures = dict[str, Any]


def measure(config: WorldConfig, seed: int, days: int) -> Measures:
    """Measure one world: ``{"parts": {"1 gini": value, ...}, "curves": {...}, "clusters": {...}}``.

    The seed names the world and its policies' random stream; each policy serves ``days`` days after the warm-up.
    """
    stream = RandomStream(seed, "certificate")
    world = World(config, seed)
    probe = satiation_probe(world, stream.at("satiation"))
    stability = successor_stability(config, seed)
    warm = warmed_up(world, stream)
    random, greedy = simulate_policy(warm, Random, days, stream), simulate_policy(warm, Greedy, days, stream)
    varieties = {"random": weekly_variety(random), "greedy": weekly_variety(greedy)}
    watched, gains = greedy.seconds, {}
    for policy in (Exploring, Informed):  # of whose lives only totals are kept
        life = simulate_policy(warm, policy, days, stream)
        gains[policy.name], varieties[policy.name] = life.seconds / watched - 1, weekly_variety(life)
    exposure, novelty = exposure_gap(random, greedy), novelty_cost(random)
    popular_rate = float(simulate_policy(warm, Popular, days, stream).recommended.positive.mean())
    people = warm.world.population
    engaged, rates = engagement(warm, greedy, people)
    facts = {
        1: concentration(random, greedy, stream.at("concentration")),
        2: narrowing(varieties["greedy"], varieties["exploring"]),
        3: exposure,
        4: popularity(greedy, config.num_interests),
        5: watching(greedy.log, greedy.length),
        6: activity(greedy.log, config.num_users),
        7: satiation(probe),
        8: novelty,
        9: drift_dial(stability),
        10: {"control": control_gain(config, seed, days), **gains},
        11: taste(random, greedy, popular_rate, people),
        **engaged,
        20: room_for_knowledge(warm, stream.at("knowledge")),
    }
    length = session_lengths(greedy.log, config.num_users)
    curves = {
        "variety": varieties,
        "rank": rank_curve(greedy),
        "satiation": probe,
        "stability": stability,
        **behaviour_curves(greedy.log, config.num_users),
        **rates,
    }
    volumes = {
        "visits_per_user_day": len(length) / days / config.num_users,
        "impressions_per_visit": float(length.mean()),
        "minutes_per_visit": watched / 60 / len(length),
    }
    return {
        "parts": {f"{fact} {part}": value for fact, values in facts.items() for part, value in values.items()},
        "curves": curves,
        "volumes": volumes,
        "clusters": _clusters(warm),
    }


def control_twin(config: WorldConfig) -> WorldConfig:
    """The same world without satiation and without dormant interests, where exploration cannot pay.

    Persona drift stops too: it would make new dormant interests.
    """
    return replace(
        config,
        population=replace(config.population, discovered_share=1.0),
        dynamics=replace(config.dynamics, satiation_per_watch=0.0, persona_drift_per_day=0.0),
    )


def control_gain(config: WorldConfig, seed: int, days: int) -> float:
    """Fact 10: relative gain in watch time of exploring over greedy in the world's negative control.

    Source: our proposal (docs/certify.md).
    """
    stream = RandomStream(seed, "certificate")
    warm = warmed_up(World(control_twin(config), seed), stream)
    greedy, exploring = (simulate_policy(warm, policy, days, stream).seconds for policy in (Greedy, Exploring))
    return exploring / greedy - 1


def _clusters(warm: WarmWorld) -> dict[str, float]:
    """Quality of the clusters, as flat numbers."""
    world = warm.world
    quality: ClusterQuality = cluster_quality(
        warm.records.clusters, warm.tree, world.catalog, warm.items, warm.traffic, world.truth.interest
    )
    flat = {"agreement": quality.agreement, "unique_keywords": quality.unique_keywords}
    for name in ("imbalance_cut", "imbalance_filed", "imbalance_floor"):
        for level, value in enumerate(getattr(quality, name), start=1):
            flat[f"{name}_{level}"] = value
    return flat
