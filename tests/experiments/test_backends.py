"""Commands leave the same bytes wherever their parts run: one after the other, in processes, on a Ray cluster.

They do so however many threads simulate the users, too.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import interestlab
from tests.conftest import cache_with_weights
from tests.started_ray import started_ray

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
         "arena.logging_draws=4", "arena.sizes=[100]", "arena.max_logs=4", "arena.learning=true",
         "~arena.logging.exploring"),
        ("arena.json",),
    ),
    "paper": (
        ("paper.seeds=[0,1]", "paper.variants.main={experiment.arms: [control, random_novel, llm]}",
         "~paper.variants.curation", "~paper.variants.alpha_0", "~paper.variants.no_dormant_no_satiation",
         "~paper.variants.twin", "~paper.variants.a_a"),
        ("results.json", "main/seed_0/results.json", "main/seed_1/results.json"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(weights_cache):
    """Environment that names a Ray cluster of two cores, which somebody has started."""
    pytest.importorskip("ray")
    with started_ray(weights_cache) as environment:
        yield environment


@pytest.fixture(scope="module")
def serial(model, weights_cache, tmp_path_factory):
    """What a command leaves when all is done in one process, worked out once a command."""
    known = {}

    def of(command):
        if command not in known:
            known[command] = left(command, tmp_path_factory.mktemp(command), model, weights_cache, "runtime.workers=1")
        return known[command]

    return of


def left(command, folder, model, weights_cache, *words, env=None):
    """Run a command with an empty cache; its files' bytes."""
    own, kept = COMMANDS[command]
    cache = cache_with_weights(folder / "cache", weights_cache)
    places = (f"llm.model={model}", f"cache_dir={cache}", f"hydra.run.dir={folder / 'out'}")
    done = interestlab(command, *WORLD, *MODEL, *places, *own, *words, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: (folder / "out" / name).read_bytes() for name in kept}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("backend", ["loky", "ray"])
def test_a_backend_changes_no_byte(command, backend, serial, model, weights_cache, tmp_path, request):
    env = request.getfixturevalue("cluster") if backend == "ray" else None
    before = connections(env)
    words = (f"runtime.backend={backend}", "runtime.workers=2", "runtime.world_threads=7")
    actual = left(command, tmp_path, model, weights_cache, *words, env=env)
    assert list(actual) == list(serial(command))
    assert [name for name, content in serial(command).items() if actual[name] != content] == []
    assert len(connections(env) - before) == (backend == "ray")


def connections(env):
    """Logs of those who have connected to the cluster of an environment."""
    return set(Path(env["HOME"], "session_latest", "logs").glob("python-core-driver-*")) if env else set()


@pytest.mark.parametrize("wrong", [{"RAY_AUTH_TOKEN": "0" * 64}, {"RAY_AUTH_MODE": "disabled"}])
def test_a_cluster_with_another_token_is_one_line(cluster, wrong):
    connect = "from agents.ray_cluster import connect_ray; connect_ray()"
    done = subprocess.run(
        [sys.executable, "-c", connect], env={**cluster, **wrong}, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert f"InvalidInput: RAY_ADDRESS={cluster['RAY_ADDRESS']!r}: is a Ray cluster that asks for its token" in last
    assert "Failed to get cluster ID" not in done.stderr  # Ray's own twenty attempts
