"""The exploitation recommender: a transformer with a softmax over the catalog.

It is the platform's production system, an arm of its own, and, masked to some clusters, the low
level of the hierarchical agents (Wang et al. 2024, section 3.2).
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding

from agents.base import InteractionLog, Platform, RandomStream, Requests
from agents.events import Events
from agents.novelty import NoveltyBoost, RecentPositives, history_bits
from agents.objectives import CrossEntropy, Objective
from agents.pool_agent import PoolAgent
from agents.sequence_model import SequenceModel, feedback_of
from agents.sequence_training import SequenceTraining
from agents.sequence_windows import Targets
from agents.slate import top_in_chunks
from sim.arrays import BoolArray, FloatArray, IntArray
from sim.errors import InvalidInput
from sim.records import Positive, Rate, Share, Whole, checks_arguments, limits

_ENCODE_CHUNK = 256  # users encoded at a time, for the cache's sake


@checks_arguments
class SequenceAgent(PoolAgent):
    """Ranks live items by s_j = h . v_j + b_j, and draws slates from pi(j | history) ~ exp(s_j).

    Until it has seen a positive it recommends uniformly at random, so that a platform can start
    with it: call ``fit`` with an empty log to give it the platform, then ``update`` daily.

    Args:
        width: d, of states and item vectors.
        num_layers: transformer layers.
        num_heads: attention heads; must divide ``width``.
        history: consumed items that the model looks at.
        epochs: passes over the log in ``fit``.
        update_epochs: passes over a day's rows in ``update``.
        learning_rate: Adam's.
        objective: what is learned (``agents.objectives``); ``CrossEntropy`` if None.
        novelty: what novel positives count more; nothing if None.
        temperature: of the exploring softmax.
        exploration: probability that a slot explores, over the user's 100 best items.

    Raises:
        InvalidInput: an argument makes no sense.
    """

    def __init__(
        self,
        width: Annotated[int, limits(1, 1024)] = 64,
        num_layers: Annotated[int, limits(0, 64)] = 2,
        num_heads: Annotated[int, limits(1, 64)] = 2,
        history: Annotated[int, limits(2, 10_000)] = 32,
        epochs: Whole = 3,
        update_epochs: Whole = 2,
        learning_rate: Rate = 0.002,
        objective: Objective | None = None,
        novelty: NoveltyBoost | None = None,
        temperature: Positive = 1.0,
        exploration: Share = 0.1,
    ) -> None:
        if width % num_heads:
            raise InvalidInput("num_heads", num_heads, f"must divide width, {width}")
        self.objective = CrossEntropy() if objective is None else objective
        self.novelty = novelty
        self.width, self.num_layers, self.num_heads, self.history = width, num_layers, num_heads, history
        self.epochs, self.update_epochs, self.learning_rate = epochs, update_epochs, learning_rate
        self.temperature, self.exploration = temperature, exploration

    def fit(self, platform: Platform, log: InteractionLog, rng: RandomStream) -> None:
        """Start afresh and train ``epochs`` passes on the burn-in log, which may be empty."""
        self._begin(platform, torch.Generator().manual_seed(rng.at("parameters").integer_seed()))
        self._learn(log, self.epochs, rng)

    def update(self, log: InteractionLog, rng: RandomStream) -> None:
        """Train on the day's positives, each given the user's last ``history`` / 2 to ``history`` items before it.

        A request shows the last ``history`` items, none older than ``history_days`` and none of its own slate.
        Here one window serves many targets (``agents.sequence_windows``): what stands before a target may be
        shorter, older, or of the same slate.
        """
        self._learn(log, self.update_epochs, rng)

    def _begin(self, platform: Platform, generator: torch.Generator) -> None:
        self.platform = platform
        self.trained = False
        sizes = (self.width, self.num_layers, self.num_heads, self.history)
        model = SequenceModel(*sizes, self.objective.largest_score, generator)
        self._training = SequenceTraining(model, self.learning_rate, self.objective, generator)
        self._events = Events.concatenate([])  # the last ``history`` of each user
        self._recent = None if self.novelty is None else RecentPositives(self.novelty.window_days)
        self._forget()

    def _forget(self) -> None:
        """Drop what was computed with parameters that no longer hold."""
        self._rows: Tensor | None = None  # (n, d + 1) of every item uploaded when it was computed
        self._live: tuple[int, IntArray, Tensor] | None = None  # day, live items, their rows
        self._encoded: tuple[IntArray, Tensor] | None = None  # requests.items, states
        self._pooled: tuple[Tensor, IntArray, tuple[FloatArray, IntArray]] | None = None  # states, exclude, pools

    def _learn(self, log: InteractionLog, epochs: int, rng: RandomStream) -> None:
        platform = self.platform
        reward = self.objective.rewards(log)
        bits = None
        if self.novelty is not None and self._recent is not None:
            surprising = self._recent.surprising(log, platform.cluster_of_item)
            self._recent.remember(log)
            reward = np.where(surprising, np.float32(self.novelty.factor), np.float32(1)) * reward
            bits = surprising & log.positive if self.novelty.history_bit else None
        events, is_new = self._events.followed_by(Events.of(log, bits))
        targets = Targets.of(log, events.pasts(log, is_new), reward, self.objective)
        generator = rng.at("training").generator()
        if self._training.learn(events, targets, log.item, platform.catalog, platform.live_items(), epochs, generator):
            self.trained = True
        self._events = events.last(self.history)
        self._forget()

    # Serving

    def _pool(self, requests: Requests) -> tuple[FloatArray, IntArray]:
        """Each user's best live items and their scores, (B, C); the last ones from memory, as ``encode`` does."""
        state = self.encode(requests)
        self._live_rows()  # forgets the pools of another day
        if self._pooled is None or self._pooled[0] is not state or self._pooled[1] is not requests.exclude:
            self._pooled = (state, requests.exclude, self.best(state, requests.exclude))
        return self._pooled[2]

    def best(self, state: Tensor, exclude: IntArray) -> tuple[FloatArray, IntArray]:
        """Best live items of users with states (B, d) who exclude items (B, X), and their scores, (B, C)."""
        live, _ = self._live_rows()
        return top_in_chunks(lambda chunk: np.asarray(self.live_scores(state[chunk]).numpy()), live, exclude)

    @torch.no_grad()
    def encode(self, requests: Requests) -> Tensor:
        """The users' states, (B, d) float32.

        Requests that share their ``items`` array with the last ones (as those of production and of
        an agent that fills other slots of the same slates do) are answered from memory.
        """
        if self._encoded is not None and self._encoded[0] is requests.items:
            return self._encoded[1]
        length = min(self.history, requests.items.shape[1])
        pads = ((0, 0), (self.history - length, 0))
        recent = slice(requests.items.shape[1] - length, None)
        items = np.pad(requests.items[:, recent], pads, constant_values=-1)  # (B, L)
        columns = (requests.watch[:, recent], requests.positive[:, recent], self._history_bits(requests, length))
        feedback = feedback_of(*(torch.from_numpy(np.pad(column, pads)) for column in columns))
        valid = torch.from_numpy(items >= 0)
        place = torch.from_numpy(np.maximum(items, 0))
        vectors = self._all_rows()[:, : self.width]
        states = [
            self._training.model(embedding(place[rows], vectors), feedback[rows], valid[rows], last_only=True)[:, 0]
            for rows in torch.split(torch.arange(len(items)), _ENCODE_CHUNK)
        ]
        self._encoded = (requests.items, torch.cat(states))
        return self._encoded[1]

    def _history_bits(self, requests: Requests, length: int) -> BoolArray:
        """(B, length) bool, what ``Events.surprising`` says of the last items of the requests' histories."""
        if self.novelty is None or self._recent is None or not self.novelty.history_bit:
            return np.zeros((len(requests), length), bool)
        return history_bits(requests, length, self._events, self._recent, self.platform.cluster_of_item)

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
            self._rows = self._training.table.with_content(content, self._training.model.item_rows)
            self._live, self._encoded, self._pooled = None, None, None
        return self._rows

    def _live_rows(self) -> tuple[IntArray, Tensor]:
        """Today's live items (n_live,), ascending, and their rows (n_live, d + 1)."""
        rows = self._all_rows()
        if self._live is None or self._live[0] != self.platform.day:
            items = self.platform.live_items()
            self._live, self._pooled = (self.platform.day, items, rows[torch.from_numpy(items)]), None
        return self._live[1], self._live[2]

    # Storage

    def save(self, folder: Path) -> None:
        """Write parameters, moments, item table and the users' recent events."""
        self._training.save(folder)
        self._events.save(folder / "events.safetensors")
        if self._recent is not None:
            self._recent.save(folder / "recent.safetensors")

    def load(self, folder: Path, platform: Platform) -> None:
        """Read what ``save`` wrote; training then goes on as if it had not stopped."""
        self._begin(platform, torch.Generator())
        self._training.load(folder)
        self._events = Events.load(folder / "events.safetensors")
        if self._recent is not None:
            self._recent.load(folder / "recent.safetensors")
        self.trained = bool(self._training.optimizer.state)
