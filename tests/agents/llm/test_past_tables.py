"""Tables for one and three past clusters, and with hints, against plain scoring of the whole prompt."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import agents.llm.any_prompts
from agents.llm.any_prompts import Prompts
from agents.llm.contexts import ContextScorer
from agents.llm.model import load_model, load_tokenizer
from agents.llm.past_tables import FromLog, fill_table
from agents.llm.prompt import template, tokenise_prompts
from agents.llm.table import TransitionTable
from agents.llm.triples import TripleTable, keys_of, open_table, recent_triples, triples_of
from agents.transitions import POSITIVE_WEIGHT, Transitions, recent_successors
from sim.errors import InvalidInput
from sim.log import DTYPES, InteractionLog
from sim.random import RandomStream
from tests.agents.llm.reference import plain_scores

RNG = RandomStream(5, "table")
TRIPLES = np.array([[4, 0, 7], [9, 2, 5], [1, 0, 3], [6, 8, 7]])


@pytest.fixture(scope="module")
def tokens(small_weights, clusters):
    return tokenise_prompts(clusters, 3, load_tokenizer(small_weights))


@pytest.fixture(scope="module")
def model(small_weights):
    return load_model(small_weights, torch.float32)


@pytest.fixture(scope="module")
def successor():
    """Three pairs have a hint."""
    hints = np.full((10, 10), -1, np.int32)
    for first, second, label in ((0, 5, 7), (2, 9, 1), (3, 3, 8)):
        hints[first, second] = hints[second, first] = label
    return hints


def plainly(model, tokens, whole):
    """The reference's scores after a prompt given whole."""
    return plain_scores(model, replace(tokens, prefix=(whole,), suffix=((),)), 0, 0)


def check_row(found, log_probability, plain, past):
    best = np.argsort(-np.where(np.isin(np.arange(len(plain)), past), -np.inf, plain), kind="stable")
    assert found.tolist() == best[: len(found)].tolist()
    np.testing.assert_allclose(log_probability, plain[found], atol=1e-4)


@pytest.mark.parametrize(
    ("past", "hint", "says"),
    [
        ([5], None, "People who enjoy {5} also enjoy"),
        ([5, 2], None, "People who enjoy {5} and {2} also enjoy"),
        ([5, 2], 8, "People who enjoy {5} and {2} and lately {8} also enjoy"),
        ([5, 2], -1, "People who enjoy {5} and {2} also enjoy"),
        ([5, 2, 9], None, "People who enjoy {5} and {2} and {9} also enjoy"),
    ],
)
def test_prompts_read_as_the_template_says(past, hint, says, small_weights, tokens):
    prompts = Prompts(tokens, np.array([past]), None if hint is None else np.array([hint]))
    text = load_tokenizer(small_weights).decode(prompts.prefix(0) + prompts.rest(0))
    texts = tokens.text
    assert text == says.format(*texts)
    names = {f"C{k + 1}": texts[c] for k, c in enumerate(past)} | {"H": texts[hint or 0], "CL": "x"}
    assert template(len(past), hint is not None and hint >= 0).format(**names) == text + " x<end>"


@pytest.mark.parametrize("fused", [True, False])
def test_a_contexts_scores_are_its_own_to_the_last_bit(small_weights, model, tokens, fused):
    scorer = ContextScorer(small_weights, "fp32", tokens, 100)
    if not fused:
        scorer.fused = None
    contexts = [*tokens.suffix, *(a + b for a in tokens.middle for b in tokens.suffix[::3])]
    whole = scorer.scores(tokens.prefix[4], contexts)
    generator = np.random.default_rng(0)
    for size in (1, 2, 7, 20):
        some = generator.permutation(len(contexts))[:size]
        again = scorer.scores(tokens.prefix[4], [contexts[i] for i in some])
        assert again.tobytes() == whole[some].tobytes()
        plain = plainly(model, tokens, tokens.prefix[4] + contexts[some[0]])
        np.testing.assert_allclose(again[0], plain, atol=1e-4)


def test_one_past_cluster(small_weights, clusters, make_settings, tmp_path, model, tokens):
    settings = make_settings(past_clusters=1, pmi_coefficient=0.0)
    fill_table(small_weights, clusters, settings, tmp_path / "table", RNG)
    table = open_table(tmp_path / "table")
    assert (table.past_clusters, table.clusters.shape) == (1, (10, 4))
    for cluster in (0, 4, 9):
        actual, known = table.next_clusters(np.array([[cluster]]))
        assert known.all()
        check_row(actual[0], table.log_probability[cluster], plainly(model, tokens, tokens.only[cluster]), [cluster])


