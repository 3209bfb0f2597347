"""Answers kept in a file: read, refused, replayed, and lists of interests turned into a table."""

import json
from dataclasses import replace

import numpy as np
import pytest

from agents.llm.ask_lists import ask_lists
from agents.llm.engines import Answer, Cost, Engine
from agents.llm.generated_table import generate_table
from agents.llm.prompt import cluster_texts, list_prompt, prompt_text
from agents.llm.recorded import OURS, InterestLists, RecordedAnswer, ReplayEngine, read_answers, write_answers
from agents.llm.recorded_table import cluster_links, name_clusters, table_of_lists
from agents.llm.table import TransitionTable
from sim.errors import InvalidInput
from sim.hidden.tree import load_tree
from sim.random import RandomStream
from tests.agents.llm.conftest import KEYWORDS, clusters_of
from tests.agents.llm.test_generated_table import Scripted, contents, next_one

STREAM = RandomStream(0, "test")
RECORDED = {"engine": "recorded", "ask": "lists", "model": "", "steps": 0, "pmi_coefficient": 0.0, "num_keywords": 1}
NAMES = ("coffee", "bread", "running", "cats")


def lists_of(named, names=NAMES):
    return [RecordedAnswer(f"about {name}", "m", "2026-11-30", "\n".join(named.get(name, ())), name) for name in names]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lists.jsonl"


def test_what_is_written_is_read_back(path):
    answers = [RecordedAnswer("p 1", "m", "2026-11-30", "a\nb", "coffee"), RecordedAnswer("p 2", "m", "d", "\u00e9")]
    write_answers(path, answers)
    assert read_answers(path) == answers


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must hold answers; it is empty"),
        ('{"prompt": "p", "model": "m", "date": "d", "ans', "line 1.*cut off"),
        ('{"prompt": "p", "model": "m", "date": "d"}\n', "line 1.*must have the texts prompt, model, date, answer"),
        ('{"prompt": "p", "model": "m", "date": "d", "answer": ["a"]}\n', "line 1.*must have the texts"),
        ('{"prompt": "p", "model": "m", "date": "d", "answer": "a", "interest": 3}\n', "must have a text as interest"),
        (
            '{"prompt": "p", "model": "m", "date": "d", "answer": "a"}\n'
            '{"prompt": "p", "model": "m", "date": "d", "answer": "b"}\n',
            "must answer each prompt in one way: 'p'",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(path, text, says):
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        read_answers(path)


def test_a_missing_file_is_one_clear_error(path):
    with pytest.raises(InvalidInput, match=r"llm\.record=.*must be a file of answers"):
        read_answers(path)


def test_scores_of_lists_by_hand(path):
    lists = InterestLists.of(lists_of({"coffee": ["bread", "cats"], "running": ["1. Bread"]}), path)
    assert lists.longest == 2
    assert lists.follows.tolist() == [[0, 1, 0, 0.5], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    together = lists.together()
    # What coffee's list names, half of whose list names coffee, and 3/4 of what coffee and running both name.
    assert together[0].tolist() == [0, 1, 1.5 * 1 / 2, 0.5]
    assert together[1].tolist() == [0.5, 0, 0.5, 0]
    assert together[3].tolist() == [0.25, 0, 0, 0]


def test_unusable_names_are_counted_and_too_many_refused(path):
    named = {name: [other for other in NAMES if other != name] * 1 for name in NAMES}
    few = lists_of({**named, "coffee": ["bread", "running", "cats"]})
    assert InterestLists.of(few, path).faults == {"unknown": 0, "repeated": 0, "itself": 0}
    bad = lists_of({**named, "coffee": ["bread", "bread", "coffee", "tea"]})
    with pytest.raises(InvalidInput, match=r"has 3 of 13 names that cannot be used: 1 repeated \(first: 'bread' for 'coffee'\), 1 itself .*1 unknown \(first: 'tea'"):  # fmt: skip # noqa: E501
        InterestLists.of(bad, path)


def test_a_few_unusable_names_are_counted(path):
    names = tuple(f"interest {i}" for i in range(9))
    named = {name: [other for other in names if other != name] for name in names}
    named[names[0]][-1] = "something else"
    lists = InterestLists.of(lists_of(named, names), path)
    assert lists.faults == {"unknown": 1, "repeated": 0, "itself": 0}


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([RecordedAnswer("p", "m", "d", "bread")], "which interest it is for: line 1"),
        (lists_of({}, ("coffee", "Coffee")), "one list an interest: 'coffee' has two"),
        (lists_of({}), "all lists are empty"),
    ],
)
def test_what_is_no_file_of_lists_is_refused(path, answers, says):
    with pytest.raises(InvalidInput, match=says):
        InterestLists.of(answers, path)


