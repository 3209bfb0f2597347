from itertools import combinations

import numpy as np
import pytest

from agents.llm.planner import LLMTablePlanner
from agents.llm.table import TransitionTable
from agents.llm.triples import TripleTable, keys_of
from agents.novel_choice import choose_novel
from agents.transitions import sample_past
from sim.catalog import Catalog
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords, Requests
from sim.random import RandomStream

RNG = RandomStream(2, "plan")
NUM_USERS = 40


@pytest.fixture
def table_folder(clusters, tmp_path):
    """A table that proposes c1 + 1, c1 + 2, c1 + 3, c1 + 4 (mod 10) without the pair itself."""
    rows = []
    for c1, c2 in np.ndindex(10, 10):
        rows.append([c for c in (np.arange(1, 6) + c1) % 10 if c != c2][:4])
    TransitionTable.write(tmp_path / "table", np.array(rows), np.zeros((100, 4)), {"clusters_digest": clusters.digest})
    return tmp_path / "table"


@pytest.fixture
def records(clusters):
    """Ten items, item c in cluster c; user u has consumed u % 10 items at random."""
    num = clusters.num_clusters
    catalog = Catalog(
        creator=np.zeros(num, np.int32),
        length=np.ones(num, np.float32),
        upload_day=np.zeros(num, np.int32),
        expiry_day=np.full(num, 99, np.int32),
        embedding=np.array(clusters.centroid, np.float16),
        title_terms=np.zeros((num, 1), np.int32),
        hashtag_terms=np.zeros((num, 1), np.int32),
        vocabulary=("a",),
    )
    records = PlatformRecords(NUM_USERS, catalog, clusters, history_length=12, history_days=30, seen_length=12)
    for user in range(NUM_USERS):
        items = np.random.default_rng(user).permutation(num)[None, : user % 11]
        yes = np.ones(items.shape, bool)
        records.record(np.array([user]), items, yes, yes, np.ones(items.shape, np.float32), yes)
    return records


def planner_for(folder, records):
    planner = LLMTablePlanner(str(folder))
    planner.fit(Platform(records), InteractionLog.concatenate([]), RNG)
    return planner


def test_never_consumed_nor_twice(table_folder, records):
    requests = records.requests(np.arange(NUM_USERS), 3)
    plan = planner_for(table_folder, records).propose(requests, RNG)
    assert plan.shape == (NUM_USERS, 3)
    assert plan.dtype == np.int32
    for user, row in enumerate(plan):
        assert len(set(row.tolist())) == 3
        novel = np.flatnonzero(~records.consumed[user])
        assert np.isin(row, novel).sum() == min(3, len(novel))


def test_a_user_does_not_depend_on_the_batch(table_folder, records):
    planner = planner_for(table_folder, records)
    everyone = planner.propose(records.requests(np.arange(NUM_USERS), 3), RNG)
    some = np.array([0, 7, 19, 32])
    assert (planner.propose(records.requests(some, 3), RNG) == everyone[some]).all()


def test_looks_the_pair_up(table_folder, records):
    user = np.array([1])  # has consumed one cluster only
    (only,) = np.flatnonzero(records.consumed[1])
    plan = planner_for(table_folder, records).propose(records.requests(user, 3), RNG)
    assert plan[0].tolist() == ((only + np.arange(1, 4)) % 10).tolist()


def test_nothing_there_is_no_cluster(clusters, records, tmp_path):
    """Of a table by generation: -1 where no cluster was named."""
    (only,) = np.flatnonzero(records.consumed[1])  # user 1 has consumed one cluster only
    rows = np.full((10, 10), -1)
    rows[only] = (only + 3) % 10
    TransitionTable.write(
        tmp_path / "table", rows.reshape(100, 1), np.full((100, 1), np.nan), {"clusters_digest": clusters.digest}
    )
    plan = planner_for(tmp_path / "table", records).propose(records.requests(np.arange(NUM_USERS), 2), RNG)
    assert plan[1, 0] == (only + 3) % 10
    for user, row in enumerate(plan):
        novel = np.flatnonzero(~records.consumed[user])
        assert np.isin(row, novel).sum() == min(2, len(novel))  # random new ones step in, never -1
    assert plan.min() >= 0


def test_a_table_for_other_clusters_is_refused(records, tmp_path):
    TransitionTable.write(tmp_path / "table", np.zeros((100, 4)), np.zeros((100, 4)), {"clusters_digest": "other"})
    with pytest.raises(InvalidInput, match="other clusters"):
        planner_for(tmp_path / "table", records)


