import numpy as np
import pytest

from sim.errors import InvalidInput
from sim.tree import MIN_PERSONA_INTERESTS, load_tree

WHOLE = load_tree(96)


def test_as_many_are_written_as_documented():
    assert len(WHOLE.themes) == 12
    assert WHOLE.num_interests == len(set(WHOLE.interests)) == 96
    assert len(WHOLE.personas) == len(set(WHOLE.personas)) == 48
    assert np.bincount(WHOLE.theme_of_interest).tolist() == [8] * 12


def test_no_two_interests_share_a_keyword():
    keywords = [k for words in WHOLE.keywords for k in words]
    assert len(set(keywords)) == len(keywords)
    assert all(5 <= len(words) <= 8 for words in WHOLE.keywords)


def test_every_theme_has_facets():
    assert all(len(facets) >= 4 for facets in WHOLE.facets)


def test_personas_span_themes_and_every_interest_is_in_two():
    linked = WHOLE.link > 0
    assert linked.sum(axis=0).min() >= 2
    assert linked.sum(axis=1).min() >= 8
    for row in linked:
        assert len(set(WHOLE.theme_of_interest[row].tolist())) >= 3
    assert WHOLE.link.max() <= 1
    assert WHOLE.persona_weight.sum() == pytest.approx(1)
    assert WHOLE.persona_weight.min() > 0


def test_a_part_of_the_tree_keeps_the_first_interests_and_the_personas_with_enough_of_them():
    part = load_tree(24)
    assert part.interests == WHOLE.interests[:24]
    assert len(part.themes) == 3
    assert len(part.personas) >= 12
    assert part.persona_weight.sum() == pytest.approx(1)
    in_part = (WHOLE.link[:, :24] > 0).sum(axis=1) >= MIN_PERSONA_INTERESTS
    assert part.personas == tuple(np.array(WHOLE.personas)[in_part].tolist())
    np.testing.assert_array_equal(part.link, WHOLE.link[in_part, :24])


@pytest.mark.parametrize(("num", "message"), [(100_000, "at most 96"), (2, "too few")])
def test_impossible_sizes_are_refused(num, message):
    with pytest.raises(InvalidInput, match=f"world.num_interests={num}: .*{message}"):
        load_tree(num)
