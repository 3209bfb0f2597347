import json

import numpy as np
import pytest

import agents.llm.generated_table
import agents.llm.http_engine
from agents.llm.engines import Answer, Cost, Engine
from agents.llm.generated_table import generate_table
from agents.llm.http_engine import HttpEngine
from agents.llm.prompt import cluster_texts, prompt_text, strict_match
from agents.llm.table import TransitionTable
from sim.errors import InvalidInput
from tests.agents.llm.conftest import clusters_of
from tests.agents.llm.endpoint_server import ScriptedServer, completion, send

NUM = 10


class Scripted(Engine):
    """Says what a function of the pair (c1, c2) says; fails after a number of answers."""

    def __init__(self, texts, say, lives=10**9, chat=False):
        super().__init__(chat)
        self.pairs = {prompt_text(texts, a, b, chat): (a, b) for a in range(NUM) for b in range(NUM)}
        self.say, self.lives, self.asked, self.max_tokens = say, lives, [], 0

    @property
    def description(self):
        return {"engine": "scripted", "chat": self.chat}

    def _answers(self, prompts, max_tokens):
        self.max_tokens = max_tokens
        for number in reversed(range(len(prompts))):
            if self.lives == 0:
                raise InvalidInput("llm.url", "http://x", "is gone")
            self.lives -= 1
            pair = self.pairs[prompts[number]]
            self.asked.append(pair)
            yield Answer(number, self.say(*pair), Cost(10, 2, 1, 0))


@pytest.fixture(scope="module")
def texts(clusters):
    return cluster_texts(clusters, 3)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def next_one(texts):
    """The cluster after c1, which for c2 = c1 + 1 is one of the pair."""
    return lambda c1, c2: f" {texts[(c1 + 1) % NUM]}\n"


def test_holds_what_was_said(texts, clusters, tmp_path):
    engine = Scripted(texts, next_one(texts))
    table = generate_table(engine, clusters, 3, tmp_path / "table")
    first, second = np.divmod(np.arange(NUM**2), NUM)
    actual, log_probability = table.lookup(first, second)
    expected = np.where((first + 1) % NUM == second, -1, (first + 1) % NUM)
    assert (actual[:, 0] == expected).all()
    assert np.isnan(log_probability).all()
    answers = table.manifest["answers"]
    assert answers == {
        "pairs": 100,
        "matched": 90,
        "strict_match_rate": 0.9,
        "one_of_the_pair": 10,
        "empty": 0,
        "frequent_unmatched": {},
    }
    assert table.manifest["cost"] == {"prompt_tokens": 1000, "completion_tokens": 200, "requests": 100, "retries": 0}
    assert table.manifest["labels"]["gini"] == 0
    assert table.manifest["clusters_digest"] == clusters.digest
    assert engine.max_tokens >= max(map(len, texts))
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_what_is_no_interest_is_counted(texts, clusters, tmp_path):
    said = {0: "", 1: "\n \n", 2: f"The answer: {texts[5]}", 3: texts[5].upper(), 4: texts[5] + ".", 5: "x" * 500}
    say = lambda c1, c2: said.get(c2, f"\n  {texts[(c1 + 5) % NUM]} \r\n")  # noqa: E731
    table = generate_table(Scripted(texts, say), clusters, 3, tmp_path / "table")
    answers = table.manifest["answers"]
    assert answers["empty"] == 20
    assert answers["frequent_unmatched"] == {
        "": 20,
        f"The answer: {texts[5]}": 10,
        texts[5] + ".": 10,
        texts[5].upper(): 10,
        "x" * 80: 10,
    }
    assert answers["one_of_the_pair"] == 4  # c2 = c1 + 5 where c2 > 5
    assert answers["matched"] == 36
    assert (table.clusters[:, 0] >= 0).sum() == 36


def test_an_engine_that_dies_loses_nothing(texts, clusters, tmp_path):
    whole = generate_table(Scripted(texts, next_one(texts)), clusters, 3, tmp_path / "whole")
    folder = tmp_path / "table"
    asked = []
    for lives in (25, 0, 17):
        engine = Scripted(texts, next_one(texts), lives)
        with pytest.raises(InvalidInput, match=r"is gone; \d+ of 100 answers are kept: run again") as caught:
            generate_table(engine, clusters, 3, folder)
        asked += engine.asked
        assert f"; {len(asked)} of 100 answers" in str(caught.value)
        assert not folder.exists()
    last = Scripted(texts, next_one(texts))
    generate_table(last, clusters, 3, folder)
    assert sorted(asked + last.asked) == sorted(last.pairs.values())  # each pair once
    assert contents(folder) == contents(tmp_path / "whole")
    assert whole.manifest["cost"]["requests"] == 100


def test_a_line_cut_off_by_a_kill_is_asked_again(texts, clusters, tmp_path):
    folder = tmp_path / "table"
    with pytest.raises(InvalidInput, match="25 of 100"):
        generate_table(Scripted(texts, next_one(texts), 25), clusters, 3, folder)
    (unfinished,) = tmp_path.glob("table.answers-*/*.unfinished")
    unfinished.write_bytes(unfinished.read_bytes()[:-9])
    last = Scripted(texts, next_one(texts))
    table = generate_table(last, clusters, 3, folder)
    assert len(last.asked) == 76
    assert table.manifest["answers"]["matched"] == 90


