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
    actual = {}
    for path in sorted(Path(conf.__path__[0]).glob("agent/*.yaml")):
        agent = compose(overrides=[f"+agent={path.stem}"]).agent
        classes = targets(OmegaConf.to_container(agent))
        if all(name.startswith("agents.") for name in classes) and not OmegaConf.missing_keys(agent):
            actual[path.stem] = agent
    return actual
