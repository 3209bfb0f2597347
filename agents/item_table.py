"""A learned row an item, in a table that grows with the catalog."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sim.arrays import FloatArray, IntArray

_BLOCK = 4096  # items whose content is held in float32 at a time


class ItemTable:
    """Item rows trained by Adagrad (Duchi et al. 2011), which touches only the rows of a batch.

    New items start at zero, so that they are represented by their content alone until they have been
    seen.

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

    @torch.no_grad()
    def with_content(self, content: FloatArray, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Combine every item's content (n, 256) with its row, the table growing to n rows first.

        Args:
            content: (n, 256) float16; converted to float32 in blocks, never as a whole.
            combine: from content (b, 256) and rows (b, width) to (b, columns).

        Returns:
            (n, columns) float32.
        """
        self.grow(len(content))
        starts = range(0, len(content), _BLOCK)
        return torch.cat(
            [
                combine(torch.from_numpy(content[s : s + _BLOCK].astype(np.float32)), self.value[s : s + _BLOCK])
                for s in starts
            ]
        )

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
