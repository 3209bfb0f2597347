"""A learned row an item, in a table that grows with the catalog."""

import numpy as np
import torch
from torch import Tensor

from sim.arrays import IntArray


class ItemTable:
    """Item rows trained by Adagrad (Duchi et al. 2011), which touches only the rows of a batch.

    New items start at zero, so that whatever is added to the row (their content) speaks for them
    alone until they have been seen.

    Args:
        width: columns.
        learning_rate: Adagrad's.
    """

    def __init__(self, width: int, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.value = torch.zeros(0, width)  # (n, width)
        self._squares = torch.zeros(0, width)  # (n, width) sums of squared gradients

    def grow(self, num_items: int) -> None:
        """Add zero rows until there are ``num_items``."""
        missing = num_items - len(self.value)
        if missing > 0:
            new = torch.zeros(missing, self.value.shape[1])
            self.value = torch.cat([self.value, new])
            self._squares = torch.cat([self._squares, new])

    def rows(self, items: IntArray) -> Tensor:
        """A copy (U, width) of the rows of distinct ``items``, ready to collect a gradient."""
        return self.value[torch.from_numpy(np.array(items))].requires_grad_()

    def step(self, items: IntArray, rows: Tensor) -> None:
        """Descend along the gradient that ``rows``, from ``rows(items)``, has collected."""
        assert rows.grad is not None
        index = torch.from_numpy(np.array(items))
        squares = self._squares[index] + rows.grad**2
        self._squares[index] = squares
        self.value[index] -= self.learning_rate * rows.grad / (squares.sqrt() + 1e-10)

    def state(self) -> dict[str, Tensor]:
        """What ``restore`` needs."""
        return {"table.value": self.value, "table.squares": self._squares}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Become the table whose ``state`` this is."""
        self.value, self._squares = state["table.value"], state["table.squares"]
