"""Delimited files of other people's data sets, read block by block: what cannot be read is counted."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.lib
from tqdm import tqdm

from sim.arrays import FloatArray
from sim.errors import InvalidInput

_BLOCK = 1 << 23  # bytes; what stands in memory besides the columns that are kept
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Layout:
    """How a file's rows are laid out.

    Attributes:
        delimiter: one character.
        names: its columns, where the file has no line that names them.
        quoted: whether quotation marks enclose fields; elsewhere they are part of the text.
        encoding: of the text.
        patchy: whether fields may hold line breaks, and characters that the encoding does not have, which are
            replaced. Such a file is read at once.
    """

    delimiter: str = ","
    names: tuple[str, ...] = ()
    quoted: bool = True
    encoding: str = "utf8"
    patchy: bool = False


COMMAS = Layout()


def folder_of(folder: Path, source: str) -> Path:
    """The folder with the files: ``folder`` or, where it is there, ``folder/data``; ``InvalidInput`` if it is none."""
    if not folder.is_dir():
        raise InvalidInput("dataset.folder", str(folder), f"must be a folder with the files of {source}")
    return folder / "data" if (folder / "data").is_dir() else folder


def files_like(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that match any of the patterns, by name; ``InvalidInput`` if there is none."""
    matches = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    if not matches:
        raise InvalidInput("dataset.folder", str(folder), f"must hold a file {' or '.join(patterns)}")
    return matches


def text_blocks(
    path: Path, columns: Sequence[str], left_out: Counter[str], layout: Layout = COMMAS
) -> Iterator[dict[str, pa.Array]]:
    """The columns named, as text (null where empty), some thousand rows at a time.

    ``left_out`` counts rows with too few or too many fields.

    Raises:
        InvalidInput: no such file, a column is missing, or the file ends in the middle of a line.
    """
    _check_whole(path)
    names = layout.names or _header(path, layout)
    for column in columns:
        if column not in names:
            raise InvalidInput(str(path), column, f"is a column that it must have; it has {', '.join(names)}")

    def skip(_: Any) -> str:
        left_out["rows with too few or too many fields"] += 1
        return "skip"

    quote = '"' if layout.quoted else False
    with (
        _opened(path, layout) as file,
        tqdm(total=path.stat().st_size, unit="B", unit_scale=True, delay=2, desc=path.name) as bar,
    ):
        try:
            reader = pyarrow.csv.open_csv(
                file,
                pyarrow.csv.ReadOptions(block_size=_BLOCK, column_names=layout.names or None, encoding=layout.encoding),
                pyarrow.csv.ParseOptions(
                    delimiter=layout.delimiter,
                    quote_char=quote,
                    invalid_row_handler=skip,
                    newlines_in_values=layout.patchy,
                ),
                pyarrow.csv.ConvertOptions(
                    column_types={name: pa.string() for name in columns},
                    include_columns=list(columns),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            for batch in reader:
                bar.update(file.tell() - bar.n)
                yield {name: batch.column(place) for place, name in enumerate(columns)}
        except (pyarrow.lib.ArrowException, UnicodeDecodeError) as error:
            raise InvalidInput(str(path), str(error).splitlines()[0], "must be a readable text file") from None


def numbers(column: pa.Array) -> FloatArray:
    """(n,) float64 of text; NaN where it is no finite number."""
    number = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, pa.scalar(None, pa.string()))
    values = np.asarray(pc.cast(number, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def read_numbers(
    paths: Sequence[Path], columns: Mapping[str, Any], left_out: Counter[str], layout: Layout = COMMAS
) -> dict[str, npt.NDArray[Any]]:
    """Columns of numbers, (n,) each, of one file after the other; errors as of ``text_blocks``.

    Args:
        paths: the files.
        columns: name -> numpy type. Rows with anything else than a number in one of them are left out.
        left_out: counts them, by column.
        layout: of the files.
    """
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in columns}
    for path in paths:
        for block in text_blocks(path, list(columns), left_out, layout):
            values = {name: numbers(column) for name, column in block.items()}
            kept = readable(values, left_out)
            for name, dtype in columns.items():
                parts[name].append(values[name][kept].astype(dtype))
    return {name: np.concatenate(parts[name]) if parts[name] else np.empty(0, columns[name]) for name in columns}


def readable(values: Mapping[str, FloatArray], left_out: Counter[str]) -> npt.NDArray[np.bool_]:
    """(n,) bool: rows with a number in every column; the others are counted under the first that has none."""
    kept = np.ones(len(next(iter(values.values()))), bool)
    for name, column in values.items():
        wrong = kept & np.isnan(column)
        left_out[f"rows without a number in {name}"] += int(wrong.sum())
        kept &= ~wrong
    return kept


def read_texts(
    paths: Sequence[Path], columns: Sequence[str], left_out: Counter[str], layout: Layout = COMMAS
) -> dict[str, pa.Array]:
    """Columns of text, (n,) each, of one file after the other, null where empty; errors as of ``text_blocks``."""
    blocks = [block for path in paths for block in text_blocks(path, columns, left_out, layout)]
    return {name: pa.concat_arrays([b[name] for b in blocks] or [pa.array([], pa.string())]) for name in columns}


def _opened(path: Path, layout: Layout) -> BinaryIO:
    if layout.patchy:
        return io.BytesIO(path.read_bytes().decode(layout.encoding, "replace").encode(layout.encoding))
    return path.open("rb")


def _check_whole(path: Path) -> None:
    """Check that the last line is a whole one: all published files end with a line break."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InvalidInput(str(path), "no content", "must not be empty")
            file.seek(-1, 2)
            whole = file.read(1) == b"\n"
    except OSError as error:
        raise InvalidInput("dataset file", str(path), f"must be there ({error.strerror})") from None
    if not whole:
        raise InvalidInput(str(path), "no line break at its end", "is this half a file? If it is whole, append one")


def _header(path: Path, layout: Layout) -> list[str]:
    with path.open("rb") as file:
        try:
            line = file.readline().decode(layout.encoding, "replace" if layout.patchy else "strict").lstrip("\ufeff")
        except UnicodeDecodeError as error:
            raise InvalidInput(str(path), str(error), "must be a readable text file") from None
    return next(csv.reader([line], delimiter=layout.delimiter))
