"""The command, end to end, on very small worlds."""

import json

import pytest

from experiments.certify.command import check_certification
from experiments.certify.facts import FACTS
from experiments.certify.schema import Certificate
from experiments.command import check_choices
from sim.errors import InvalidInput
from tests.command_line import interestlab
from tests.composing import compose
from tests.experiments.schema import check_schema

SMALL = ["world.num_users=60", "world.num_items=300", "days=14", "seeds=2"]


def run(cache, out, *overrides, check=True):
    done = interestlab("certify", *SMALL, f"cache_dir={cache}", f"hydra.run.dir={out}", *overrides)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    cache, out = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("out")
    return cache, out, run(cache, out, "world=control")


@pytest.mark.slow
def test_the_certificate_has_all_facts_and_names_what_must_fail(done):
    _, out, said = done
    certificate = json.loads((out / "certificate.json").read_text())
    check_schema(Certificate, certificate)
    rows = certificate["facts"]
    assert [row["id"] for row in rows] == [fact.id for fact in FACTS]
    assert all({"fact", "value", "low", "high", "target", "verdict"} <= set(row) for row in rows)
    assert {row["verdict"] for row in rows} <= {"pass", "fail"}
    assert [row["verdict"] for row in rows if row["must_fail"]] == ["fail"] * 4
    assert [row["fact"].split(".")[0] for row in rows if row["must_fail"]] == ["7", "9", "10", "20"]
    assert certificate["seeds"] == [0, 1]
    assert certificate["clusters"]["agreement"]["low"] < certificate["clusters"]["agreement"]["high"]
    assert "must fail here" in said.stdout
    assert said.stdout.strip().endswith("certificate.html")


@pytest.mark.slow
def test_the_page_stands_alone(done):
    _, out, _ = done
    page = (out / "certificate.html").read_text()
    assert "Certificate of the world “control”" in page
    assert page.count('<span class="fail">') >= 3
    assert page.count("<svg ") == 8
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert len(list((out / "figures").glob("fact_*.svg"))) == 8


@pytest.mark.slow
def test_workers_and_the_cache_change_no_byte(done, tmp_path):
    cache, out, _ = done
    run(tmp_path / "cache", tmp_path / "afresh", "world=control", "runtime.workers=1")
    run(cache, tmp_path / "cached", "world=control")
    for name in ("certificate.json", "certificate.html"):
        assert (tmp_path / "afresh" / name).read_bytes() == (out / name).read_bytes()
        assert (tmp_path / "cached" / name).read_bytes() == (out / name).read_bytes()


def test_a_mistake_gets_one_line(tmp_path):
    said = run(tmp_path / "cache", tmp_path / "out", "days=7", check=False)
    assert said.returncode == 2
    assert len(said.stderr.strip().splitlines()) == 1
    assert "days=7: must be a whole number, at least 14" in said.stderr
    assert not (tmp_path / "out" / "certificate.html").exists()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seeds=1", "seeds=1: must be a whole number, at least 2: intervals are over worlds"),
        ("days=7", "days=7: must be a whole number, at least 14"),
        ("runtime.workers=0", "runtime.workers=0: must be a whole number from 1 to 4096"),
        ("world.num_users=0", "world.num_users=0: must be a whole number from 1 to 100000000"),
    ],
)
def test_what_is_impossible_is_named(tmp_path, override, says):
    with pytest.raises(InvalidInput) as error:
        check_certification(compose("certify", [f"cache_dir={tmp_path}", override]), "small")
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_an_unknown_world_is_named():
    with pytest.raises(
        InvalidInput, match=r"^world='huge': unknown world; known are control, demo, medium, paper, small, tiny$"
    ):
        check_choices(["world=huge"])


def test_help_helps():
    said = interestlab("certify", "--help").stdout
    assert "usage: interestlab certify" in said
    assert "seeds=20" in said


def test_a_config_that_is_no_world_is_named(tmp_path):
    from omegaconf import OmegaConf

    config = OmegaConf.create(
        {"seed": 0, "seeds": 2, "days": 14, "cache_dir": str(tmp_path), "runtime": {"workers": 1}, "world": {}}
    )
    with pytest.raises(InvalidInput, match="world"):
        check_certification(config, "none")
