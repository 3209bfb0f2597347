"""Named counter-based random streams.

A stream is a *place* in the experiment's randomness, such as ``(seed, "response", day, step)``.
Row ``i`` of what it yields belongs to user ``i`` alone: it depends neither on which other users
are asked for nor on how the users are batched, sharded or threaded. The same user in two arms
therefore gets the same draws (common random numbers).

Streams are Philox-4x64 counters (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
3"), as implemented by numpy.
"""

import hashlib

import numpy as np
from scipy.special import ndtri

from sim.arrays import FloatArray, IntArray, readonly

_BLOCK = 4  # doubles that one Philox-4x64 counter value yields
_TINY = 2.0**-54  # half of the spacing of numpy's doubles: keeps log(0) and ndtri(0) away


class RandomStream:
    """An immutable named source of randomness.

    >>> stream = RandomStream(7, "response", 3)
    >>> everyone = stream.uniform(np.arange(10), 2)
    >>> bool((stream.uniform(np.array([4, 8]), 2) == everyone[[4, 8]]).all())
    True
    """

    def __init__(self, seed: int, *path: str | int) -> None:
        # A numpy integer names the same place as the plain one, though its repr differs.
        self.path: tuple[str | int, ...] = (int(seed), *(p if isinstance(p, str) else int(p) for p in path))
        digest = hashlib.blake2b(repr(self.path).encode(), digest_size=16).digest()
        self.key: IntArray = readonly(np.frombuffer(digest, dtype=np.uint64))  # (2,)

    def at(self, *path: str | int) -> "RandomStream":
        """Return the stream at a place below this one."""
        return RandomStream(int(self.path[0]), *self.path[1:], *path)

    def uniform(self, rows: IntArray, num: int) -> FloatArray:
        """Draw from U(0, 1), both ends excluded.

        Args:
            rows: (B,) non-negative integers, the users (or items) that the rows belong to.
            num: draws a row.

        Returns:
            (B, num) float64.
        """
        if len(rows) == 0:
            return np.empty((0, num))
        first, last = int(rows.min()), int(rows.max())
        blocks = -(-num // _BLOCK)
        bits = np.random.Philox(key=self.key, counter=[first * blocks, 0, 0, 0])
        draws = np.random.Generator(bits).random((last - first + 1, blocks * _BLOCK))  # (range, blocks*4)
        if len(rows) != last - first + 1 or (len(rows) > 1 and not (np.diff(rows) == 1).all()):
            draws = draws[rows - first]
        return np.maximum(draws[:, :num], _TINY)

    def normal(self, rows: IntArray, num: int) -> FloatArray:
        """Draw (B, num) standard normals by the inverse distribution function."""
        return np.asarray(ndtri(self.uniform(rows, num)))

    def gumbel(self, rows: IntArray, num: int) -> FloatArray:
        """Draw (B, num) standard Gumbels, -log(-log u)."""
        return np.asarray(-np.log(-np.log(self.uniform(rows, num))))

    def generator(self) -> np.random.Generator:
        """A numpy generator for draws that belong to no user, such as shuffling a training set."""
        return np.random.Generator(np.random.Philox(key=self.key))

    def integer_seed(self) -> int:
        """A seed in [0, 2**63) for ``torch.Generator.manual_seed``."""
        return int(self.key[0] >> np.uint64(1))
