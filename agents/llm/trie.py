"""All labels in one prefix tree of tokens.

Constrained decoding gives a label the probability

    P(label) = product over the branching nodes on its path of softmax(logits there, allowed children)

for where a node has one child, that child has probability 1. So the model need only be evaluated
at branching nodes, and there only on the children's tokens: that scores *all* labels exactly in
one pass, where greedy descent would find the best first branch, not the best label.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.arrays import BoolArray, IntArray
from sim.errors import InvalidInput


@dataclass(frozen=True)
class Branching:
    """A node with several children.

    Attributes:
        column: where the model must be evaluated: -1 = at the prompt's last token (the root),
            else at that entry of ``LabelTrie.tokens``.
        children: (k,) int64, the allowed next tokens, ascending.
        labels: (m,) int64, the labels below this node.
        child: (m,) int64, through which of the children each of them goes.
    """

    column: int
    children: IntArray
    labels: IntArray
    child: IntArray


@dataclass(frozen=True)
class LabelTrie:
    """The trie of M labels, laid out for one forward pass.

    Attributes:
        num_labels: M.
        tokens: (W,) int64, tokens of the nodes on the way to branching nodes, parents first.
        depth: (W,) int64, of each: 1 = first token of a label.
        sees: (W, W) bool, whether row may attend to column: itself and its ancestors.
        paths: (W, D) int64, the same as lists: entries of ``tokens`` from the root to the row's own; -1 pads.
        branchings: the branching nodes.
    """

    num_labels: int
    tokens: IntArray
    depth: IntArray
    sees: BoolArray
    paths: IntArray
    branchings: tuple[Branching, ...]

    @staticmethod
    def build(labels: Sequence[Sequence[int]]) -> "LabelTrie":
        """Lay out the trie of M >= 1 token sequences.

        Raises:
            InvalidInput: a label is empty, or the same as another or the beginning of another.
        """
        _check_prefix_free(labels)
        below: dict[tuple[int, ...], list[int]] = {}  # node (as its path) -> labels below it
        for number, label in enumerate(labels):
            for length in range(len(label)):
                below.setdefault(tuple(label[:length]), []).append(number)
        branching = [
            node for node, numbers in sorted(below.items()) if len({labels[i][len(node)] for i in numbers}) > 1
        ]
        needed = sorted({node[:length] for node in branching for length in range(1, len(node) + 1)})
        column = {node: i for i, node in enumerate(needed)}
        sees = np.zeros((len(needed), len(needed)), bool)
        paths = np.full((len(needed), max(map(len, needed), default=0)), -1, np.int64)
        for node, row in column.items():
            for length in range(1, len(node) + 1):
                sees[row, column[node[:length]]] = True
                paths[row, length - 1] = column[node[:length]]
        return LabelTrie(
            num_labels=len(labels),
            tokens=np.array([node[-1] for node in needed], np.int64),
            depth=np.array([len(node) for node in needed], np.int64),
            sees=sees,
            paths=paths,
            branchings=tuple(_branching(node, below[node], labels, column.get(node, -1)) for node in branching),
        )


def _branching(node: tuple[int, ...], numbers: list[int], labels: Sequence[Sequence[int]], column: int) -> Branching:
    children, child = np.unique([labels[i][len(node)] for i in numbers], return_inverse=True)
    return Branching(column, children.astype(np.int64), np.array(numbers, np.int64), child.astype(np.int64))


def _check_prefix_free(labels: Sequence[Sequence[int]]) -> None:
    if not labels:
        raise InvalidInput("labels", 0, "there must be at least one label")
    order = sorted(range(len(labels)), key=lambda i: tuple(labels[i]))
    for i in order:
        if len(labels[i]) == 0:
            raise InvalidInput("labels", i, "this label has no tokens")
    # In lexicographic order a sequence comes right before those that it begins.
    for i, j in itertools.pairwise(order):
        if tuple(labels[j][: len(labels[i])]) == tuple(labels[i]):
            same = len(labels[i]) == len(labels[j])
            problem = "have the same tokens" if same else "are in conflict: the first begins the second"
            raise InvalidInput("labels", (i, j), f"these labels {problem}")
