"""From ``llm=endpoint`` to a table that the planner reads: settings, checks before the burn-in, the stage."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import agents.llm.http_engine
from agents.llm.planner import LLMTablePlanner
from agents.llm.prompt import cluster_texts, list_prompt, prompt_text
from agents.llm.table import TransitionTable
from experiments.compare.page import write_report
from experiments.llm.arms import check_llm, find_all_weights, make_tables, results_of, stages_of, with_tables
from experiments.stages.stages import Stage
from sim.errors import InvalidInput
from tests.agents.llm.conftest import KEYWORDS, clusters_of
from tests.agents.llm.endpoint_server import ScriptedServer, chat_completion, completion, fails, send
from tests.composing import compose
from tests.experiments.synthetic import planted_results

SECRET = "sk-0123456789-secret"
NUM = len(KEYWORDS)


def settings_of(*overrides):
    config = compose("compare", ["world=tiny", "llm=endpoint", *overrides])
    return check_llm(OmegaConf.to_container(config.llm, resolve=True))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([], r"llm\.model='': must be given"),
        (["llm.model=m", "llm.url=localhost:8000"], r"llm\.url=.*must be an address such as"),
        (["llm.model=m", f"llm.url='http://u:{SECRET}@host/v1'"], r"llm\.url='http://host/v1': must hold no user"),
        (["llm.model=m", f"llm.key_variable={SECRET}"], r"llm\.key_variable='…': must be the name of an environment"),
        (["llm.model=m", "llm.engine=ollama"], r"llm\.engine='ollama': must be one of transformers, http, vllm"),
        (["llm.model=m", "llm.steps=75"], r"llm\.steps=75: must be 0 with llm\.engine=http"),
        (["llm.model=m", "llm.random_weights=true"], r"llm\.random_weights=True: must be False with llm\.engine=http"),
        (["llm.model=m", "llm.pmi_coefficient=1"], r"llm\.pmi_coefficient=1\.0: must be 0\.0"),
        (["llm.model=m", "llm.top_n=10"], r"llm\.top_n=10: must be 1"),
        (["llm.model=m", "llm.engine=vllm"], r"llm\.url=.*must be '' with llm\.engine=vllm"),
        (["llm.model=m", "llm.timeout=0"], r"llm\.timeout=0: must be a number from 0\.1"),
        (
            ["llm.model=m", "llm.requests_in_flight=0"],
            r"requests_in_flight=0: must be a whole number from 1 to 256",
        ),
        (["llm=tiny", "llm.ask=lists"], r"llm\.ask='lists': must be 'pairs' with llm\.engine=transformers"),
        (["llm=tiny", "llm.record=f"], r"llm\.record='f': must be '' with llm\.engine=transformers"),
        (["llm=recorded", "llm.model=m"], r"llm\.model='m': must be '' with llm\.engine=recorded"),
        (["llm=recorded", "llm.steps=3"], r"llm\.steps=3: must be 0 with llm\.engine=recorded"),
        (["llm=recorded", "llm.past_clusters=3"], r"llm\.past_clusters=3: must be 1 or 2 with llm\.ask=lists"),
        (["llm=recorded", "llm.ask=pairs", "llm.top_n=1"], r"llm\.record='': must name a file of answers"),
        (["llm=tiny", "llm.chat=true"], r"llm\.chat=True: must be False with llm\.engine=transformers"),
        (["llm=tiny", "llm.url=http://h/v1"], r"llm\.url='http://h/v1': must be '' with llm\.engine=transformers"),
    ],
)
def test_settings_that_do_nothing_or_cannot_be(overrides, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        settings_of(*overrides)
    assert SECRET not in str(caught.value)


def test_every_preset_says_which_engine():
    assert settings_of("llm.model=m").engine == "http"
    assert settings_of("llm.model=m", "llm.engine=vllm", "llm.url=''").engine == "vllm"
    assert {settings_of(f"llm={name}").engine for name in ("tiny", "smollm2")} == {"transformers"}
    assert settings_of("llm=recorded").engine == "recorded"


@dataclass(frozen=True)
class SomeOfAStudy:
    """What the stages of a language model read of a study."""

    cache_dir: Path
    agents: dict[str, Any]
    seed: int = 0


def study_in(tmp_path):
    return SomeOfAStudy(tmp_path / "cache", {"llm": {"planner": {"_target_": "x", "table": "???"}}})


def test_missing_parts_are_reported_before_the_burn_in(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    keyless = settings_of("llm.model=m", "llm.key_variable=NO_SUCH_KEY")
    with pytest.raises(InvalidInput, match=r"llm\.key_variable='NO_SUCH_KEY': is not set"):
        find_all_weights(study_in(tmp_path), {"llm": keyless})
    with pytest.raises(InvalidInput, match="needs the package vllm"):
        find_all_weights(study_in(tmp_path), {"llm": settings_of("llm.model=m", "llm.engine=vllm", "llm.url=''")})
    find_all_weights(study_in(tmp_path), {"llm": settings_of("llm.model=m")})  # whether it answers shows later


@pytest.fixture
def clustered(tmp_path):
    folder = tmp_path / "clusters"
    folder.mkdir()
    clusters_of(KEYWORDS).save(folder / "clusters.safetensors")
    return Stage(folder, "digest", 0.0, cached=False)


def test_a_table_is_made_once_and_killed_runs_go_on(tmp_path, clustered, monkeypatch):
    monkeypatch.setattr(agents.llm.http_engine, "_FIRST_DELAY", 0.01)
    monkeypatch.setenv("THE_KEY", SECRET)
    texts = cluster_texts(clusters_of(KEYWORDS), 3)
    next_one = {prompt_text(texts, a, b, False): texts[(a + 1) % NUM] for a in range(NUM) for b in range(NUM)}

    def answer(handler, body):
        send(handler, 200, completion(next_one[body["prompt"]]))

    server = ScriptedServer(*[answer] * 42, fails(403, {"error": {"message": f"no credit for {SECRET}"}}))
    study = study_in(tmp_path)
    settings = {"llm": settings_of("llm.model=m", f"llm.url={server.url}", "llm.key_variable=THE_KEY")}
    with pytest.raises(
        InvalidInput, match=r"answered 403 \(no credit for \*\*\*\).*THE_KEY; 42 of 100 answers are kept"
    ):
        make_tables(study, settings, clustered)
    server.script[:] = [answer]
    made = make_tables(study, settings, clustered)
    asked = len(server.seen)
    assert asked - 58 in range(43, 52)  # at most as many failed as were in flight
    server.close()
    again = make_tables(study, settings, clustered)  # found in the cache: the endpoint may be gone
    assert again["llm"].table.cached
    assert len(server.seen) == asked

    results = results_of(made)
    assert results["llm"]["answers"]["strict_match_rate"] == 0.9
    assert results["costs"]["llm"]["requests"] == 100
    assert results["costs"]["llm"]["table_bytes"] > 0
    assert list(stages_of(made)) == ["table"]
    folder = with_tables(study, made).agents["llm"]["planner"]["table"]
    assert TransitionTable.open(made["llm"].table.folder / "table").clusters[1, 0] == -1  # (0, 1) -> 1 is not new
    LLMTablePlanner(folder)
    left = [path.read_text() for path in tmp_path.rglob("*") if path.suffix in (".json", ".jsonl")]
    assert not any(SECRET in text for text in [*left, json.dumps(results)])


def test_the_report_speaks_of_answers_where_there_was_no_fine_tuning(tmp_path):
    said = {"strict_match_rate": 0.625, "frequent_unmatched": {"<b>tofu</b>": 31, "": 4}}
    llm = {"label_skew": {"gini": 0.25}, "answers": said}
    page = write_report({**planted_results(), "llm": llm}, {}, {}, tmp_path).read_text()
    assert "answers that are a label word for word (share)" in page
    assert "frequent_unmatched" not in page
    assert "0.625" in page
    assert "&lt;b&gt;tofu" in page
    assert "<b>tofu" not in page


def arrays_of(made):
    folder = made["llm"].table.folder / "table"
    return {name: (folder / f"{name}.npy").read_bytes() for name in ("clusters", "log_probability")}


def test_what_an_endpoint_said_is_replayed_byte_for_byte_without_it(tmp_path, clustered):
    texts = cluster_texts(clusters_of(KEYWORDS), 3)
    said = {prompt_text(texts, a, b, False): texts[(a + b + 2) % NUM] for a in range(NUM) for b in range(NUM)}
    server = ScriptedServer(lambda handler, body: send(handler, 200, completion(said[body["prompt"]])))
    record = tmp_path / "said.jsonl"
    asked = make_tables(
        study_in(tmp_path),
        {"llm": settings_of("llm.model=m", f"llm.url={server.url}", f"llm.record={record}")},
        clustered,
    )
    server.close()
    replay = settings_of("llm=recorded", "llm.ask=pairs", "llm.top_n=1", "llm.num_keywords=3", f"llm.record={record}")
    find_all_weights(study_in(tmp_path), {"llm": replay})
    again = make_tables(study_in(tmp_path), {"llm": replay}, clustered)
    assert arrays_of(asked) == arrays_of(again)
    assert json.loads(record.read_text().splitlines()[0])["model"] == "m"
    record.unlink()
    make_tables(
        study_in(tmp_path),
        {"llm": settings_of("llm.model=m", f"llm.url={server.url}", f"llm.record={record}")},
        clustered,
    )
    assert record.is_file()  # from the cache, though the endpoint is gone


def test_an_endpoint_is_asked_for_one_list_a_cluster(tmp_path, clustered):
    texts = cluster_texts(clusters_of(KEYWORDS), 3)
    said = {list_prompt(texts, c, NUM - 1): "\n".join(texts[c + 1 :] + texts[:c]) for c in range(NUM)}

    def answer(handler, body):
        send(handler, 200, chat_completion(said[body["messages"][0]["content"]]))

    server = ScriptedServer(answer)
    record = tmp_path / "lists.jsonl"
    endpoint = ["llm.model=m", f"llm.url={server.url}", "llm.chat=true", "llm.ask=lists", "llm.top_n=3"]
    settings = {"llm": settings_of(*endpoint, f"llm.record={record}")}
    asked = make_tables(study_in(tmp_path), settings, clustered)
    assert len(server.seen) == NUM
    server.close()
    own = settings_of("llm=recorded", "llm.top_n=3", "llm.num_keywords=3", f"llm.record={record}")
    again = make_tables(study_in(tmp_path), {"llm": own}, clustered)
    assert arrays_of(asked) == arrays_of(again)
    assert results_of(again)["llm"]["answers"]["clusters_named_exactly"] == NUM
    record.write_text(record.read_text()[:-40])
    with pytest.raises(InvalidInput, match=r"llm\.record=.*line 10'?: must be a JSON object; the line is cut off"):
        find_all_weights(study_in(tmp_path), {"llm": own})
