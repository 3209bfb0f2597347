from dataclasses import asdict

import pytest

from sim.errors import InvalidInput
from sim.hidden.config import WorldConfig, from_mapping
from tests.sim.people import TINY


def mapping_with(path, value):
    mapping = asdict(TINY)
    *groups, name = path.split(".")
    place = mapping
    for group in groups:
        place = place[group]
    place[name] = value
    return mapping


def test_a_mapping_makes_the_record_it_came_from():
    assert from_mapping(WorldConfig, asdict(TINY), "world") == TINY


def test_whole_numbers_pass_for_numbers():
    read = from_mapping(WorldConfig, mapping_with("response.noise_sd", 2), "world")
    assert read.response.noise_sd == 2.0
    assert isinstance(read.response.noise_sd, float)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("num_users", 0, "must be a whole number from 1 to 100000000"),
        ("num_users", 1.5, "must be a whole number"),
        ("num_users", True, "must be a whole number"),
        ("num_users", "many", "must be a whole number"),
        ("semantic_alignment", 1.01, "must be a number from 0 to 1"),
        ("semantic_alignment", None, "must be a number"),
        ("dynamics.satiation_half_life_days", 0.0, "must be a number from 0.01 to 1000"),
        ("dynamics.reinforcement", float("nan"), "must be a number from 0 to 1"),
        ("response.noise_sd", -0.1, "must be a number from 0 to 20"),
        ("items.lifetime_days_mean", "long", "must be a number"),
        ("response", 3, "must be a group of entries"),
        ("population.intrest_slots", 5, "unknown entry; known are interest_slots"),
    ],
)
def test_each_fault_names_its_entry(path, value, expected):
    with pytest.raises(InvalidInput, match=expected) as error:
        from_mapping(WorldConfig, mapping_with(path, value), "world")
    assert error.value.field == f"world.{path}"
    assert str(error.value).startswith(f"world.{path}=")


def test_a_missing_entry_is_named():
    mapping = asdict(TINY)
    del mapping["clusters"]["level_1"]
    with pytest.raises(InvalidInput, match=r"world\.clusters\.level_1=None: is missing"):
        from_mapping(WorldConfig, mapping, "world")


def test_more_broad_clusters_than_fine_ones_are_refused():
    with pytest.raises(InvalidInput, match=r"world\.clusters\.level_1=1000: must be at most world\.clusters\.level_2="):
        from_mapping(WorldConfig, mapping_with("clusters.level_1", 1000), "world")
