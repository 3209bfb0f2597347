"""What a comparison is made of, checked and ready to build worlds, platforms and agents from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from agents.base import Agent
from experiments.protocol import ExperimentConfig
from experiments.wall import Walled, wall
from sim.config import WorldConfig
from sim.errors import InvalidInput
from sim.random import RandomStream
from sim.world import World


@dataclass(frozen=True)
class Runtime:
    """How the work is done; changes no result.

    Attributes:
        workers: processes side by side.
        world_threads: threads that simulate users within an arm.
    """

    workers: int
    world_threads: int


@dataclass(frozen=True)
class Study:
    """Everything that a comparison is made of, checked.

    Attributes:
        seed: the study's seed.
        world: the world's constants.
        experiment: the protocol.
        production: Hydra config of the production recommender.
        agents: Hydra configs of the arms' agents, by arm.
        cache_dir: where stages live.
        runtime: how the work is done.
    """

    seed: int
    world: WorldConfig
    experiment: ExperimentConfig
    production: dict[str, Any]
    agents: dict[str, dict[str, Any]]
    cache_dir: Path
    runtime: Runtime

    @cached_property
    def luck(self) -> RandomStream:
        """Randomness that all arms have in common."""
        return RandomStream(self.seed, "luck")

    def build_world(self) -> World:
        """The world on day 0."""
        return World(self.world, self.seed, self.runtime.world_threads)


def build_agent(config: dict[str, Any], name: str) -> Walled:
    """Make an agent from its Hydra config, behind the wall (``experiments.wall``).

    Raises:
        InvalidInput: the config names no class, or arguments that the class doesn't take; or the
            agent's module, or its constructor, reaches for what is hidden.
    """
    whole = OmegaConf.create({**config, "_partial_": True})
    try:
        with wall(name, "construction"):
            agent = instantiate(whole)()
    except InvalidInput:
        raise
    except Exception as error:  # whatever a plugin's module or constructor may raise
        cause = error.__cause__ or error
        if isinstance(cause, InvalidInput):  # of a planner or ranker within
            raise InvalidInput(f"agent {name}: {cause.field}", cause.value, cause.expected) from None
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())
        raise InvalidInput(f"agent {name}", config.get("_target_"), f"could not be made: {reason}") from None
    if not isinstance(agent, Agent):
        raise InvalidInput(f"agent {name}", config.get("_target_"), "must be a subclass of agents.base.Agent")
    return Walled(agent, name)


def portable(agent: Any) -> Any:
    """An agent's config without the table's path, which the digests of a stage's inputs stand for."""
    if isinstance(agent, Mapping):
        return {key: portable(each) for key, each in agent.items() if key != "table"}
    return agent


def check_agents(study: Study) -> None:
    """Make every agent once and drop it: one that cannot be made should be known before the burn-in.

    Agents with entries that a later stage fills in (``???``) are left out.

    Raises:
        InvalidInput: see ``build_agent``.
    """
    for name, config in {"production": study.production, **study.agents}.items():
        if not OmegaConf.missing_keys(OmegaConf.create(config)):
            build_agent(config, name)
