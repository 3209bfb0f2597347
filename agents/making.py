"""Makes an agent from its Hydra config, behind the wall."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from agents.base import Agent
from agents.blame import OURS, last_frame
from agents.check_source import targets
from agents.wall import Walled, wall
from sim.errors import InvalidInput, WallBreach
from sim.records import check_arguments, checked


def build_agent(config: dict[str, Any], name: str) -> Walled:
    """Make an agent from its Hydra config, behind the wall (``agents.wall``).

    Raises:
        InvalidInput: the config names no class, or arguments that the class doesn't take; or the agent's module, or
            its constructor, reaches for what is hidden.
    """
    with _named(config, name), wall(name, "construction"):
        _check_arguments(config)
        agent = instantiate(OmegaConf.create({**config, "_partial_": True}))()
    if not isinstance(agent, Agent):
        raise InvalidInput(f"agent {name}", config.get("_target_"), "must be a subclass of agents.base.Agent")
    return Walled(agent, name)


def check_config(config: dict[str, Any], name: str) -> None:
    """Check the arguments in an agent's config that cannot be made yet, since a later stage fills in some (``???``).

    Raises:
        InvalidInput: see ``build_agent``.
    """
    with _named(config, name), wall(name, "construction"):
        _check_arguments(config)


@contextmanager
def _named(config: dict[str, Any], name: str) -> Iterator[None]:
    """Whatever a plugin's module or constructor may raise, as one line that names the agent."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a plugin's module may call exit
        cause = error if isinstance(error, InvalidInput) else error.__cause__ or error
        if isinstance(cause, WallBreach) or (isinstance(cause, InvalidInput) and cause.field.startswith("agent ")):
            raise cause from None
        if isinstance(cause, InvalidInput):
            raise InvalidInput(f"agent {name}: {cause.field}", cause.value, cause.expected) from None
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())
        places = [
            last_frame(cause.__traceback__, target.partition(".")[0])
            for target in targets(config)
            if target.partition(".")[0] not in OURS
        ]
        where = "".join(f" ({place})" for place in dict.fromkeys(places) if place)
        raise InvalidInput(f"agent {name}", config.get("_target_"), f"could not be made: {reason}{where}") from None


def _check_arguments(config: dict[str, Any], prefix: str = "") -> None:
    """Check what a class's constructor, and those of what it is made of, are to be called with."""
    given = {key: value for key, value in config.items() if not key.startswith("_") and value != "???"}
    parts = {key: value for key, value in given.items() if isinstance(value, dict) and "_target_" in value}
    own = {key: value for key, value in given.items() if key not in parts}
    target = checked(str, config["_target_"], f"{prefix}._target_" if prefix else "_target_")
    check_arguments(instantiate({"_target_": target, "_partial_": True}).func, own, prefix)
    for key, value in parts.items():
        _check_arguments(value, f"{prefix}.{key}" if prefix else key)
