"""Information in the log on each constant: standard errors from the statistics' Jacobian, and curvature at the fit."""

from dataclasses import dataclass

import numpy as np

from experiments.inference.users import MANY_USERS, reach_of
from sim.arrays import BoolArray, FloatArray, IntArray

Z = reach_of(MANY_USERS)
"""Standard errors to each side of a 95 % interval, by the normal distribution."""


@dataclass(frozen=True)
class Identification:
    """How precisely each of p constants is identified, in its steps.

    Attributes:
        error: (p,) standard error; at most about ``pull``, which is what is known without a log.
        alone: (p,) how much the sum of squares rises by a step of this constant alone.
        refitted: (p,) ... when all others may follow: what is left of it depends on this constant alone.
        like: (p,) the constant whose estimate goes most with this one's.
        correlation: (p,) their correlation.
    """

    error: FloatArray
    alone: FloatArray
    refitted: FloatArray
    like: IntArray
    correlation: FloatArray

    @property
    def precise(self) -> BoolArray:
        """(p,) whether the standard error is below one step: identified, if the world reproduces the log."""
        return np.asarray(self.error < 1)

    def interval(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ends (p,) of the 95 % intervals around x (p,)."""
        return x - Z * self.error, x + Z * self.error


def identify(jacobians: FloatArray, correlation: FloatArray, pull: float) -> Identification:
    """Standard errors of constants by simulated moments, and the objective's curvature.

    With J_s the Jacobian of world s in units in which the log's own differences to a mean of S simulated worlds have
    variance (1 + 1 / S) / 2, R their correlation and P = I / pull^2 the weak pull towards the start (Gourieroux,
    Monfort and Renault 1993, proposition 3, at weights that are not optimal):

        H = J'J,    A = H + P,    C = A^-1 ((1 + 1 / S) / 2 J' R J + P) A^-1,    error_k = sqrt(C_kk),
        alone_k = H_kk,    refitted_k = 1 / (A^-1)_kk - 1 / pull^2.

    Products of J with itself are means of J_s' J_t over pairs of different worlds: chance in a life, which would pass
    for information in a square, cancels between two. Negative eigenvalues that this leaves count as 0. A constant
    that moves nothing has alone = refitted = 0 and error = pull; one that moves what others move as well has
    refitted far below alone.

    Args:
        jacobians: (S, K, p), per step.
        correlation: (K, K) of the statistics over draws of the log's users.
        pull: steps.
    """
    worlds, _, num = jacobians.shape
    weak = np.eye(num) / pull**2
    curvature = _product(jacobians, np.eye(len(correlation)))
    inverse = np.linalg.inv(curvature + weak)
    spread = (1 + 1 / worlds) / 2 * _product(jacobians, correlation)
    covariance = inverse @ (spread + weak) @ inverse
    error = np.sqrt(np.diag(covariance))
    between = covariance / np.outer(error, error)
    np.fill_diagonal(between, 0.0)
    like = np.abs(between).argmax(axis=1)
    return Identification(
        error=error,
        alone=np.diag(curvature),
        refitted=np.maximum(1 / np.diag(inverse) - 1 / pull**2, 0.0),
        like=like,
        correlation=between[np.arange(num), like],
    )


def _product(jacobians: FloatArray, middle: FloatArray) -> FloatArray:
    """(p, p) J' M J without chance's part: the mean over pairs of different worlds, where there are several."""
    worlds = len(jacobians)
    total = jacobians.sum(axis=0)
    product = total.T @ middle @ total
    if worlds > 1:
        product = product - sum(each.T @ middle @ each for each in jacobians)
        product = product / (worlds * (worlds - 1))
    values, vectors = np.linalg.eigh((product + product.T) / 2)
    return np.asarray(vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T)
