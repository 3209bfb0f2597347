"""Two-tower retrieval with mixed negative sampling (Yang et al. 2020)."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from agents.base import InteractionLog, Platform, RandomStream, Requests
from agents.checkpoint import load_training, save_training
from agents.events import Events
from agents.item_table import ItemTable
from agents.pool_agent import PoolAgent
from agents.sampled_softmax import NegativeSampler, accidental_hits, sampled_log_probability
from agents.sequence_model import CONTENT_WIDTH, normal
from agents.slate import top_in_chunks
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.records import Positive, Rate, Share, Whole, checks_arguments, limits

_FROM_BATCH, _UNIFORM = 256, 1024  # negatives: B in-batch (also the batch size) and B' uniform
_SOFTMAX_TEMPERATURE = 0.05  # cosines are divided by it
_TABLE_LEARNING_RATE = 0.01
_OTHER_WEIGHT = 0.25  # of a consumed item without positive feedback in the pooled history; a positive's is 1
_RECENCY = 0.8  # factor on the weight per step back in the pool of recent items


class TwoTower(nn.Module):
    """Two towers whose unit-length outputs meet in a scaled cosine.

    An item's input is ``content @ projection`` plus its learned row; the item tower is an MLP on
    it. The user tower is an MLP on two means of the inputs of consumed items.

    Args:
        width: d, of inputs and outputs; hidden layers have 2d.
        generator: draws the initial parameters.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.projection = normal(generator, CONTENT_WIDTH, width)
        self.item_in, self.item_out = normal(generator, width, 2 * width), normal(generator, 2 * width, width)
        self.user_in, self.user_out = normal(generator, 2 * width, 2 * width), normal(generator, 2 * width, width)
        self.item_shift, self.user_shift = (nn.Parameter(torch.zeros(2 * width)) for _ in range(2))
        self.nobody = normal(generator, width)  # added to every user, so that an empty history has a direction

    def item_inputs(self, content: Tensor, learned: Tensor) -> Tensor:
        """(U, d) from content (U, 256) and table rows (U, d)."""
        return content @ self.projection + learned

    def items(self, inputs: Tensor) -> Tensor:
        """(U, d) unit-length item vectors from inputs (U, d)."""
        return normalize((inputs @ self.item_in + self.item_shift).relu() @ self.item_out, dim=-1)

    def users(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """(B, d) unit-length user vectors, scaled up by the softmax's temperature.

        Args:
            inputs: (B, L, d) of the consumed items.
            weights: (B, 2, L), of each pool.
        """
        pooled = (weights @ inputs).flatten(1)  # (B, 2d)
        hidden = (pooled @ self.user_in + self.user_shift).relu()
        return normalize(hidden @ self.user_out + self.nobody, dim=-1) / _SOFTMAX_TEMPERATURE


def pool_weights(valid: BoolArray, positive: BoolArray) -> FloatArray:
    """Weights of two means over histories (B, L): of all, and of recent items.

    Returns:
        (B, 2, L) float32, each pool adding up to one, or to zero where the history is empty.
    """
    weight = valid * np.where(positive, 1.0, _OTHER_WEIGHT)  # (B, L)
    age = np.arange(valid.shape[1] - 1, -1, -1)
    both = np.stack([weight, weight * _RECENCY**age], axis=1)
    return np.asarray(both / np.maximum(both.sum(axis=2, keepdims=True), 1e-9), np.float32)


@checks_arguments
class TwoTowerAgent(PoolAgent):
    """Retrieves the live items whose vectors are nearest to the user's.

    Uniformly random until it has seen a positive.

    Args:
        width: d, of the vectors.
        history: consumed items that the user tower pools.
        epochs: passes over the log in ``fit``; ``update`` makes one over the day.
        learning_rate: Adam's.
        temperature: of the exploring softmax over cosine / 0.05.
        exploration: probability that a slot explores, over the user's 100 best items.
    """

    def __init__(
        self,
        width: Annotated[int, limits(1, 1024)] = 64,
        history: Annotated[int, limits(1, 10_000)] = 32,
        epochs: Whole = 3,
        learning_rate: Rate = 0.005,
        temperature: Positive = 1.0,
        exploration: Share = 0.1,
    ) -> None:
        self.width, self.history, self.epochs, self.learning_rate = width, history, epochs, learning_rate
        self.temperature, self.exploration = temperature, exploration

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Start afresh and train ``epochs`` passes on the burn-in log, which may be empty."""
        self._begin(platform, torch.Generator().manual_seed(rng.at("parameters").integer_seed()))
        self._learn(log, self.epochs, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Train one pass on the day's positives."""
        self._learn(log, 1, rng)

    def _begin(self, platform: Platform, generator: torch.Generator) -> None:
        self.platform = platform
        self.trained = False
        self._model = TwoTower(self.width, generator)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=self.learning_rate, fused=True)
        self._table = ItemTable(self.width, _TABLE_LEARNING_RATE)
        self._events = Events.concatenate([])
        self._vectors: tuple[Tensor, Tensor] | None = None  # inputs and item vectors (n, d) of uploaded items
        self._pooled: tuple[tuple[IntArray, IntArray], tuple[FloatArray, IntArray]] | None = None  # requests, pools

    def _learn(self, log: InteractionLog, epochs: int, rng: RandomStream) -> None:
        events, is_new = self._events.followed_by(Events.of(log))
        target_rows = np.flatnonzero(is_new & events.positive)
        num_items = self.platform.catalog.num_items
        self._table.grow(num_items)
        live = self.platform.live_items()
        sampler = NegativeSampler(events.item[target_rows], live, num_items, _FROM_BATCH, _UNIFORM)
        generator = rng.at("training").generator()
        for _ in range(epochs):
            order = generator.permutation(target_rows)
            for start in range(0, len(order), _FROM_BATCH):
                self._step(events, order[start : start + _FROM_BATCH], sampler, generator)
                self.trained = True
        self._events = events.last(self.history)
        self._vectors, self._pooled = None, None

    def _step(
        self, events: Events, target_rows: IntArray, sampler: NegativeSampler, generator: np.random.Generator
    ) -> None:
        """One step of Adam and Adagrad on target events (T,), each given its user's events before it."""
        window = events.windows(events.user[target_rows], target_rows, self.history)  # (T, L)
        targets = events.item[target_rows]
        negatives, log_expected = sampler.draw(targets, generator)  # (K,)
        consumed = events.item[window].ravel()  # pads read the last row; their weight is 0
        items, place = np.unique(np.concatenate([consumed, targets, negatives]), return_inverse=True)
        learned = self._table.rows(items)
        content = torch.from_numpy(self.platform.catalog.embedding[items].astype(np.float32))
        inputs = embedding(torch.from_numpy(place), self._model.item_inputs(content, learned))
        history, candidates = torch.split(inputs, [len(consumed), len(targets) + len(negatives)])
        weights = torch.from_numpy(pool_weights(window >= 0, events.positive[window]))
        users = self._model.users(history.reshape(*window.shape, self.width), weights)  # (T, d)
        target, negative = torch.split(self._model.items(candidates), [len(targets), len(negatives)])
        loss = -sampled_log_probability(
            (users * target).sum(dim=1),
            users @ negative.T,
            torch.from_numpy(log_expected),
            torch.from_numpy(accidental_hits(targets, negatives)),
        ).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._table.step(items, learned)

    @torch.no_grad()
    def _pool(self, requests: Requests) -> tuple[FloatArray, IntArray]:
        """Each user's best live items and their scores, (B, C); for the same requests again from memory."""
        live, asked = self.platform.live_items(), (requests.items, requests.exclude)
        if self._pooled is not None and all(a is b for a, b in zip(self._pooled[0], asked, strict=True)):
            return self._pooled[1]
        inputs, vectors = self._item_vectors()
        live_vectors = vectors[torch.from_numpy(live)]  # (n_live, d)
        recent = slice(max(0, requests.items.shape[1] - self.history), None)
        items = requests.items[:, recent]
        weights = torch.from_numpy(pool_weights(items >= 0, requests.positive[:, recent]))
        place = torch.from_numpy(np.maximum(items, 0))

        def scores_of(chunk: slice) -> FloatArray:
            with torch.no_grad():
                users = self._model.users(embedding(place[chunk], inputs), weights[chunk])
                return np.asarray((users @ live_vectors.T).numpy())

        self._pooled = (asked, top_in_chunks(scores_of, live, requests.exclude))
        return self._pooled[1]

    def _item_vectors(self) -> tuple[Tensor, Tensor]:
        """Inputs and vectors (n, d) of every item uploaded so far, computed once a day."""
        content = self.platform.catalog.embedding
        if self._vectors is None or len(self._vectors[0]) < len(content):
            inputs = self._table.with_content(content, self._model.item_inputs)
            self._vectors = (inputs, self._model.items(inputs))
        return self._vectors

    def save(self, folder: Path) -> None:
        """Write parameters, moments, item table and the users' recent events."""
        save_training(folder / "model.safetensors", self._model, self._optimizer, self._table)
        self._events.save(folder / "events.safetensors")

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote; training then goes on as if it had not stopped."""
        self._begin(platform, torch.Generator())
        load_training(folder / "model.safetensors", self._model, self._optimizer, self._table)
        self._events = Events.load(folder / "events.safetensors")
        self.trained = bool(self._optimizer.state)
