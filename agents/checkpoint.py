"""Trained networks on disk, with all that training needs to go on as if it had not stopped."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agents.item_table import ItemTable
from sim.errors import InvalidInput


def save_training(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, table: ItemTable) -> None:
    """Write parameters, optimizer moments and item table as safetensors."""
    tensors: dict[str, Tensor] = dict(table.state())
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        for moment, value in optimizer.state[parameter].items():  # empty before the first step
            tensors[f"optimizer.{name}/{moment}"] = value
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def load_training(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, table: ItemTable) -> None:
    """Read what ``save_training`` wrote into objects that were built with the same sizes.

    Raises:
        InvalidInput: not such a file, or one of other sizes.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidInput("checkpoint", str(path), f"must be a whole safetensors file ({error})") from None
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            saved = tensors.get(f"model.{name}")
            if saved is None or saved.shape != parameter.shape:
                found = "nothing" if saved is None else f"shape {tuple(saved.shape)}"
                raise InvalidInput(
                    "checkpoint",
                    str(path),
                    f"parameter {name} must have shape {tuple(parameter.shape)}, found {found}; "
                    "use the configuration it was trained with",
                )
            parameter.copy_(saved)
            prefix = f"optimizer.{name}/"
            moments = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            if moments:
                optimizer.state[parameter] = moments
    table.restore(tensors)
