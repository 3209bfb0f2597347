"""``interestlab explain``: every number and mark against the same, computed another way."""

import json
import os
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.llm.model import load_model, load_tokenizer
from agents.llm.prompt import cluster_texts, leading_keywords, tokenise_prompts
from agents.llm.scoring import random_pairs, score_pairs
from agents.llm.table import TransitionTable
from agents.llm.trie import LabelTrie
from experiments.explain.columns import Column, llm_columns
from experiments.explain.command import _checked, explain
from experiments.explain.search import check_text, find_cluster
from experiments.explain.text import as_text
from experiments.live import arm_stages, pipeline
from experiments.llm.stages import make_table, table_stream
from experiments.oracles.truth import majority_interests, personas_of_clusters, sharing
from experiments.study.overrides import split_words
from sim.errors import InvalidInput
from sim.hidden.authored import read_interests
from sim.hidden.clustering import build_clusters
from sim.hidden.tree import PersonaLinks, load_tree
from sim.hidden.world import World
from sim.platform import Platform, PlatformRecords, Requests
from sim.random import RandomStream
from tests.agents.llm.reference import plain_scores
from tests.command_line import interestlab
from tests.composing import compose
from tests.sim.people import TINY

TEXTS = ("home espresso", "bouldering and rock climbing")
NAMES = ["zero_shot", "fine_tuned", "counts"]


@pytest.fixture(scope="module")
def overrides(model, tmp_path_factory):
    world = [
        "world=tiny",
        "runtime.workers=1",
        "world.num_users=60",
        "experiment.burn_in_days=2",
        "production.epochs=1",
    ]
    llm = ["llm=tiny", "llm.num_keywords=3", "llm.steps=2", "llm.eval_pairs=2", f"llm.model={model}"]
    llm += ["llm.precision=fp32", "llm.threads=1"]
    return [*world, *llm, "runtime.workers=1", f"cache_dir={tmp_path_factory.mktemp('cache')}"]


def config_of(*overrides):
    return compose("explain", list(overrides))


