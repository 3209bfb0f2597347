"""Commands leave the same bytes wherever their parts run: one after the other, in processes, on a Ray cluster."""

from importlib import import_module

import pytest
from hydra import compose, initialize_config_module

from agents.processes import connect_ray
from tests.conftest import cache_with_weights

pytestmark = pytest.mark.slow

WORLD = (
    "world=tiny", "world.num_users=60", "world.num_items=400", "production.epochs=1", "experiment.burn_in_days=3",
    "experiment.days=2",
)  # fmt: skip
MODEL = (
    "llm=tiny", "llm.precision=fp32", "llm.threads=1", "llm.steps=2", "llm.eval_every=1", "llm.eval_pairs=4",
    "llm.pairs_per_shard=96",
)  # fmt: skip
COMMANDS = {
    "compare": (
        ("experiment.arms=[control,hcb,random_novel,llm]",),
        ("results.json", "log_control.parquet", "log_hcb.parquet", "log_random_novel.parquet", "log_llm.parquet"),
    ),
    "table": (("table.parquet=true",), ("table.parquet",)),
    "knowledge": (
        ("folds=2", "pairs_per_persona=2", "llm.pairs_per_label=3", "twin.steps=3", "twin.eval_every=3"),
        ("knowledge.json",),
    ),
    "arena": (
        ("experiment.arms=[control,popular,random_novel]", "arena.log_days=2", "arena.redraws=4", "arena.lucks=2",
         "arena.logging_draws=4", "arena.sizes=[100,500]", "arena.max_logs=12", "arena.learning=true"),
        ("arena.json",),
    ),
    "paper": (
        ("paper.seeds=[0,1]", "paper.variants.main={experiment.arms: [control, hcb, random_novel, llm, oracle]}",
         "~paper.variants.alpha_0", "~paper.variants.no_dormant_no_satiation", "~paper.variants.twin"),
        ("results.json", "main/seed_1/results.json", "curation/seed_0/results.json"),
    ),
}  # fmt: skip
FUNCTIONS = {"knowledge": "know"}


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of two cores on this machine."""
    pytest.importorskip("ray")
    ray = connect_ray("local", num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def serial(model, weights_cache, tmp_path_factory):
    """What a command leaves when all is done in one process, worked out once a command."""
    known = {}

    def of(command):
        if command not in known:
            known[command] = left(command, tmp_path_factory.mktemp(command), model, weights_cache, "runtime.workers=1")
        return known[command]

    return of


def left(command, folder, model, weights_cache, *words):
    """Run a command with an empty cache; its files' bytes."""
    own, kept = COMMANDS[command]
    cache = cache_with_weights(folder / "cache", weights_cache)
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(command, [*WORLD, *MODEL, f"llm.model={model}", f"cache_dir={cache}", *own, *words])
    out = folder / "out"
    out.mkdir()
    getattr(import_module(f"experiments.{command}"), FUNCTIONS.get(command, command))(config, out)
    return {name: (out / name).read_bytes() for name in kept}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("backend", ["loky", "ray"])
def test_a_backend_changes_no_byte(command, backend, serial, model, weights_cache, tmp_path, request):
    if backend == "ray":
        request.getfixturevalue("cluster")
    found = left(command, tmp_path, model, weights_cache, f"runtime.backend={backend}", "runtime.workers=2")
    assert list(found) == list(serial(command))
    assert [name for name, content in serial(command).items() if found[name] != content] == []
