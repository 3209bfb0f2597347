"""The planning table: (c1, c2) -> the best next clusters, computed offline, looked up when serving.

Wang et al. (2024), section 3.2: with M clusters all M^2 ordered pairs are run through the model
once; no model is needed when a user comes.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.llm.files import empty_folder, file_digest, publish_folder
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.files import write_json

VERSION = 2
_ARRAYS = ("clusters", "log_probability")
_SUCCESSOR = "successor"
_MIN_CLUSTERS = 3  # with fewer, some pair has no label left
_REMEDY = "delete the folder and make the table anew"


@dataclass(frozen=True)
class TransitionTable:
    """A table over M level-2 clusters for every past of K = 2 clusters, or of one.

    Row ``c1 * M + c2`` belongs to the ordered pair (c1, c2); with K = 1, row ``c1`` to that cluster.

    Attributes:
        clusters: (M ** K, n) int16 (int32 from 32,768 clusters), best first, none of the past ones; -1 =
            none, where the model was free to say anything and named no cluster.
        log_probability: (M ** K, n) float32, log P(cluster | past) of each, nats. The order is
            that of the corrected scores (``llm.pmi_coefficient``), so these need not fall. nan
            where the model only generated.
        manifest: what the table was made of, and its label statistics.
        successor: (M, M) int32, the hint that each pair's prompt mentioned, -1 = none
            (``llm.successor_hint``); None where no prompt did.
    """

    clusters: IntArray
    log_probability: FloatArray
    manifest: dict[str, Any]
    successor: IntArray | None = None

    @property
    def num_clusters(self) -> int:
        """M."""
        return int(self.manifest["num_clusters"])

    @property
    def past_clusters(self) -> int:
        """K."""
        return int(self.manifest["past_clusters"])

    def lookup(self, first: IntArray, second: IntArray) -> tuple[IntArray, FloatArray]:
        """What to show next to users of B ordered pairs (K = 2).

        Args:
            first, second: (B,) level-2 clusters, 0 .. M-1.

        Returns:
            (B, n) clusters, best first, -1 = none, and (B, n) float32 log-probabilities.
        """
        row = first.astype(np.int64) * self.num_clusters + second
        return self.clusters.take(row, axis=0), self.log_probability.take(row, axis=0)

    def rows_of(self, past: IntArray) -> IntArray:
        """(B,) int64, the rows of pasts (B, K) of clusters 0 .. M-1."""
        row = past[:, 0].astype(np.int64)
        for k in range(1, self.past_clusters):
            row = row * self.num_clusters + past[:, k]
        return row

    def next_clusters(self, past: IntArray) -> tuple[IntArray, BoolArray]:
        """What to show next after pasts (B, K).

        Returns:
            (B, n) clusters, best first, -1 = none; and (B,) bool, whether the table holds the past: all True.
        """
        return self.clusters.take(self.rows_of(past), axis=0), np.ones(len(past), bool)

    @staticmethod
    def write(
        folder: Path,
        clusters: IntArray,
        log_probability: FloatArray,
        about: dict[str, Any],
        past_clusters: int = 2,
        successor: IntArray | None = None,
    ) -> None:
        """Write a table, first under a temporary name, then renamed.

        Args:
            folder: must not exist.
            clusters, log_probability, successor: as the attributes.
            about: goes into the manifest; must hold ``clusters_digest``, the digest of the
                interest clusters that the table is for.
            past_clusters: K, 1 or 2.
        """
        num_clusters = len(clusters) if past_clusters == 1 else math.isqrt(len(clusters))
        arrays = {"clusters": as_small(clusters, num_clusters), "log_probability": log_probability.astype(np.float32)}
        if successor is not None:
            arrays[_SUCCESSOR] = successor.astype(np.int32)
        sizes = {"num_clusters": num_clusters, "past_clusters": past_clusters, "top_n": clusters.shape[1]}
        write_arrays(folder, arrays, {**about, **sizes})

    @staticmethod
    def open(folder: Path) -> "TransitionTable":
        """Map a table into memory.

        Raises:
            InvalidInput: not a table, of another version, truncated or changed.
        """
        manifest = read_manifest(folder, _ARRAYS)
        num_clusters, past_clusters = int(manifest["num_clusters"]), int(manifest["past_clusters"])
        if past_clusters not in (1, 2):
            raise InvalidInput("table", str(folder), f"must be for one or two past clusters, not {past_clusters}")
        shape = (num_clusters**past_clusters, int(manifest["top_n"]))
        arrays = {name: map_array(folder, name, manifest, shape) for name in _ARRAYS}
        successor = None
        if _SUCCESSOR in manifest["checksum"]:
            successor = map_array(folder, _SUCCESSOR, manifest, (num_clusters, num_clusters))
        return TransitionTable(arrays["clusters"], arrays["log_probability"], manifest, successor)


def as_small(clusters: IntArray, num_clusters: int) -> IntArray:
    """Clusters in as few bytes as they need: int16, or int32 from 32,768 of them."""
    return clusters.astype(np.int16 if num_clusters <= np.iinfo(np.int16).max else np.int32)


def write_arrays(folder: Path, arrays: dict[str, Any], about: dict[str, Any]) -> None:
    """Write arrays and a manifest with their checksums, first under a temporary name, then renamed.

    Args:
        folder: must not exist.
        arrays: by name; each goes to ``NAME.npy``.
        about: goes into the manifest.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = empty_folder(folder.with_name(folder.name + ".unfinished"))
    for name, array in arrays.items():
        np.save(temporary / f"{name}.npy", array)
    checksum = {name: file_digest(temporary / f"{name}.npy") for name in arrays}
    write_json(temporary / "manifest.json", {**about, "version": VERSION, "checksum": checksum})
    publish_folder(temporary, folder)