@pytest.fixture(scope="module")
def explained(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return folder, explain(TEXTS, config_of(*overrides), folder)


@pytest.fixture(scope="module")
def parts(explained, overrides):
    """Study, settings, the clusters stage, the arm counts and the log; stages from the cache."""
    study, settings = _checked(TEXTS, config_of(*overrides))
    before = pipeline.burn_in(study)
    clustered = pipeline.cluster(study, before)
    assert before.cached
    assert clustered.cached
    (arm,), log = arm_stages.prepare_arms(study, ("counts",), before, clustered)
    return study, settings, clustered, arm, log


def pair_of(explanation):
    return tuple(each["cluster"] for each in explanation["pair"])


def column_of(explanation, name):
    return next(column for column in explanation["columns"] if column["name"] == name)


def test_the_file_holds_what_was_explained(explained):
    folder, explanation = explained
    assert json.loads((folder / "explain.json").read_text()) == json.loads(json.dumps(explanation))
    assert [column["name"] for column in explanation["columns"]] == NAMES
    assert "cache_dir" not in explanation["config"]


def test_the_prompt_is_what_the_model_gets(explained, parts, model):
    _, explanation = explained
    clusters = parts[3].platform.clusters
    names = cluster_texts(clusters, 3, leading_keywords(clusters, load_tokenizer(model)))  # another may come first
    first, second = (names[cluster] for cluster in pair_of(explanation))
    for name, each in zip((first, second), explanation["pair"], strict=True):
        assert set(name.split(", ")) <= set(each["keywords"])
    assert explanation["prompt"]["text"] == f"People who enjoy {first} and {second} also enjoy"
    assert load_tokenizer(model).decode(explanation["prompt"]["tokens"]) == explanation["prompt"]["text"]


def test_columns_are_probabilities_of_clusters_other_than_the_pair(explained):
    _, explanation = explained
    for column in explanation["columns"]:
        rows = column["best"]
        assert [row["rank"] for row in rows] == list(range(1, 11))
        assert not {row["cluster"] for row in rows} & set(pair_of(explanation))
        assert len({row["cluster"] for row in rows}) == 10
        assert all(0 < row["probability"] < 1 for row in rows)
        assert sum(row["probability"] for row in rows) <= 1
    counts = [row["probability"] for row in column_of(explanation, "counts")["best"]]
    assert counts == sorted(counts, reverse=True)


def test_zero_shot_is_the_score_of_the_untouched_weights(explained, parts, model):
    _, explanation = explained
    study, settings, _, arm, _ = parts
    first, second = pair_of(explanation)
    prompts = tokenise_prompts(arm.platform.clusters, settings.num_keywords, load_tokenizer(model))
    network = load_model(model, torch.float32)
    scores = plain_scores(network, prompts, first, second)
    pairs = random_pairs(24, 256, table_stream(study))
    probability = np.exp(score_pairs(network, prompts, LabelTrie.build(prompts.label), *pairs).astype(float))
    mean = [probability[(pairs[0] != label) & (pairs[1] != label), label].mean() for label in range(24)]
    corrected = scores - np.log(mean)
    corrected[[first, second]] = -np.inf
    plain = [c for c in np.argsort(-scores) if c not in (first, second)]
    rows = column_of(explanation, "zero_shot")["best"]
    assert [row["cluster"] for row in rows] == np.argsort(-corrected)[:10].tolist()
    assert [row["probability"] for row in rows] == pytest.approx(np.exp(scores)[[row["cluster"] for row in rows]], 1e-4)
    assert [row["rank_by_probability"] for row in rows] == [plain.index(row["cluster"]) + 1 for row in rows]
    assert [row["rank_by_probability"] for row in rows] != list(range(1, 11))  # the correction does something


@pytest.mark.parametrize("changes", [{}, {"pmi_coefficient": 0.0}, {"encoder_weight": 1.0}])
def test_fine_tuned_is_the_planners_table(explained, parts, changes):
    _, explanation = explained
    study, settings, clustered, _, _ = parts
    pair = pair_of(explanation)
    settings = replace(settings, **changes)
    made = make_table(study, settings, clustered)
    assert made.tuned.cached  # the explanation's own
    best, log_probability = TransitionTable.open(made.table.folder / "table").lookup(*np.array([pair]).T)
    tuned = made.tuned.folder / "run" / "model"
    [column] = llm_columns(study, settings, clustered, {("fine_tuned", ""): tuned}, pair)
    assert column.best(10).tolist() == best[0].tolist()
    assert column.probability[best[0]] == pytest.approx(np.exp(log_probability[0]), 1e-4)
    shown = [row["cluster"] for row in column_of(explanation, "fine_tuned")["best"]]
    assert (shown == best[0].tolist()) == (not changes)


class OnlyThePair:
    """A platform on which the user has consumed from the pair's clusters and no others."""

    def __init__(self, pair):
        self.pair = pair

    def consumed_clusters(self, user):
        consumed = np.zeros((len(user), 24), bool)
        consumed[:, list(self.pair)] = True
        return consumed


def test_counts_are_what_the_arms_planner_plans_by(explained, parts):
    _, explanation = explained
    *_, arm, log = parts
    pair = pair_of(explanation)
    arm.agent.fit(arm.platform, log, arm.stream.at("fit"))
    planner = arm.agent.inner.planner
    planner.platform = OnlyThePair(pair)
    history = np.array([pair])
    requests = Requests(
        user=np.array([0]),
        day=1,
        items=history,
        clusters=history.astype(np.int32),
        watch=np.ones((1, 2), np.float32),
        positive=np.ones((1, 2), bool),
        exclude=np.empty((1, 0), np.int64),
        num_slots=10,
    )
    rows = column_of(explanation, "counts")["best"]
    shown = [row["cluster"] for row in rows]
    (planned,) = planner.propose(requests, RandomStream(0)).tolist()
    (known,) = planner.probabilities(np.array([pair]))
    assert sorted(planned) == sorted(shown)
    assert known[planned].tolist() == known[shown].tolist()  # of equal ones the planner takes any
    assert [row["probability"] for row in rows] == known[shown].tolist()


def test_marks_are_those_of_a_search_through_all_items_and_personas(explained, parts):
    _, explanation = explained
    *_, arm, _ = parts
    world, platform = arm.world, arm.platform
    items = {cluster: Counter() for cluster in range(24)}
    for item in range(world.catalog.num_items):
        if world.catalog.upload_day[item] <= world.day < world.catalog.expiry_day[item]:
            items[platform.cluster_of_item[item]][int(world.truth.interest[item])] += 1
    interest = {cluster: min(count, key=lambda m: (-count[m], m)) for cluster, count in items.items()}
    people = [{m for m in row if m >= 0} for row in world.links.interest.tolist()]

    def share(a, b):
        return any(interest[a] in names and interest[b] in names for names in people)

    pair = pair_of(explanation)
    for column in explanation["columns"]:
        shared = [[share(row["cluster"], cluster) for cluster in pair] for row in column["best"]]
        assert [list(row["shares_persona_with"].values()) for row in column["best"]] == shared
        assert column["sharing"] == {"one_or_both": sum(map(any, shared)), "both": sum(map(all, shared))}
    others = [[share(c, cluster) for cluster in pair] for c in range(24) if c not in pair]
    assert explanation["chance"]["one_or_both"] == pytest.approx(10 * sum(map(any, others)) / 22)
    assert explanation["chance"]["both"] == pytest.approx(10 * sum(map(all, others)) / 22)
    for each in explanation["pair"]:
        assert each["truth"]["interest"] == world.tree.interests[interest[each["cluster"]]]
        total = sum(items[each["cluster"]].values())
        assert each["truth"]["share_of_items"] == items[each["cluster"]][interest[each["cluster"]]] / total
        named = [world.tree.personas[p] for p, names in enumerate(people) if interest[each["cluster"]] in names]
        assert each["truth"]["personas"] == named


def test_truth_of_a_handful_of_items():
    interest, cluster = np.array([3, 3, 1, 2, 2, 1, 0]), np.array([0, 0, 0, 1, 1, 2, 2])
    most, share = majority_interests(interest, cluster, 4, 5)
    assert most.tolist() == [3, 2, 0, -1]  # a tie goes to the lower number; an empty cluster has none
    assert share.tolist() == pytest.approx([2 / 3, 1, 1 / 2, 0])
    links = PersonaLinks(np.array([[3, 2], [0, 4], [4, -1]]), np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0]]))
    personas = personas_of_clusters(links, most, 5)
    assert personas.tolist() == [[True, True, False, False], [False, False, True, False], [False] * 4]
    assert sharing(personas, (0, 2)).tolist() == [[True, False], [True, False], [False, True], [False, False]]


