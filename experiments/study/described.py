"""What was done, as results tell it: a command's config, but for where and how the work was done."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from experiments.study.study import resolved

_WHERE_AND_HOW = ("cache_dir", "runtime", "tracker")


def described(
    config: DictConfig | Mapping[str, Any], agents: Collection[str] | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """A resolved config without where and how; results that rest on the same have the same bytes.

    Args:
        config: of a command, as composed or as a plain mapping.
        agents: those that took part, in the order of results; names without an entry, such as the control's, are
            passed over. None for all of them.
        without: further entries to leave out.
    """
    kept = {str(key): value for key, value in resolved(config).items() if key not in (*_WHERE_AND_HOW, *without)}
    if agents is not None:
        kept["agents"] = {name: kept["agents"][name] for name in agents if name in kept["agents"]}
    return kept


def flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Nested entries, such as settings, by dotted name."""
    for key, value in tree.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, name)
        else:
            yield name, value