def read_manifest(folder: Path, arrays: Sequence[str]) -> dict[str, Any]:
    """Read a table's manifest.

    Args:
        folder: of the table.
        arrays: that it must have.

    Raises:
        InvalidInput: there is none, or it is damaged or of another version.
    """
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        version = manifest["version"]
        if version == VERSION:
            int(manifest["num_clusters"]), int(manifest["past_clusters"]), int(manifest["top_n"])
            for name in arrays:
                str(manifest["checksum"][name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"must be the manifest of a transition table ({type(error).__name__}: {error})"
        raise InvalidInput("table", str(path), problem) from None
    if version != VERSION:
        raise InvalidInput("table", str(path), f"must be of version {VERSION}, not {version!r}; {_REMEDY}")
    return manifest


def check_num_clusters(num: int) -> None:
    """Check that every pair of clusters leaves one to name.

    Raises:
        InvalidInput: it doesn't.
    """
    if num < _MIN_CLUSTERS:
        raise InvalidInput("world.num_interests", num, f"must be at least {_MIN_CLUSTERS} for a table")


def about_table(inputs: dict[str, Any], template: str, texts: Sequence[str], best: IntArray) -> dict[str, Any]:
    """The entries of every table's manifest.

    Args:
        inputs: what the table was made of; holds ``clusters_digest``.
        template: of the prompts.
        texts: what the M clusters are called.
        best: (R,) the first label of each row, -1 = none.
    """
    return {
        "inputs": inputs,
        "clusters_digest": inputs["clusters_digest"],
        "template": template,
        "texts": list(texts),
        "labels": label_skew(np.bincount(best[best >= 0], minlength=len(texts))),
    }


def map_array(folder: Path, name: str, manifest: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """Map one of a table's arrays into memory, as a plain array.

    Raises:
        InvalidInput: truncated, changed, or of another shape.
    """
    path = folder / f"{name}.npy"
    try:
        if file_digest(path) != manifest["checksum"][name]:
            raise InvalidInput("table", str(path), f"is truncated or was changed; {_REMEDY}")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput("table", str(path), f"must be a whole .npy file ({error}); {_REMEDY}") from None
    if array.shape != shape:
        raise InvalidInput("table", str(path), f"must have shape {shape}, not {array.shape}; {_REMEDY}")
    return np.asarray(array)  # numpy.memmap makes every look-up of a few rows cost several times as much


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
