"""Files that are written whole or not at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_json(path: Path, content: Any) -> None:
    """Write valid JSON (no NaN), as ``write_text``; same content, same bytes."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text into a folder that is made if need be, first under a temporary name, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write Parquet, first under a temporary name, then renamed."""
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(table, temporary, compression="zstd")
    os.replace(temporary, path)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, first under a temporary name, then renamed."""
    temporary = target.with_name(target.name + ".tmp")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)


def replace_folder(source: Path, target: Path) -> None:
    """Rename a whole folder into place, over an older one if there is one."""
    if target.exists():
        shutil.rmtree(target)
    os.replace(source, target)
