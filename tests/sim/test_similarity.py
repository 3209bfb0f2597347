import os
import subprocess
import sys

import numpy as np
import pytest

from sim.hidden.similarity import nearest, similarity_graph
from tests.sim.catalogs import unit


def random_unit(count: int, seed: int = 0):
    return unit(np.random.default_rng(seed).standard_normal((count, 256)))


@pytest.mark.parametrize(("count", "number"), [(1, 1), (40, 40), (40, 3), (1500, 21), (2000, 1)])
def test_the_nearest_are_those_of_a_whole_sort(count, number):
    targets, queries = random_unit(count), random_unit(600, 1)
    index, cosine = nearest(queries, targets, number)
    grid = np.rint(4000 * queries).astype(np.int64) @ np.rint(4000 * targets).astype(np.int64).T
    expected = np.argsort(-grid, axis=1, kind="stable")[:, :number]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(cosine, np.take_along_axis(queries @ targets.T, expected, axis=1), atol=1e-3)


def test_ties_go_to_the_lower_index():
    targets = np.tile(random_unit(2), (50, 1))  # 0, 2, 4, ... are one vector, 1, 3, 5, ... the other
    index, _ = nearest(targets[:1], targets, 3)
    assert index.tolist() == [[0, 2, 4]]


def test_the_graph_joins_each_item_with_its_nearest_neighbours():
    # Four unit vectors at angles 0, 10, 50, 70 degrees.
    angle = np.deg2rad([0, 10, 50, 70])
    graph = similarity_graph(np.stack([np.cos(angle), np.sin(angle)], axis=1), 1)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = np.cos(np.deg2rad(10))
    expected[2, 3] = expected[3, 2] = np.cos(np.deg2rad(20))
    np.testing.assert_allclose(graph.toarray(), expected, atol=1e-3)


def test_copies_of_an_item_are_its_neighbours_and_itself_is_not():
    graph = similarity_graph(np.repeat(random_unit(3), 10, axis=0), 4)
    assert (graph.diagonal() == 0).all()
    edges = graph.tocoo()
    np.testing.assert_array_equal(edges.row // 10, edges.col // 10)
    assert (np.diff(graph.indptr) >= 4).all()


def test_the_graph_is_the_same_on_any_number_of_threads():
    code = (
        "import hashlib, numpy as np\n"
        "from sim.hidden.similarity import similarity_graph\n"
        "e = np.random.default_rng(0).standard_normal((1500, 256)); e /= np.linalg.norm(e, axis=1, keepdims=True)\n"
        "g = similarity_graph(e, 20)\n"
        "print(hashlib.sha256(g.indices.tobytes() + g.data.tobytes()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in (1, 2)
    }
    assert len(printed) == 1
