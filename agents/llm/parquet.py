"""Tables as Parquet files, to read without interestlab."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from agents.llm.table import TransitionTable
from agents.llm.triples import Table, triples_of
from sim.arrays import FloatArray, IntArray
from sim.files import written_whole

_ROWS = 50_000  # rows of a table that become one row group


def write_parquet(table: Table, path: Path) -> list[Path]:
    """Write every entry of a table as a row, first under a temporary name, then renamed.

    Columns: ``c1`` .. ``cK``, ``rank`` (1 = best), ``next`` (int32 level-2 clusters), ``log_probability``
    (float32, null where the model only generated), and ``c1_text`` .. ``cK_text``, ``next_text``, what the
    prompts call them (dictionary-encoded). Entries that are none are left out. The schema's metadata has
    what the table was made of, under names that begin with ``interestlab.``. A triple's clusters are in
    ascending order; the pairs behind a table of triples go to a second file, ``NAME_pairs.parquet``.

    Args:
        table: of any kind.
        path: of the file, in a folder that exists.

    Returns:
        The files.
    """
    if isinstance(table, TransitionTable):
        past = np.arange(len(table.clusters))
        num, powers = table.num_clusters, range(table.past_clusters - 1, -1, -1)
        _write(path, _metadata(table.manifest), table, np.stack([past // num**k % num for k in powers], axis=1))
        return [path]
    _write(path, _metadata(table.manifest), table, triples_of(table.keys, table.num_clusters))
    return [path, *write_parquet(table.pairs, path.with_name(f"{path.stem}_pairs{path.suffix}"))]


def _metadata(manifest: dict[str, Any]) -> dict[str, str]:
    inputs = manifest.get("inputs", {})
    content = {
        **{name: inputs[name] for name in ("weights_digest", "prompts_digest", "clusters_digest") if name in inputs},
        **{name: manifest[name] for name in ("version", "template", "num_clusters", "past_clusters", "top_n")},
        "inputs": json.dumps(inputs, sort_keys=True),
    }
    return {f"interestlab.{name}": str(value) for name, value in content.items()}


def _write(path: Path, metadata: dict[str, str], table: Table, past: IntArray) -> None:
    texts = pa.array(table.manifest["texts"], pa.string())
    names = [f"c{k + 1}" for k in range(past.shape[1])]
    text = pa.dictionary(pa.int32(), pa.string())
    fields = [
        *[(name, pa.int32()) for name in names],
        ("rank", pa.int32()),
        ("next", pa.int32()),
        ("log_probability", pa.float32()),
        *[(f"{name}_text", text) for name in (*names, "next")],
    ]
    schema = pa.schema(fields, metadata)
    with (
        written_whole(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        tqdm(total=len(past), desc=path.name, unit="row", unit_scale=True, dynamic_ncols=True) as bar,
    ):
        for start in range(0, len(past), _ROWS):
            rows = slice(start, start + _ROWS)
            clusters, log_probability = table.clusters[rows], table.log_probability[rows]
            writer.write_table(_rows(schema, texts, names, past[rows], clusters, log_probability))
            bar.update(len(clusters))


def _rows(
    schema: Any, texts: Any, names: list[str], past: IntArray, clusters: IntArray, log_probability: FloatArray
) -> Any:
    row, place = np.nonzero(clusters >= 0)  # (E,) entries
    entry = log_probability[row, place]
    columns = {name: past[row, k].astype(np.int32) for k, name in enumerate(names)}
    columns["next"] = clusters[row, place].astype(np.int32)
    arrays = {
        **columns,
        "rank": (place + 1).astype(np.int32),
        "log_probability": pa.array(entry, pa.float32(), mask=np.isnan(entry)),
        **{f"{name}_text": pa.DictionaryArray.from_arrays(pa.array(column), texts) for name, column in columns.items()},
    }
    return pa.table([arrays[name] for name in schema.names], schema=schema)
