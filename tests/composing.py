"""A command's config, as Hydra composes it from ``conf`` and overrides.

To read and merge a command's forty files takes a quarter of a second, and the tests want hundreds of configs that
differ in values alone. So what a choice of groups gives is composed once a process; values are then set in a copy
of it by that step of Hydra which sets them in its own.
"""

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

import conf

GROUPS = Path(conf.__path__[0])


def compose(command: str | None = None, overrides: Sequence[str] = ()) -> DictConfig:
    """What ``hydra.compose`` returns for ``conf/COMMAND.yaml``; without a command, for the overrides alone.

    Raises:
        hydra.errors.HydraException: the overrides do not fit.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if any(each.is_sweep_override() or each.key_or_group.partition(".")[0] == "hydra" for each in parsed):
        return by_hydra(command, overrides)
    of_groups = [each for each in parsed if (GROUPS / each.key_or_group).is_dir()]
    config = copy.deepcopy(_of_groups(command, tuple(str(each.input_line) for each in of_groups)))
    ConfigLoaderImpl._apply_overrides_to_config([each for each in parsed if each not in of_groups], config)
    return config


def by_hydra(command: str | None, overrides: Sequence[str]) -> DictConfig:
    """The same, all of it by Hydra."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        return hydra.compose(command, list(overrides))


_of_groups = cache(by_hydra)
