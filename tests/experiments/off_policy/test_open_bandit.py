"""The Open Bandit check on small files in that dataset's format, written by us."""

import numpy as np
import pytest

from experiments.offline.open_bandit import compare, read_log
from sim.errors import InvalidInput
from sim.random import RandomStream

ITEMS, PLACES = 6, 3
HEAD = ",timestamp,item_id,position,click,propensity_score,user_feature_0\n"


def write(folder, policy, probability, number, rows=6000):
    rng = RandomStream(number, policy).generator()
    item = rng.choice(ITEMS, rows, p=probability)
    position = rng.integers(1, PLACES + 1, rows)
    click = rng.random(rows) < 0.05 + 0.1 * item / position
    path = folder / policy / "men" / "men.csv"
    path.parent.mkdir(parents=True)
    lines = [
        f"{n},2019-11-24 00:00:13+00:00,{i},{p},{int(c)},{probability[i]},x\n"
        for n, (i, p, c) in enumerate(zip(item, position, click, strict=True))
    ]
    path.write_text(HEAD + "".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("obd")
    write(folder, "random", np.full(ITEMS, 1 / ITEMS), 1)
    write(folder, "bts", np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.4]), 2)
    return folder


def test_random_choices_reward_is_estimated_from_the_other_policys_log(folder):
    actual, _ = compare(folder, "men")
    truth = np.mean([0.05 + 0.1 * item / place for item in range(ITEMS) for place in range(1, PLACES + 1)])
    for name in set(actual) - {"naive", "dm"}:
        assert actual[name].low <= truth <= actual[name].high, name
    assert actual["naive"].low > truth  # Thompson sampling shows what is clicked


def test_files_that_are_not_there_or_not_whole_are_named(folder, tmp_path):
    with pytest.raises(InvalidInput, match=r"random/all/all.csv.*Open Bandit"):
        read_log(folder, "random", "all")
    path = tmp_path / "bts" / "men" / "men.csv"
    path.parent.mkdir(parents=True)
    path.write_text("item_id,position,click\n1,1,0\n")
    with pytest.raises(InvalidInput, match="propensity_score"):
        read_log(tmp_path, "bts", "men")
    path.write_text("item_id,position,click,propensity_score\n1,1,2,0.5\n")
    with pytest.raises(InvalidInput, match="must be 0 or 1"):
        read_log(tmp_path, "bts", "men")
