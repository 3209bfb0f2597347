"""``interestlab table``: the whole command on the tiny world, with a one-layer model."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.llm.planner import LLMTablePlanner
from agents.llm.shards import shard_file
from agents.llm.triples import open_table, triples_of
from agents.llm.weights import BUNDLED_MODEL, prepare_weights
from experiments.live.pipeline import burn_in, cluster
from experiments.llm.arms import check_llm, make_tables
from experiments.study.study import check_study
from experiments.table.command import check_options, table
from sim.errors import InvalidInput
from tests.agents.llm.conftest import write_small_model
from tests.composing import compose
from tests.conftest import cache_with_weights

WORLD = (
    "world=tiny", "world.clusters.level_2=24", "llm=tiny", "llm.precision=fp32", "llm.threads=1", "runtime.workers=1",
)  # fmt: skip
QUICK = ("llm.steps=2", "llm.batch_size=4", "llm.eval_pairs=4", "llm.warmup_steps=1", "llm.pairs_per_shard=48")


@pytest.fixture(scope="module")
def cache(tmp_path_factory, weights_cache):
    return cache_with_weights(tmp_path_factory.mktemp("cache") / "cache", weights_cache)


@pytest.fixture(scope="module")
def words(cache, weights_cache, tmp_path_factory):
    small_weights = write_small_model(
        tmp_path_factory.mktemp("weights") / "small", prepare_weights(BUNDLED_MODEL, weights_cache)
    )
    return (*WORLD, *QUICK, f"llm.model={small_weights}", "experiment.burn_in_days=3", f"cache_dir={cache}")


def composed(*overrides):
    return compose("table", list(overrides))


def run(folder, *overrides):
    folder.mkdir(exist_ok=True)
    table(composed(*overrides), folder)
    return json.loads((folder / "table.json").read_text())


@pytest.fixture(scope="module")
def made(words, tmp_path_factory):
    return run(tmp_path_factory.mktemp("made"), *words, "table.parquet=true")


def test_it_says_what_the_table_is(made, words, tmp_path, capsys):
    actual = open_table(Path(made["table"]))
    assert (made["num_clusters"], made["rows"], made["past_clusters"]) == (24, 576, 2)
    assert made["label_skew"] == pytest.approx(actual.manifest["labels"])
    assert made["cost"]["pairs_computed"] == 576
    assert made["cost"]["tokens_computed"] > 576
    assert made["seconds"]["table"] > 0
    assert made["template"] == "People who enjoy {C1} and {C2} also enjoy {CL}<end>"
    assert all(len(made[f"{name}_digest"]) == 64 for name in ("weights", "prompts", "clusters"))
    again = run(tmp_path / "again", *words)
    assert again["from_cache"] == ["burn-in", "clusters", "finetune", "table"]
    said = capsys.readouterr().out
    assert said.strip().splitlines()[-1] == f"table: {made['table']}"
    assert "rows: 576 of 24 clusters" in said
    assert LLMTablePlanner(made["table"]) is not None


def test_a_comparison_finds_it(made, words):
    config = compose("compare", [*words, "experiment.arms=[control,llm]", "experiment.reference=llm"])
    study = check_study(config)
    before = burn_in(study)
    stages = make_tables(study, {"llm": check_llm(dict(config.llm))}, cluster(study, before))
    assert stages["llm"].table.cached
    assert str(stages["llm"].table.folder / "table") == made["table"]


def test_parquet_holds_what_a_lookup_gives(made):
    (path,) = made["parquet"]
    actual = open_table(Path(made["table"]))
    rows = pq.read_table(path)
    assert rows.num_rows == 576 * 10
    columns = {name: np.array(rows.column(name).to_pylist()) for name in rows.column_names}
    clusters, log_probability = actual.lookup(columns["c1"], columns["c2"])
    place = np.arange(len(columns["rank"])), columns["rank"] - 1
    assert (clusters[place] == columns["next"]).all()
    assert (log_probability[place] == columns["log_probability"].astype(np.float32)).all()
    assert len(set(zip(columns["c1"], columns["c2"], columns["rank"], strict=True))) == rows.num_rows
    texts = np.array(actual.manifest["texts"])
    for name in ("c1", "c2", "next"):
        assert (columns[f"{name}_text"] == texts[columns[name]]).all()
        assert str(rows.schema.field(f"{name}_text").type).startswith("dictionary")
    metadata = {key.decode(): value.decode() for key, value in rows.schema.metadata.items()}
    for name in ("weights_digest", "prompts_digest", "clusters_digest", "template", "version"):
        assert metadata[f"interestlab.{name}"] == str(made[name])
    assert not list(Path(path).parent.glob("*.tmp"))


def test_triples(words, tmp_path):
    said = run(tmp_path / "out", *words, "llm.past_clusters=3", "llm.triple_min_users=12", "table.parquet=true")
    actual = open_table(Path(said["table"]))
    assert said["rows"] == len(actual.keys) > 0
    assert 0 < said["coverage"] < 1
    assert said["cost"]["pairs_computed_of_pairs"] == 576
    triples, pairs = (pq.read_table(path).to_pydict() for path in said["parquet"])
    assert len(pairs["c1"]) == 5760
    first = [row for row in range(len(triples["rank"])) if triples["rank"][row] == 1]
    past = np.array([[triples[f"c{k}"][row] for k in (1, 2, 3)] for row in first])
    np.testing.assert_array_equal(past, triples_of(actual.keys, 24))
    np.testing.assert_array_equal(actual.next_clusters(past)[0][:, 0], [triples["next"][row] for row in first])


def test_the_log_grows(made, words, tmp_path, capsys):
    later = [word for word in words if not word.startswith("experiment.burn_in_days")] + ["experiment.burn_in_days=4"]
    said = run(tmp_path / "new", *later, "refresh=true")
    new, old = open_table(Path(said["table"])), open_table(Path(made["table"]))
    then, now = set(old.manifest["texts"]), new.manifest["texts"]
    same = np.array([text in then for text in now])
    assert said["refresh"]["rows_kept"] == same.sum() ** 2
    assert said["refresh"]["rows_computed"] == 576 - same.sum() ** 2 == said["cost"]["pairs_computed"]
    assert said["weights_digest"] == made["weights_digest"]  # not fine-tuned again
    assert "entries lost" in capsys.readouterr().out
    assert new.manifest["clusters_digest"] != old.manifest["clusters_digest"]
    explicit = run(tmp_path / "explicit", *later, f"refresh={made['table']}")
    assert explicit["table"] == said["table"]
    assert "table" in explicit["from_cache"]


def test_nothing_to_refresh(words, tmp_path):
    with pytest.raises(InvalidInput, match="refresh=True: found no earlier table"):
        run(tmp_path, *words, "llm.pmi_coefficient=0.25", "refresh=true")
    with pytest.raises(InvalidInput, match="must be the folder of a table"):
        run(tmp_path, *words, f"refresh={tmp_path}")
    assert not (tmp_path / "table.json").exists()


def test_shares_make_the_same_table(made, words, tmp_path, weights_cache, cache):
    other = cache_with_weights(tmp_path / "cache", weights_cache)
    (other / "stages").mkdir()
    for stage in (cache / "stages").iterdir():  # all but the tables
        if stage.is_dir() and not stage.name.startswith("table"):
            (other / "stages" / stage.name).symlink_to(stage)
    words = [*(word for word in words if not word.startswith("cache_dir")), f"cache_dir={other}"]
    second = run(tmp_path / "2", *words, "shard=2/3")
    assert second["whole"] is False
    (folder,) = (other / "stages").glob("table-*.partial/table.shards-*")
    blocks = [range(start, start + 2) for start in range(0, 24, 2)]
    assert [shard_file(folder, block).is_file() for block in blocks] == [n % 3 == 1 for n in range(12)]
    run(tmp_path / "1", *words, "shard=1/3")
    third = run(tmp_path / "3", *words, "shard=3/3")  # finds the others' there
    assert third["whole"] is True
    for file in Path(made["table"]).iterdir():
        assert (Path(third["table"]) / file.name).read_bytes() == file.read_bytes()
    assert run(tmp_path / "late", *words, "shard=2/3")["whole"] is True


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("shard=0/2", r"shard='0/2': must be i/n with 1 <= i <= n"),
        ("shard=3/2", r"shard='3/2': must be i/n"),
        ("shard=half", r"shard='half': must be i/n"),
        ("shard=2", r"shard=2: must be i/n"),
        ("table.parquet=7", r"table\.parquet=7: must be true, false, or the path"),
        ("table.parquet=/no/such/folder/x.parquet", r"table\.parquet='/no/such/folder/x\.parquet': must be the path"),
        ("refresh=3", r"refresh=3: must be true, false, or the folder"),
    ],
)
def test_bad_options(override, says, tmp_path):
    with pytest.raises(InvalidInput, match=says):
        check_options(composed("world=tiny", override), tmp_path)


def test_options_that_exclude_each_other(words, tmp_path):
    for other in ("refresh=true", "table.parquet=true"):
        with pytest.raises(InvalidInput, match="must be false with shard"):
            check_options(composed("world=tiny", "shard=1/2", other), tmp_path)
    for other in ("llm.past_clusters=3", "llm.successor_hint=true"):
        with pytest.raises(InvalidInput, match="shard='1/2': must be null unless"):
            run(tmp_path, *words, "shard=1/2", other)


KILLED = """
import os, signal
from agents.llm import bulk
from experiments.main import main
write_shard = bulk._Scorer.write_shard
done = []

def deadly(self, block):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(block)
    return write_shard(self, block)

bulk._Scorer.write_shard = deadly
main()
"""


@pytest.mark.slow
def test_a_killed_share_goes_on_where_it_was(words, tmp_path, cache):
    """The process is killed for good, in the middle of its share; the next start finds its shards."""
    words = ["table", *words, "llm.pmi_coefficient=0.5", f"hydra.run.dir={tmp_path}", "shard=1/2"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = (cache / "stages").glob("table-*.partial/table.shards-*")
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("shard-*.safetensors")}
    assert len(kept) == 2
    command = [sys.executable, "-m", "experiments.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "share 1 of 2 is done" in done.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert len(list(folder.glob("shard-*.safetensors"))) == 6
    assert json.loads((tmp_path / "table.json").read_text())["share"] == [1, 2]