def test_ranks_leave_the_pair_out_and_ties_go_by_number():
    probability = np.array([0.4, 0.1, 0.2, 0.1, 0.2])
    column = Column("", "", "", probability, np.array([-np.inf, 1.0, 0.0, 1.0, 2.0]))
    assert column.best(10).tolist() == [4, 1, 3, 2]
    assert column.best(2).tolist() == [4, 1]
    assert column.rank_by_probability.tolist() == [0, 3, 1, 4, 2]


@pytest.fixture(scope="module", params=[1.0, 0.0])
def unserved(request):
    """A world on day 0 whose labels tell the truth, or are permuted, and its platform."""
    world = World(replace(TINY, semantic_alignment=request.param), 0)
    clusters = build_clusters(world.catalog, np.arange(TINY.num_items), np.ones(TINY.num_items), TINY.clusters)
    return world, Platform(PlatformRecords(TINY.num_users, world.catalog, clusters, 5, 30, 5))


@pytest.fixture(scope="module")
def called(unserved):
    """(24,) which interest's words most items of each cluster carry."""
    world, platform = unserved
    most, _ = majority_interests(world.truth.interest, platform.cluster_of_item, 24, 24)
    return world.labels[most]


def test_every_interest_matches_by_the_name_of_its_items(unserved, called):
    world, platform = unserved
    for number, name in enumerate(world.tree.interests):
        check_text(name, world.tree, [])
        actual = find_cluster(name.upper(), platform, world.tree)
        assert actual.text == name.upper()
        if number in called:  # else its items share a cluster with more numerous ones
            assert called[actual.cluster] == number
    assert len(set(called)) >= 18


