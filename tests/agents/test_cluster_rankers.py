import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from agents.bm25 import WordCounts, bm25
from agents.check import validate
from agents.cluster_rankers import RandomWithinClusterRanker, SearchRanker, Shelves
from agents.hierarchical import HierarchicalAgent
from agents.planners import RandomNovelPlanner
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.log import InteractionLog
from sim.platform import Platform, PlatformRecords
from tests.agents.faults import check_agent
from tests.agents.planted import STREAM, make_clusters, planted, request, successor

NOTHING = InteractionLog.concatenate([])
VOCABULARY = ("espresso", "grinder", "tips", "latte art", "milk", "foam", "sourdough", "starter", "pour over", "vlog")
TITLES = [
    ["espresso", "grinder", "espresso", "tips"],
    ["latte art", "milk", "foam"],
    ["sourdough", "starter", "tips"],
    ["pour over", "grinder", "vlog"],
    ["vlog"],
    ["espresso", "grinder", "espresso", "tips"],
]


def shop(titles=TITLES, num_users=1, expiry_day=None):
    """Three clusters (two items each, in order), whose keywords stand in other clusters' titles, too."""
    rng = np.random.default_rng(3)
    num = len(titles)
    filed = np.arange(num) * 3 // num
    clusters = make_clusters(3, rng)
    keywords = (("Grinder", "espresso"), ("Latte Art",), ("kombucha",))
    clusters = InterestClusters(clusters.path, clusters.centroid, keywords)
    terms = np.full((num, 4), -1, np.int32)
    for row, title in enumerate(titles):
        terms[row, : len(title)] = [VOCABULARY.index(term) for term in title]
    catalog = Catalog(
        creator=np.zeros(num, np.int32),
        length=np.full(num, 30, np.float32),
        upload_day=np.zeros(num, np.int32),
        expiry_day=np.full(num, 100, np.int32) if expiry_day is None else np.asarray(expiry_day, np.int32),
        embedding=clusters.centroid[filed].astype(np.float16),
        title_terms=terms[:, :3],
        hashtag_terms=terms[:, 3:],
        vocabulary=VOCABULARY,
    )
    records = PlatformRecords(num_users, catalog, clusters, 10, 30, 20)
    assert (records.cluster_of_item == filed).all()
    return records


def ask(cluster, num_slots, exclude=(-1,), num_users=1):
    nothing = np.full((num_users, 1), -1)
    requests = request(nothing, nothing, exclude=np.tile(exclude, (num_users, 1)), num_slots=num_slots)
    return requests, np.tile(np.array(cluster, np.int32), (num_users, 1))


def fitted(ranker, records):
    ranker.fit(Platform(records), NOTHING, STREAM)
    return ranker


def test_bm25_gives_the_scores_of_a_library():
    """Values by bm25s 0.3.16, BM25(k1=1.2, b=0.75, method="lucene", dtype="float64").get_scores."""
    texts = [
        "espresso grinder espresso tips",
        "latte art milk foam latte",
        "sourdough starter tips",
        "pour over kettle grinder scale filter",
        "vlog",
    ]
    queries = ["espresso grinder", "latte tips tips", "kettle absent", "nothing shared"]
    words = WordCounts(tuple(" ".join(texts).split()))
    actual = bm25(words.of_phrases([(q,) for q in queries]), words.of_phrases([(t,) for t in texts])).toarray()
    expected = [
        [1.2433483886119325, 0, 0, 0.32173899438537906, 0],
        [0.779105667902768, 0.7957580924857378, 0.8708851313991673, 0, 0],
        [0, 0, 0, 0.509469881262629, 0],
        [0, 0, 0, 0, 0],
    ]
    assert actual == pytest.approx(np.array(expected), abs=1e-7)  # the library rounds to single precision at times


def test_terms_are_counted_by_their_words():
    words = WordCounts(("Latte Art", "art", "milk"))
    of_terms = words.of_terms(np.array([[0, 1, -1], [2, 2, 0]])).toarray()
    assert of_terms.tolist() == words.of_phrases([("latte", "art art"), ("MILK milk", "art latte")]).toarray().tolist()
    assert of_terms.tolist() == [[1, 2, 0], [1, 1, 2]]
    with pytest.raises(InvalidInput, match="queries"):
        bm25(words.of_terms(np.array([[0]])), WordCounts(("milk",)).of_terms(np.array([[0]])))


