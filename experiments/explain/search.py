"""Search for the cluster that a text means, by public words alone: keywords, titles and hashtags."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import scipy.sparse as sparse

from agents.bm25 import WordCounts, bm25
from sim.arrays import FloatArray, IntArray
from sim.errors import InvalidInput
from sim.hidden.authored import AuthoredTheme
from sim.hidden.tree import InterestTree
from sim.platform import Platform

_JOINING = frozenset(["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"])
"""Words that join others and mean no interest."""

_SUGGESTIONS = 5

BY_TERM, BY_SEARCH = "the items that carry this term", "search of titles and hashtags"
"""Rules that match by words of single items."""


@dataclass(frozen=True)
class Match:
    """The cluster that a text matched.

    Attributes:
        text: as it was given.
        cluster: level 2.
        by: the rule that matched.
        missing: the text's words that the cluster does not have, though it was searched for them: the match is weak.
    """

    text: str
    cluster: int
    by: str
    missing: tuple[str, ...] = ()


def check_text(text: str, tree: InterestTree, authored: list[AuthoredTheme]) -> None:
    """Check, before there are clusters, that a text can match some.

    Args:
        text: anything.
        tree: the world's, which may be a part of what is authored; only its words are read.
        authored: all themes that are authored.

    Raises:
        InvalidInput: no title will ever hold any of its words; says what comes near, or that a larger world has it.
    """
    words = _words(text)
    titles = {word for phrase in _terms(tree) for word in phrase.lower().split()}
    if " ".join(words) in map(_plain, tree.interests) or meaning(text) & titles:
        return
    raise _unknown(text, tree, authored)


def find_cluster(text: str, platform: Platform, tree: InterestTree) -> Match:
    """Find the level-2 cluster that a text means.

    A keyword, or several as a table names a cluster, means the cluster that has it; of several, the one with most live
    items that carry it. Another whole term of titles and hashtags means the cluster with most live items that carry it,
    unless more than half of the clusters have some. The name of an authored interest means the cluster with most live
    items that carry any of its keywords. Whatever else was given is searched for by BM25 (``agents.bm25``) among all
    that the clusters' live items are called; words that join others don't count, nor do those that stand in more than
    half of the clusters. Ties go to the lower number.

    Of the tree, names and keywords are read; where labels are permuted, these are what the items with such titles are
    called, not what they are.

    Raises:
        InvalidInput: no cluster has any of its words.
    """
    plain, num_clusters = _plain(text), platform.clusters.num_clusters
    count = _carrying({plain}, platform)
    named = np.array([plain in _names(keywords) for keywords in platform.clusters.keywords])  # (M,)
    if named.any():
        return Match(text, int(np.where(named, count, -1).argmax()), "its keywords")
    if 0 < (count > 0).sum() <= num_clusters / 2:
        return Match(text, int(count.argmax()), BY_TERM)
    keywords = dict(zip(map(_plain, tree.interests), tree.keywords, strict=True)).get(plain, ())
    count = _carrying({_plain(keyword) for keyword in keywords}, platform)
    if count.any():
        return Match(text, int(count.argmax()), "the items that carry the keywords of the interest of this name")
    scores = _searched(plain, platform)
    if scores.any():
        cluster = int(scores.argmax())
        searched, has = meaning(plain), _words_of(cluster, platform)
        missing = tuple(word for word in dict.fromkeys(plain.split()) if word in searched - has)
        return Match(text, cluster, BY_SEARCH, missing)
    raise _unknown(text, tree, [])


def _names(keywords: Sequence[str]) -> set[str]:
    """Each keyword, and the first two, the first three, ..., as prompts and tables call a cluster."""
    beginnings = {_plain(" ".join(keywords[:n])) for n in range(2, len(keywords) + 1)}
    return beginnings | {_plain(keyword) for keyword in keywords}


def _carrying(terms: set[str], platform: Platform) -> IntArray:
    """(M,) how many live items of each cluster have any of some terms in title or hashtags."""
    catalog, live = platform.catalog, platform.live_items()
    numbers = [number for number, known in enumerate(catalog.vocabulary) if _plain(known) in terms]
    carry = np.isin(catalog.title_terms[live], numbers).any(axis=1)
    carry |= np.isin(catalog.hashtag_terms[live], numbers).any(axis=1)
    return np.bincount(platform.cluster_of_item[live][carry], minlength=platform.clusters.num_clusters)


def _searched(text: str, platform: Platform) -> FloatArray:
    """(M,) BM25 of all that the clusters' live items are called."""
    catalog, live = platform.catalog, platform.live_items()
    counts = WordCounts(catalog.vocabulary)
    items = counts.of_terms(np.concatenate([catalog.title_terms, catalog.hashtag_terms], axis=1)[live])  # (n, W)
    member = (platform.cluster_of_item[live], np.arange(len(live)))
    shape = (platform.clusters.num_clusters, len(live))
    texts = sparse.csr_matrix((np.ones(len(live)), member), shape) @ items  # (M, W)
    telling = np.bincount(texts.indices, minlength=texts.shape[1]) <= shape[0] / 2  # (W,)
    query = counts.of_phrases([tuple(meaning(text))]).multiply(telling).tocsr()
    return np.asarray(bm25(query, texts).toarray()[0])


def _words_of(cluster: int, platform: Platform) -> set[str]:
    """The words of a cluster's keywords, and of its live items' titles and hashtags."""
    catalog, live = platform.catalog, platform.live_items()
    items = live[platform.cluster_of_item[live] == cluster]
    terms = np.union1d(catalog.title_terms[items], catalog.hashtag_terms[items])
    phrases = [*platform.clusters.keywords[cluster], *(catalog.vocabulary[term] for term in terms[terms >= 0])]
    return meaning(*phrases)


def _plain(text: str) -> str:
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ").split()


def meaning(*texts: str) -> set[str]:
    """The words of some texts, but for those that join others."""
    return {word for text in texts for word in _words(text)} - _JOINING


def _terms(tree: InterestTree) -> list[str]:
    """What titles and hashtags are made of, but for words that go with anything."""
    keywords = [keyword for words in tree.keywords for keyword in words]
    return [*keywords, *(facet for facets in tree.facets for facet in facets), *tree.themes]


def _unknown(text: str, tree: InterestTree, authored: list[AuthoredTheme]) -> InvalidInput:
    """The error for a text that matches nothing."""
    here = f"this world's {tree.num_interests} interests"
    interests = [interest for theme in authored for interest in theme.interests]
    elsewhere = {word for each in interests for phrase in (each.name, *each.keywords) for word in phrase.split()}
    if meaning(text) & {word.lower() for word in elsewhere}:
        return InvalidInput("interest", text, f"is none of {here}; a larger world (world.num_interests) may have it")
    known = {_plain(phrase): phrase for phrase in [*tree.interests, *(k for words in tree.keywords for k in words)]}
    near = get_close_matches(_plain(text), known, _SUGGESTIONS)
    for word in _words(text):
        close = set(get_close_matches(word, sorted({w for phrase in known for w in phrase.split()})))
        near += [phrase for phrase in known if close & set(phrase.split()) - _JOINING]
    named = [known[phrase] for phrase in dict.fromkeys(near)][:_SUGGESTIONS]
    if not named:
        named = list(tree.interests[:_SUGGESTIONS])
        return InvalidInput("interest", text, f"has no word of {here}, which are such as {', '.join(named)}")
    return InvalidInput("interest", text, f"has no word of {here}; near are {', '.join(named)}")
