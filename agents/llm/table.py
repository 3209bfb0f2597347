"""The planning table: (c1, c2) -> the best next clusters, computed offline, looked up when serving.

Wang et al. (2024), section 3.2: with M clusters all M^2 ordered pairs are run through the model
once; no model is needed when a user comes.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.files import empty_folder, file_digest, publish_folder
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.files import write_json

VERSION = 1
_ARRAYS = ("clusters", "log_probability")
_MIN_CLUSTERS = 3  # with fewer, some pair has no label left
_REMEDY = "delete the folder and make the table anew"


@dataclass(frozen=True)
class TransitionTable:
    """A table over M level-2 clusters; row ``c1 * M + c2`` belongs to the ordered pair (c1, c2).

    Attributes:
        clusters: (M * M, n) int16 (int32 from 32,768 clusters), best first, never c1 nor c2; -1 =
            none, where the model was free to say anything and named no cluster.
        log_probability: (M * M, n) float32, log P(cluster | pair) of each, nats. The order is
            that of the corrected scores (``llm.pmi_coefficient``), so these need not fall. nan
            where the model only generated.
        manifest: what the table was made of, and its label statistics.
    """

    clusters: IntArray
    log_probability: FloatArray
    manifest: dict[str, Any]

    @property
    def num_clusters(self) -> int:
        """M."""
        return int(self.manifest["num_clusters"])

    def lookup(self, first: IntArray, second: IntArray) -> tuple[IntArray, FloatArray]:
        """What to show next to users of B ordered pairs.

        Args:
            first, second: (B,) level-2 clusters, 0 .. M-1.

        Returns:
            (B, n) clusters, best first, -1 = none, and (B, n) float32 log-probabilities.
        """
        row = first.astype(np.int64) * self.num_clusters + second
        return np.asarray(self.clusters[row]), np.asarray(self.log_probability[row])

    @staticmethod
    def write(folder: Path, clusters: IntArray, log_probability: FloatArray, about: dict[str, Any]) -> None:
        """Write a table, first under a temporary name, then renamed.

        Args:
            folder: must not exist.
            clusters, log_probability: as the attributes.
            about: goes into the manifest; must hold ``clusters_digest``, the digest of the
                interest clusters that the table is for.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = empty_folder(folder.with_name(folder.name + ".unfinished"))
        num_clusters = math.isqrt(len(clusters))
        small = num_clusters <= np.iinfo(np.int16).max
        np.save(temporary / "clusters.npy", clusters.astype(np.int16 if small else np.int32))
        np.save(temporary / "log_probability.npy", log_probability.astype(np.float32))
        manifest = {
            **about,
            "version": VERSION,
            "num_clusters": num_clusters,
            "top_n": clusters.shape[1],
            "checksum": {name: file_digest(temporary / f"{name}.npy") for name in _ARRAYS},
        }
        write_json(temporary / "manifest.json", manifest)
        publish_folder(temporary, folder)

    @staticmethod
    def open(folder: Path) -> "TransitionTable":
        """Map a table into memory.

        Raises:
            InvalidInput: not a table, of another version, truncated or changed.
        """
        path = folder / "manifest.json"
        try:
            manifest = json.loads(path.read_text())
            version, num_clusters, top_n = manifest["version"], int(manifest["num_clusters"]), int(manifest["top_n"])
            checksum = {name: manifest["checksum"][name] for name in _ARRAYS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"must be the manifest of a transition table ({type(error).__name__}: {error})"
            raise InvalidInput("table", str(path), problem) from None
        if version != VERSION:
            raise InvalidInput("table", str(path), f"must be of version {VERSION}, not {version!r}; {_REMEDY}")
        arrays = {name: _map(folder / f"{name}.npy", checksum[name], (num_clusters**2, top_n)) for name in _ARRAYS}
        return TransitionTable(arrays["clusters"], arrays["log_probability"], manifest)


def check_num_clusters(num: int) -> None:
    """Check that every pair of clusters leaves one to name.

    Raises:
        InvalidInput: it doesn't.
    """
    if num < _MIN_CLUSTERS:
        raise InvalidInput("world.num_interests", num, f"must be at least {_MIN_CLUSTERS} for a table")


def finished_table(folder: Path, inputs: dict[str, Any], top_n: int) -> TransitionTable | None:
    """The table in a folder, None if there is none yet.

    Args:
        folder: of the table.
        inputs: what it must have been made of, as in its manifest.
        top_n: clusters a pair.

    Raises:
        InvalidInput: a damaged table, or one of other inputs.
    """
    if not folder.is_dir():
        return None
    table = TransitionTable.open(folder)
    if table.manifest.get("inputs") != inputs or table.manifest["top_n"] != top_n:
        raise InvalidInput("table", str(folder), "was made of other inputs; delete it or choose another folder")
    return table


def _map(path: Path, checksum: str, shape: tuple[int, int]) -> Any:
    try:
        if file_digest(path) != checksum:
            raise InvalidInput("table", str(path), f"is truncated or was changed; {_REMEDY}")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput("table", str(path), f"must be a whole .npy file ({error}); {_REMEDY}") from None
    if array.shape != shape:
        raise InvalidInput("table", str(path), f"must have shape {shape}, not {array.shape}; {_REMEDY}")
    return array


def label_skew(count: IntArray) -> dict[str, float]:
    """How evenly labels are spread over all pairs (Wang et al. 2024, figure 3).

    Args:
        count: (M,) how many pairs have each label as their best.

    Returns:
        ``gini`` = sum_i (2i - M - 1) x_(i) / (M sum x), x ascending; ``normalised_entropy`` =
        entropy / ln M; ``coverage`` = share of labels that occur; ``top_1_percent_share`` = share
        of pairs that the most frequent hundredth of the labels (at least one) takes;
        ``never_generated`` = number of labels that do not occur.
    """
    x = np.sort(np.asarray(count, np.float64))
    num, total = len(x), max(x.sum(), 1.0)
    share = x[x > 0] / total
    return {
        "gini": float(((2 * np.arange(1, num + 1) - num - 1) * x).sum() / (num * total)),
        "normalised_entropy": float(-(share * np.log(share)).sum() / math.log(num)) if num > 1 else 1.0,
        "coverage": float((x > 0).mean()),
        "top_1_percent_share": float(x[-math.ceil(num / 100) :].sum() / total),
        "never_generated": float((x == 0).sum()),
    }
