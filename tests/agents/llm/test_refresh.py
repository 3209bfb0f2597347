"""What is kept and what is computed when clusters drift or the log grows."""

import numpy as np
import pytest

import agents.llm.bulk
from agents.llm.past_tables import FromLog, fill_table
from agents.llm.refresh import match_clusters
from agents.llm.triples import keys_of, open_table, triples_of
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.agents.llm.conftest import KEYWORDS, clusters_of

RNG = RandomStream(5, "table")
ORDER = np.array([3, 0, 1, 2, 4, 5, 6, 7, 9, 8])  # new number -> old: some clusters are numbered anew
CHANGED = (4, 9)  # new numbers of clusters with other keywords
NEW_WORDS = {4: ("bouldering", "climbing shoes", "belay"), 9: ("gouache", "plein air", "sketchbook")}
SAME = np.setdiff1d(np.arange(10), CHANGED)


@pytest.fixture(scope="module")
def drifted():
    return clusters_of(tuple(NEW_WORDS.get(c, KEYWORDS[ORDER[c]]) for c in range(10)))


@pytest.fixture(scope="module")
def old(small_weights, clusters, make_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("old") / "table"
    return fill_table(small_weights, clusters, make_settings(), folder, RNG)


@pytest.fixture(scope="module")
def full(small_weights, drifted, make_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full") / "table"
    return fill_table(small_weights, drifted, make_settings(), folder, RNG)


@pytest.fixture
def asked(monkeypatch):
    """The pairs that the model was asked to score."""
    pairs = []
    scores = agents.llm.bulk._Scorer.scores

    def noted(self, first, second):
        pairs.extend((first, int(c)) for c in second)
        return scores(self, first, second)

    monkeypatch.setattr(agents.llm.bulk._Scorer, "scores", noted)
    return pairs


def check_kept_row(new, new_row, old, old_row, label):
    """A kept row is the old one, its labels renumbered, those that are gone left out."""
    kept = [(label[c], p) for c, p in zip(old.clusters[old_row], old.log_probability[old_row], strict=True)]
    kept = [(c, p) for c, p in kept if c >= 0]
    assert new.clusters[new_row].tolist() == [c for c, _ in kept] + [-1] * (4 - len(kept))
    assert new.log_probability[new_row, : len(kept)].tolist() == [p for _, p in kept]
    assert np.isnan(new.log_probability[new_row, len(kept) :]).all()
    return 4 - len(kept)


def test_what_changed_is_computed_and_the_rest_is_kept(
    small_weights, drifted, make_settings, tmp_path, old, full, asked
):
    new = fill_table(small_weights, drifted, make_settings(), tmp_path / "table", RNG, earlier=old)
    expected = [(a, b) for a in range(10) for b in range(10) if a in CHANGED or b in CHANGED]
    assert sorted(asked) == expected
    label = np.full(10, -1)
    label[ORDER[SAME]] = SAME
    lost = 0
    for a in range(10):
        for b in range(10):
            row = a * 10 + b
            if (a, b) in expected:
                assert new.clusters[row].tobytes() == full.clusters[row].tobytes()
                assert new.log_probability[row].tobytes() == full.log_probability[row].tobytes()
            else:
                lost += check_kept_row(new, row, old, ORDER[a] * 10 + ORDER[b], label)
    assert lost > 0
    said = new.manifest["refresh"]
    assert (said["rows_kept"], said["rows_computed"]) == (64, 36)
    assert (said["lost_entries"], said["renamed_entries"]) == (lost, 0)
    assert (said["clusters_with_the_same_text"], said["clusters_gone"], said["clusters_new"]) == (8, 2, 2)
    assert new.manifest["cost"]["pairs_computed"] == 36
    assert 0 < new.manifest["cost"]["tokens_computed"] < full.manifest["cost"]["tokens_computed"]
    assert new.manifest["clusters_digest"] == drifted.digest
    # Found again; and not mistaken for a full fill.
    fill_table(small_weights, drifted, make_settings(), tmp_path / "table", RNG, earlier=old)
    with pytest.raises(InvalidInput, match="other inputs"):
        fill_table(small_weights, drifted, make_settings(), tmp_path / "table", RNG)


def test_nothing_changed_nothing_computed(small_weights, clusters, make_settings, tmp_path, old, asked):
    new = fill_table(small_weights, clusters, make_settings(), tmp_path / "table", RNG, earlier=old)
    assert asked == []
    np.testing.assert_array_equal(new.clusters, old.clusters)
    np.testing.assert_array_equal(new.log_probability, old.log_probability)


def test_a_killed_refresh_goes_on(small_weights, drifted, make_settings, tmp_path, old, full, monkeypatch):
    write_shard = agents.llm.bulk._Scorer.write_shard
    done = []

    def dying(self, block):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(block)
        return write_shard(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(agents.llm.bulk._Scorer, "write_shard", dying)
        with pytest.raises(KeyboardInterrupt):
            fill_table(small_weights, drifted, make_settings(), tmp_path / "table", RNG, earlier=old)
    with monkeypatch.context() as patch:
        patch.setattr(agents.llm.bulk._Scorer, "write_shard", lambda s, b: done.append(b) or write_shard(s, b))
        new = fill_table(small_weights, drifted, make_settings(), tmp_path / "table", RNG, earlier=old)
    assert len(done) == len(set(done)) == 4
    assert new.clusters[4 * 10].tobytes() == full.clusters[4 * 10].tobytes()


def test_with_hints_changed_successors_are_computed_too(small_weights, drifted, clusters, make_settings, tmp_path):
    settings = make_settings(successor_hint=True)
    hints = np.full((10, 10), -1, np.int32)
    hints[0, 1], hints[1, 2], hints[5, 6] = 7, 9, 4
    before = fill_table(small_weights, clusters, settings, tmp_path / "old", RNG, from_log=FromLog(successor=hints))
    renumbered = np.argsort(ORDER)
    now = np.full((10, 10), -1, np.int32)
    now[1, 2] = renumbered[7]  # old (0, 1) -> 7, as before
    now[2, 3] = renumbered[6]  # old (1, 2) -> 6 instead of 9
    now[6, 7] = 5  # old (6, 7) had none
    log = FromLog(successor=now)  # and old (5, 6) has none any more, its 4 being gone
    new = fill_table(small_weights, drifted, settings, tmp_path / "new", RNG, from_log=log, earlier=before)
    full = fill_table(small_weights, drifted, settings, tmp_path / "full", RNG, from_log=log)
    stale = np.zeros((10, 10), bool)
    stale[list(CHANGED)] = stale[:, list(CHANGED)] = True
    for pair in ((2, 3), (6, 7), (5, 6)):
        stale[pair] = True
    assert new.manifest["refresh"]["rows_computed"] == stale.sum() == new.manifest["cost"]["pairs_computed"]
    rows = np.flatnonzero(stale)
    assert new.clusters[rows].tobytes() == full.clusters[rows].tobytes()
    assert new.log_probability[rows].tobytes() == full.log_probability[rows].tobytes()
    label = np.full(10, -1)
    label[ORDER[SAME]] = SAME
    for row in np.flatnonzero(~stale):
        a, b = divmod(int(row), 10)
        check_kept_row(new, row, before, ORDER[a] * 10 + ORDER[b], label)


def test_triples_that_are_new_are_computed(small_weights, drifted, clusters, make_settings, tmp_path):
    settings = make_settings(past_clusters=3)
    then = np.sort(keys_of(np.array([[0, 1, 2], [3, 5, 7], [4, 5, 6], [0, 6, 7]]), 10))
    before = fill_table(small_weights, clusters, settings, tmp_path / "old", RNG, from_log=FromLog(triples=then))
    # old 0 1 2 stays, old 3 5 7 stays, old 4 5 6 has changed, old 0 6 7 is no longer frequent, 2 5 6 is new
    now = np.sort(keys_of(np.array([[1, 2, 3], [0, 5, 7], [4, 5, 6], [2, 5, 6]]), 10))
    log = FromLog(triples=now)
    new = fill_table(small_weights, drifted, settings, tmp_path / "new", RNG, from_log=log, earlier=before)
    full = fill_table(small_weights, drifted, settings, tmp_path / "full", RNG, from_log=log)
    assert (new.manifest["refresh"]["rows_kept"], new.manifest["refresh"]["rows_computed"]) == (2, 2)
    assert new.pairs.manifest["refresh"]["rows_computed"] == 36
    label = np.full(10, -1)
    label[ORDER[SAME]] = SAME
    for row, triple in enumerate(triples_of(now, 10).tolist()):
        if triple in ([4, 5, 6], [2, 5, 6]):
            assert new.clusters[row].tobytes() == full.clusters[row].tobytes()
            assert new.log_probability[row].tobytes() == full.log_probability[row].tobytes()
        else:
            (old_row,) = before.rows_of(ORDER[np.array([triple])])
            check_kept_row(new, row, before, old_row, label)


def test_one_past_cluster(small_weights, drifted, clusters, make_settings, tmp_path):
    settings = make_settings(past_clusters=1)
    before = fill_table(small_weights, clusters, settings, tmp_path / "old", RNG)
    new = fill_table(small_weights, drifted, settings, tmp_path / "new", RNG, earlier=before)
    full = fill_table(small_weights, drifted, settings, tmp_path / "full", RNG)
    rows = list(CHANGED)
    assert new.manifest["refresh"]["rows_computed"] == 2
    assert new.clusters[rows].tobytes() == full.clusters[rows].tobytes()
    assert new.log_probability[rows].tobytes() == full.log_probability[rows].tobytes()


def test_clusters_are_matched_by_text_then_by_items():
    old = ("a", "b", "c", "d", "e")
    new = ("c", "x", "a", "y", "b")  # d goes on as x, e is scattered
    old_filing = np.array([0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4, 4])
    new_filing = np.array([2, 1, 4, 4, 0, 1, 1, 1, 1, 3, 0, 4])
    by_text = match_clusters(old, new)
    assert by_text.old_text.tolist() == [2, -1, 0, -1, 1]
    assert by_text.label.tolist() == [2, 4, 0, -1, -1]
    assert not by_text.renamed.any()
    by_items = match_clusters(old, new, (old_filing, new_filing))
    assert by_items.old_text.tolist() == by_text.old_text.tolist()  # an item is not a word: rows are not kept by it
    assert by_items.label.tolist() == [2, 4, 0, 1, -1]
    assert by_items.renamed.tolist() == [False, False, False, True, False]


def test_a_label_under_another_text_stays_in_kept_rows(small_weights, drifted, make_settings, tmp_path, old):
    # Every item is filed as before but for the numbers: old cluster 4 is new 4, old 8 is new 9.
    filing = np.arange(10).repeat(3)
    log = FromLog(filings=(ORDER[filing], filing))
    new = fill_table(small_weights, drifted, make_settings(), tmp_path / "table", RNG, from_log=log, earlier=old)
    label = np.argsort(ORDER)
    renamed = 0
    for a in SAME:
        for b in SAME:
            assert check_kept_row(new, a * 10 + b, old, ORDER[a] * 10 + ORDER[b], label) == 0
            renamed += np.isin(new.clusters[a * 10 + b], CHANGED).sum()
    said = new.manifest["refresh"]
    assert (said["lost_entries"], said["renamed_entries"]) == (0, renamed)
    assert (said["clusters_with_another_text"], said["clusters_gone"], said["clusters_new"]) == (2, 0, 0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pmi_coefficient": 0.5}, "the same pmi_coefficient"),
        ({"past_clusters": 1}, "llm.past_clusters=1: must be that of the earlier table, 2"),
        ({"successor_hint": True}, "the same template"),
    ],
)
def test_tables_of_another_kind_are_refused(small_weights, drifted, make_settings, tmp_path, old, changes, says):
    log = FromLog(successor=np.full((10, 10), -1, np.int32))
    with pytest.raises(InvalidInput, match=says):
        fill_table(small_weights, drifted, make_settings(**changes), tmp_path / "table", RNG, from_log=log, earlier=old)
    assert not (tmp_path / "table").exists()


def test_another_models_table_is_refused(weights, drifted, make_settings, tmp_path, old):
    with pytest.raises(InvalidInput, match="the same weights_digest"):
        fill_table(weights, drifted, make_settings(), tmp_path / "table", RNG, earlier=old)


def test_a_refreshed_table_is_refreshed_again(small_weights, drifted, clusters, make_settings, tmp_path, old):
    there = fill_table(small_weights, drifted, make_settings(), tmp_path / "there", RNG, earlier=old)
    back = fill_table(small_weights, clusters, make_settings(), tmp_path / "back", RNG, earlier=there)
    assert back.manifest["refresh"]["rows_computed"] == 36
    assert open_table(tmp_path / "back").manifest["refresh"]["from"] != there.manifest["refresh"]["from"]
