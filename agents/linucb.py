"""LinUCB (Li et al. 2010, algorithm 1): many independent linear bandits at once.

A bandit believes that a reward is linear in the features x of what it may choose, E[r | x] = theta . x,
learns theta by ridge regression, and chooses the largest upper confidence bound.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput

State = dict[str, npt.NDArray[Any]]
"""The arrays that a bandit is saved as, by name."""

_BLOCK = 65_536  # observations whose outer products are summed at a time


class RidgeRegressions:
    """P ridge regressions of rewards on d features, kept ready for LinUCB.

        A = I + sum x x',   b = sum r x,   theta = A^-1 b

    Only A^-1 is kept, in float64: a regression takes 8 d (d + 1) bytes. Each update of A^-1 takes away
    an outer product of one vector, so it stays exactly symmetric, and since A only grows, rounding does
    not build up.

    Args:
        num: regressions, P.
        width: features, d.

    Attributes:
        inverse: (P, d, d) float64, A^-1.
        moment: (P, d) float64, b.
    """

    def __init__(self, num: int, width: int) -> None:
        self.inverse: FloatArray = np.tile(np.eye(width), (num, 1, 1))
        self.moment: FloatArray = np.zeros((num, width))

    def observe(self, which: IntArray, features: FloatArray, reward: FloatArray) -> None:
        """Learn one observation each of some regressions (Sherman and Morrison 1950):

            A^-1 <- A^-1 - (A^-1 x) (A^-1 x)' / (1 + x' A^-1 x),   b <- b + r x

        Args:
            which: (B,) int64, distinct; see ``rounds``.
            features: (B, d) float, x.
            reward: (B,) float, r.
        """
        inverse = self.inverse[which]
        along = (inverse @ features[:, :, None])[:, :, 0]  # (B, d) A^-1 x
        size = 1 + (along * features).sum(axis=1)
        self.inverse[which] = inverse - along[:, :, None] * along[:, None, :] / size[:, None, None]
        self.moment[which] += reward[:, None] * features

    def observe_block(self, which: int, features: FloatArray, reward: FloatArray) -> None:
        """Learn many observations of one regression: A <- A + X' X, b <- b + X' r.

        Args:
            which: the regression.
            features: (R, d) float, X.
            reward: (R,) float, r.
        """
        gram = np.linalg.inv(self.inverse[which])
        for start in range(0, len(features), _BLOCK):
            block = features[start : start + _BLOCK].astype(np.float64)
            # Not by BLAS, whose order of summation depends on the number of threads.
            gram += np.einsum("ri,rj->ij", block, block)
            self.moment[which] += np.einsum("ri,r->i", block, reward[start : start + _BLOCK].astype(np.float64))
        inverse = np.linalg.inv(gram)
        self.inverse[which] = (inverse + inverse.T) / 2

    def weights(self, which: IntArray) -> FloatArray:
        """(B, d) float64 theta of some regressions (B,)."""
        return np.asarray((self.inverse[which] @ self.moment[which][:, :, None])[:, :, 0])

    def bounds(self, which: IntArray, features: FloatArray, alpha: float) -> FloatArray:
        """``upper_bounds`` of features (C, d) by some regressions (B,), repeats allowed."""
        return upper_bounds(self.weights(which), self.inverse[which], features, alpha)

    def state(self, name: str) -> State:
        """The arrays that ``restore`` needs, under ``name``."""
        return {f"{name}.inverse": self.inverse, f"{name}.moment": self.moment}

    def restore(self, state: State, name: str) -> None:
        """Become the regressions of the same sizes whose ``state`` this is."""
        self.inverse, self.moment = state[f"{name}.inverse"], state[f"{name}.moment"]


def upper_bounds(weights: FloatArray, inverse: FloatArray, features: FloatArray, alpha: float) -> FloatArray:
    """theta . x + alpha sqrt(x' A^-1 x), upper confidence bounds (Li et al. 2010, equation 5).

    Args:
        weights: (B, d) float64, theta of each row.
        inverse: (B, d, d) float64, A^-1 of each row.
        features: (C, d) float64, x of what can be chosen.
        alpha: how many standard errors the bound lies above the estimate.

    Returns:
        (B, C) float64. A row's values do not depend on the other rows, to the last bit.
    """
    # One product a row, always of the same shape: another batch must not round otherwise.
    mean = (features @ weights[:, :, None])[:, :, 0]
    variance = ((features @ inverse) * features).sum(axis=2)
    return np.asarray(mean + alpha * np.sqrt(np.maximum(variance, 0)))


def rounds(which: IntArray) -> Iterator[IntArray]:
    """Split observations so that no regression has two in a part: the first of each, then the second, ...

    Args:
        which: (R,) int64, the regression of each observation, in order of time.

    Yields:
        (b,) int64 rows, by ascending regression; a regression's rows come in the order given.
    """
    by_regression = np.argsort(which, kind="stable")
    in_order = which[by_regression]
    begins = np.flatnonzero(np.diff(in_order, prepend=-1))
    length = np.diff(np.append(begins, len(which)))
    nth = np.arange(len(which)) - np.repeat(begins, length)
    by_round = by_regression[np.argsort(nth, kind="stable")]
    yield from np.split(by_round, np.cumsum(np.bincount(nth))[:-1]) if len(which) else ()


def read_state(path: Path, shapes: dict[str, tuple[int, ...]]) -> State:
    """Read the arrays of a saved bandit.

    Args:
        path: a safetensors file.
        shapes: which arrays it must hold, of which shapes.

    Raises:
        InvalidInput: not such a file, or other shapes.
    """
    try:
        state: State = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidInput("checkpoint", str(path), f"must be a whole safetensors file ({error})") from None
    shape_of = {name: array.shape for name, array in state.items()}
    if shape_of != shapes:
        raise InvalidInput(
            "checkpoint", shape_of, f"must hold arrays of shapes {shapes}; use the configuration that it was saved with"
        )
    return state
