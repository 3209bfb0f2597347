"""Which samples a fine-tuning step shows: batches of like length, a function of the seed and the step alone."""

import numpy as np

from agents.llm.evaluation import Samples
from agents.llm.prompt import PromptTokens
from sim.arrays import IntArray
from sim.random import RandomStream

_WINDOW = 16
"""Batches whose samples are sorted by length together. With 761 clusters, 1.2 % of a batch's tokens are then pads,
where batches of shuffled samples have 11.9 % (8: 2.1 %; 64: .3 %, but a batch then shows texts of one length only)."""


class Batches:
    """Epochs of batches: every sample is shown exactly once an epoch, with others of about its length.

    An epoch is shuffled; each window of ``_WINDOW`` batches of it is sorted by length, so that few
    tokens are pads; then the batches are shuffled. A sample's pair is shown in random order.

    Args:
        samples: n >= 1 of them.
        prompts: give their lengths.
        batch_size: most samples a batch; batches are as even as can be, so that of 21 samples
            in batches of 10 each third has 7.
        rng: order of samples and batches (``epoch``), and of each pair (``order``).
    """

    def __init__(self, samples: Samples, prompts: PromptTokens, batch_size: int, rng: RandomStream) -> None:
        self._samples, self._rng, self._size = samples, rng, batch_size
        # As it is shown with the pair in its own order: the other may have a token more or less.
        self._length = text_lengths(prompts, samples)
        self._epoch: tuple[int, list[IntArray]] = (-1, [])

    @property
    def an_epoch(self) -> int:
        """Batches an epoch."""
        return -(-len(self._samples) // self._size)

    def at(self, step: int) -> Samples:
        """The batch of step 1, 2, ...: its samples, pairs in random order."""
        epoch, place = divmod(step - 1, self.an_epoch)
        if self._epoch[0] != epoch:
            self._epoch = epoch, self._shuffled(epoch)
        batch = self._samples.where(self._epoch[1][place])
        swap = self._rng.at("order", step).generator().random(len(batch)) < 0.5
        return Samples(
            np.where(swap, batch.second, batch.first), np.where(swap, batch.first, batch.second), batch.label
        )

    def _shuffled(self, epoch: int) -> list[IntArray]:
        """An epoch's batches, as rows of the samples."""
        draws = self._rng.at("epoch", epoch).generator()
        rows = draws.permutation(len(self._samples))
        batches: list[IntArray] = []
        for part in np.array_split(np.arange(self.an_epoch), -(-self.an_epoch // _WINDOW)):
            window, rows = np.split(rows, [round(len(rows) * len(part) / (self.an_epoch - len(batches)))])
            window = window[np.argsort(self._length[window], kind="stable")]
            batches += np.array_split(window, len(part))
        return [batches[i] for i in draws.permutation(self.an_epoch)]


def text_lengths(prompts: PromptTokens, samples: Samples) -> IntArray:
    """(n,) tokens that the model reads of each sample: prompt and label but its last token, which predicts nothing."""
    prefix, suffix, label = (
        np.array([len(t) for t in part]) for part in (prompts.prefix, prompts.suffix, prompts.label)
    )
    return np.asarray(prefix[samples.first] + suffix[samples.second] + label[samples.label] - 1)
