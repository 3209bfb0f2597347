"""Where a data set can come from and what it can be written as, by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from experiments.datasets import bandit_feedback, kuairand, kuairec, mind, movielens, open_bandit
from experiments.datasets.dataset import LoggedDataset
from sim.errors import InvalidInput

OWN = "interestlab"

Source = Literal["interestlab", "kuairand", "kuairec", "mind", "movielens", "open_bandit", "obp"]
"""``OWN``, or a name of ``READERS``."""

Export = Literal["parquet", "minari", "kuairand", "kuairec", "mind", "movielens", "obp"]
"""Two of ours, or a name of ``WRITERS``."""

_ADAPTERS = {
    "kuairand": kuairand,
    "kuairec": kuairec,
    "mind": mind,
    "movielens": movielens,
    "open_bandit": open_bandit,
    "obp": bandit_feedback,
}

READERS: Mapping[str, Callable[[Path, str | None], LoggedDataset]] = {name: a.read for name, a in _ADAPTERS.items()}
"""``read(folder, part)``; ``OWN`` is our own folder or a simulated world."""

PARTS: Mapping[str, tuple[str, ...]] = {name: tuple(a.PARTS) for name, a in _ADAPTERS.items() if hasattr(a, "PARTS")}
"""What may be read alone; the other sources have one part."""

WRITERS: Mapping[str, Callable[[LoggedDataset, Path], dict[str, int]]] = {
    name: a.write for name, a in _ADAPTERS.items() if hasattr(a, "write")
}
"""``write(data, folder)``, which says what the format could not carry."""


def read(source: str, folder: Path, part: str | None = None) -> LoggedDataset:
    """Read a data set from a folder.

    Args:
        source: one of ``READERS``, or ``interestlab``: what ``LoggedDataset.write`` wrote.
        folder: with its files.
        part: one of the source's ``PARTS``; None for what the adapter takes by default.

    Raises:
        InvalidInput: no such source or part, or the files are not right.
    """
    if source != OWN and source not in READERS:
        raise InvalidInput("dataset.source", source, f"must be one of {', '.join((OWN, *READERS))}")
    known = PARTS.get(source, ())
    if part is not None and part not in known:
        expected = f"must be null or one of {', '.join(known)}" if known else f"must be null: {source} has one part"
        raise InvalidInput("dataset.part", part, expected)
    return LoggedDataset.read(folder) if source == OWN else READERS[source](folder, part)
