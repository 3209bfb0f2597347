"""Content of a published data set's items: terms, clusters after the source's categories, embeddings.

Published logs have categories and at best titles; agents expect an embedding of 256 numbers and a
four-level cluster tree. Both are made from the words alone, by the same rule for every source, so that
filing by embedding (``InterestClusters.file``) agrees with the source's categories.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sparse
from sklearn.feature_extraction.text import TfidfTransformer
from tqdm import tqdm

from sim.arrays import FloatArray, IntArray
from sim.clusters import InterestClusters
from sim.random import RandomStream

WIDTH = 256
"""Of an embedding."""

SHARES = {"theme": 0.45, "category": 0.6, "words": 0.5, "item": 0.3}
"""Lengths of the four parts of an embedding, before it is scaled to 1."""

NUM_KEYWORDS = 5
"""Of a cluster: its name and the words that tell it from others."""

_SEED = 256  # of the directions; any number would do, but always the same
_CHUNK = 65_536  # items embedded at a time


@dataclass(frozen=True)
class Terms:
    """Words of n items.

    Attributes:
        item: (W,) int64, ascending; the item of each word.
        term: (W,) int32, its place in ``vocabulary``.
        vocabulary: V terms, sorted.
    """

    item: IntArray
    term: IntArray
    vocabulary: tuple[str, ...]

    def padded(self, num_items: int) -> IntArray:
        """(n, T) int32: each item's terms in their order, -1 pads, as ``sim.catalog.Catalog`` has them."""
        counts = np.bincount(self.item, minlength=num_items)
        starts = np.cumsum(counts) - counts
        table = np.full((num_items, int(counts.max(initial=0))), -1, np.int32)
        table[self.item, np.arange(len(self.item)) - starts[self.item]] = self.term
        return table

    def counts(self, rows: IntArray, num_rows: int) -> Any:
        """(num_rows, V) sparse: how often each term stands in the rows (n,) that the items belong to."""
        shape = (num_rows, len(self.vocabulary))
        ones = np.ones(len(self.term), np.float32)
        return sparse.coo_matrix((ones, (rows[self.item], self.term)), shape=shape).tocsr()


def words_of(text: pa.Array) -> tuple[IntArray, pa.Array]:
    """Words of texts (n,), in lower case: the text's place (W,) and the word (W,)."""
    spaced = pc.replace_substring_regex(pc.utf8_lower(text), r"[^\p{L}\p{N}']+", " ")
    return _pieces(spaced, " ")


def tags_of(tags: pa.Array) -> tuple[IntArray, pa.Array]:
    """Tags of ``A|B`` (n,): the item's place (W,) and the tag (W,)."""
    return _pieces(tags, "|")


def _pieces(text: pa.Array, separator: str) -> tuple[IntArray, pa.Array]:
    lists = pc.split_pattern(text, separator)
    place, piece = pc.list_parent_indices(lists), pc.list_flatten(lists)
    kept = pc.not_equal(piece, "")
    return pc.filter(place, kept).to_numpy(zero_copy_only=False).astype(np.int64), pc.filter(piece, kept)


def terms_of(*pieces: tuple[IntArray, pa.Array]) -> tuple[Terms, ...]:
    """Several lists of words, such as titles and hashtags, over one vocabulary."""
    vocabulary = pc.unique(pa.concat_arrays([pa.array(words, pa.string()) for _, words in pieces]))
    vocabulary = vocabulary.take(pc.sort_indices(vocabulary))
    known = tuple(vocabulary.to_pylist())
    terms = []
    for item, words in pieces:
        term = pc.index_in(words, vocabulary).to_numpy(zero_copy_only=False).astype(np.int32)
        terms.append(Terms(item, term, known))
    return tuple(terms)


@dataclass(frozen=True)
class Categories:
    """What the source files n items under.

    Attributes:
        of_item: (n,) int32, the category of each.
        names: M of them, without commas, in the order of their first tag and then of themselves.
        theme: (M,) int32, the first tag's number.
    """

    of_item: IntArray
    names: tuple[str, ...]
    theme: IntArray


