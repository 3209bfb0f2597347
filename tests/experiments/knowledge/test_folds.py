from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.llm.curation import curate
from agents.transitions import Transitions
from experiments.knowledge.exam import set_exam
from experiments.knowledge.fold import Fold, make_fold
from experiments.knowledge.truth import co_interests, persona_folds, shown_links, without
from sim.errors import InvalidInput
from sim.hidden.clustering import build_clusters
from sim.hidden.world import World
from sim.random import RandomStream
from tests.agents.llm.conftest import make_settings  # noqa: F401  a fixture
from tests.experiments.certified import tiny
from tests.experiments.knowledge.planted import truth_of

RNG = RandomStream(11, "folds")


CLUSTERS, INTERESTS = 24, 18


def random_truth(rng):
    """Six personas of five interests each; some clusters share an interest, some have no items."""
    interest = rng.integers(-1, INTERESTS, CLUSTERS)
    interest[0] = INTERESTS - 1
    named = [{int(m): float(rng.uniform(0.3, 1)) for m in rng.permutation(INTERESTS)[:5]} for _ in range(6)]
    return truth_of(interest, named)


def random_transitions(rng, num=150):
    rows = np.array([rng.permutation(CLUSTERS)[:3] for _ in range(num)], int).reshape(-1, 3)
    return Transitions(rows[:, 0], rows[:, 1], rows[:, 2], np.arange(num), np.zeros(num))


def explained_by(truth, a, b):
    """The personas that name the interests of both clusters, if these are different interests."""
    if truth.interest[a] == truth.interest[b]:
        return set()
    return {p for p, w in enumerate(truth.weight) if w[a] > 0 and w[b] > 0}


def gives_away(truth, held_out, first, second, label):
    """Whether a transition has a link that held-out personas alone explain."""
    actual = [explained_by(truth, c, label) for c in (first, second)]
    return any(who and all(held_out[p] for p in who) for who in actual)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_no_link_that_only_held_out_personas_explain_is_left_and_no_other_is_lost(seed):
    rng = np.random.default_rng(seed)
    truth, transitions = random_truth(rng), random_transitions(rng)
    held_out = rng.random(6) < 0.4
    kept = without(transitions, truth.only_of(held_out))
    gone = set(transitions.user.tolist()) - set(kept.user.tolist())  # users number the rows
    for row in transitions.user.tolist():
        triple = int(transitions.first[row]), int(transitions.second[row]), int(transitions.label[row])
        assert (row in gone) == gives_away(truth, held_out, *triple)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_questions_are_of_held_out_personas_and_candidates_were_never_shown(seed):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng)
    held_out = persona_folds(6, 3, RNG.at(seed)) == 0
    kept = without(random_transitions(rng), truth.only_of(held_out))
    samples = curate(kept, CLUSTERS, 1, "diversified", RNG)
    shown = shown_links(samples.first, samples.second, samples.label, truth.interest)
    exam = set_exam(truth, held_out, shown, 3, RNG.at("exam", seed))
    assume(len(exam) > 0)
    seen = {
        frozenset((int(truth.interest[c]), int(truth.interest[label])))
        for first, second, label in zip(samples.first, samples.second, samples.label, strict=True)
        for c in (first, second)
    }
    assert all(np.bincount(exam.persona, minlength=6)[~held_out] == 0)
    assert all(np.bincount(exam.persona, minlength=6) <= 3)
    for row in range(len(exam)):
        pair = [int(exam.first[row]), int(exam.second[row])]
        own = [int(truth.interest[c]) for c in pair]
        assert own[0] != own[1]
        assert (truth.weight[exam.persona[row], pair] > 0).all()
        assert exam.hidden[row].any()
        assert (exam.candidate[row] & ~exam.hidden[row]).any()
        for label in range(CLUSTERS):
            interest = int(truth.interest[label])
            could = interest >= 0 and interest not in own
            assert exam.candidate[row, label] == (could and not any(frozenset((interest, o)) in seen for o in own))
        np.testing.assert_array_equal(exam.weight[row], truth.weight[exam.persona[row]])