def test_ours_has_a_whole_list_for_every_authored_interest():
    lists = InterestLists.of(read_answers(OURS), OURS)
    assert set(lists.names) == set(load_tree(761).interests)
    assert (lists.follows > 0).sum(axis=1).tolist() == [25] * 761
    assert sum(lists.faults.values()) == 0


def test_ours_knows_what_the_personas_say():
    """Precision at one .83 and AUC .81 against the personas' links, where chance is .065 and .5."""
    tree = load_tree(761)
    lists = InterestLists.of(read_answers(OURS), OURS)
    place = [lists.names.index(name) for name in tree.interests]
    score = lists.together()[np.ix_(place, place)]
    np.fill_diagonal(score, -1)
    has = tree.links.dense(761) > 0
    linked = (has.T.astype(int) @ has.astype(int)) > 0
    assert 0.82 < linked[np.arange(761), score.argmax(axis=1)].mean() < 0.84


def test_clusters_meet_names_word_for_word_or_by_meaning():
    clusters = clusters_of(KEYWORDS)
    names = ("baking bread", "watercolor, sketchbook, urban sketching", "sports shoes and races", "pets", "espresso")
    named = name_clusters(clusters, 3, names)
    assert named.name[[2, 3, 8, 9]].tolist() == [0, 2, 1, 3]
    assert named.exact.tolist() == [True, True, False, False, False, False, False, False, True, False]


def test_links_never_lead_to_the_same_interest(path):
    lists = InterestLists.of(lists_of({"coffee": ["bread"]}), path)
    link = cluster_links(lists, np.array([0, 0, 1]))
    assert link[0].tolist() == [-np.inf, -np.inf, 1]
    assert link[2].tolist() == [0.5, 0.5, -np.inf]


def planted(path, keywords=KEYWORDS[2:6]):
    """Lists about clusters that are called by their first keyword: 0 names 1 and 2, 1 names 3, 3 names 0."""
    texts = [words[0] for words in keywords]
    write_answers(path, lists_of({texts[0]: [texts[1], texts[2]], texts[1]: [texts[3]], texts[3]: [texts[0]]}, texts))
    return clusters_of(keywords)


def test_pairs_are_sums_over_single_pasts_and_the_same_in_both_orders(path, make_settings, tmp_path):
    clusters = planted(path)
    own = make_settings(**RECORDED)
    single = table_of_lists(path, clusters, replace(own, past_clusters=1, top_n=3), tmp_path / "single", STREAM)
    pairs = table_of_lists(path, clusters, replace(own, past_clusters=2, top_n=2), tmp_path / "pairs", STREAM)
    link = cluster_links(InterestLists.of(read_answers(path), path), np.arange(4))
    assert single.clusters[0, 0] == 1
    assert sorted(single.clusters[0, 1:]) == [2, 3]  # second of its list, and whose list has it first: both .5
    for first in range(4):
        for second in range(4):
            row = pairs.clusters[4 * first + second]
            assert row.tolist() == pairs.clusters[4 * second + first].tolist()
            score = link[first] + link[second]
            offered = row[row >= 0]
            assert not {first, second} & set(offered.tolist())
            assert (np.diff(score[offered]) <= 0).all()
            assert len(offered) == min(2, int((score > 0).sum()))
    assert pairs.manifest["answers"]["clusters_named_exactly"] == 4
    assert np.isnan(pairs.log_probability).all()