def test_triples_are_scored_as_the_whole_prompt(small_weights, clusters, make_settings, tmp_path, model, tokens):
    settings = make_settings(past_clusters=3, pmi_coefficient=0.0)
    log = FromLog(triples=np.sort(keys_of(TRIPLES, 10)))
    fill_table(small_weights, clusters, settings, tmp_path / "table", RNG, from_log=log)
    table = open_table(tmp_path / "table")
    assert isinstance(table, TripleTable)
    for past in TRIPLES:
        first, middle, last = sorted(past, key=lambda c: tokens.text[c])
        plain = plainly(model, tokens, tokens.prefix[first] + tokens.middle[middle] + tokens.suffix[last])
        (row,) = table.rows_of(past[None])
        check_row(table.clusters[row], table.log_probability[row], plain, past)
    pairs = fill_table(small_weights, clusters, make_settings(pmi_coefficient=0.0), tmp_path / "pairs", RNG)
    np.testing.assert_array_equal(table.pairs.clusters, pairs.clusters)


def test_the_general_appeal_is_that_of_the_same_kind_of_prompt(
    small_weights, clusters, make_settings, tmp_path, model, tokens
):
    table = fill_table(small_weights, clusters, make_settings(past_clusters=1), tmp_path / "table", RNG)
    plain = np.stack([plainly(model, tokens, tokens.only[c]) for c in range(10)]).astype(float)
    others = ~np.eye(10, dtype=bool)
    corrected = plain - np.log((np.exp(plain) * others).sum(axis=0) / 9)
    corrected[~others] = -np.inf
    assert (np.argsort(-corrected, axis=1)[:, :4] == table.clusters).all()


def test_hints_are_in_the_prompt(small_weights, clusters, make_settings, tmp_path, model, tokens, successor):
    settings = make_settings(successor_hint=True, pmi_coefficient=0.0)
    log = FromLog(successor=successor)
    table = fill_table(small_weights, clusters, settings, tmp_path / "table", RNG, from_log=log)
    unhinted = fill_table(small_weights, clusters, make_settings(pmi_coefficient=0.0), tmp_path / "plain", RNG)
    for first, second in ((0, 5), (9, 2), (3, 3), (5, 1)):
        hint = successor[first, second]
        rest = tokens.hinted[second] + tokens.suffix[hint] if hint >= 0 else tokens.suffix[second]
        plain = plainly(model, tokens, tokens.prefix[first] + rest)
        actual, log_probability = table.lookup(np.array([first]), np.array([second]))
        check_row(actual[0], log_probability[0], plain, [first, second])
    without = (successor < 0).reshape(-1)
    assert table.log_probability[without].tobytes() == unhinted.log_probability[without].tobytes()
    assert (table.log_probability[~without] != unhinted.log_probability[~without]).any(axis=1).all()
    np.testing.assert_array_equal(open_table(tmp_path / "table").successor, successor)


@pytest.mark.slow
def test_killed_and_restarted_ends_with_the_same_bytes(
    small_weights, clusters, make_settings, tmp_path, monkeypatch, successor
):
    settings = make_settings(successor_hint=True)
    log = FromLog(successor=successor)
    fill_table(small_weights, clusters, settings, tmp_path / "whole", RNG, from_log=log)
    computed = []
    write_shard = agents.llm.any_prompts._PromptScorer.write_shard

    def dying(self, block):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(block)
        return write_shard(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(agents.llm.any_prompts._PromptScorer, "write_shard", dying)
        with pytest.raises(KeyboardInterrupt):
            fill_table(small_weights, clusters, settings, tmp_path / "table", RNG, from_log=log)
    assert not (tmp_path / "table").exists()
    fill_table(small_weights, clusters, settings, tmp_path / "table", RNG, workers=2, from_log=log)
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "table" / file.name).read_bytes() == file.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["table", "whole"]


def test_other_triples_are_another_table(small_weights, clusters, make_settings, tmp_path):
    settings = make_settings(past_clusters=3)
    log = FromLog(triples=np.sort(keys_of(TRIPLES, 10)))
    fill_table(small_weights, clusters, settings, tmp_path / "table", RNG, from_log=log)
    fill_table(small_weights, clusters, settings, tmp_path / "table", RNG, from_log=log)  # it is there
    with pytest.raises(InvalidInput, match="other inputs"):
        fill_table(
            small_weights,
            clusters,
            settings,
            tmp_path / "table",
            RNG,
            from_log=replace(log, triples=log.triples[1:]),
        )