def test_a_cluster_of_an_interest_that_was_shown_is_no_candidate():
    truth = truth_of([0, 1, 2, 2, 3, 4], [{0: 1.0, 1: 1.0, 2: 0.5, 3: 0.7}])
    shown = shown_links(np.array([0]), np.array([5]), np.array([2]), truth.interest)  # (0, 5) -> 2
    assert shown[0, 2]
    assert shown[3, 0]  # cluster 3 is of the same interest as 2
    assert shown[5, 3]
    assert not shown[0, 5]  # both in the pair: nothing was said of one after the other
    exam = set_exam(truth, np.array([True]), shown, 99, RNG)
    asked = {frozenset(pair) for pair in zip(exam.first.tolist(), exam.second.tolist(), strict=True)}
    assert frozenset((2, 3)) not in asked  # one interest
    row = next(r for r in range(len(exam)) if {int(exam.first[r]), int(exam.second[r])} == {0, 1})
    assert exam.candidate[row].tolist() == [False, False, False, False, True, True]
    assert exam.hidden[row].tolist() == [False, False, False, False, True, False]


def test_folds_are_a_partition_as_even_as_can_be_and_drawn():
    fold = persona_folds(17, 5, RNG)
    assert sorted(np.bincount(fold)) == [3, 3, 3, 4, 4]
    np.testing.assert_array_equal(fold, persona_folds(17, 5, RNG))
    assert (fold != persona_folds(17, 5, RNG.at("other"))).any()


def test_a_fold_is_what_it_should_be_and_survives_the_disk(make_settings, tmp_path):  # noqa: F811
    rng = np.random.default_rng(5)
    truth, transitions = random_truth(rng), random_transitions(rng, num=300)
    held_out = np.arange(6) < 2
    fold = make_fold(truth, transitions, held_out, make_settings(pairs_per_label=1), 4, 20, RNG)
    for t in (fold.kept, fold.samples, fold.validation):
        for triple in zip(t.first.tolist(), t.second.tolist(), t.label.tolist(), strict=True):
            assert not gives_away(truth, held_out, *triple)
    asked = {frozenset(p) for p in zip(fold.exam.first.tolist(), fold.exam.second.tolist(), strict=True)}
    prior = [frozenset(p) for p in fold.prior_pairs.T.tolist()]
    of_validation = {
        frozenset(p) for p in zip(fold.validation.first.tolist(), fold.validation.second.tolist(), strict=True)
    }
    of_samples = {frozenset(p) for p in zip(fold.samples.first.tolist(), fold.samples.second.tolist(), strict=True)}
    assert len(prior) == len(set(prior)) == 20
    assert set(prior) <= of_validation - asked
    assert not of_validation & of_samples
    fold.save(tmp_path / "fold.safetensors")
    again = Fold.load(tmp_path / "fold.safetensors")
    for part in ("kept", "samples", "validation", "exam"):
        for name, value in vars(getattr(fold, part)).items():
            np.testing.assert_array_equal(getattr(getattr(again, part), name), value)
    np.testing.assert_array_equal(again.prior_pairs, fold.prior_pairs)


def test_a_log_that_is_too_short_is_named(make_settings):  # noqa: F811
    rng = np.random.default_rng(5)
    with pytest.raises(InvalidInput, match="too few novel transitions"):
        make_fold(random_truth(rng), random_transitions(rng, num=0), np.arange(6) < 2, make_settings(), 4, 20, RNG)


def test_truth_of_a_world_and_what_alpha_does_to_it():
    def read(alpha):
        world = World(replace(tiny(), semantic_alignment=alpha), 3)
        items = np.arange(world.catalog.num_items)
        clusters = build_clusters(world.catalog, items, np.ones(len(items)), world.config.clusters)
        return world, clusters, co_interests(world, clusters)

    world, clusters, truth = read(1.0)
    filed = clusters.file(world.catalog.embedding)[:, 1]
    for cluster in range(clusters.num_clusters):
        interests = np.bincount(world.truth.interest[filed == cluster], minlength=24)
        assert interests[truth.interest[cluster]] == interests.max()
    assert truth.purity > 0.7
    dense = world.tree.links.dense(24)
    np.testing.assert_array_equal(truth.weight, dense[:, truth.interest])

    permuted_world, permuted, same = read(0.0)
    np.testing.assert_array_equal(same.interest, truth.interest)  # who loves what is the same ...
    np.testing.assert_array_equal(same.weight, truth.weight)

    def words_in_common(world, clusters, interests):
        keywords = world.tree.keywords
        return np.mean([len(set(clusters.keywords[c]) & set(keywords[m])) for c, m in enumerate(interests)])

    assert words_in_common(world, clusters, truth.interest) > 2  # ... what it is called is not
    assert words_in_common(permuted_world, permuted, truth.interest) < 0.5
    assert words_in_common(permuted_world, permuted, permuted_world.labels[truth.interest]) > 2
