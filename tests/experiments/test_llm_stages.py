"""What the fine-tuning stage makes of a log, on a model that takes milliseconds."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.llm.stages import _finetune
from experiments.stages.stages import Stage
from sim.errors import InvalidInput
from sim.random import RandomStream
from tests.agents.llm.conftest import clusters, make_settings, small_weights, weights  # noqa: F401
from tests.experiments.synthetic import log_of

STUDY = SimpleNamespace(
    world=SimpleNamespace(platform=SimpleNamespace(history_days=30, history_length=50)),
    experiment=SimpleNamespace(burn_in_days=8),
)


@pytest.fixture
def clustered(clusters, tmp_path):  # noqa: F811
    """Thirty users who like a cluster a day, nearly always another one, for eight days."""
    rng = np.random.default_rng(0)
    liked = np.stack([rng.permutation(10)[:8] for _ in range(30)], axis=1)  # (8 days, 30 users)
    day, user = np.divmod(np.arange(240), 30)
    yes = np.ones(240, bool)
    clusters.save(tmp_path / "clusters.safetensors")
    log = log_of(user=user, day=day, cluster=liked.reshape(-1), positive=yes, consumed=yes)
    log.write(tmp_path / "log.parquet")
    return Stage(tmp_path, "digest", 0.0, cached=False)


def fine_tune(clustered, weights_folder, settings, folder):
    folder.mkdir()
    _finetune(STUDY, settings, clustered, weights_folder, RandomStream(0, "stage"), folder)
    return [json.loads((folder / name).read_text()) for name in ("curation.json", "run/curve.json")]


def test_later_days_are_tested_on_and_not_trained_on(clustered, small_weights, make_settings, tmp_path):  # noqa: F811
    without, curve = fine_tune(clustered, small_weights, make_settings(steps=0), tmp_path / "without")
    assert without["novel_transitions"] == 6 * 30  # the first two days' clusters have no pair before them
    assert without["later_transitions"] == 0
    assert "later_days" not in curve["steps"][0]
    kept, curve = fine_tune(clustered, small_weights, make_settings(steps=0, held_out_days=2), tmp_path / "with")
    assert kept["novel_transitions"] == 6 * 30
    assert kept["later_transitions"] == 2 * 30
    assert kept["mode"] == "diversified"
    assert kept["samples"] == 10 * (10 - kept["labels_without_pairs"])
    assert 0 <= curve["steps"][0]["later_days"]["recall@10"] <= 1
    assert curve["peaks"]["later_days"]["recall@1"]["step"] == 0


def test_some_days_must_be_left(clustered, small_weights, make_settings, tmp_path):  # noqa: F811
    with pytest.raises(InvalidInput, match=r"llm\.held_out_days=6: must leave"):
        fine_tune(clustered, small_weights, make_settings(steps=0, held_out_days=6), tmp_path / "run")
