from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import kstest

from sim.arrays import readonly
from sim.hidden.items import ItemSource, heavy_tailed, joined, permuted_labels
from sim.hidden.tree import load_tree
from sim.random import RandomStream
from tests.sim.people import TINY

TREE = load_tree(24)
STREAM = RandomStream(0, "world")
COLUMNS = ("creator", "length", "upload_day", "expiry_day", "embedding", "title_terms", "hashtag_terms")


def source(labels=None, **changes):
    labels = np.arange(24) if labels is None else labels
    return ItemSource(replace(TINY.items, **changes), 800, TREE, labels, STREAM)


def test_an_item_is_alive_from_its_upload_until_its_expiry():
    _, catalog = source().upload(3, 0, 500)
    assert (catalog.upload_day == 3).all()
    assert (catalog.expiry_day > 3).all()
    for day in (2, 3, 10, 60):
        np.testing.assert_array_equal(catalog.alive(day), (day >= 3) & (catalog.expiry_day > day))
    assert not catalog.alive(2).any()
    assert catalog.alive(3).all()
    for item in range(20):
        assert catalog.alive(int(catalog.expiry_day[item]) - 1)[item]
        assert not catalog.alive(int(catalog.expiry_day[item]))[item]


def test_lifetimes_have_their_mean():
    _, catalog = source(lifetime_days_mean=50.0).upload(0, 0, 20_000)
    lifetime = catalog.expiry_day - catalog.upload_day
    # Rounded up, an exponential of mean L has mean 1 / (1 - exp(-1 / L)).
    assert lifetime.mean() == pytest.approx(1 / (1 - np.exp(-1 / 50)), rel=0.03)


def test_the_same_is_uploaded_whatever_came_before():
    one, other = source(), source()
    one.upload(0, 0, 800)
    one.upload(1, 800, 16)
    for truth_and_catalog in zip(one.upload(2, 816, 16), other.upload(2, 816, 16), strict=True):
        for name in [n for n in ("interest", "latent", "quality", *COLUMNS) if hasattr(truth_and_catalog[0], n)]:
            np.testing.assert_array_equal(*(getattr(side, name) for side in truth_and_catalog))


def test_days_bring_different_items():
    assert not np.isclose(source().upload(1, 800, 16)[1].length, source().upload(2, 800, 16)[1].length).any()


def test_every_interest_has_items_and_creators_keep_to_theirs():
    truth, catalog = source(creator_focus=1.0).upload(0, 0, 5000)
    assert set(truth.interest.tolist()) == set(range(24))
    for creator in np.unique(catalog.creator)[:20]:
        assert len(set(truth.interest[catalog.creator == creator].tolist())) == 1


def test_embeddings_are_unit_length_and_nearest_to_their_own_interest():
    truth, catalog = source().upload(0, 0, 3000)
    embedding = catalog.embedding.astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=2e-3)
    centre = np.stack([embedding[truth.interest == m].mean(axis=0) for m in range(24)])
    nearest = (embedding @ (centre / np.linalg.norm(centre, axis=1, keepdims=True)).T).argmax(axis=1)
    assert (nearest == truth.interest).mean() > 0.9


def test_quality_is_standardised():
    truth, _ = source(items_per_creator=1.0, quality_skew=0.0).upload(0, 0, 5000)
    assert truth.quality.std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("skew", [0.0, 0.3, 0.9])
def test_quality_is_standardised_and_its_skew_that_of_a_lognormal(skew):
    quality = heavy_tailed(ndtri((np.arange(1_000_000) + 0.5) / 1_000_000), skew)
    assert (quality.mean(), quality.std()) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=5e-3))
    grown = np.exp(skew**2)
    assert (quality**3).mean() == pytest.approx((grown + 2) * np.sqrt(grown - 1), rel=0.03, abs=1e-6)
    assert (np.diff(quality) > 0).all()


def test_no_item_stands_out_without_limit():
    truth, _ = source(quality_limit=1.0).upload(0, 0, 5000)
    best = heavy_tailed(np.array([-1.0, 1.0]), TINY.items.quality_skew)
    assert (truth.quality.min(), truth.quality.max()) == pytest.approx(best)
    assert (truth.quality == truth.quality.max()).mean() == pytest.approx(0.159, abs=0.04)  # one side of a normal


