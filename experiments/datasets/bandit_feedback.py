"""Logged bandit feedback as the library ``obp`` has it (Saito et al. 2020): a dict, and that dict in one .npz file.

``bandit_feedback`` makes the dict that its estimators take (``obp.types.BanditFeedback``, 0.4.1 to 0.5.7)::

    n_rounds, n_actions   int; a round is an impression, an action an item
    context               (n_rounds, L) float32: share of what the user consumed before, by level-1 cluster
    action_context        (n_actions, 256) float32: embeddings
    action                (n_rounds,) int64
    position              (n_rounds,) int64: slots
    reward                (n_rounds,) float64: 1 for a positive
    expected_reward       None: unknown for a log
    pscore                (n_rounds,) float64; None where no propensity is known

The file has the same keys but for those that are None, and under ``interestlab.`` what the dict has no place for: all
columns of the log, the items' ``creator``, ``length``, ``upload_day``, ``expiry_day``, the clusters' ``path``,
``centroid``, ``offset`` and ``keywords`` (``A, B``), ``dataset`` (name, source), ``num_users`` and ``has``
(watch, propensity, negatives). With them ``read`` makes the same data set again, but for titles, hashtags and the
source's names of users and items. Without them, as in a file from elsewhere, every round is a user of its own and every
action a cluster of its own. Nothing in it is pickled.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.datasets.assembly import NOMINAL_LENGTH
from experiments.datasets.content import WIDTH, unit
from experiments.datasets.dataset import LoggedDataset
from sim.arrays import FloatArray
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.files import written_whole
from sim.log import DTYPES, PRODUCTION, InteractionLog, say_no_survey
from sim.random import RandomStream

FILE = "bandit_feedback.npz"

_OURS = "interestlab."
_ITEMS = ("creator", "length", "upload_day", "expiry_day")
_CLUSTERS = ("path", "centroid", "offset")


def without_propensity(data: LoggedDataset) -> int:
    """Rows that ``bandit_feedback`` leaves out: those without a propensity, where others have one."""
    unknown = np.isnan(data.log.propensity)
    return 0 if unknown.all() else int(unknown.sum())


def bandit_feedback(data: LoggedDataset) -> dict[str, Any]:
    """The dict (see above); rows without a propensity are left out, unless none has one."""
    known = _known(data)
    log = data.log.where(known)
    return {
        "n_rounds": len(log),
        "n_actions": data.catalog.num_items,
        "context": _consumed_before(data)[known],
        "action_context": data.catalog.embedding.astype(np.float32),
        "action": log.item,
        "position": log.slot.astype(np.int64),
        "reward": log.positive.astype(np.float64),
        "expected_reward": None,
        "pscore": None if np.isnan(log.propensity).any() else log.propensity.astype(np.float64),
    }


def _known(data: LoggedDataset) -> npt.NDArray[np.bool_]:
    known = ~np.isnan(data.log.propensity)
    return known if known.any() else ~known


def _consumed_before(data: LoggedDataset) -> FloatArray:
    """(R, L) float32: of what a row's user consumed before its request, the share of each level-1 cluster."""
    log = data.log
    order = np.lexsort((log.slot, log.step, log.day, log.user))
    user, request = log.user[order], np.stack([log.user, log.day, log.step])[:, order]
    row = np.arange(len(order))
    counts = np.zeros((len(order) + 1, data.clusters.level_sizes[0]), np.int32)
    counts[row + 1, data.clusters.parent[log.cluster[order]]] = log.consumed[order]
    np.cumsum(counts, axis=0, out=counts)
    starts = (np.diff(request, prepend=request[:, :1] - 1) != 0).any(axis=0)
    first_of_request = np.maximum.accumulate(np.where(starts, row, 0))
    before = counts[first_of_request] - counts[np.searchsorted(user, user)]
    share = np.empty(before.shape, np.float32)
    share[order] = before / np.maximum(before.sum(axis=1, keepdims=True), 1)
    return share


def write(data: LoggedDataset, folder: Path) -> dict[str, int]:
    """Write ``bandit_feedback.npz``; same data, same bytes. Returned is how many rows were left out, by reason."""
    log = data.log.where(_known(data))
    has = np.array([data.has_watch, data.has_propensity, data.has_negatives])
    arrays = {name: value for name, value in bandit_feedback(data).items() if value is not None}
    ours = {name: getattr(log, name) for name in DTYPES}
    ours |= {name: getattr(data.catalog, name) for name in _ITEMS}
    ours |= {name: getattr(data.clusters, name) for name in _CLUSTERS}
    described = [data.clusters.description(place) for place in range(data.clusters.num_clusters)]
    ours |= {"dataset": [data.name, data.source], "num_users": data.num_users, "has": has, "keywords": described}
    _write_npz(folder / FILE, arrays | {_OURS + name: value for name, value in ours.items()})
    lost = without_propensity(data)
    return {"rows without a propensity": lost} if lost else {}


def _write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """As ``numpy.savez_compressed``, which however writes the time of day into the file."""
    with written_whole(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, value in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)