def test_search_finds_items_of_any_cluster_best_first():
    ranker = fitted(SearchRanker(exploration=0), shop())
    requests, allowed = ask([0], 3)
    slate = ranker.rank(requests, allowed, STREAM)
    assert slate.items.tolist() == [[0, 5, 3]]  # twins by age, then who has one word of two
    assert slate.propensity.tolist() == [[1, 1, 1]]
    requests, allowed = ask([0], 2, exclude=[0, 4])
    assert ranker.rank(requests, allowed, STREAM).items.tolist() == [[5, 3]]
    assert fitted(SearchRanker(exploration=0, hits=1), shop())._shelves().items.tolist() == [[0], [1], [-1]]


def test_slots_without_hits_come_from_all_items():
    ranker = fitted(SearchRanker(exploration=0), shop(num_users=4000))
    requests, allowed = ask([1], 3, exclude=[4], num_users=4000)
    slate = ranker.rank(requests, allowed, STREAM)
    validate(slate, requests, ranker.platform, "search")
    assert (slate.items[:, 0] == 1).all()  # the only text about latte art
    assert (slate.propensity == np.array([1, 1 / 4, 1 / 3], np.float32)).all()
    for slot in (1, 2):
        counts = np.bincount(slate.items[:, slot], minlength=6)
        assert counts[[1, 4]].tolist() == [0, 0]
        assert chisquare(counts[[0, 2, 3, 5]]).pvalue > 1e-3
    requests, allowed = ask([2], 2)  # kombucha: nothing at all
    assert ranker.rank(requests, allowed, STREAM).propensity[0].tolist() == pytest.approx([1 / 6, 1 / 5])


def test_an_item_of_two_clusters_counts_once_at_its_best():
    shelves = Shelves(np.array([[7, 8, 9], [9, 8, 5], [1, -1, -1]]), np.array([[3, 2, 1], [6, 1, 0], [4, -9, -9]]))
    items, scores = shelves.candidates(np.array([[0, 1, 0], [2, -1, 1]]), np.array([[5, -1], [-1, -1]]), 10)
    actual = [{i: s for i, s in zip(*row, strict=True) if i >= 0} for row in zip(items, scores, strict=True)]
    assert actual == [{7: 3, 8: 2, 9: 6}, {1: 4, 9: 6, 8: 1, 5: 0}]


def test_search_is_repeated_on_a_new_day():
    records = shop(expiry_day=[1, 9, 9, 9, 9, 9])
    ranker = fitted(SearchRanker(exploration=0), records)
    requests, allowed = ask([0], 1)
    assert ranker.rank(requests, allowed, STREAM).items.tolist() == [[0]]
    records.begin_day(1, records.catalog)
    assert ranker.rank(requests, allowed, STREAM).items.tolist() == [[5]]


def test_chance_stays_within_the_clusters():
    world = planted(successor(), days=3)
    ranker = RandomWithinClusterRanker()
    ranker.fit(world.platform, world.log, STREAM)
    requests = world.requests(4)
    allowed = np.stack([np.arange(60) % 8, (np.arange(60) + 3) % 8], axis=1).astype(np.int32)
    slate = ranker.rank(requests, allowed, STREAM)
    validate(slate, requests, world.platform, "chance")
    cluster = world.platform.cluster_of_item
    assert (cluster[slate.items][:, :, None] == allowed[:, None]).any(axis=2).all()
    live = world.platform.live_items()
    for row in range(60):
        free = set(live[np.isin(cluster[live], allowed[row])]) - set(requests.exclude[row].tolist())
        assert slate.propensity[row] == pytest.approx(1 / (len(free) - np.arange(4)))
    twice = ranker.rank(requests, allowed[:, [0, 0]], STREAM)
    once = ranker.rank(requests, allowed[:, :1], STREAM)
    assert (twice.items == once.items).all()
    assert (twice.propensity == once.propensity).all()


def test_what_clusters_lack_comes_from_all():
    world = planted(successor(), days=3)
    live = world.platform.live_items()
    of_three = live[world.platform.cluster_of_item[live] == 3]
    requests = replace(world.requests(3), exclude=np.tile(of_three[:-1], (60, 1)))
    ranker = RandomWithinClusterRanker()
    ranker.fit(world.platform, world.log, STREAM)
    slate = ranker.rank(requests, np.full((60, 1), 3, np.int32), STREAM)
    validate(slate, requests, world.platform, "chance")
    assert (slate.items[:, 0] == of_three[-1]).all()
    left = len(live) - len(of_three)
    assert slate.propensity == pytest.approx(np.tile([1, 1 / left, 1 / (left - 1)], (60, 1)))
    everything = ranker.rank(requests, None, STREAM)
    assert (everything.propensity[:, 0] == np.float32(1 / (left + 1))).all()


