"""A log out of the Minari data set that ``envs.minari_export.export_log`` made of it."""

from typing import Any

import numpy as np

from experiments.datasets.dataset import LoggedDataset
from sim.errors import InvalidInput
from sim.log import DTYPES, InteractionLog, say_no_survey


def write_log(data: LoggedDataset, dataset_id: str) -> dict[str, int]:
    """Export a data set's log under a name of Minari's, such as ``interestlab/log-v0``; no row is left out.

    Minari keeps it where it keeps its own (``MINARI_DATASETS_PATH``); catalog and clusters are not in it.

    Raises:
        InvalidInput: Minari is not installed, or the name is taken or impossible.
    """
    from envs.minari_export import export_log

    export_log(data.log, data.catalog, dataset_id)
    return {}


def read_log(dataset_id: str) -> InteractionLog:
    """The log that such a data set was made of, in the order of day, step, user and slot.

    Raises:
        InvalidInput: Minari is not installed, or has no data set of this name, or it is not of a log.
    """
    try:
        import minari
    except ImportError as error:
        raise InvalidInput("minari", str(error), "needs `pip install 'interestlab[rl]'`") from None
    try:
        dataset = minari.load_dataset(dataset_id)
    except (FileNotFoundError, ValueError) as error:
        raise InvalidInput("dataset_id", dataset_id, f"must be one of Minari's on this machine ({error})") from None
    episodes = list(dataset.iterate_episodes())
    if any("survey" not in episode.infos for episode in episodes):
        say_no_survey(f"Minari data set {dataset_id}")
    log = InteractionLog.concatenate(_episode(episode, dataset_id) for episode in episodes)
    return log.where(np.lexsort((log.slot, log.user, log.step, log.day)))


def _episode(episode: Any, dataset_id: str) -> InteractionLog:
    """One user's rows; row t + 1 of the infos is the result of action t."""
    infos = episode.infos
    missing = {"examined", "user", "step", *_SLOTS} - {"survey"} - set(infos)
    if missing:
        raise InvalidInput("dataset_id", dataset_id, f"must be of a log; its infos have no {min(missing)}")
    request, slot = np.nonzero(infos["examined"][1:])
    columns = {name: infos[name][1:][request, slot] for name in _SLOTS if name in infos}
    return InteractionLog(
        user=infos["user"][1:][request],
        day=episode.observations["day"][:-1, 0][request],
        step=infos["step"][1:][request],
        slot=slot,
        item=episode.actions[request, slot],
        **columns,
    )


_SLOTS = tuple(name for name in DTYPES if name not in ("user", "day", "step", "slot", "item"))