def categories_of(tags: pa.Array) -> Categories:
    """One category for each combination of tags ``A|B`` (n,), under a theme for each first tag."""
    coded = tags.dictionary_encode()
    combined = [text.replace(",", " ") for text in coded.dictionary.to_pylist()]
    split = [text.split("|") for text in combined]
    order = sorted(range(len(split)), key=split.__getitem__)
    first = sorted({parts[0] for parts in split})
    number = {name: place for place, name in enumerate(first)}
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    codes = coded.indices.to_numpy(zero_copy_only=False)
    names = tuple(" / ".join(split[place]) for place in order)
    return Categories(rank[codes], names, np.array([number[split[place][0]] for place in order], np.int32))


def embed(categories: Categories, words: Terms) -> FloatArray:
    """(n, 256) float16, unit length: what items are about.

    With r(x) a random unit vector of its own for each theme, category, word and item, t(w, i) the
    TF-IDF weight of word w in item i, and shares a,

        e(i) ~ a_theme r(theme) + a_category r(category) + a_words unit(sum_w t(w, i) r(w)) + a_item r(i).

    Random vectors of 256 numbers are orthogonal but for 1/16, so that cosines are those of the parts
    (random projection: Johnson & Lindenstrauss 1984, Achlioptas 2003). The item's own vector tells items
    apart that nothing else does.
    """
    num = len(categories.of_item)
    weights = TfidfTransformer().fit_transform(words.counts(np.arange(num), num)) if len(words.term) else None
    words_at = _directions("words", np.arange(len(words.vocabulary)))
    theme_at = _directions("theme", np.arange(int(categories.theme.max()) + 1))
    category_at = _directions("category", np.arange(len(categories.names)))
    embedding = np.empty((num, WIDTH), np.float16)
    for start in tqdm(range(0, num, _CHUNK), desc="embeddings", delay=2):
        rows = slice(start, min(start + _CHUNK, num))
        of_item = categories.of_item[rows]
        block = SHARES["theme"] * theme_at[categories.theme[of_item]] + SHARES["category"] * category_at[of_item]
        block += SHARES["item"] * _directions("item", np.arange(rows.start, rows.stop))
        if weights is not None:
            block += SHARES["words"] * unit(np.asarray(weights[rows] @ words_at))
        embedding[rows] = unit(block)
    return embedding


def _directions(kind: str, rows: IntArray) -> FloatArray:
    """(n, 256) float32 random unit vectors, their components uniform but for the length."""
    return unit(RandomStream(_SEED, kind).uniform(rows, WIDTH).astype(np.float32) - np.float32(0.5))


def unit(vectors: npt.NDArray[Any]) -> FloatArray:
    """Rows scaled to unit length, float32; rows of zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)


def clusters_of(categories: Categories, embedding: FloatArray, titles: Terms) -> InterestClusters:
    """A tree whose level 1 are the themes and level 2 the categories; levels 3 and 4 have one child each.

    Keywords are the category's name, which no other has, and its titles' words with the best class-based
    TF-IDF (Grootendorst 2022, equation 2; as ``sim.hidden.clustering.unique_keywords``).
    """
    num = len(categories.names)
    member = sparse.csr_matrix(
        (np.ones(len(embedding), np.float32), (categories.of_item, np.arange(len(embedding)))),
        shape=(num, len(embedding)),
    )
    level = np.arange(num)
    path = np.stack([categories.theme, level, level, level], axis=1)
    centroid = np.zeros((num, WIDTH), np.float32)
    for start in range(0, len(embedding), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(embedding)))
        centroid += member[:, rows] @ embedding[rows].astype(np.float32)
    words = _telling_words(titles.counts(categories.of_item, num), titles.vocabulary)
    keywords = tuple((name, *words[place]) for place, name in enumerate(categories.names))
    return InterestClusters(path, unit(centroid), keywords)


def _telling_words(counts: Any, vocabulary: tuple[str, ...]) -> list[list[str]]:
    """The best words of each of M clusters, of counts (M, V)."""
    cells = counts.tocoo()
    of_cluster = np.asarray(counts.sum(axis=1)).ravel()
    total = np.asarray(counts.sum(axis=0)).ravel()
    mean = of_cluster.sum() / max(len(of_cluster), 1)
    score = cells.data / of_cluster[cells.row] * np.log1p(mean / total[cells.col])
    order = np.lexsort((cells.col, -score, cells.row))
    row, col = cells.row[order], cells.col[order]
    best = np.arange(len(row)) - np.searchsorted(row, row) < NUM_KEYWORDS - 1
    words: list[list[str]] = [[] for _ in of_cluster]
    for place, term in zip(row[best], col[best], strict=True):
        words[place].append(vocabulary[term].replace(",", " "))
    return words