@pytest.mark.parametrize(
    ("ranker", "cluster"),
    [
        (SearchRanker(exploration=0.3, temperature=0.5), [0]),
        (SearchRanker(exploration=1.0, temperature=2.0), [0, 1]),
        (SearchRanker(exploration=0.5), [1]),  # the second slot comes from all items
        (RandomWithinClusterRanker(), [0, 2]),
        (RandomWithinClusterRanker(), [2]),  # likewise
    ],
)
def test_propensities_are_the_frequencies(ranker, cluster):
    """Of 100,000 users with the same request, as many get each slate as the propensities say."""
    num = 100_000
    requests, allowed = ask(cluster, 2, exclude=[5], num_users=num)
    slate = fitted(ranker, shop(num_users=num)).rank(requests, allowed, STREAM.at("frequencies"))
    said = slate.propensity.astype(float).prod(axis=1)
    code = slate.items[:, 0] * 6 + slate.items[:, 1]
    pairs = [a * 6 + b for a, b in itertools.permutations(range(6), 2)]
    observed = np.array([(code == pair).sum() for pair in pairs])
    stated = np.array([said[code == pair][0] if (code == pair).any() else 0.0 for pair in pairs])
    for pair, p in zip(pairs, stated, strict=True):
        assert (said[code == pair] == p).all()  # the same slate always has the same propensity
    assert stated.sum() == pytest.approx(1, abs=1e-5)  # nothing possible was missed, nothing overstated
    possible = stated > 0
    assert chisquare(observed[possible], num * stated[possible] / stated.sum()).pvalue > 1e-3


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), num_slots=st.integers(1, 4), search=st.booleans())
def test_slates_are_valid_and_each_users_own(seed, num_slots, search):
    rng = np.random.default_rng(seed)
    titles = [list(rng.choice(VOCABULARY, rng.integers(1, 5), replace=False)) for _ in range(12)]
    records = shop(titles, num_users=9)
    ranker = fitted(SearchRanker(exploration=0.5, hits=3) if search else RandomWithinClusterRanker(), records)
    exclude = rng.integers(-1, 12, (9, 5))
    requests, _ = ask([0], num_slots, num_users=9)
    requests = replace(requests, exclude=exclude)
    allowed = rng.integers(-1, 3, (9, 2)).astype(np.int32)
    slate = ranker.rank(requests, allowed, STREAM)
    validate(slate, requests, ranker.platform, "ranker")
    few = np.array([2, 7])
    columns = {name: getattr(requests, name)[few] for name in ("user", "items", "clusters", "watch", "positive")}
    alone = ranker.rank(replace(requests, **columns, exclude=exclude[few]), allowed[few], STREAM)
    assert (alone.items == slate.items[few]).all()
    assert (alone.propensity == slate.propensity[few]).all()


def test_users_are_served_in_pieces_where_they_are_many(monkeypatch):
    world = planted(successor(), days=3)
    ranker = RandomWithinClusterRanker()
    ranker.fit(world.platform, world.log, STREAM)
    allowed = (np.arange(60) % 8).astype(np.int32)[:, None]
    whole = ranker.rank(world.requests(2), allowed, STREAM)
    monkeypatch.setattr("agents.cluster_rankers._CHUNK_CELLS", 7 * 240)
    pieces = ranker.rank(world.requests(2), allowed, STREAM)
    assert (pieces.items == whole.items).all()
    assert (pieces.propensity == whole.propensity).all()


@pytest.mark.parametrize("ranker", [SearchRanker, RandomWithinClusterRanker])
def test_agents_with_these_rankers_keep_the_contract(ranker):
    world = planted(successor(), days=3)
    assert (
        check_agent(lambda: HierarchicalAgent(RandomNovelPlanner(), ranker()), world.platform, world.log, STREAM) == []
    )


def test_bad_settings_are_refused():
    with pytest.raises(InvalidInput, match="hits"):
        SearchRanker(hits=0)
    with pytest.raises(InvalidInput, match="temperature"):
        SearchRanker(temperature=0)
