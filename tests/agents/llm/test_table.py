import numpy as np
import pytest

import agents.llm.bulk
from agents.llm.model import load_model, load_tokenizer
from agents.llm.past_tables import fill_table
from agents.llm.prompt import tokenise_prompts
from agents.llm.ranking import mask_inputs
from agents.llm.table import TransitionTable, label_skew
from agents.text_encoder import embed_texts, label_similarity
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.agents.llm.reference import plain_scores

RNG = RandomStream(5, "table")


@pytest.fixture(scope="module")
def table_folder(small_weights, clusters, make_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table") / "table"
    fill_table(small_weights, clusters, make_settings(), folder, RNG)
    return folder


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_holds_the_best_labels_of_every_pair(small_weights, clusters, make_settings, tmp_path):
    import torch

    settings = make_settings(pmi_coefficient=0.0)
    table = fill_table(small_weights, clusters, settings, tmp_path / "table", RNG)
    model = load_model(small_weights, torch.float32)
    prompts = tokenise_prompts(clusters, 3, load_tokenizer(small_weights))
    for c1, c2 in [(0, 0), (3, 8), (8, 3), (9, 9)]:
        first, second = np.array([c1]), np.array([c2])
        plain = mask_inputs(plain_scores(model, prompts, c1, c2)[None], first, second)[0]
        actual, log_probability = table.lookup(first, second)
        assert actual[0].tolist() == np.argsort(-plain, kind="stable")[:4].tolist()
        np.testing.assert_allclose(log_probability[0], plain[actual[0]], atol=1e-4)


def test_pair_itself_is_never_proposed(table_folder):
    table = TransitionTable.open(table_folder)
    first, second = np.divmod(np.arange(100), 10)
    actual, _ = table.lookup(first, second)
    assert actual.shape == (100, 4)
    assert (actual != first[:, None]).all()
    assert (actual != second[:, None]).all()
    assert all(len(set(row)) == 4 for row in actual.tolist())
    assert 0 < table.manifest["labels"]["coverage"] <= 1
    assert table.manifest["cost"]["tokens_computed"] > 0


@pytest.mark.slow
def test_killed_and_restarted_ends_with_the_same_bytes(
    small_weights, clusters, make_settings, tmp_path, monkeypatch, table_folder
):
    computed = []
    write_shard = agents.llm.bulk._Scorer.write_shard

    def dying(self, block):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(block.start)
        return write_shard(self, block)

    folder = tmp_path / "table"
    with monkeypatch.context() as patch:
        patch.setattr(agents.llm.bulk._Scorer, "write_shard", dying)
        with pytest.raises(KeyboardInterrupt):
            fill_table(small_weights, clusters, make_settings(), folder, RNG)
    assert computed == [0, 3]
    assert not folder.exists()
    fill_table(small_weights, clusters, make_settings(), folder, RNG, workers=2)  # and in two processes
    assert contents(folder) == contents(table_folder)


def test_other_inputs_are_another_table(small_weights, clusters, make_settings, table_folder):
    with pytest.raises(InvalidInput, match="other inputs"):
        fill_table(small_weights, clusters, make_settings(pmi_coefficient=0.5), table_folder, RNG)


@pytest.mark.parametrize("name", ["clusters.npy", "log_probability.npy", "manifest.json"])
def test_truncated_tables_are_refused(table_folder, tmp_path, name):
    for path in table_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        TransitionTable.open(tmp_path)
    file.unlink()
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        TransitionTable.open(tmp_path)


def test_label_skew_of_known_counts():
    even = label_skew(np.full(4, 25))
    assert even == {
        "gini": 0.0,
        "normalised_entropy": pytest.approx(1),
        "coverage": 1.0,
        "top_1_percent_share": 0.25,
        "never_generated": 0.0,
    }
    one = label_skew(np.array([0, 100, 0, 0]))
    assert one["gini"] == pytest.approx(0.75)
    assert one["normalised_entropy"] == 0
    assert one["coverage"] == 0.25
    assert one["top_1_percent_share"] == 1
    assert one["never_generated"] == 3


def test_with_an_overwhelming_encoder_the_table_is_the_encoders(small_weights, clusters, make_settings, tmp_path):
    settings = make_settings(encoder_weight=1000.0)
    table = fill_table(small_weights, clusters, settings, tmp_path / "table", RNG)
    prompts = tokenise_prompts(clusters, settings.num_keywords, load_tokenizer(small_weights))
    similarity = label_similarity(embed_texts(prompts.text))
    num = clusters.num_clusters
    for first in range(num):
        second = np.arange(num)
        near = mask_inputs((similarity[first] + similarity) / 2, np.full(num, first), second)
        assert (table.lookup(np.full(num, first), second)[0][:, 0] == near.argmax(axis=1)).mean() > 0.95
    assert table.manifest["inputs"]["encoder_weight"] == 1000.0
