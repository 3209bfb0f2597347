"""The world's constants for an environment: by the name of a preset, from a mapping, or ready-made."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig, from_mapping


def world_config(world: WorldConfig | Mapping[str, Any] | str) -> WorldConfig:
    """Read the constants of a world.

    Args:
        world: a record, returned as it is; a mapping with every entry of ``WorldConfig``; or the
            name of a preset, such as ``"tiny"``, a file of ``conf/world/`` without its suffix.

    Raises:
        InvalidInput: there is no such preset, or an entry is unknown, missing or impossible.
    """
    if isinstance(world, WorldConfig):
        return world
    if isinstance(world, Mapping):
        return _of_mapping(world)
    return _of_preset(world)


def _of_mapping(world: Mapping[str, Any]) -> WorldConfig:
    try:
        return from_mapping(WorldConfig, world, "world")
    except InvalidInput as error:
        if error.expected != "is missing":
            raise
        whole = "is missing: a mapping needs every entry; to change some, pass replace(world_config('small'), ...)"
        raise InvalidInput(error.field, error.value, whole) from None


@cache
def _of_preset(world: str) -> WorldConfig:
    folder = _world_folder()
    presets = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))
    presets.remove("base")  # what the others have in common; not a world by itself
    if world not in presets:
        expected = f"must be a WorldConfig, a mapping, or one of the presets {', '.join(presets)}"
        raise InvalidInput("world", world, expected)
    # The presets refer to themselves as ``world``, the place that they have in a command's config.
    rooted = OmegaConf.create({"world": _preset(world)})
    resolved: Any = OmegaConf.to_container(rooted, resolve=True)
    return from_mapping(WorldConfig, resolved["world"], "world")


def _world_folder() -> Traversable:
    # The folder is named, not imported: environments rest on the world alone, and on its files of constants.
    return files("conf").joinpath("world")


def _preset(name: str) -> DictConfig:
    """A file of ``conf/world`` over those that its ``defaults`` name."""
    own = OmegaConf.create(_world_folder().joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(own, DictConfig)
    defaults = own.pop("defaults", [])
    merged = OmegaConf.merge(*(_preset(other) for other in defaults if other != "_self_"), own)
    assert isinstance(merged, DictConfig)
    return merged
