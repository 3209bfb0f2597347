"""From scores of all labels to the few that a table keeps."""

import numpy as np

from sim.arrays import FloatArray, IntArray


def best_labels(
    scores: FloatArray,
    correction: FloatArray,
    past: IntArray,
    top_n: int,
    similarity: FloatArray | None = None,
    encoder_weight: float = 0.0,
) -> tuple[IntArray, FloatArray]:
    """The best labels of P prompts.

    Args:
        scores: (P, M) log P(label | prompt), nats.
        correction: (M,) what is taken from them first: ``pmi_coefficient`` x log mean P(label).
        past: (P, K) the clusters that the prompts name, which are never labels.
        top_n: labels kept.
        similarity: (M, M) of clusters (rows) and labels by the sentence encoder, whose say is the mean
            over the past clusters; None for none.
        encoder_weight: see ``mixed``.

    Returns:
        (P, top_n) int32, best first, ties going to the smaller number, and (P, top_n) float32 their ``scores``.
    """
    corrected: FloatArray = scores - correction
    if similarity is not None:
        corrected = mixed(corrected, similarity[past].mean(axis=1), encoder_weight)
    corrected[np.arange(len(past))[:, None], past] = -np.inf
    best = np.argsort(-corrected, axis=1, kind="stable")[:, :top_n].astype(np.int32)
    return best, np.take_along_axis(scores, best, axis=1).astype(np.float32)


def log_mean_probability(scores: FloatArray, past: IntArray) -> FloatArray:
    """How probable each label is in general: (M,) float64, log of the mean of P(label | prompt).

    Args:
        scores: (P, M) log-probabilities.
        past: (P, K) the prompts' clusters; prompts that name the label are left out of its mean.
    """
    kept = np.ones(scores.shape, bool)
    kept[np.arange(len(past))[:, None], past] = False
    mean = np.where(kept, np.exp(scores.astype(np.float64)), 0).sum(axis=0) / np.maximum(kept.sum(axis=0), 1)
    return np.asarray(np.log(np.maximum(mean, np.finfo(np.float64).tiny)))


def mask_inputs(scores: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Copy scores (B, M) with -inf where the label is one of the pair: it would not be new."""
    masked = scores.copy()
    rows = np.arange(len(scores))
    masked[rows, first] = -np.inf
    masked[rows, second] = -np.inf
    return masked


def mixed(score: FloatArray, similarity: FloatArray, encoder_weight: float) -> FloatArray:
    """Combine the scores of two scorers with different units.

        z(score) + encoder_weight * z(similarity),   z(x) = (x - mean x) / sd x  over a pair's labels

    Args:
        score: (P, M) the language model's corrected scores, pairs in rows, labels in columns.
        similarity: (P, M) the sentence encoder's.
        encoder_weight: 0 leaves the language model's ranking as it is.
    """

    def standardised(x: FloatArray) -> FloatArray:
        centred = x - x.mean(axis=1, keepdims=True)
        return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-9))

    return np.asarray(standardised(score) + encoder_weight * standardised(similarity), np.float32)
