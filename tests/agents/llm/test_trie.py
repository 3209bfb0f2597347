import numpy as np
import pytest

from agents.llm.trie import LabelTrie
from sim.errors import InvalidInput


def test_known_layout():
    trie = LabelTrie.build([(5, 1, 9), (5, 2, 9), (7, 9), (5, 1, 4)])
    assert trie.num_labels == 4
    assert trie.tokens.tolist() == [5, 1]  # nodes (5) and (5, 1) branch; (5, 2) and (7) do not
    assert trie.depth.tolist() == [1, 2]
    assert trie.sees.tolist() == [[True, False], [True, True]]
    root, five, five_one = trie.branchings
    assert (root.column, root.children.tolist(), root.child.tolist()) == (-1, [5, 7], [0, 0, 1, 0])
    assert (five.column, five.children.tolist(), five.labels.tolist(), five.child.tolist()) == (
        0,
        [1, 2],
        [0, 1, 3],
        [0, 1, 0],
    )
    assert (five_one.column, five_one.children.tolist(), five_one.labels.tolist()) == (1, [4, 9], [0, 3])


def test_nodes_on_the_way_that_do_not_branch_are_kept():
    trie = LabelTrie.build([(1, 2, 3), (1, 2, 4)])
    assert trie.tokens.tolist() == [1, 2]
    assert len(trie.branchings) == 1
    assert trie.branchings[0].column == 1


def test_one_label_needs_no_model():
    trie = LabelTrie.build([(1, 2)])
    assert trie.branchings == ()
    assert len(trie.tokens) == 0


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "at least one"),
        ([(1, 2), ()], "no tokens"),
        ([(1, 2), (3,), (1, 2)], "same tokens"),
        ([(1, 2, 3), (1, 4), (1, 2)], "begins"),
    ],
)
def test_ambiguous_labels_are_refused(labels, reason):
    with pytest.raises(InvalidInput, match=reason):
        LabelTrie.build(labels)


def test_every_label_has_one_child_a_branching():
    rng = np.random.default_rng(0)
    labels = sorted({(*rng.integers(0, 3, rng.integers(1, 5)).tolist(), 9) for _ in range(60)})
    trie = LabelTrie.build(labels)
    # With equal odds at every branching the labels' probabilities still sum to one.
    log_probability = np.zeros(len(labels))
    for node in trie.branchings:
        log_probability[node.labels] -= np.log(len(node.children))
    assert np.exp(log_probability).sum() == pytest.approx(1)
