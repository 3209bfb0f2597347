"""How the sequence model learns from a log, step by step."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from agents.checkpoint import load_training, save_training
from agents.events import Events
from agents.item_table import ItemTable
from agents.objectives import Objective, Scores
from agents.sampled_softmax import NegativeSampler, accidental_hits, sampled_log_probability
from agents.sequence_model import CONTENT_WIDTH, SequenceModel, feedback_of, normal
from agents.sequence_windows import Targets, Windows
from sim.arrays import IntArray
from sim.catalog import Catalog

_BATCH = 16  # windows a training step: many small steps learn more from a day than few large ones
_TABLE_LEARNING_RATE = 0.02


class SequenceTraining:
    """The sequence model, its item table, their moments, and a step of learning.

    Args:
        model: untrained.
        learning_rate: Adam's.
        objective: what is learned.
        generator: draws what else is drawn at first.
    """

    def __init__(
        self, model: SequenceModel, learning_rate: float, objective: Objective, generator: torch.Generator
    ) -> None:
        self.model, self.objective = model, objective
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        self.table = ItemTable(model.width + 1, _TABLE_LEARNING_RATE)
        self.behaviour = None
        if objective.behaviour == "estimated":
            self.behaviour = BehaviourModel(model.width, learning_rate, generator)

    def learn(
        self,
        events: Events,
        targets: Targets,
        shown: IntArray,
        catalog: Catalog,
        live_items: IntArray,
        epochs: int,
        generator: np.random.Generator,
    ) -> int:
        """Pass ``epochs`` times over the targets in random order.

        Args:
            events: what users consumed, before and in the log.
            targets: P of the log's impressions.
            shown: (R,) int64, the items of all the log's impressions.
            catalog, live_items: what is known of items, and which are alive.
            epochs: passes.
            generator: shuffles windows and draws negatives.

        Returns:
            The number of steps.
        """
        windows = Windows.of(events, targets, self.model.history)
        self.table.grow(catalog.num_items)
        sampler = NegativeSampler(shown, live_items, catalog.num_items, *self.objective.negatives)
        num_steps = 0
        for _ in range(epochs):
            order = generator.permutation(len(windows))
            for start in range(0, len(order), _BATCH):
                negatives, log_expected = sampler.draw(shown, generator)
                batch = order[start : start + _BATCH]
                self._step(events, targets, windows, batch, negatives, torch.from_numpy(log_expected), catalog)
                num_steps += 1
        return num_steps

    def _step(
        self,
        events: Events,
        targets: Targets,
        windows: Windows,
        batch: IntArray,
        negatives: IntArray,
        log_expected: Tensor,
        catalog: Catalog,
    ) -> None:
        """One step of Adam and Adagrad on w windows, with K negatives and the logs of their expected counts."""
        number, window, place = windows.targets(batch)  # (T,) each
        inputs, target = windows.rows[batch], targets.item[number]  # (w, L), (T,)
        # Every item of the batch is projected once; pads read row -1 and are hidden by the model.
        items, row_of = np.unique(np.concatenate([events.item[inputs].ravel(), target, negatives]), return_inverse=True)
        learned = self.table.rows(items)
        content = torch.from_numpy(catalog.embedding[items].astype(np.float32))
        sizes = [inputs.size, len(target), len(negatives)]
        consumed_row, target_row, negative_row = torch.split(torch.from_numpy(row_of), sizes)
        rows = self.model.item_rows(content, learned)
        every_state = self.model(
            embedding(consumed_row, rows)[:, : self.model.width].reshape(*inputs.shape, self.model.width),
            feedback_of(*(torch.from_numpy(c[inputs]) for c in (events.watch, events.positive, events.surprising))),
            torch.from_numpy(inputs >= 0),
            last_only=False,
        )  # (w, L + 1, d)
        state = every_state[torch.from_numpy(window), torch.from_numpy(place)]  # (T, d)
        hits = torch.from_numpy(accidental_hits(target, negatives))
        log_beta = torch.from_numpy(targets.log_propensity[number])
        if self.behaviour is not None:
            candidates = (items, content, target_row, negative_row)
            log_beta = self.behaviour.step(state.detach(), *candidates, log_expected, hits)
        scores = Scores(
            *logits(state, embedding(target_row, rows), embedding(negative_row, rows)),
            log_expected,
            hits,
            torch.from_numpy(targets.reward[number]),
            log_beta,
        )
        loss = self.objective.loss(scores)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.table.step(items, learned)

    def save(self, folder: Path) -> None:
        """Write parameters, moments and item tables."""
        for name, model, optimizer, table in self._parts():
            save_training(folder / f"{name}.safetensors", model, optimizer, table)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote; training then goes on as if it had not stopped."""
        for name, model, optimizer, table in self._parts():
            load_training(folder / f"{name}.safetensors", model, optimizer, table)

    def _parts(self) -> Iterator[tuple[str, nn.Module, torch.optim.Optimizer, ItemTable]]:
        yield "model", self.model, self.optimizer, self.table
        if self.behaviour is not None:
            yield "behaviour", self.behaviour, self.behaviour.optimizer, self.behaviour.table


def logits(state: Tensor, target: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """h . v + b of states (T, d) with their target's row (T, d + 1) and with all negatives' (K, d + 1).

    Returns:
        (T,) and (T, K).
    """
    width = state.shape[1]
    positive = (state * target[:, :width]).sum(dim=1) + target[:, width]
    return positive, torch.addmm(negative[:, width], state, negative[:, :width].T)


class BehaviourModel(nn.Module):
    """beta(a | s) ~ exp(h . w_a + c_a): what the platform showed in a state, rewarded or not.

    A second softmax head on the policy's state, through which no gradient flows back (Chen et al.
    2019, section 4.3 and figure 1). Rows w and c are content @ projection plus a learned row.

    Args:
        width: d.
        learning_rate: Adam's.
        generator: draws the initial parameters.
    """

    def __init__(self, width: int, learning_rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.projection = normal(generator, CONTENT_WIDTH, width + 1)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)
        self.table = ItemTable(width + 1, _TABLE_LEARNING_RATE)

    def step(
        self,
        state: Tensor,
        items: IntArray,
        content: Tensor,
        target_row: Tensor,
        negative_row: Tensor,
        log_expected: Tensor,
        hits: Tensor,
    ) -> Tensor:
        """Learn from T impressions by cross-entropy.

        Args:
            state: (T, d), without a gradient.
            items: (U,) int64, the batch's distinct items.
            content: (U, 256), theirs.
            target_row, negative_row: (T,) and (K,) int64 into ``items``.
            log_expected, hits: (K,) and (T, K); see ``sampled_log_probability``.

        Returns:
            (T,) log beta(a | s) before the step.
        """
        self.table.grow(int(items.max()) + 1)
        learned = self.table.rows(items)
        rows = content @ self.projection + learned
        log_beta = sampled_log_probability(
            *logits(state, embedding(target_row, rows), embedding(negative_row, rows)), log_expected, hits
        )
        self.optimizer.zero_grad()
        (-log_beta.mean()).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.table.step(items, learned)
        return log_beta.detach()
