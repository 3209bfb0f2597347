"""Catalogs for tests of clustering: planted interests, at any scale, without a world."""

import numpy as np

from sim.arrays import FloatArray, IntArray
from sim.catalog import Catalog


def planted_catalog(interest: IntArray, noise: float, seed: int = 0, upload_day: IntArray | None = None) -> Catalog:
    """Items around random unit vectors, one an interest; title and hashtag are words of the interest."""
    generator = np.random.default_rng(seed)
    count = len(interest)
    centre = np.random.default_rng(99).standard_normal((int(interest.max()) + 1, 256))
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    embedding = unit(centre[interest] + noise / 16 * generator.standard_normal((count, 256)))
    words = tuple(f"word {m} {i}" for m in range(len(centre)) for i in range(6))
    title = 6 * interest[:, None] + generator.integers(0, 6, (count, 3))
    return Catalog(
        creator=np.zeros(count, np.int32),
        length=np.full(count, 30, np.float32),
        upload_day=np.zeros(count, np.int32) if upload_day is None else upload_day,
        expiry_day=np.full(count, 1000, np.int32),
        embedding=embedding.astype(np.float16),
        title_terms=title.astype(np.int32),
        hashtag_terms=title[:, :1].astype(np.int32),
        vocabulary=words,
    )


def unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to unit length, float32."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
