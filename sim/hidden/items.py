"""What is uploaded: items, their hidden truth, and their public catalog entries.

An item belongs to a leaf of the interest tree (interest m, facet, keyword). Its 256-d embedding
is a noisy public image of the leaf's position, the creator and the item's 16-d fine character:

    e_j ~ s_th t_theme + s_in t_interest + s_fa t_facet + s_kw t_keyword + s_cr c_creator
          + s_la P l_j + s_no noise,            scaled to unit length,

where every part but ``l_j`` is a fixed Gaussian vector of unit expected length. It is topical
and blind to personas. Title and hashtags are made of the words of the leaf's *label*.
"""

from dataclasses import dataclass

import numpy as np

from sim.arrays import Columns, FloatArray, IntArray
from sim.catalog import OF_ITEMS, Catalog
from sim.hidden.config import ItemsConfig
from sim.hidden.tree import InterestTree
from sim.random import RandomStream

EMBEDDING_SIZE = 256
LATENT_SIZE = 16
_CHUNK = 16384  # items made at a time, so that their embeddings' noise stays small
GENERIC_TERMS = (
    "my day", "vlog", "tips", "how to", "part one", "pov", "storytime", "for beginners", "things i love",
    "watch this", "honest", "unboxing", "top five", "what i learned", "live", "short", "new", "tutorial",
)  # fmt: skip


@dataclass(frozen=True)
class ItemTruth(Columns):
    """The hidden side of the items; row ``j`` is item ``j`` of the catalog.

    Attributes:
        interest: (n,) int32, level-2 interest.
        latent: (n, 16) float32, fine character; a user's taste is matched with it.
        quality: (n,) float32, standardised.
    """

    interest: IntArray
    latent: FloatArray
    quality: FloatArray


def permuted_labels(tree: InterestTree, alignment: float, stream: RandomStream) -> IntArray:
    """Which interest's words each interest's items carry; depends on ``semantic_alignment`` (alpha).

    A share ``1 - alignment`` of the interests have their labels shuffled among themselves; the
    personas and everything else stay.

    Returns:
        (M,) int32, ``label_of[m]`` is the interest whose words interest m's items carry.
    """
    generator = stream.at("labels").generator()
    # The order is drawn at every alpha, so that a lower alpha permutes a superset.
    order = generator.permutation(tree.num_interests)
    chosen = order[: round((1 - alignment) * tree.num_interests)]
    labels = np.arange(tree.num_interests, dtype=np.int32)
    labels[chosen] = generator.permutation(chosen)
    return labels


