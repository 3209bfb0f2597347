"""Embeddings and clusters out of categories and words."""

import numpy as np
import pyarrow as pa
import pytest

from experiments.datasets.content import categories_of, clusters_of, embed, tags_of, terms_of, words_of

NUM, CATEGORIES = 3000, 250


@pytest.fixture(scope="module")
def made():
    """3,000 items in 250 categories of ten themes, with titles of words that most categories share."""
    rng = np.random.default_rng(0)
    category = np.concatenate([np.arange(CATEGORIES), rng.integers(0, CATEGORIES, NUM - CATEGORIES)])
    tags = pa.array([f"theme {c % 10}|category {c}" for c in category])
    own = np.where(rng.random(NUM) < 0.5, category, rng.integers(0, CATEGORIES, NUM))
    titles, hashtags = terms_of(words_of(pa.array([f"Word{w} and the, other" for w in own])), tags_of(tags))
    categories = categories_of(tags)
    embedding = embed(categories, titles)
    return category, categories, titles, hashtags, embedding, clusters_of(categories, embedding, titles)


def test_items_are_filed_where_the_source_files_them(made):
    _, categories, _, _, embedding, clusters = made
    np.testing.assert_array_equal(clusters.file(embedding)[:, 1], categories.of_item)
    assert clusters.level_sizes == (10, CATEGORIES, CATEGORIES, CATEGORIES)


def test_what_is_about_the_same_is_near(made):
    category, _, _, _, embedding, _ = made
    cosine = embedding.astype(np.float32) @ embedding[:200].astype(np.float32).T
    same = category[:, None] == category[:200]
    theme = (category[:, None] % 10 == category[:200] % 10) & ~same
    itself = np.arange(NUM)[:, None] == np.arange(200)
    assert cosine[same & ~itself].mean() > 0.55 > 0.35 > cosine[theme].mean() > 0.15
    assert abs(cosine[~same & ~theme].mean()) < 0.15


def test_keywords_are_the_name_and_the_clusters_most_specific_words(made):
    *_, clusters = made
    number = clusters.keywords.index(next(k for k in clusters.keywords if k[0] == "theme 7 / category 117"))
    assert clusters.keywords[number][1] == "word117"
    assert len({k[0] for k in clusters.keywords}) == CATEGORIES
    assert all(len(k) <= 5 for k in clusters.keywords)


def test_terms_stand_in_their_order(made):
    _, _, titles, hashtags, *_ = made
    assert [titles.vocabulary[t] for t in titles.padded(NUM)[3]][1:] == ["and", "the", "other"]
    assert [hashtags.vocabulary[t] for t in hashtags.padded(NUM)[13]] == ["theme 3", "category 13"]
    some = terms_of(words_of(pa.array(["", "one two", None, "three"])))[0].padded(4)
    assert (some >= 0).sum(axis=1).tolist() == [0, 2, 0, 1]


def test_categories_are_in_order_and_without_commas():
    actual = categories_of(pa.array(["b|x, y", "a", "b|x, y", "a|z"]))
    assert actual.names == ("a", "a / z", "b / x  y")
    assert actual.of_item.tolist() == [2, 0, 2, 1]
    assert actual.theme.tolist() == [0, 0, 1]
