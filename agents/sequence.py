"""The exploitation recommender: a transformer with a softmax over the catalog.

It is the platform's production system, an arm of its own, and, masked to some clusters, the low
level of the hierarchical agents (Wang et al. 2024, section 3.2).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from agents.base import Agent, InteractionLog, Platform, RandomStream, Recommendations, Requests
from agents.checkpoint import load_training, save_training
from agents.events import Events
from agents.item_table import ItemTable
from agents.random import uniform_slate
from agents.sampled_softmax import NegativeSampler, accidental_hits, sampled_softmax_loss
from agents.sequence_model import SequenceModel, feedback_of
from agents.slate import check_sampling, sample_slate, top_in_chunks
from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput

_BATCH = 16  # windows a training step: many small steps learn more from a day than few large ones
_NEGATIVES_FROM_BATCH, _NEGATIVES_UNIFORM = 256, 256
_TABLE_LEARNING_RATE = 0.02
_ENCODE_CHUNK = 256  # users encoded at a time, for the cache's sake


class SequenceAgent(Agent):
    """Ranks live items by pi(j | history) ~ exp(h . v_j + b_j); learns the next positive item.

    Until it has seen a positive it recommends uniformly at random, so that a platform can start
    with it: call ``fit`` with an empty log to give it the platform, then ``update`` daily.

    Args:
        width: d, of states and item vectors.
        num_layers: transformer layers.
        num_heads: attention heads; must divide ``width``.
        history: consumed items that the model looks at.
        epochs: passes over the log in ``fit``.
        update_epochs: passes over a day's rows in ``update``.
        logq_correction: in [0, 1], how much of the negatives' sampling probability is corrected for.
            At 1 the model learns p(next positive | history), which holds what production itself
            chose to show: a feedback loop through popularity. At 0 it learns that probability over
            the negatives' own, so that being shown often is no merit.
        learning_rate: Adam's.
        temperature: of the exploring softmax.
        exploration: probability that a slot explores, over the user's 100 best items.
    """

    def __init__(
        self,
        width: int = 64,
        num_layers: int = 2,
        num_heads: int = 2,
        history: int = 32,
        epochs: int = 3,
        update_epochs: int = 2,
        learning_rate: float = 0.002,
        logq_correction: float = 0.25,
        temperature: float = 1.0,
        exploration: float = 0.1,
    ) -> None:
        if num_heads < 1 or width % num_heads:
            raise InvalidInput("num_heads", num_heads, f"must divide width, {width}")
        if history < 2:
            raise InvalidInput("history", history, "must be at least 2 items")
        if not 0 <= logq_correction <= 1:
            raise InvalidInput("logq_correction", logq_correction, "must be from 0 to 1")
        check_sampling(temperature, exploration)
        self.logq_correction = logq_correction
        self.width, self.num_layers, self.num_heads, self.history = width, num_layers, num_heads, history
        self.epochs, self.update_epochs, self.learning_rate = epochs, update_epochs, learning_rate
        self.temperature, self.exploration = temperature, exploration

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Start afresh and train ``epochs`` passes on the burn-in log, which may be empty."""
        self._begin(platform, torch.Generator().manual_seed(rng.at("parameters").integer_seed()))
        self._learn(log, self.epochs, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Train on the day's positives, each given all that the user consumed before it."""
        self._learn(log, self.update_epochs, rng)

    def _begin(self, platform: Platform, generator: torch.Generator) -> None:
        self.platform = platform
        self.trained = False
        self._model = SequenceModel(self.width, self.num_layers, self.num_heads, self.history, generator)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=self.learning_rate)
        self._table = ItemTable(self.width + 1, _TABLE_LEARNING_RATE)
        self._events = Events.of(InteractionLog.concatenate([]))  # the last ``history`` of each user
        self._forget()

    def _forget(self) -> None:
        """Drop what was computed with parameters that no longer hold."""
        self._rows: Tensor | None = None  # (n, d + 1) of every item uploaded when it was computed
        self._live: tuple[int, IntArray, Tensor] | None = None  # day, live items, their rows
        self._encoded: tuple[IntArray, Tensor] | None = None  # requests.items, states

    # Training

    def _learn(self, log: InteractionLog, epochs: int, rng: RandomStream) -> None:
        events, is_new = self._events.followed_by(Events.of(log))
        windows, wanted = training_windows(events, is_new, self.history)
        if len(windows):
            num_items = self.platform.catalog.num_items
            self._table.grow(num_items)
            targets = events.item[windows[wanted]]
            sampler = NegativeSampler(
                targets, self.platform.live_items(), num_items, _NEGATIVES_FROM_BATCH, _NEGATIVES_UNIFORM
            )
            generator = rng.at("training").generator()
            for _ in range(epochs):
                order = generator.permutation(len(windows))
                for start in range(0, len(order), _BATCH):
                    batch = order[start : start + _BATCH]
                    self._step(events, windows[batch], wanted[batch], sampler, generator)
                    self.trained = True
        self._events = events.last(self.history)
        self._forget()

    def _step(
        self,
        events: Events,
        windows: IntArray,
        wanted: BoolArray,
        sampler: NegativeSampler,
        generator: np.random.Generator,
    ) -> None:
        """One step of Adam and Adagrad on windows (W, L + 1) of event rows; ``wanted`` marks the targets."""
        targets = events.item[windows[wanted]]  # (T,)
        negatives, log_expected = sampler.draw(targets, generator)  # (K,)
        inputs = windows[:, :-1]  # (W, L)
        # Every item of the batch is projected once; pads read row 0 and are hidden by the model.
        items, place = np.unique(np.concatenate([events.item[inputs].ravel(), targets, negatives]), return_inverse=True)
        learned = self._table.rows(items)
        content = torch.from_numpy(self.platform.catalog.embedding[items].astype(np.float32))
        rows = embedding(torch.from_numpy(place), self._model.item_rows(content, learned))
        consumed, target, negative = torch.split(rows, [inputs.size, len(targets), len(negatives)])
        states = self._model(
            consumed[:, : self.width].reshape(*inputs.shape, self.width),
            feedback_of(torch.from_numpy(events.watch[inputs]), torch.from_numpy(events.positive[inputs])),
            torch.from_numpy(inputs >= 0),
            last_only=False,
        )[torch.from_numpy(wanted)]  # (T, d): the state that knows all events before the target
        loss = sampled_softmax_loss(
            (states * target[:, : self.width]).sum(dim=1) + target[:, self.width],
            states @ negative[:, : self.width].T + negative[:, self.width],
            torch.from_numpy(np.float32(self.logq_correction) * log_expected),
            torch.from_numpy(accidental_hits(targets, negatives)),
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._table.step(items, learned)

    # Serving

    def recommend(self, requests: Requests, rng: RandomStream) -> Recommendations:
        """Draw from the softmax over the user's 100 best items, or greedily, as the class says."""
        if not self.trained:
            return uniform_slate(self.platform.live_items(), requests, rng)
        state = self.encode(requests)
        live, _ = self._live_rows()
        scores, items = top_in_chunks(lambda chunk: self.live_scores(state[chunk]).numpy(), live, requests.exclude)
        return sample_slate(scores, items, requests.num_slots, self.temperature, self.exploration, requests.user, rng)

    @torch.no_grad()
    def encode(self, requests: Requests) -> Tensor:
        """The users' states, (B, d) float32.

        Requests that share their ``items`` array with the last ones (as those of production and of
        an agent that fills other slots of the same slates do) are answered from memory.
        """
        if self._encoded is not None and self._encoded[0] is requests.items:
            return self._encoded[1]
        width = min(self.history, requests.items.shape[1])
        pads = ((0, 0), (self.history - width, 0))
        recent = slice(requests.items.shape[1] - width, None)
        items = np.pad(requests.items[:, recent], pads, constant_values=-1)  # (B, L)
        watch = torch.from_numpy(np.pad(requests.watch[:, recent], pads))
        feedback = feedback_of(watch, torch.from_numpy(np.pad(requests.positive[:, recent], pads)))
        valid = torch.from_numpy(items >= 0)
        place = torch.from_numpy(np.maximum(items, 0))
        vectors = self._all_rows()[:, : self.width]
        states = [
            self._model(embedding(place[rows], vectors), feedback[rows], valid[rows], last_only=True)[:, 0]
            for rows in torch.split(torch.arange(len(items)), _ENCODE_CHUNK)
        ]
        self._encoded = (requests.items, torch.cat(states))
        return self._encoded[1]

    @torch.no_grad()
    def scores(self, state: Tensor, items: IntArray) -> Tensor:
        """Logits of items for users.

        Args:
            state: (B, d) from ``encode``.
            items: (C,) for the same items a user, or (B, C); any uploaded item.

        Returns:
            (B, C) float32.
        """
        rows = embedding(torch.from_numpy(np.array(items)), self._all_rows())  # (C, d + 1) or (B, C, d + 1)
        if items.ndim == 1:
            return torch.addmm(rows[:, self.width], state, rows[:, : self.width].T)
        return (state[:, None] * rows[:, :, : self.width]).sum(dim=2) + rows[:, :, self.width]

    @torch.no_grad()
    def live_scores(self, state: Tensor) -> Tensor:
        """Logits (B, n_live) float32 of today's live items, in the order of ``platform.live_items()``."""
        _, rows = self._live_rows()
        return torch.addmm(rows[:, self.width], state, rows[:, : self.width].T)

    @torch.no_grad()
    def _all_rows(self) -> Tensor:
        """(n, d + 1) vectors and biases of every item uploaded so far, computed once a day."""
        content = self.platform.catalog.embedding
        if self._rows is None or len(self._rows) < len(content):
            self._rows = self._table.with_content(content, self._model.item_rows)
            self._live, self._encoded = None, None
        return self._rows

    def _live_rows(self) -> tuple[IntArray, Tensor]:
        """Today's live items (n_live,), ascending, and their rows (n_live, d + 1)."""
        rows = self._all_rows()
        if self._live is None or self._live[0] != self.platform.day:
            items = self.platform.live_items()
            self._live = (self.platform.day, items, rows[torch.from_numpy(items)])
        return self._live[1], self._live[2]

    # Storage

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


def training_windows(events: Events, is_new: BoolArray, history: int) -> tuple[IntArray, BoolArray]:
    """Cover every new positive event by a window of what its user consumed around it.

    Windows of L + 1 events end at a user's last event and every L / 2 events before it. A target
    belongs to the window in whose later half it lies, so it is seen with at least L / 2 events of
    context where the user has as many.

    Args:
        events: R events.
        is_new: (R,) bool; each user's new events are their last ones.
        history: L.

    Returns:
        (W, L + 1) int64 rows of ``events``, -1 pads on the left; (W, L + 1) bool, the targets.
    """
    user, num_new = np.unique(events.user[is_new], return_counts=True)
    end = np.searchsorted(events.user, user, side="right")
    stride = history // 2
    num_windows = -(-num_new // stride)
    number = np.arange(num_windows.sum()) - np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
    window_end = np.repeat(end, num_windows) - number * stride
    windows = events.windows(np.repeat(user, num_windows), window_end, history + 1)
    first = np.maximum(np.repeat(end - num_new, num_windows), window_end - stride)
    wanted = (windows >= first[:, None]) & events.positive[windows]
    kept = wanted.any(axis=1)
    return windows[kept], wanted[kept]