def test_a_damaged_shard_is_named(texts, clusters, tmp_path):
    with pytest.raises(InvalidInput, match="25 of 100"):
        generate_table(Scripted(texts, next_one(texts), 25), clusters, 3, tmp_path / "table")
    shard = sorted(tmp_path.glob("table.answers-*/*.jsonl"))[0]
    shard.write_text("\n".join(shard.read_text().splitlines()[1:]))
    with pytest.raises(InvalidInput, match=r"shard-00000\.jsonl.*must hold 10 answers; delete it and run again"):
        generate_table(Scripted(texts, next_one(texts)), clusters, 3, tmp_path / "table")


def test_other_inputs_are_another_table(texts, clusters, tmp_path):
    generate_table(Scripted(texts, next_one(texts)), clusters, 3, tmp_path / "table")
    untouched = Scripted(texts, next_one(texts), 0)
    generate_table(untouched, clusters, 3, tmp_path / "table")  # opened, nobody asked
    assert untouched.asked == []
    with pytest.raises(InvalidInput, match="other inputs"):
        generate_table(Scripted(texts, next_one(texts), chat=True), clusters, 3, tmp_path / "table")
    other = clusters_of([*clusters.keywords[:9], ("chess",)])
    with pytest.raises(InvalidInput, match="other inputs"):
        generate_table(Scripted(texts, next_one(texts)), other, 3, tmp_path / "table")


def test_two_clusters_are_too_few(tmp_path):
    with pytest.raises(InvalidInput, match="at least 3"):
        generate_table(Scripted(["a"] * NUM, next_one), clusters_of([("a",), ("b",)]), 3, tmp_path / "table")


def test_a_server_that_dies_midway_and_comes_back(texts, clusters, tmp_path, monkeypatch):
    monkeypatch.setattr(agents.llm.http_engine, "_FIRST_DELAY", 0.01)
    monkeypatch.setenv("THE_KEY", "sk-0123456789-secret")
    answers = {prompt_text(texts, a, b, False): texts[(a + 3) % NUM] for a in range(NUM) for b in range(NUM)}

    def answer(handler, body):
        send(handler, 200, completion(" " + answers[body["prompt"]]))

    def dies(handler, body):
        handler.close_connection = True  # without a word

    def engine(server):
        return HttpEngine(server.url, "small", False, "THE_KEY", 5.0, 1, 0, 4)

    folder = tmp_path / "table"
    server = ScriptedServer(*[answer] * 34, dies)
    with pytest.raises(InvalidInput, match=r"cannot be reached or broke off.*3\d of 100 answers are kept"):
        generate_table(engine(server), clusters, 3, folder)
    kept = sum(len(path.read_text().splitlines()) for path in tmp_path.glob("table.answers-*/*"))
    assert kept == 34
    server.script[:] = [answer]  # the same address is up again
    before = len(server.seen)
    table = generate_table(engine(server), clusters, 3, folder)
    assert len(server.seen) - before == 66
    server.close()
    assert table.manifest["answers"]["matched"] == 90
    assert table.manifest["inputs"]["engine"]["url"] == server.url
    assert "sk-0123456789-secret" not in json.dumps(table.manifest)


def test_strict_match_is_strict_about_the_text_alone(texts):
    number = {text: cluster for cluster, text in enumerate(texts)}
    assert strict_match(f"\n\t{texts[4]}  \r\n", number) == 4
    for wrong in (
        "",
        "\n",
        texts[4][:-1],
        texts[4] + "!",
        f'"{texts[4]}"',
        texts[4].title(),
        f"{texts[4]}, {texts[5]}",
        f"{texts[4]}\n{texts[5]}",
        f"{texts[4]}\nand something else",
        f"{texts[4]}\u2028!",
    ):
        assert strict_match(wrong, number) == -1
    assert [strict_match(text, number) for text in texts] == list(range(NUM))


def test_the_chat_prompt_lists_every_interest_once(texts):
    message = prompt_text(texts, 2, 5, chat=True)
    lines = message.splitlines()
    assert [line for line in lines if line in texts] == list(texts)
    assert lines[-1] == (
        f"A user enjoys {texts[2]} and {texts[5]}. Name the one that should be recommended next, "
        "which must be neither. Answer with that line of the list alone, word for word."
    )


@pytest.mark.parametrize("keyword", ["", " ", "a\nb", " tofu", "tofu\u2028"])
def test_keywords_that_could_never_be_matched_are_named(keyword):
    clusters = clusters_of([("chess", keyword), ("tofu",), ("tea",)])
    with pytest.raises(InvalidInput, match=r"clusters\.keywords=.*must be one line.*cluster 0"):
        cluster_texts(clusters, 3)


def test_an_engine_that_never_names_an_interest_is_stopped(texts, clusters, tmp_path, monkeypatch):
    monkeypatch.setattr(agents.llm.generated_table, "_MIN_ANSWERS", 40)
    says = r"answer='\\x00é': is what the model said 32 times, and none of its first 40 answers is an interest"
    for asked in (40, 0):  # and the same again, from what was kept
        engine = Scripted(texts, lambda c1, c2: "\n" if c2 < 2 else "\x00é")
        with pytest.raises(InvalidInput, match=says):
            generate_table(engine, clusters, 3, tmp_path / "table")
        assert len(engine.asked) == asked
    assert not (tmp_path / "table").exists()


def test_texts_of_any_kind_are_kept(texts, clusters, tmp_path):
    once = Scripted(texts, lambda c1, c2: texts[5] if (c1, c2) == (9, 9) else "é\x00\u2028<b>")
    table = generate_table(once, clusters, 3, tmp_path / "table")  # even one match is a table
    assert table.manifest["answers"]["frequent_unmatched"] == {"é\x00\u2028<b>": 99}
    assert table.manifest["labels"]["never_generated"] == NUM - 1
    assert TransitionTable.open(tmp_path / "table").clusters[99, 0] == 5