def words_of(catalog, labels_interest):
    """Share of items whose first title term is a keyword of that interest."""
    first = [catalog.title(j) for j in range(catalog.num_items)]
    return np.mean(
        [any(t.startswith(k) for k in TREE.keywords[m]) for t, m in zip(first, labels_interest, strict=True)]
    )


def test_titles_and_hashtags_are_made_of_the_interests_words():
    truth, catalog = source(title_noise=0.0).upload(0, 0, 300)
    assert words_of(catalog, truth.interest) == 1
    keyword = {k.replace(" ", ""): m for m, words in enumerate(TREE.keywords) for k in words}
    for item in range(50):
        tags = catalog.hashtags(item)
        assert 2 <= len(tags) <= 3
        assert all(tag.startswith("#") and " " not in tag for tag in tags)
        assert keyword[tags[0][1:]] == truth.interest[item]
    assert -1 in catalog.hashtag_terms


def test_the_dial_at_1_leaves_labels_alone_and_at_0_permutes_them():
    np.testing.assert_array_equal(permuted_labels(TREE, 1.0, STREAM), np.arange(24))
    permuted = permuted_labels(TREE, 0.0, STREAM)
    assert sorted(permuted.tolist()) == list(range(24))
    assert (permuted == np.arange(24)).sum() <= 5  # a random permutation leaves one in the mean


def test_the_dial_permutes_the_share_it_says_and_more_only_as_it_falls():
    half = permuted_labels(TREE, 0.5, STREAM)
    moved = np.flatnonzero(half != np.arange(24))
    assert len(moved) <= 12
    assert sorted(half[moved].tolist()) == moved.tolist()  # among themselves


def test_the_dial_changes_words_and_nothing_else():
    labels = permuted_labels(TREE, 0.0, STREAM)
    honest, lying = source().upload(0, 0, 400), source(labels).upload(0, 0, 400)
    for name in ("interest", "latent", "quality"):
        np.testing.assert_array_equal(getattr(honest[0], name), getattr(lying[0], name))
    for name in ("creator", "length", "expiry_day", "embedding"):
        np.testing.assert_array_equal(getattr(honest[1], name), getattr(lying[1], name))
    assert words_of(lying[1], labels[lying[0].interest]) == 1
    assert words_of(lying[1], lying[0].interest) < 0.3


def test_joining_appends_and_catalogs_cannot_be_written_to():
    first, second = source().upload(0, 0, 20), source().upload(1, 20, 5)
    truth, catalog = joined(first, second)
    assert catalog.num_items == len(truth.interest) == 25
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(catalog, name)[20:], getattr(second[1], name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(catalog, name)[0] = 0
    assert readonly(catalog.length) is catalog.length


def test_a_day_without_uploads_is_possible():
    truth, catalog = source().upload(4, 20, 0)
    assert len(truth.interest) == catalog.num_items == 0


def association(tree, labels, generator, shuffles=199):
    """Permutation p-value: do interests that share personas carry words of the same theme more often than by chance?"""
    together = (tree.links.dense(tree.num_interests) > 0).T.astype(float)
    together = together @ together.T  # (M, M) personas in common
    np.fill_diagonal(together, 0)

    def statistic(label):
        theme = tree.theme_of_interest[label]
        return together[theme[:, None] == theme].sum()

    observed = statistic(labels)
    by_chance = [statistic(generator.permutation(labels)) for _ in range(shuffles)]
    return (1 + sum(value >= observed for value in by_chance)) / (1 + shuffles)


def test_at_alpha_0_language_and_the_persona_graph_are_independent_and_at_1_they_are_not():
    tree, generator = load_tree(256), np.random.default_rng(0)
    assert association(tree, permuted_labels(tree, 1.0, STREAM), generator) == pytest.approx(1 / 200)
    p_values = [
        association(tree, permuted_labels(tree, 0.0, RandomStream(seed, "world")), generator) for seed in range(60)
    ]
    # Independence makes p-values uniform; a Kolmogorov-Smirnov test would see a leak of 0.21.
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.05) < 0.15


def test_the_dial_permutes_its_share_of_the_labels_among_themselves():
    tree = load_tree(256)
    for alpha in (0.0, 0.25, 0.5, 1.0):
        labels = permuted_labels(tree, alpha, STREAM)
        assert sorted(labels.tolist()) == list(range(256))
        assert (labels != np.arange(256)).sum() == pytest.approx((1 - alpha) * 256, abs=6)
