"""What the digest of somebody else's agent holds: its package, and the files and folders that its settings name."""

from pathlib import Path

import pytest

from agents.check import check_source
from agents.check_source import package_folder, sources, targets
from experiments import plugins
from experiments.plugins import outside_digests
from experiments.stages.stages import stage_digest
from sim.errors import InvalidInput
from tests.experiments.installed import install


def test_a_changed_plugin_finds_no_old_results(site):
    folder = install(site, "mine")
    config = {"_target_": "agents.hierarchical.HierarchicalAgent", "planner": [{"_target_": "mine.Mine"}]}

    def digest() -> str:
        outside_digests.__globals__["_digest_of_package"].cache_clear()  # a new process begins without
        return stage_digest("arm-mine", {"plugins": outside_digests(config)}, [], "experiments.live.arm_stages")

    first = digest()
    assert digest() == first
    (folder / "helper.py").write_text("x = 1\n")
    second = digest()
    (folder / "weights.bin").write_bytes(b"\x00")
    third = digest()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "helper.pyc").write_bytes(b"compiled")
    assert digest() == third
    assert len({first, second, third}) == 3


def test_files_that_a_config_names_are_hashed_too(tmp_path):
    weights = tmp_path / "policy.safetensors"
    config = {"_target_": "agents.random.RandomAgent", "policy": str(weights)}
    assert outside_digests(config) == {}
    actual = []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        actual.append(outside_digests(config)[str(weights)])
    assert actual[0] != actual[1]


def test_folders_that_a_config_names_are_hashed_too(tmp_path, monkeypatch):
    folder = tmp_path / "policy"
    (folder / "deep").mkdir(parents=True)
    config = {"_target_": "agents.random.RandomAgent", "policies": [{"folder": str(folder)}]}

    def digest() -> str:
        (path,) = outside_digests(config).items()
        assert path[0] == str(folder)
        return path[1]

    actual = [digest()]
    (folder / "deep" / "weights.bin").write_bytes(b"one")
    actual.append(digest())
    (folder / "deep" / "weights.bin").write_bytes(b"two")
    actual.append(digest())
    (folder / "deep" / "weights.bin").rename(folder / "weights.bin")
    actual.append(digest())
    assert len(set(actual)) == 4
    assert digest() == actual[-1]
    monkeypatch.chdir(tmp_path)
    word = {"_target_": "agents.random.RandomAgent", "kind": "policy"}
    assert outside_digests(word) == {}  # a word, though a folder here is called so
    assert outside_digests({**word, "kind": "./policy"}) == {"./policy": actual[-1]}


@pytest.mark.parametrize("folder", ["/", "./", "../", "~/"])
def test_a_folder_that_holds_the_working_directory_is_not_hashed(folder, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert outside_digests({"_target_": "agents.random.RandomAgent", "separator": folder}) == {}


def test_what_cannot_be_read_is_named_with_its_setting(tmp_path, monkeypatch):
    (tmp_path / "weights.bin").write_bytes(b"one")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read everything
    for path in (tmp_path, tmp_path / "weights.bin"):
        with pytest.raises(InvalidInput, match=r"policies\.0\.folder=.*must be a file or folder .*denied") as error:
            outside_digests({"_target_": "agents.random.RandomAgent", "policies": [{"folder": str(path)}]})
        assert error.value.value == str(path)


def test_paths_in_the_home_folder_are_hashed_under_the_name_that_the_config_gives(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(b"one")
    for name in ("weights", "weights/w.bin"):
        (tilde,) = outside_digests({"folder": f"~/{name}"}).items()
        assert tilde == (f"~/{name}", outside_digests({"folder": str(tmp_path / name)})[str(tmp_path / name)])
    assert outside_digests({"separator": "~"}) == {}


def test_links_to_folders_are_followed(tmp_path, site):
    for each in ("one", "two"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "w.bin").write_text(each)
        (tmp_path / each / "back").symlink_to(site)  # a loop through both, which must not be walked forever
    folder = install(site, "mine")
    (folder / "first").symlink_to(tmp_path / "one")  # the same files under two names: each name counts
    link = folder / "last"
    config = {"_target_": "mine.Mine", "folder": str(folder)}
    actual = []
    for each in ("one", "two"):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / each)
        plugins._digest_of_package.cache_clear()
        actual.append(outside_digests(config))
        assert {"mine/first/w.bin", "mine/last/w.bin"} < set(sources("mine"))
    assert actual[0]["mine"] != actual[1]["mine"]
    assert actual[0][str(folder)] != actual[1][str(folder)]


def test_a_file_moved_within_a_package_changes_its_digest(site):
    folder = install(site, "mine")
    for name in ("a", "b"):
        (folder / name).mkdir()
    (folder / "a" / "w.bin").write_bytes(b"one")
    before = outside_digests({"_target_": "mine.Mine"})
    (folder / "a" / "w.bin").rename(folder / "b" / "w.bin")
    plugins._digest_of_package.cache_clear()
    assert outside_digests({"_target_": "mine.Mine"}) != before


def test_our_own_agents_need_no_digest_of_their_own():
    config = {"_target_": "agents.hierarchical.HierarchicalAgent", "ranker": {"_target_": "agents.x.Y"}}
    assert list(targets(config)) == ["agents.hierarchical.HierarchicalAgent", "agents.x.Y"]
    assert outside_digests(config) == {}
    assert outside_digests(None) == {}


def test_a_single_module_is_a_source(site):
    (site / "lone.py").write_text("x = 1\n")
    assert sources("lone") == {"lone.py": site / "lone.py"}
    assert sources("no_such_module") == {}


def test_a_single_modules_neighbours_that_it_imports_are_sources_too(site):
    (site / "lone.py").write_text("import json\nimport helper\nimport mine.part\n")
    (site / "helper.py").write_text("from deeper import x\nimport lone\n")
    for name in ("deeper", "other", "json"):
        (site / f"{name}.py").write_text("x = 1\n")
    install(site, "mine")
    assert list(sources("lone")) == ["deeper.py", "helper.py", "lone.py"]


def test_every_folder_of_a_namespace_package_is_a_source(site, tmp_path, monkeypatch):
    other = tmp_path / "other"
    for place, name in ((site, "one"), (other, "one"), (other, "two")):
        (place / "shared" / name).mkdir(parents=True)
        (place / "shared" / name / "__init__.py").write_text("import sim.hidden.world\n")
    monkeypatch.syspath_prepend(other)
    monkeypatch.syspath_prepend(site)
    expected = {"one": site, "two": other}
    files = {f"shared/{name}/__init__.py": place / "shared" / name / "__init__.py" for name, place in expected.items()}
    assert sources("shared") == files
    assert package_folder("shared.two") == other / "shared" / "two"
    says = check_source({"_target_": "shared.two.Mine"}).message
    assert all(f"{name}, line 1: sim.hidden.world" in says for name in files)

    def digest():
        plugins._digest_of_package.cache_clear()
        return outside_digests({"_target_": "shared.two.Mine"})

    before = digest()
    (other / "shared" / "two" / "__init__.py").write_text("x = 1\n")
    assert digest() != before