def test_the_table_is_opened_again_and_never_mixed_with_another(path, make_settings, tmp_path):
    clusters = planted(path)
    own = make_settings(**RECORDED)
    table_of_lists(path, clusters, own, tmp_path / "table", STREAM)
    before = contents(tmp_path / "table")
    table_of_lists(path, clusters, own, tmp_path / "table", STREAM)
    assert contents(tmp_path / "table") == before
    write_answers(path, [replace(each, model="another") for each in read_answers(path)])
    with pytest.raises(InvalidInput, match="other inputs"):
        table_of_lists(path, clusters, own, tmp_path / "table", STREAM)


def test_what_an_engine_said_is_replayed_without_it(clusters, tmp_path):
    texts = cluster_texts(clusters, 3)
    record = tmp_path / "said.jsonl"
    said = generate_table(Scripted(texts, next_one(texts)), clusters, 3, tmp_path / "said", record)
    again = generate_table(ReplayEngine(record, chat=False), clusters, 3, tmp_path / "again")
    for name in ("clusters.npy", "log_probability.npy"):
        assert (tmp_path / "said" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert said.manifest["answers"] == again.manifest["answers"]
    assert len(read_answers(record)) == len(texts) ** 2
    assert read_answers(record)[1].prompt == prompt_text(texts, 0, 1, chat=False)


def test_a_record_of_other_clusters_is_refused_before_anything_is_asked(clusters, tmp_path):
    texts = cluster_texts(clusters, 3)
    record = tmp_path / "said.jsonl"
    write_answers(record, [RecordedAnswer(prompt_text(texts, 0, 1, chat=False), "m", "d", "x")])
    engine = ReplayEngine(record, chat=False)
    prompts = [prompt_text(texts, 0, second, chat=False) for second in range(3)]
    with pytest.raises(InvalidInput, match=r"has no answer to 2 of 3 prompts.*of other clusters"):
        engine.check(prompts)
    with pytest.raises(InvalidInput, match="has no answer to"):
        generate_table(engine, clusters, 3, tmp_path / "table")


class Lister(Engine):
    """Names for every interest the ones after it; dies after a number of answers."""

    def __init__(self, texts, lives=10**9, chat=True):
        super().__init__(chat)
        num = min(25, len(texts) - 1)
        self.texts, self.lives, self.asked = texts, lives, []
        self.number = {list_prompt(texts, i, num): i for i in range(len(texts))}

    @property
    def description(self):
        return {"engine": "lister", "model": "lister-1"}

    def _answers(self, prompts, max_tokens):
        for number in reversed(range(len(prompts))):
            if self.lives == 0:
                raise InvalidInput("llm.url", "http://x", "is gone")
            self.lives -= 1
            i = self.number[prompts[number]]
            self.asked.append(i)
            yield Answer(number, "\n".join(self.texts[i + 1 :] + self.texts[:i]), Cost(5, 5, 1, 0))


def test_lists_are_asked_of_any_engine_and_go_on_where_it_died(clusters, tmp_path):
    texts = cluster_texts(clusters, 1)
    record = tmp_path / "lists.jsonl"
    dying = Lister(texts, lives=4)
    with pytest.raises(InvalidInput, match="is gone"):
        ask_lists(dying, clusters, 1, record)
    assert not record.exists()
    (tmp_path / "lists.jsonl.unfinished").open("a").write('{"prompt": "cut o')
    second = Lister(texts)
    ask_lists(second, clusters, 1, record)
    assert sorted(dying.asked + second.asked) == list(range(len(texts)))
    whole = tmp_path / "whole.jsonl"
    ask_lists(Lister(texts), clusters, 1, whole)
    assert record.read_bytes() == whole.read_bytes()
    lists = InterestLists.of(read_answers(record), record)
    assert lists.names == texts
    assert lists.follows[0, 1] == 1
    assert json.loads(record.read_text().splitlines()[0])["model"] == "lister-1"
    assert TransitionTable.open  # the file is one that ``table_of_lists`` reads
    with pytest.raises(InvalidInput, match=r"llm\.chat=False: must be true with llm\.ask=lists"):
        ask_lists(Lister(texts, chat=False), clusters, 1, tmp_path / "other.jsonl")
