"""The agents of ``conf/agent`` that anybody can build: the others need a stage of an experiment, or the truth."""

from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

import conf
from agents.check_source import targets
from tests.composing import compose


@cache
def built_in_agents() -> dict[str, DictConfig]:
    """Composed configs by name."""
    names = sorted(path.stem for path in Path(conf.__path__[0]).glob("agent/*.yaml"))
    config = compose(overrides=[f"+agent@{name}={name}" for name in names])  # at once: each takes a tenth of a second
    actual = {}
    for name in names:
        classes = targets(OmegaConf.to_container(config[name]))
        if all(each.startswith("agents.") for each in classes) and not OmegaConf.missing_keys(config[name]):
            actual[name] = config[name]
    return actual
