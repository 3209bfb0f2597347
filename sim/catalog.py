"""The public side of the items: what anyone who uploads or watches a video can see."""

from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolArray, FloatArray, IntArray, readonly

OF_ITEMS = ("creator", "length", "upload_day", "expiry_day", "embedding", "title_terms", "hashtag_terms")
"""The arrays of a ``Catalog``, a row an item."""


@dataclass(frozen=True)
class Catalog:
    """Every item uploaded so far; item ``j`` is row ``j`` of each array. Immutable.

    Attributes:
        creator: (n,) int32, who uploaded it.
        length: (n,) float32, seconds.
        upload_day: (n,) int32, first day on which it can be shown.
        expiry_day: (n,) int32, first day on which it can no longer be shown.
        embedding: (n, 256) float16, content embedding (topical; blind to who likes it).
        title_terms: (n, T) int32 indices into ``vocabulary``, -1 pads.
        hashtag_terms: (n, G) int32 indices into ``vocabulary``, -1 pads.
        vocabulary: the terms that titles and hashtags are made of.
    """

    creator: IntArray
    length: FloatArray
    upload_day: IntArray
    expiry_day: IntArray
    embedding: FloatArray
    title_terms: IntArray
    hashtag_terms: IntArray
    vocabulary: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in OF_ITEMS:
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def num_items(self) -> int:
        """Items uploaded so far, expired ones included."""
        return len(self.creator)

    def alive(self, day: int) -> BoolArray:
        """(n,) bool: which items can be shown on ``day``."""
        return np.asarray((self.upload_day <= day) & (day < self.expiry_day))

    def title(self, item: int) -> str:
        """The item's title in words."""
        return " ".join(self.vocabulary[t] for t in self.title_terms[item] if t >= 0)

    def hashtags(self, item: int) -> tuple[str, ...]:
        """The item's hashtags, without spaces."""
        return tuple("#" + self.vocabulary[t].replace(" ", "") for t in self.hashtag_terms[item] if t >= 0)