def test_every_keyword_matches_its_cluster(unserved):
    world, platform = unserved
    for keywords in platform.clusters.keywords:
        for keyword in keywords:
            actual = find_cluster(f" {keyword} ", platform, world.tree)
            assert keyword in platform.clusters.keywords[actual.cluster]
        for num in (3, len(keywords)):
            joined = find_cluster(", ".join(keywords[:num]), platform, world.tree)
            assert platform.clusters.keywords[joined.cluster][:num] == keywords[:num]


@pytest.mark.parametrize(
    ("text", "interest"),
    [
        ("espresso for the home", "home espresso and latte art"),
        ("a sourdough loaf", "sourdough bread baking"),
        ("gym for climbing", "bouldering and rock climbing"),
        ("how to repair a bicycle", "commuter cycling and bike maintenance"),
    ],
)
def test_words_are_searched_for(unserved, called, text, interest):
    world, platform = unserved
    check_text(text, world.tree, [])
    actual = find_cluster(text, platform, world.tree)
    assert actual.by == "search of titles and hashtags"
    if world.tree.interests.index(interest) in called:
        assert world.tree.interests[called[actual.cluster]] == interest
    else:
        assert world.config.semantic_alignment == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("esspresso", r"interest='esspresso': has no word of this world's 24 interests; near are .*espresso"),
        ("vinyl records", "is none of this world's 24 interests; a larger world .* may have it"),
        ("qqqq zzzz", "has no word of this world's 24 interests, which are such as home espresso and latte art"),
        ("and the", "has no word"),
        ("pov", "has no word"),  # titles have it, whatever they are about
    ],
)
def test_texts_that_mean_nothing_here(unserved, text, says):
    world, platform = unserved
    tree = load_tree(24)
    with pytest.raises(InvalidInput, match=says) as caught:
        check_text(text, tree, read_interests(""))
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidInput, match="has no word"):
        find_cluster(text, platform, world.tree)


@pytest.mark.parametrize(
    ("texts", "override", "says"),
    [
        (("espresso",), "seed=0", r"interests=\['espresso'\]: must be two texts, each in quotation marks"),
        (("a", "b", "c"), "seed=0", "must be two texts"),
        (("espresso", " "), "seed=0", "must be two texts"),
        (("espresso", "tofu"), "llm=endpoint", "llm.model='': must be given"),
        (("espresso", "tofu"), "agents.counts._target_=agents.popular.PopularAgent", "agent counts"),
        (("espresso", "tofu"), "agents.counts.planner._target_=agents.planners.RandomNovelPlanner", "agent counts"),
        (("espresso", "tofu"), "~agents.counts experiment.arms=[control]", "must have counts"),
        (("espresso", "tofu"), "seed=-1", "seed=-1: must be a whole number"),
    ],
)
def test_mistakes_are_reported_before_the_burn_in(tmp_path, texts, override, says):
    config = config_of("world=tiny", "llm=tiny", f"cache_dir={tmp_path / 'cache'}", *override.split())
    with pytest.raises(InvalidInput, match=says):
        explain(texts, config, tmp_path / "out")
    assert not (tmp_path / "cache" / "stages").exists()
    assert not (tmp_path / "out").exists()


