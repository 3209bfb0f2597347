"""RecTools' SASRec on a split that ``offline_check`` wrote: ``PYTHON -P library_sasrec.py FOLDER``.

Runs in an environment of its own: ``pip install "torch==2.13.0" "rectools[torch]==0.19.0" safetensors``.
Full softmax cross-entropy, inverse learnable positions, two blocks, as the library has them by default;
width and history as ours. Writes what each of ``EPOCHS`` finds; few are better on a log that popularity
explains, more on one that it does not.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

EPOCHS = (10, 60)


def best_items(split: dict[str, Any], num: int, epochs: int) -> npt.NDArray[np.int64]:
    """Train on the split's positives, in the order given; (U, num) best live items of the asked users."""
    import pandas
    import torch
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the library draws from it
    seconds = pandas.to_timedelta(np.arange(len(split["user"])), unit="s")
    table = pandas.DataFrame(
        {
            Columns.User: split["user"],
            Columns.Item: split["item"],
            Columns.Weight: 1.0,
            Columns.Datetime: pandas.Timestamp("2024-01-01") + seconds,
        }
    )
    dataset = Dataset.construct(table)
    model = SASRecModel(
        n_factors=64,
        n_heads=2,
        session_max_len=50,
        loss="softmax",
        lr=0.001,
        epochs=epochs,
        use_key_padding_mask=True,
        deterministic=True,
    )
    model.fit(dataset)
    known = np.intersect1d(split["live"], split["item"])
    found = model.recommend(users=split["asked"], dataset=dataset, k=num, filter_viewed=False, items_to_recommend=known)
    found = found.sort_values([Columns.User, Columns.Rank])
    return np.asarray(found[Columns.Item], np.int64).reshape(len(split["asked"]), num)


def main() -> None:
    """Read ``split.safetensors``, write ``library.safetensors``."""
    from safetensors.numpy import load_file, save_file

    folder = Path(sys.argv[1])
    split = load_file(folder / "split.safetensors")
    save_file({f"top_{epochs}": best_items(split, 10, epochs) for epochs in EPOCHS}, folder / "library.safetensors")


if __name__ == "__main__":
    main()