def random_tables(generator, num, num_triples):
    """A table of pairs with row number r = [r, r], and one of triples whose t-th has [-t, -t]."""
    row = np.arange(num**2)[:, None].repeat(2, axis=1)
    pairs = TransitionTable(row, row.astype(float), {"num_clusters": num, "past_clusters": 2})
    every = np.array(list(combinations(range(num), 3)))
    keys = np.sort(keys_of(generator.permutation(every)[:num_triples], num))
    rows = -np.arange(len(keys))[:, None].repeat(2, axis=1)
    return TripleTable(keys, rows, rows.astype(float), {}, pairs)


@given(seed=st.integers(0, 10**6), num=st.integers(4, 12), num_triples=st.integers(0, 200))
def test_sparse_lookup_equals_a_dictionary(seed, num, num_triples):
    generator = np.random.default_rng(seed)
    table = random_tables(generator, num, num_triples)
    known_rows = {frozenset(t): -n for n, t in enumerate(triples_of(table.keys, num).tolist())}
    past = generator.integers(0, num, (50, 3))
    actual, known = table.next_clusters(past)
    for (a, b, c), row, from_triple in zip(past.tolist(), actual.tolist(), known.tolist(), strict=True):
        expected = known_rows.get(frozenset((a, b, c)), a * num + b)
        assert row == [expected, expected]
        assert from_triple == (frozenset((a, b, c)) in known_rows)


def log_of(user, day, cluster, consumed, positive):
    columns = {name: np.zeros(len(user), dtype) for name, dtype in DTYPES.items()}
    return InteractionLog(
        **{**columns, "user": user, "day": day, "cluster": cluster, "consumed": consumed, "positive": positive}
    )


@given(seed=st.integers(0, 10**6), length=st.sampled_from([5, 40, 10**6]))
def test_recent_triples_are_those_of_each_users_likeliest_clusters(seed, length):
    generator = np.random.default_rng(seed)
    num, rows = 26, 400
    day = np.sort(generator.integers(0, 40, rows))
    consumed = generator.random(rows) < 0.8
    log = log_of(
        generator.integers(0, 4, rows),
        day,
        generator.integers(0, num, rows),
        consumed,
        consumed & (generator.random(rows) < 0.5),
    )
    rng = RandomStream(seed, "triples")
    expected = {}
    for user in range(4):
        weight = {}
        for row in np.flatnonzero((log.user == user) & consumed & (day > day.max() - 30))[-length:]:
            c = int(log.cluster[row])
            weight[c] = weight.get(c, 0) + (POSITIVE_WEIGHT if log.positive[row] else 1)
        tie = rng.uniform(np.array([user]), num)[0]
        likeliest = sorted(weight, key=lambda c, w=weight, t=tie: (-w[c], t[c]))[:20]
        for triple in combinations(sorted(likeliest), 3):
            expected[triple] = expected.get(triple, 0) + 1
    keys, users = recent_triples(log, num, 30, length, rng)
    assert dict(zip(map(tuple, triples_of(keys, num).tolist()), users.tolist(), strict=True)) == expected
    assert (np.diff(keys) > 0).all()


def test_no_triples_where_nobody_has_three_clusters():
    log = log_of(np.array([0, 0, 1]), np.zeros(3), np.array([0, 1, 2]), np.ones(3, bool), np.ones(3, bool))
    keys, users = recent_triples(log, 10, 30, 50, RandomStream(0, "triples"))
    assert len(keys) == len(users) == 0


def test_successors_are_the_most_frequent_recent_ones():
    rows = [(1, 2, 5, 9), (2, 1, 6, 9), (2, 1, 6, 8), (3, 4, 7, 9), (4, 3, 0, 9), (0, 1, 3, 2), (1, 2, 5, 2)]
    first, second, label, day = np.array(rows).T
    expected = np.full((8, 8), -1)
    expected[1, 2] = expected[2, 1] = 6  # twice in the last seven days; 5 was there once, and once long ago
    transitions, ties = Transitions(first, second, label, np.zeros(len(rows)), day), set()
    for seed in range(20):
        actual = recent_successors(transitions, 8, 7, RandomStream(seed, "successors"))
        assert actual[3, 4] == actual[4, 3]
        ties.add(int(actual[3, 4]))
        actual[[3, 4], [4, 3]] = -1
        np.testing.assert_array_equal(actual, expected)
    assert ties == {0, 7}  # once each
    none = Transitions(*[np.empty(0, int)] * 5)
    assert (recent_successors(none, 8, 7, RandomStream(0, "successors")) == -1).all()