def read_feedback(path: Path) -> dict[str, Any]:
    """The dict of a file, as ``bandit_feedback`` made it; what the file does not have is None.

    Raises:
        InvalidInput: no whole such file, or arrays that do not match each other.
    """
    arrays = _read_npz(path)
    names = ("n_rounds", "n_actions", "context", "action_context", "action", "position", "reward")
    feedback: dict[str, Any] = {name: arrays.get(name) for name in (*names, "expected_reward", "pscore")}
    for name in ("n_rounds", "n_actions"):
        feedback[name] = int(feedback[name])
    return feedback


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidInput("dataset file", str(path), f"must be a whole .npz file without pickles ({error})") from None
    for name in ("n_rounds", "n_actions", "action", "reward"):
        if name not in arrays:
            raise InvalidInput(str(path), name, f"is an array that it must have; it has {', '.join(arrays)}")
    rounds, actions = arrays["n_rounds"], arrays["n_actions"]
    sizes = dict.fromkeys(("action", "reward", "position", "pscore", "context"), int(rounds))
    for name, size in {**sizes, "action_context": int(actions)}.items():
        if name in arrays and (arrays[name].ndim == 0 or len(arrays[name]) != size):
            raise InvalidInput(
                f"{path}: {name}", arrays[name].shape, f"must have {size:,} rows, one each: half a copy?"
            )
    unknown = (arrays["action"] < 0) | (arrays["action"] >= int(actions))
    no_reward = (arrays["reward"] != 0) & (arrays["reward"] != 1)
    for name, wrong, expected in (
        ("action", unknown, f"must be 0 to {int(actions) - 1}"),
        ("reward", no_reward, "must be 0 or 1"),
    ):
        if wrong.any():
            value = arrays[name][wrong.argmax()].item()
            message = f"{expected}; {int(wrong.sum()):,} of {len(wrong):,} rows are not so"
            raise InvalidInput(f"{path}: {name}", value, message)
    return arrays


def read(folder: Path, part: str | None = None) -> LoggedDataset:
    """Read such a file, or the one of this name in a folder, as a data set; it has no parts.

    Raises:
        InvalidInput: as ``read_feedback``, or a propensity is not in (0, 1], or the log cannot have happened.
    """
    path = folder / FILE if folder.is_dir() else folder
    arrays = _read_npz(path)
    ours = {name.removeprefix(_OURS): value for name, value in arrays.items() if name.startswith(_OURS)}
    if not ours:
        return _from_elsewhere(path.stem, arrays)
    needed = {*DTYPES, *_ITEMS, *_CLUSTERS, "dataset", "num_users", "has", "keywords"} - {"survey"}
    missing = needed - set(ours)
    if missing or "action_context" not in arrays:
        raise InvalidInput(str(path), min(missing or {"action_context"}), "is an array that it must have")
    if "survey" not in ours:
        say_no_survey(f"dataset file {path}")
    num = int(arrays["n_actions"])
    none = np.empty((num, 0), np.int32)
    catalog = Catalog(
        **{name: ours[name] for name in _ITEMS},
        embedding=arrays["action_context"].astype(np.float16),
        title_terms=none,
        hashtag_terms=none,
        vocabulary=(),
    )
    keywords = tuple(tuple(text.split(", ")) for text in ours["keywords"].tolist())
    watch, propensity, negatives = ours["has"].tolist()
    return LoggedDataset(
        str(ours["dataset"][0]),
        str(ours["dataset"][1]),
        int(ours["num_users"]),
        InteractionLog(**{name: ours[name] for name in DTYPES if name in ours}),
        catalog,
        InterestClusters(ours["path"], ours["centroid"], keywords, ours["offset"]),
        watch,
        propensity,
        negatives,
    )


def _from_elsewhere(name: str, arrays: dict[str, Any]) -> LoggedDataset:
    """Rounds without users, actions without clusters."""
    rounds, actions = int(arrays["n_rounds"]), int(arrays["n_actions"])
    nothing, zero = np.zeros(rounds, bool), np.zeros(rounds, np.int32)
    reward, action = arrays["reward"] == 1, arrays["action"].astype(np.int64)
    known = "pscore" in arrays
    log = InteractionLog(
        user=np.arange(rounds), day=zero, step=zero, slot=arrays.get("position", zero), item=action, cluster=action,
        watch_seconds=reward * np.float32(NOMINAL_LENGTH), watch_fraction=reward, liked=nothing, disliked=nothing,
        positive=reward, consumed=reward, propensity=arrays["pscore"] if known else np.full(rounds, np.nan),
        source=np.full(rounds, PRODUCTION), planned=np.full(rounds, -1),
    )  # fmt: skip
    embedding = RandomStream(0, "actions").normal(np.arange(actions), WIDTH)
    context = arrays.get("action_context")
    if context is not None and context.ndim == 2 and context.any():
        directions = RandomStream(0, "action context").normal(np.arange(context.shape[1]), WIDTH)
        embedding = 0.1 * unit(embedding) + unit(context @ directions)
    none, level = np.empty((actions, 0), np.int32), np.arange(actions)
    catalog = Catalog(
        creator=np.zeros(actions, np.int32),
        length=np.full(actions, NOMINAL_LENGTH, np.float32),
        upload_day=np.zeros(actions, np.int32),
        expiry_day=np.ones(actions, np.int32),
        embedding=unit(embedding).astype(np.float16),
        title_terms=none,
        hashtag_terms=none,
        vocabulary=(),
    )
    path = np.stack([0 * level, level, level, level], axis=1)
    clusters = InterestClusters(path, catalog.embedding.astype(np.float32), tuple((f"action {k}",) for k in level))
    return LoggedDataset(name, "obp", rounds, log, catalog, clusters, has_watch=False, has_propensity=known)