def test_triples_or_else_pairs(table_folder, clusters, records, tmp_path):
    """The triples of the first five clusters propose 9; pairs propose c1 + 1, ... as above."""
    keys = np.sort(keys_of(np.array(list(combinations(range(5), 3))), 10))
    about = {"clusters_digest": clusters.digest}
    pairs = TransitionTable.open(table_folder)
    TripleTable.write(tmp_path / "triples", keys, np.full((10, 4), 9), np.zeros((10, 4)), pairs, about)
    planner = planner_for(tmp_path / "triples", records)
    requests = records.requests(np.arange(NUM_USERS), 2)
    plan = planner.propose(requests, RNG)
    past = sample_past(requests, 2 * 3, 3, RNG.at("pairs")).reshape(NUM_USERS, 2, 3, 3)  # users, slots, tries, K
    known = ((past < 5) & (past >= 0)).all(axis=3) & (np.diff(np.sort(past, axis=3), axis=3) > 0).all(axis=3)
    has_history = past[..., 0] >= 0
    assert known.any()
    assert (planner.num_lookups, planner.num_fallbacks) == (has_history.sum(), (has_history & ~known).sum())
    for user in np.flatnonzero(has_history[:, 0, 0]):
        first, second, _ = past[user, 0, 0]
        consumed = records.consumed[user]
        if known[user, 0, 0]:
            if not consumed[9]:
                assert plan[user, 0] == 9
        else:
            offered = [c for c in pairs.clusters[first * 10 + second] if not consumed[c]]
            assert not offered or plan[user, 0] == offered[0]
    folder = tmp_path / "state"
    folder.mkdir()
    planner.save(folder)
    again = LLMTablePlanner(str(tmp_path / "triples"))
    again.load(folder, Platform(records))
    assert (again.num_lookups, again.num_fallbacks) == (planner.num_lookups, planner.num_fallbacks)
    assert (again.propose(requests, RNG) == plan).all()


@pytest.mark.parametrize("name", ["keys", "pair_clusters"])
def test_a_truncated_table_of_triples_is_refused(table_folder, clusters, tmp_path, name):
    pairs = TransitionTable.open(table_folder)
    about = {"clusters_digest": clusters.digest}
    TripleTable.write(tmp_path / "triples", np.array([12, 13]), np.zeros((2, 4)), np.zeros((2, 4)), pairs, about)
    file = tmp_path / "triples" / f"{name}.npy"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InvalidInput, match=rf"{name}\.npy.*is truncated or was changed"):
        LLMTablePlanner(str(tmp_path / "triples"))


def test_one_past_cluster(clusters, records, tmp_path):
    rows = (np.arange(10)[:, None] + np.arange(1, 5)) % 10
    about = {"clusters_digest": clusters.digest}
    TransitionTable.write(tmp_path / "table", rows, np.zeros((10, 4)), about, past_clusters=1)
    (only,) = np.flatnonzero(records.consumed[1])
    plan = planner_for(tmp_path / "table", records).propose(records.requests(np.array([1]), 3), RNG)
    assert plan[0].tolist() == ((only + np.arange(1, 4)) % 10).tolist()


def test_a_table_of_another_version_is_refused(table_folder):
    manifest = table_folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version": 2', '"version": 1'))
    with pytest.raises(InvalidInput, match="must be of version 2, not 1"):
        LLMTablePlanner(str(table_folder))


def test_requests_are_left_alone(table_folder, records):
    requests: Requests = records.requests(np.arange(NUM_USERS), 2)
    before = requests.clusters.copy()
    planner_for(table_folder, records).propose(requests, RNG)
    assert (requests.clusters == before).all()


def test_choice_of_novel_clusters():
    candidates = np.array([[3, 3, -1, 1], [0, 1, 2, 3], [-1, -1, -1, -1]])
    consumed = np.zeros((3, 5), bool)
    consumed[1, :4] = True
    consumed[2] = True
    plan = choose_novel(candidates, consumed, 2, RNG, np.arange(3))
    assert plan[0].tolist() == [3, 1]
    assert plan[1, 0] == 4  # the only novel one
    assert plan[1, 1] in (0, 1, 2, 3)
    assert len(set(plan[2].tolist())) == 2
    with pytest.raises(InvalidInput, match="at most the number of clusters"):
        choose_novel(candidates, consumed, 6, RNG, np.arange(3))


def test_random_choice_is_even():
    nobody = np.zeros((6000, 6), bool)
    nobody[:, 0] = True
    plan = choose_novel(np.full((6000, 1), -1), nobody, 1, RNG, np.arange(6000))
    count = np.bincount(plan[:, 0], minlength=6)
    assert count[0] == 0
    assert abs(count[1:] - 1200).max() < 150