def test_only_scores_can_be_explained(tmp_path):
    config = config_of("world=tiny", "llm=endpoint", "llm.model=m", f"cache_dir={tmp_path / 'cache'}")
    with pytest.raises(InvalidInput, match=r"llm\.engine='http': must be transformers"):
        explain(("espresso", "tofu"), config, tmp_path / "out")


@pytest.mark.parametrize(
    "arguments",
    [
        ["home espresso", "it's 100 % {tofu}", "world=tiny", "-m", "seed=0,1"],
        ["world=tiny", "home espresso", "-m", "seed=0,1", "it's 100 % {tofu}"],
        ["home espresso", "world=tiny", "-m", "seed=0,1", "it's 100 % {tofu}"],
    ],
)
def test_texts_may_stand_anywhere(arguments):
    assert split_words(arguments) == (["home espresso", "it's 100 % {tofu}"], ["world=tiny", "-m", "seed=0,1"])
    assert split_words(["--config-dir", "/my/conf", "tofu", "~llm"]) == (["tofu"], ["--config-dir", "/my/conf", "~llm"])


@pytest.mark.parametrize("width", [60, 100, 140, 220])
def test_the_table_is_aligned_and_marked_as_the_file_says(explained, width):
    _, explanation = explained
    lines = as_text(explanation, width).splitlines()
    table = [line for line in lines if len(re.findall(r"\d\.\d{4}", line)) == 3]
    assert len(table) == 10
    assert len({tuple(m.start() for m in re.finditer(r"\d\.\d{4}", line)) for line in table}) == 1
    assert max(map(len, table)) <= max(width, 100)
    for rank, line in enumerate(table):
        rows = [column["best"][rank] for column in explanation["columns"]]
        shared = sum(sum(row["shares_persona_with"].values()) for row in rows)
        assert line.count("*") == shared
        assert re.findall(r"\d\.\d{4}", line) == [f"{row['probability']:.4f}" for row in rows]


def test_the_text_says_what_stands_where(explained):
    _, explanation = explained
    text = as_text(explanation, 140)
    assert "'home espresso' " in text
    assert f"  | {explanation['prompt']['text']}\n" in text
    order = "log p - 1 x log of its mean p over 256 random pairs"
    assert f"zero-shot LLM and fine-tuned LLM: in the order of {order} (by p = rank by p alone)." in text
    assert "transition counts: in the order of p." in text
    assert "which agents never see" in text
    shares = [str(column["sharing"]["both"]) + " of 10" for column in explanation["columns"]]
    row = next(line for line in text.splitlines() if line.startswith("share a persona with both"))
    assert re.findall(r"[\d.]+ of 10", row) == [*shares, f"{explanation['chance']['both']:.1f} of 10"]


def run(out, *arguments):
    environment = {**os.environ, "COLUMNS": "140"}  # the terminal's width
    return interestlab("explain", *arguments, f"hydra.run.dir={out}", env=environment)


@pytest.mark.slow
def test_the_command_answers_from_the_cache_whatever_the_order(explained, overrides, tmp_path):
    folder, explanation = explained
    out = tmp_path / "out"
    done = run(out, overrides[0], TEXTS[0], *overrides[1:], TEXTS[1])
    assert done.returncode == 0, done.stderr
    assert "burn-in" not in done.stderr
    assert "fine-tuning" not in done.stderr
    assert done.stdout == f"{as_text(explanation, 140)}\n\nexplain: {out / 'explain.json'}\n"
    assert (out / "explain.json").read_bytes() == (folder / "explain.json").read_bytes()


def test_an_unknown_text_is_one_line(tmp_path):
    done = run(tmp_path / "out", "esspresso", "tofu", "world=tiny", f"cache_dir={tmp_path / 'cache'}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("interestlab explain: interest='esspresso': has no word of")
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_helps(tmp_path):
    done = run(tmp_path / "out", "--help")
    assert done.returncode == 0
    assert "usage: interestlab explain TEXT TEXT" in done.stdout
    assert "world: " in done.stdout
