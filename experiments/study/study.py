"""What a comparison is made of, checked and ready to build worlds, platforms and agents from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from agents.backends import check_backend
from agents.making import build_agent, check_config
from experiments.stages.stages import check_cache_dir
from experiments.study.protocol import CONTROL, ExperimentConfig, check_experiment
from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig
from sim.hidden.world import World
from sim.random import RandomStream
from sim.records import Name, Whole, checked, from_mapping, limits, record

Workers = Annotated[int, limits(1, 4096)]
"""Processes or threads at a time: more than the cores of a large cluster are a slip of the pen."""


@record
@dataclass(frozen=True)
class Runtime:
    """How the work is done; changes no result.

    Attributes:
        workers: processes side by side.
        world_threads: threads that simulate users within an arm.
        backend: where the processes are, see ``agents.processes``.
    """

    workers: Workers
    world_threads: Workers = 1
    backend: str = "loky"

    def __post_init__(self) -> None:
        check_backend(self.backend)


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
    def common_stream(self) -> RandomStream:
        """Randomness that all arms have in common."""
        return RandomStream(self.seed, "luck")

    def build_world(self) -> World:
        """The world on day 0."""
        return World(self.world, self.seed, self.runtime.world_threads)


TABLE_PLANNERS = ("agents.llm.planner.LLMTablePlanner", "agents.llm.best_of_n.BestOfNPlanner")
"""Targets of planners that read a language model's table."""


def portable(agent: Any) -> Any:
    """An agent's config without the path of a language model's table: the digests of a stage's inputs stand for it.

    A setting of any other part that happens to be called ``table`` stays.
    """
    if isinstance(agent, Mapping):
        reads_table = agent.get("_target_") in TABLE_PLANNERS
        return {key: portable(each) for key, each in agent.items() if key != "table" or not reads_table}
    return agent


def check_agents(study: Study) -> None:
    """Make every agent once and drop it: one that cannot be made (``build_agent``) should be known before the burn-in.

    Agents with entries that a later stage fills in (``???``) are not made; what else they are given is checked.
    """
    for name, config in {"production": study.production, **study.agents}.items():
        if OmegaConf.missing_keys(OmegaConf.create(config)):
            check_config(config, name)
        else:
            build_agent(config, name)


def check_study(config: DictConfig | dict[str, Any]) -> Study:
    """Build a study from the composed config, or raise ``InvalidInput``."""
    plain = resolved(config)
    world = from_mapping(WorldConfig, plain.get("world"), "world")
    agents = check_agent_configs(plain.get("agents"))
    experiment = check_experiment(plain.get("experiment"), list(agents), world)
    return Study(
        seed=checked(Whole, plain.get("seed"), "seed"),
        world=world,
        experiment=experiment,
        production=check_agent_config(plain.get("production"), "production"),
        agents={name: agent for name, agent in agents.items() if name in experiment.arms and name != CONTROL},
        cache_dir=check_cache_dir(plain.get("cache_dir")),
        runtime=from_mapping(Runtime, plain.get("runtime"), "runtime"),
    )


def resolved(config: Any, name: str = "config") -> Any:
    """A config as plain mappings and lists, its interpolations filled in; what is no config is left as it is.

    Raises:
        InvalidInput: one cannot be; calls the config ``name``.
    """
    try:
        return OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    except OmegaConfBaseException as error:
        raise InvalidInput(str(error.full_key or name), str(error).splitlines()[0], "must resolve") from None


def check_agent_configs(agents: Any) -> dict[str, dict[str, Any]]:
    """The agents of a config by name, which may become part of a file's; ``InvalidInput`` names one that is none."""
    checked(dict[Name, dict[str, Any]], agents, "agents")
    return {name: check_agent_config(agent, f"agents.{name}") for name, agent in agents.items()}


def check_agent_config(agent: Any, name: str) -> dict[str, Any]:
    """An agent's Hydra config; ``InvalidInput`` if it names no class."""
    checked(dict[str, Any], agent, name)
    checked(str, agent.get("_target_"), f"{name}._target_")
    return dict(agent)