class ItemSource:
    """Uploads items day by day. What day ``d`` brings depends on the seed alone."""

    def __init__(
        self, config: ItemsConfig, num_items: int, tree: InterestTree, labels: IntArray, stream: RandomStream
    ) -> None:
        self.config = config
        self.num_items = num_items
        self._tree = tree
        self._labels = labels
        self._stream = stream.at("items")
        self._build_vocabulary()
        self._build_creators()
        self._build_positions()

    def _build_vocabulary(self) -> None:
        tree = self._tree
        keywords = [k for words in tree.keywords for k in words]
        facets = [f for theme in tree.facets for f in theme]
        self.vocabulary = tuple(dict.fromkeys([*keywords, *facets, *tree.themes, *GENERIC_TERMS]))
        number = {term: i for i, term in enumerate(self.vocabulary)}
        self._num_keywords = np.array([len(k) for k in tree.keywords])  # (M,)
        self._num_facets = np.array([len(tree.facets[t]) for t in tree.theme_of_interest])  # (M,)
        self._keyword_terms = np.full((tree.num_interests, self._num_keywords.max()), -1, np.int32)
        self._facet_terms = np.full((tree.num_interests, self._num_facets.max()), -1, np.int32)
        for m, words in enumerate(tree.keywords):
            self._keyword_terms[m, : len(words)] = [number[k] for k in words]
            facet_names = tree.facets[tree.theme_of_interest[m]]
            self._facet_terms[m, : len(facet_names)] = [number[f] for f in facet_names]
        self._theme_terms = np.array([number[tree.themes[t]] for t in tree.theme_of_interest], np.int32)
        self._generic_terms = np.array([number[g] for g in GENERIC_TERMS], np.int32)

    def _build_creators(self) -> None:
        config, tree = self.config, self._tree
        generator = self._stream.at("creators").generator()
        supply = np.exp(config.supply_sigma * generator.standard_normal(tree.num_interests))
        num_creators = max(tree.num_interests, round(self.num_items / config.items_per_creator))
        # The first M creators take one interest each, so that no interest goes without.
        main = generator.choice(tree.num_interests, num_creators, p=supply / supply.sum())
        main[: tree.num_interests] = np.arange(tree.num_interests)
        self._creator_main = main.astype(np.int32)
        self._creator_second = generator.choice(tree.num_interests, num_creators).astype(np.int32)
        rate = np.exp(config.creator_activity_sigma * generator.standard_normal(num_creators))
        self._creator_cdf = np.cumsum(rate) / rate.sum()
        self._creator_quality = generator.standard_normal(num_creators)

    def _build_positions(self) -> None:
        config, tree = self.config, self._tree
        generator = self._stream.at("positions").generator()

        def positions(scale: float, *shape: int) -> FloatArray:
            drawn = generator.standard_normal((*shape, EMBEDDING_SIZE), np.float32)
            return np.asarray(scale / EMBEDDING_SIZE**0.5 * drawn)

        theme = positions(config.theme_scale, len(tree.themes))
        self._interest_position = theme[tree.theme_of_interest] + positions(config.interest_scale, tree.num_interests)
        self._facet_position = positions(config.facet_scale, tree.num_interests, int(self._num_facets.max()))
        self._keyword_position = positions(config.keyword_scale, tree.num_interests, int(self._num_keywords.max()))
        self._creator_position = positions(config.creator_scale, len(self._creator_main))
        self._latent_image = positions(config.latent_scale, LATENT_SIZE) / LATENT_SIZE**0.5

    def upload(self, day: int, first_item: int, num: int) -> tuple[ItemTruth, Catalog]:
        """What is uploaded on ``day``: ``num`` items numbered from ``first_item``.

        On a world's first day this is the standing stock, with the same remaining lifetimes as fresh items
        (lifetimes are exponential, hence memoryless).
        """
        starts = range(first_item, first_item + max(num, 1), _CHUNK)  # none are one empty part
        return joined(*(self._upload(day, np.arange(s, min(s + _CHUNK, first_item + num))) for s in starts))

    def _upload(self, day: int, rows: IntArray) -> tuple[ItemTruth, Catalog]:
        """Items ``rows`` (num,), none of which depends on the others."""
        config, num = self.config, len(rows)
        stream = self._stream.at("upload", day)
        u = stream.uniform(rows, 12)  # (num, 12)
        creator = np.minimum(np.searchsorted(self._creator_cdf, u[:, 0]), len(self._creator_cdf) - 1)
        interest = np.where(u[:, 1] < config.creator_focus, self._creator_main[creator], self._creator_second[creator])
        facet = (u[:, 2] * self._num_facets[interest]).astype(np.int64)
        keyword = (u[:, 3] * self._num_keywords[interest]).astype(np.int64)
        lifetime = np.ceil(-config.lifetime_days_mean * np.log(u[:, 4])).astype(np.int32)
        z = stream.at("traits").normal(rows, 2 + LATENT_SIZE).astype(np.float32)  # (num, 18)
        latent = z[:, 2:]
        embedding = (
            self._interest_position[interest]
            + self._facet_position[interest, facet]
            + self._keyword_position[interest, keyword]
            + self._creator_position[creator]
            + np.einsum("nl,le->ne", latent, self._latent_image)
            + (config.noise_scale / EMBEDDING_SIZE**0.5)
            * stream.at("embedding").normal(rows, EMBEDDING_SIZE).astype(np.float32)
        )  # (num, 256)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        title, hashtags = self._words(interest, facet, keyword, u[:, 5:12])
        catalog = Catalog(
            creator=creator.astype(np.int32),
            length=np.clip(config.length_seconds_median * np.exp(config.length_sigma * z[:, 0]), 5, 300),
            upload_day=np.full(num, day, np.int32),
            expiry_day=(day + np.maximum(lifetime, 1)).astype(np.int32),
            embedding=embedding.astype(np.float16),
            title_terms=title,
            hashtag_terms=hashtags,
            vocabulary=self.vocabulary,
        )
        standing = 0.5**0.5 * (z[:, 1] + self._creator_quality[creator])
        # In a large catalog the few beyond would please everyone, whatever they care for.
        standing = np.clip(standing, -config.quality_limit, config.quality_limit)
        quality = heavy_tailed(standing, config.quality_skew)
        return ItemTruth(interest.astype(np.int32), latent, quality.astype(np.float32)), catalog

    def _words(
        self, interest: IntArray, facet: IntArray, keyword: IntArray, u: FloatArray
    ) -> tuple[IntArray, IntArray]:
        """Titles (num, 4) and hashtags (num, 3) as vocabulary terms, from the interest's label."""
        label = self._labels[interest]

        def keyword_of(m: IntArray, index: IntArray) -> IntArray:
            return np.asarray(self._keyword_terms[m, index % self._num_keywords[m]])

        own = keyword_of(label, keyword)
        another = keyword_of(label, keyword + 1 + (u[:, 0] * (self._num_keywords[label] - 1)).astype(np.int64))
        sibling = (label + 1 + (u[:, 1] * 4).astype(np.int64)) % self._tree.num_interests
        astray = keyword_of(sibling, (u[:, 2] * 64).astype(np.int64))
        noisy = u[:, 3] < self.config.title_noise
        generic = self._generic_terms[(u[:, 4] * len(self._generic_terms)).astype(np.int64)]
        facet_term = self._facet_terms[label, facet % self._num_facets[label]]
        title = np.stack([own, facet_term, np.where(noisy, astray, another), generic], axis=1)
        hashtags = np.stack([own, self._theme_terms[label], np.where(u[:, 5] < 0.5, another, -1)], axis=1)
        return title.astype(np.int32), hashtags.astype(np.int32)


def joined(*parts: tuple[ItemTruth, Catalog]) -> tuple[ItemTruth, Catalog]:
    """Old items followed by newer ones."""
    truths, catalogs = zip(*parts, strict=True)
    columns = {name: np.concatenate([getattr(c, name) for c in catalogs]) for name in OF_ITEMS}
    return ItemTruth.concatenate(truths), Catalog(**columns, vocabulary=catalogs[0].vocabulary)


def heavy_tailed(z: FloatArray, skew: float) -> FloatArray:
    """Standardised lognormal of a standard normal z, any shape: most are alike, a few stand far out.

    (exp(k z) - exp(k**2 / 2)) / sd,   sd = exp(k**2 / 2) sqrt(exp(k**2) - 1),   k = skew; z itself at k = 0
    """
    if skew == 0:
        return z
    mean = np.exp(skew**2 / 2)
    return np.asarray((np.exp(skew * z) - mean) / (mean * np.sqrt(np.expm1(skew**2))))
