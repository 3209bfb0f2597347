"""Which cluster a text means, told by public words alone: keywords, titles and hashtags."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import scipy.sparse as sparse

from agents.bm25 import WordCounts, bm25
from sim.arrays import IntArray
from sim.authored import AuthoredTheme
from sim.errors import InvalidInput
from sim.platform import Platform
from sim.tree import InterestTree

_JOINING = frozenset(["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"])
"""Words that join others and mean no interest."""

_SUGGESTIONS = 5


@dataclass(frozen=True)
class Found:
    """The cluster that a text was taken for.

    Attributes:
        text: as it was given.
        cluster: level 2.
        by: what told so.
    """

    text: str
    cluster: int
    by: str


def check_text(text: str, tree: InterestTree, authored: list[AuthoredTheme]) -> None:
    """Check, before there are clusters, that some could be found by a text.

    Args:
        text: anything.
        tree: the world's, which may be a part of what is authored; only its words are read.
        authored: all themes that are authored.

    Raises:
        InvalidInput: no title will ever hold any of its words; says what comes near, or that a larger
            world has it.
    """
    words = _words(text)
    titles = {word for phrase in _terms(tree) for word in phrase.lower().split()}
    if " ".join(words) in map(_plain, tree.interests) or _meaning(words) & titles:
        return
    raise _unknown(text, tree, authored)


def find_cluster(text: str, platform: Platform, tree: InterestTree) -> Found:
    """Find the level-2 cluster that a text means.

    A text that is a whole term of the platform's vocabulary means the cluster, of those that have it as
    a keyword if any has, in whose live items' titles and hashtags it stands most often. The name of an
    authored interest stands for its keywords. These, and whatever else was given, are searched for by
    BM25 (``agents.bm25``) among the clusters' keywords, and where that finds nothing among their live
    items' titles and hashtags. Words that join others don't count, nor do titles' words that stand in
    more than half of the clusters. Ties go to the lower number.

    Args:
        text: anything.
        platform: today's.
        tree: the world's, of which names and keywords are read; where labels are permuted, these are
            what the items with such titles are called, not what they are.

    Raises:
        InvalidInput: no cluster has any of its words.
    """
    words = _words(text)
    exact = _of_term(" ".join(words), platform)
    if exact is not None:
        return Found(text, exact, "a whole keyword")
    keywords = dict(zip(map(_plain, tree.interests), tree.keywords, strict=True)).get(" ".join(words))
    sought = [word for phrase in keywords for word in phrase.lower().split()] if keywords else words
    query = (" ".join(word for word in sought if word not in _JOINING),)
    for where, searched in (("keywords", _in_keywords), ("titles and hashtags", _in_titles)):
        scores = searched(query, platform).toarray()[0]  # (M,)
        if scores.max(initial=0.0) > 0:
            name = "an interest's name, by its keywords" if keywords else "search"
            return Found(text, int(scores.argmax()), f"{name} in the clusters' {where}")
    raise _unknown(text, tree, [])


def _of_term(term: str, platform: Platform) -> int | None:
    """The cluster that a term of the vocabulary stands for; None if it is none, or stands for nearly all."""
    clusters, catalog, live = platform.clusters, platform.catalog, platform.live_items()
    number = next((i for i, known in enumerate(catalog.vocabulary) if _plain(known) == term), None)
    if number is None:
        return None
    holds = ((catalog.title_terms[live] == number).any(axis=1)) | ((catalog.hashtag_terms[live] == number).any(axis=1))
    count = np.bincount(platform.cluster_of_item[live][holds], minlength=clusters.num_clusters)  # (M,)
    named = np.array([term in map(_plain, keywords) for keywords in clusters.keywords])  # (M,)
    if named.any():
        return int(np.where(named, count, -1).argmax())
    return int(count.argmax()) if 0 < (count > 0).sum() <= clusters.num_clusters / 2 else None


def _in_keywords(query: tuple[str, ...], platform: Platform) -> sparse.csr_matrix:
    """(1, M) BM25 of the clusters' keywords."""
    keywords = platform.clusters.keywords
    counts = WordCounts(tuple(dict.fromkeys(word for words in keywords for word in words)))
    return bm25(counts.of_phrases([query]), counts.of_phrases(list(keywords)))


def _in_titles(query: tuple[str, ...], platform: Platform) -> sparse.csr_matrix:
    """(1, M) BM25 of all that the clusters' live items are called."""
    catalog, live = platform.catalog, platform.live_items()
    counts = WordCounts(catalog.vocabulary)
    items = counts.of_terms(np.concatenate([catalog.title_terms, catalog.hashtag_terms], axis=1)[live])  # (n, W)
    cluster: IntArray = platform.cluster_of_item[live]
    shape = (platform.clusters.num_clusters, len(live))
    texts = sparse.csr_matrix((np.ones(len(live)), (cluster, np.arange(len(live)))), shape) @ items  # (M, W)
    telling = (texts > 0).sum(axis=0) <= shape[0] / 2  # (1, W)
    return bm25(counts.of_phrases([query]).multiply(telling).tocsr(), texts)


def _plain(text: str) -> str:
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ").split()


def _meaning(words: Iterable[str]) -> set[str]:
    return set(words) - _JOINING


def _terms(tree: InterestTree) -> list[str]:
    """What titles and hashtags are made of, but for words that go with anything."""
    keywords = [keyword for words in tree.keywords for keyword in words]
    return [*keywords, *(facet for facets in tree.facets for facet in facets), *tree.themes]


def _unknown(text: str, tree: InterestTree, authored: list[AuthoredTheme]) -> InvalidInput:
    """What to tell a user whose text means nothing here."""
    here = f"this world's {tree.num_interests} interests"
    interests = [interest for theme in authored for interest in theme.interests]
    elsewhere = {word for each in interests for phrase in (each.name, *each.keywords) for word in phrase.split()}
    if _meaning(_words(text)) & {word.lower() for word in elsewhere}:
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
