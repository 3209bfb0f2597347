"""Which cluster a text means, on a platform of three clusters whose items are called by hand."""

import numpy as np
import pytest

from experiments.explain.search import Match, check_text, find_cluster
from sim.catalog import Catalog
from sim.clusters import InterestClusters
from sim.errors import InvalidInput
from sim.hidden.authored import AuthoredInterest, AuthoredTheme
from sim.hidden.tree import InterestTree, PersonaLinks
from sim.platform import Platform, PlatformRecords

WORDS = ("tea", "kettle", "leaf blower", "walk", "Boots", "daily", "green")
TITLES = ((0, 5), (0, 6), (1, 5), (3, 5), (3, 4), (2, 6), (2, 5))
"""Two words of seven items."""
FILED = (0, 0, 0, 1, 1, 2, 2)
KEYWORDS = (("tea", "kettle"), ("walk", "trail"), ("lawn", "tea"))
"""Of three clusters; the third is called tea too, but has no such item."""


@pytest.fixture(scope="module")
def tree() -> InterestTree:
    return InterestTree(
        themes=("home", "outdoors"),
        facets=(("review",), ("for beginners",)),
        interests=("hot drinks", "hiking", "gardening"),
        keywords=(("tea", "kettle"), ("walk", "boots"), ("leaf blower", "lawn")),
        theme_of_interest=np.array([0, 1, 0], np.int32),
        personas=("anyone",),
        persona_weight=np.ones(1),
        links=PersonaLinks(np.array([[0, 1]]), np.array([[1.0, 1.0]])),
    )


@pytest.fixture(scope="module")
def platform() -> Platform:
    num = len(TITLES)
    catalog = Catalog(
        creator=np.zeros(num, np.int32),
        length=np.ones(num, np.float32),
        upload_day=np.zeros(num, np.int32),
        expiry_day=np.full(num, 9, np.int32),
        embedding=np.eye(num, 4, dtype=np.float16),
        title_terms=np.array(TITLES, np.int32),
        hashtag_terms=np.full((num, 1), -1, np.int32),
        vocabulary=WORDS,
    )
    number = np.arange(3, dtype=np.int32)
    clusters = InterestClusters(
        np.stack([np.zeros(3, np.int32), number, number, number], axis=1), np.eye(3, 4, dtype=np.float32), KEYWORDS
    )
    records = PlatformRecords(1, catalog, clusters, history_length=2, history_days=3, seen_length=0)
    records.cluster_of_item = np.array(FILED, np.int32)
    return Platform(records)


@pytest.mark.parametrize(
    ("text", "cluster", "by"),
    [
        ("tea", 0, "its keywords"),  # two clusters have it; the first has the items
        ("Tea, kettle", 0, "its keywords"),
        ("trail", 1, "its keywords"),
        (" BOOTS ", 1, "the items that carry this term"),
        ("leaf  blower", 2, "the items that carry this term"),
        ("hot drinks", 0, "the items that carry the keywords of the interest of this name"),
        ("gardening", 2, "the items that carry the keywords of the interest of this name"),
    ],
)
def test_a_text_matches_by_the_first_rule_that_applies(platform, tree, text, cluster, by):
    assert find_cluster(text, platform, tree) == Match(text, cluster, by)


@pytest.mark.parametrize(
    ("text", "cluster", "missing"),
    [
        ("leaf daily blower", 2, ()),  # has all words, also the one that nearly all clusters have
        ("kettle for tea", 0, ()),
        ("a blower for the garden", 2, ("garden",)),
        ("boots and a kettle", 1, ("kettle",)),
        ("trail of Boots and zither, zither", 1, ("zither",)),  # the trail is of its keywords
    ],
)
def test_a_search_says_which_words_the_cluster_does_not_have(platform, tree, text, cluster, missing):
    assert find_cluster(text, platform, tree) == Match(text, cluster, "search of titles and hashtags", missing)


@pytest.mark.parametrize("text", ["daily", "of the", "zither"])
def test_words_in_all_or_no_clusters_match_nothing(platform, tree, text):
    with pytest.raises(InvalidInput, match="has no word of this world's 3 interests"):
        find_cluster(text, platform, tree)


def test_impossible_texts_are_refused_before_there_are_clusters(tree):
    for text in ("hot drinks", "green tea", "lawn", "home", "a review"):
        check_text(text, tree, [])
    opera = AuthoredInterest("opera", ("aria",))
    elsewhere = [AuthoredTheme("music", ("live",), (opera,))]
    with pytest.raises(InvalidInput, match="is none of this world's 3 interests; a larger world"):
        check_text("an aria", tree, elsewhere)
    with pytest.raises(InvalidInput, match="near are hiking"):
        check_text("hikking", tree, elsewhere)
    with pytest.raises(InvalidInput, match="which are such as hot drinks, hiking, gardening"):
        check_text("qqqq", tree, elsewhere)
