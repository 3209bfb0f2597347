"""Files that are written whole or not at all."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def written_whole(path: Path, many_writers: bool = False) -> Iterator[Path]:
    """A temporary name next to ``path`` to write to; it is renamed to ``path`` when the block ends without an error.

    The folder is made if need be. After an error nothing is left; what a killed process left there the next one
    writes over.

    Args:
        path: the file that appears, whole.
        many_writers: other processes or machines may write the same file at the same time, so the temporary
            name must be nobody else's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{uuid.uuid4().hex}" if many_writers else ""
    temporary = path.with_name(f"{path.name}{own}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:  # not after success: the name may be another process's by then
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write valid JSON (no NaN), as ``write_text``; same content, same bytes."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write Parquet, whole or not at all."""
    with written_whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with written_whole(target) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """A new, empty folder next to ``path`` to fill; it is renamed to ``path`` when the block ends without an error.

    Anything that a killed process left under either name is removed; ``path`` is always a whole folder.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    yield temporary
    replace_folder(temporary, path)


def replace_folder(source: Path, target: Path) -> None:
    """Rename a whole folder into place, over an older one if there is one."""
    if target.exists():
        shutil.rmtree(target)
    os.replace(source, target)
