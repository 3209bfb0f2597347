"""The check that users were split as meant."""

import pytest
from scipy.stats import binom

from experiments.inference.sample_ratio import SUSPICIOUS, sample_ratio
from sim.errors import InvalidInput
from sim.random import RandomStream


def test_by_hand():
    actual = sample_ratio({"a": 60, "b": 40})
    assert actual["chi_square"] == pytest.approx(4.0)  # 10^2 / 50 twice
    assert actual["p"] == pytest.approx(0.0455, abs=1e-4)
    assert not actual["mismatch"]
    assert sample_ratio({"a": 5200, "b": 4800})["mismatch"]
    assert sample_ratio({"a": 10}) is None
    assert sample_ratio({"a": 0, "b": 0}) is None
    with pytest.raises(InvalidInput, match="negative"):
        sample_ratio({"a": -1, "b": 2})


def test_it_is_tea_tastings():
    tea = pytest.importorskip("tea_tasting")
    import pyarrow as pa

    table = pa.table({"variant": [0] * 5100 + [1] * 4900})
    known = tea.Experiment(s=tea.SampleRatio(method="norm", correction=False)).analyze(table)["s"]
    assert sample_ratio({"a": 5100, "b": 4900})["p"] == pytest.approx(known.pvalue)


def test_a_fair_split_is_suspected_at_the_stated_rate_and_a_broken_one_is_detected():
    rng, trials = RandomStream(0, "split").generator(), 5000
    alarms = sum(
        sample_ratio(dict(enumerate(counts)))["mismatch"] for counts in rng.multinomial(6000, [1 / 3] * 3, trials)
    )
    assert alarms <= binom.ppf(0.9995, trials, SUSPICIOUS)
    broken = [
        sample_ratio(dict(enumerate(counts)))["mismatch"] for counts in rng.multinomial(6000, [0.3, 0.35, 0.35], 200)
    ]
    assert sum(broken) > 190
