"""What a fine-tuning run needs to go on after it was killed: weights, optimiser moments, its curve."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from agents.llm.files import empty_folder, publish_folder, read_tensors, write_tensors
from sim.errors import InvalidInput
from sim.files import write_json

_MOMENTS = ("exp_avg", "exp_avg_sq")


def write_checkpoint(
    folder: Path, step: int, trained: dict[str, torch.Tensor], optimizer: torch.optim.AdamW, progress: dict[str, Any]
) -> None:
    """Write ``folder/step-NNNNNN``, whole or not at all, then drop older ones.

    Args:
        folder: the run's checkpoints.
        step: updates done.
        trained: the trained parameters by name.
        optimizer: over those parameters.
        progress: anything else to go on from, as JSON.
    """
    temporary = empty_folder(folder / "unfinished")
    write_tensors(temporary / "weights.safetensors", trained)
    for moment in _MOMENTS:
        state = {name: optimizer.state[tensor][moment] for name, tensor in trained.items()}
        write_tensors(temporary / f"{moment}.safetensors", state)
    write_json(temporary / "progress.json", {"step": step, **progress})
    final = folder / f"step-{step:06d}"
    publish_folder(temporary, final)
    for other in folder.glob("step-*"):
        if other != final:
            shutil.rmtree(other)


def read_checkpoint(
    folder: Path, trained: dict[str, torch.Tensor], optimizer: torch.optim.AdamW
) -> dict[str, Any] | None:
    """Load the newest checkpoint, if there is one, into parameters and optimiser.

    Returns:
        ``{"step": updates done, **progress}``, or None where there is no checkpoint.

    Raises:
        InvalidInput: a file of the checkpoint is truncated or of another run.
    """
    checkpoints = sorted(folder.glob("step-*"))
    if not checkpoints:
        return None
    checkpoint = checkpoints[-1]
    remedy = f"delete {os.fspath(checkpoint)} to start over"
    try:
        progress: dict[str, Any] = json.loads((checkpoint / "progress.json").read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "checkpoint", str(checkpoint / "progress.json"), f"must be JSON ({error}); {remedy}"
        ) from None
    _copy_into(trained, checkpoint / "weights.safetensors", remedy)
    for tensor in trained.values():
        optimizer.state[tensor] = {"step": torch.tensor(float(progress["step"]))}
        for moment in _MOMENTS:
            optimizer.state[tensor][moment] = torch.zeros_like(tensor)
    for moment in _MOMENTS:
        _copy_into(
            {n: optimizer.state[t][moment] for n, t in trained.items()}, checkpoint / f"{moment}.safetensors", remedy
        )
    return progress


def load_into(trained: dict[str, torch.Tensor], path: Path) -> None:
    """Load a file of trained parameters into the parameters."""
    _copy_into(trained, path, f"delete {os.fspath(path.parent)} to start over")


@torch.no_grad()
def _copy_into(target: dict[str, torch.Tensor], path: Path, remedy: str) -> None:
    tensors = read_tensors(path, remedy)
    if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in target.items()}:
        raise InvalidInput("checkpoint", str(path), f"must hold this run's parameters; {remedy}")
    for name, tensor in target.items():
        tensor.copy_(tensors[name])
