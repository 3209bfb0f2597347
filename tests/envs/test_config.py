import pytest

from envs.config import world_config
from sim.errors import InvalidInput


def test_a_preset_lies_over_the_base_and_its_references_are_resolved():
    tiny = world_config("tiny")
    assert (tiny.num_users, tiny.num_items, tiny.num_interests) == (150, 800, 24)  # tiny.yaml
    assert tiny.clusters.level_1 == 4  # tiny.yaml over base.yaml
    assert tiny.clusters.level_2 == 24  # tiny.yaml, which refers to its own num_interests
    assert tiny.response.noise_sd == 1.35  # base.yaml


def test_larger_worlds_have_more_clusters_than_interests():
    assert world_config("small").clusters.level_2 == 144  # base.yaml: 1.5 an interest


def test_the_paper_s_world_has_as_many_clusters_as_the_paper():
    assert world_config("paper").clusters.level_2 == 761


def test_a_preset_equals_what_hydra_makes_of_the_same_files():
    from omegaconf import OmegaConf

    from sim.hidden.config import WorldConfig, from_mapping
    from tests.composing import compose

    composed = OmegaConf.to_container(compose(overrides=["+world=small"]), resolve=True)
    assert world_config("small") == from_mapping(WorldConfig, composed["world"], "world")


def test_a_record_is_taken_as_it_is_and_a_mapping_is_read():
    from dataclasses import asdict

    tiny = world_config("tiny")
    assert world_config(tiny) is tiny
    assert world_config(asdict(tiny)) == tiny


@pytest.mark.parametrize(
    ("world", "field"), [("tinny", "world"), ("base", "world"), ({"num_users": 3}, "world.population")]
)
def test_what_is_no_world_is_named(world, field):
    with pytest.raises(InvalidInput) as error:
        world_config(world)
    assert error.value.field == field


def test_who_gives_a_part_of_a_world_is_told_how_to_change_a_preset():
    with pytest.raises(
        InvalidInput, match=r"^world\.population=None: is missing: a mapping needs every entry; .*replace"
    ):
        world_config({"num_users": 50})


def test_the_error_for_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(InvalidInput, match=r"presets .*small, tiny"):
        world_config("tinny")
