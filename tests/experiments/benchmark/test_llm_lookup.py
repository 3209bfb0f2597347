"""The look-up's benchmark, on few clusters and few calls."""

import numpy as np
import pytest

from experiments.benchmark.llm_lookup import BOUND, _cold, _share_in_memory, lookup_rows


def test_rows_add_up():
    rows = {row["case"].partition(" of")[0]: row for row in lookup_rows(48, calls=20)}
    looked_up, planned = rows["look-up"], rows["plan for 2 slots"]
    for row in (looked_up, planned):
        assert 0 < row["low"] <= row["value"] <= row["p99"] <= row["high"]
        assert row["p99_processor"] > 0
    assert planned["value"] > looked_up["value"]  # it looks up, too, and samples and chooses
    assert looked_up["of_bound"] == pytest.approx(looked_up["p99"] / BOUND)


def test_what_was_read_is_in_memory(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(10**6, np.int16))
    array = np.asarray(np.load(tmp_path / "array.npy", mmap_mode="r"))
    assert array.sum() == 0
    assert _share_in_memory(array) == 1.0


def test_a_cold_table_is_cold_or_left_out(tmp_path, monkeypatch):
    for name, dtype in (("clusters", np.int16), ("log_probability", np.float32)):
        np.save(tmp_path / f"{name}.npy", np.zeros((24**2, 10), dtype))
    bar = type("Bar", (), {"update": lambda self: None})()
    pairs = np.zeros((2, 2, 5), int)
    monkeypatch.setattr("experiments.benchmark.llm_lookup._share_in_memory", lambda array: 0.5)
    assert _cold(tmp_path, 24, pairs, bar) is None
    monkeypatch.setattr("experiments.benchmark.llm_lookup._share_in_memory", lambda array: 0.0)
    assert len(_cold(tmp_path, 24, pairs, bar)) == 2
