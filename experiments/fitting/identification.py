"""What the log tells of each constant: standard errors from the statistics' Jacobian, and the curvature at the fit."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import FloatArray

_Z = 1.96


@dataclass(frozen=True)
class Identification:
    """How well each of p constants is told, in its steps.

    Attributes:
        error: (p,) standard error; at most about ``pull``, which is what is known without a log.
        alone: (p,) how much the sum of squares rises by a step of this constant alone.
        refitted: (p,) ... when all others may follow: what is left of it is told by nothing but this constant.
        like: (p,) int64 the constant whose estimate goes most with this one's.
        correlation: (p,) their correlation.
    """

    error: FloatArray
    alone: FloatArray
    refitted: FloatArray
    like: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    correlation: FloatArray

    @property
    def identified(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """(p,) whether the standard error is below one step."""
        return self.error < 1

    def interval(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ends (p,) of the 95 % intervals around x (p,)."""
        return x - _Z * self.error, x + _Z * self.error


def identify(jacobian: FloatArray, correlation: FloatArray, pull: float) -> Identification:
    """Standard errors of constants by simulated moments, and the objective's curvature.

    With J the Jacobian of the differences in their standard errors, S their correlation and P = I / pull^2 the weak
    pull towards the start (Gourieroux, Monfort and Renault 1993, proposition 3, at weights that are not optimal; the
    factor for the simulation's own noise is in the standard errors already):

        A = J'J + P,    C = A^-1 (J' S J + P) A^-1,    error_k = sqrt(C_kk),
        alone_k = (J'J)_kk,    refitted_k = 1 / (A^-1)_kk - 1 / pull^2.

    A constant that moves nothing has alone = refitted = 0 and error = pull; one that moves what others move as well
    has refitted far below alone.

    Args:
        jacobian: (K, p), per step.
        correlation: (K, K) of the statistics over draws of the log's users.
        pull: steps.
    """
    num = jacobian.shape[1]
    weak = np.eye(num) / pull**2
    inverse = np.linalg.inv(jacobian.T @ jacobian + weak)
    covariance = inverse @ (jacobian.T @ correlation @ jacobian + weak) @ inverse
    error = np.sqrt(np.diag(covariance))
    between = covariance / np.outer(error, error)
    np.fill_diagonal(between, 0.0)
    like = np.abs(between).argmax(axis=1)
    return Identification(
        error=error,
        alone=(jacobian**2).sum(axis=0),
        refitted=np.maximum(1 / np.diag(inverse) - 1 / pull**2, 0.0),
        like=like,
        correlation=between[np.arange(num), like],
    )
