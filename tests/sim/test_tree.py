import re
from itertools import combinations

import numpy as np
import pytest

from sim.errors import InvalidInput
from sim.hidden.tree import MIN_PERSONA_INTERESTS, load_tree

WHOLE = load_tree(761)
LINK = WHOLE.links.dense(761)


def folded(words):
    """Words without plural s, hyphens and order: what a reader would take for the same."""
    return " ".join(sorted(w[:-1] if w.endswith("s") and len(w) > 3 else w for w in re.split("[ -]", words)))


def test_as_many_are_written_as_documented():
    assert len(WHOLE.themes) == len(set(WHOLE.themes)) == 32
    assert WHOLE.num_interests == len(set(WHOLE.interests)) == 761
    assert len(WHOLE.personas) == len(set(WHOLE.personas)) == 233
    assert set(np.bincount(WHOLE.theme_of_interest).tolist()) == {23, 24}


def test_no_keyword_stands_twice_not_even_in_another_form():
    keywords = [folded(k) for words in WHOLE.keywords for k in words]
    assert len(set(keywords)) == len(keywords)
    assert all(5 <= len(words) <= 8 for words in WHOLE.keywords)


def test_no_two_interests_are_near_duplicates_by_name():
    little = {"and", "in", "for", "at", "the", "of", "with", "every", "on", "to", "from", "a", "or", "home", "small"}
    names = [set(folded(name).split()) - little for name in WHOLE.interests]
    alike = [(a, b) for (a, one), (b, other) in combinations(enumerate(names), 2) if len(one & other) > 1]
    assert [(WHOLE.interests[a], WHOLE.interests[b]) for a, b in alike] == []


def test_every_theme_has_facets():
    assert all(len(set(facets)) == len(facets) >= 4 for facets in WHOLE.facets)


def test_personas_span_themes_and_every_interest_is_in_two():
    linked = LINK > 0
    assert linked.sum(axis=0).min() >= 2
    assert linked.sum(axis=1).min() >= 8
    assert linked.sum(axis=1).max() <= 20
    for row in linked:
        assert len(set(WHOLE.theme_of_interest[row].tolist())) >= 3
    assert LINK.max() <= 1
    assert WHOLE.persona_weight.sum() == pytest.approx(1)
    assert WHOLE.persona_weight.min() > 0


def test_most_of_what_goes_together_crosses_themes():
    theme = WHOLE.theme_of_interest
    pairs = [(a, b) for row in LINK > 0 for a, b in combinations(np.flatnonzero(row), 2)]
    assert np.mean([theme[a] != theme[b] for a, b in pairs]) > 0.7


@pytest.mark.parametrize(("num", "themes", "personas"), [(24, 3, 20), (96, 12, 40), (256, 32, 150)])
def test_a_part_of_the_tree_is_coherent(num, themes, personas):
    part = load_tree(num)
    assert len(part.themes) == themes
    assert np.bincount(part.theme_of_interest).tolist() == [8] * themes
    kept = [WHOLE.interests.index(name) for name in part.interests]
    assert kept == sorted(kept)
    assert [WHOLE.keywords[m] for m in kept] == list(part.keywords)
    assert part.persona_weight.sum() == pytest.approx(1)
    in_part = (LINK[:, kept] > 0).sum(axis=1) >= MIN_PERSONA_INTERESTS
    assert part.personas == tuple(np.array(WHOLE.personas)[in_part].tolist())
    assert len(part.personas) >= personas
    np.testing.assert_array_equal(part.links.dense(num), LINK[in_part][:, kept])
    # An interest that no persona of the part names is loved idiosyncratically only.
    assert (part.links.dense(num) > 0).any(axis=0).mean() > 0.98


@pytest.mark.parametrize(("num", "message"), [(30_000, "at most 761"), (2, "too few")])
def test_impossible_sizes_are_refused(num, message):
    with pytest.raises(InvalidInput, match=f"world.num_interests={num}: .*{message}"):
        load_tree(num)


@pytest.mark.parametrize(("num", "linked_pairs", "in_two"), [(24, 0.2, 0.45), (96, 0.2, 0.8), (96, 0.3, 1.0)])
def test_few_personas_are_kept_where_all_would_link_too_many_pairs(num, linked_pairs, in_two):
    whole, part = load_tree(num), load_tree(num, "", linked_pairs)
    named = part.links.dense(num) > 0  # (P, M)
    together = (named.T.astype(int) @ named)[np.triu_indices(num, 1)]
    assert 0.85 * linked_pairs < np.mean(together > 0) <= linked_pairs
    assert (named.sum(axis=0) >= 2).mean() >= in_two
    assert named.any(axis=0).mean() > 0.9
    rows = [whole.personas.index(name) for name in part.personas]
    assert rows == sorted(rows)
    np.testing.assert_array_equal(part.links.dense(num), whole.links.dense(num)[rows])
    np.testing.assert_allclose(part.persona_weight, whole.persona_weight[rows] / whole.persona_weight[rows].sum())
    assert part.interests == whole.interests


def test_where_few_pairs_are_linked_all_personas_are_kept():
    assert load_tree(256, "", 0.2).personas == load_tree(256).personas
    with pytest.raises(InvalidInput, match=r"world.linked_pairs=0.01: is too small: any persona links more"):
        load_tree(24, "", 0.01)


@pytest.mark.parametrize(("num_interests", "one", "several"), [(24, 66, 33), (96, 51, 19), (256, 12, 3), (761, 6.6, 1)])
def test_as_many_interests_share_a_persona_as_documented(num_interests, one, several):
    """Percent of pairs of interests that one persona names, and two or more (docs/world.md, Known limits)."""
    named = (load_tree(num_interests).links.dense(num_interests) > 0).astype(int)  # (P, M)
    together = (named.T @ named)[np.triu_indices(num_interests, 1)]
    assert 100 * np.mean(together > 0) == pytest.approx(one, abs=0.5)
    assert 100 * np.mean(together > 1) == pytest.approx(several, abs=0.5)
