"""BM25, the ranking function of search engines, over texts as sparse word counts.

The items' texts are vocabulary numbers already, so a sparse matrix is all the index it takes.
"""

import numpy as np
import scipy.sparse as sparse

from sim.arrays import IntArray
from sim.errors import InvalidInput

K1, B = 1.2, 0.75
"""How soon repetition saturates, and how much length is held against a text: Lucene's defaults."""


class WordCounts:
    """Counts words in texts that are made of vocabulary terms, each of one or more words.

    Args:
        vocabulary: the terms; case does not matter.
    """

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        words = [term.lower().split() for term in vocabulary]
        self._number = {word: place for place, word in enumerate(dict.fromkeys(w for term in words for w in term))}
        self._words_of_term = self._counts(words)  # (T, W)

    def _counts(self, texts: list[list[str]]) -> sparse.csr_matrix:
        """(n, W) float64 counts of known words."""
        pairs = [(row, self._number[word]) for row, words in enumerate(texts) for word in words if word in self._number]
        row, word = np.array(pairs, np.int64).reshape(-1, 2).T
        return sparse.csr_matrix((np.ones(len(row)), (row, word)), (len(texts), len(self._number)))

    def of_terms(self, terms: IntArray) -> sparse.csr_matrix:
        """(n, W) counts in texts of terms (n, T), -1 pads."""
        row, column = np.nonzero(terms >= 0)
        shape = (len(terms), self._words_of_term.shape[0])
        return sparse.csr_matrix((np.ones(len(row)), (row, terms[row, column])), shape) @ self._words_of_term

    def of_phrases(self, phrases: list[tuple[str, ...]]) -> sparse.csr_matrix:
        """(n, W) counts in texts of phrases; words that are no part of the vocabulary are left out."""
        return self._counts([" ".join(text).lower().split() for text in phrases])


def bm25(queries: sparse.csr_matrix, texts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Score texts for queries (Robertson et al. 1994; as in Lucene, Kamphuis et al. 2020, "accurate").

    With f the count of word w in text t, |t| the length of t, L the mean length, n the number of texts,
    n_w of those with w, and q the count of w in the query:

        score = sum_w q idf_w f / (f + k1 (1 - b + b |t| / L)),   idf_w = log(1 + (n - n_w + 1/2) / (n_w + 1/2))

    Args:
        queries: (Q, W) word counts.
        texts: (n, W) word counts.

    Returns:
        (Q, n) float64; 0 where no word is shared.
    """
    if queries.shape[1] != texts.shape[1]:
        raise InvalidInput("queries", queries.shape, f"must count the same {texts.shape[1]} words as the texts")
    length = np.asarray(texts.sum(axis=1)).ravel()
    num_with = np.bincount(texts.indices, minlength=texts.shape[1])
    rarity = np.log1p((texts.shape[0] - num_with + 0.5) / (num_with + 0.5))
    row = np.repeat(np.arange(texts.shape[0]), np.diff(texts.indptr))
    slack = K1 * (1 - B + B * length / max(length.mean(), 1e-9))  # (n,)
    weight = rarity[texts.indices] * texts.data / (texts.data + slack[row])
    return (queries @ sparse.csr_matrix((weight, texts.indices, texts.indptr), texts.shape).T).tocsr()
