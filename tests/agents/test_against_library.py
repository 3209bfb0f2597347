"""The offline check against the library itself, where INTERESTLAB_LIBRARY_PYTHON names its Python."""

import os

import pytest

from records.offline_check import check


@pytest.mark.slow
@pytest.mark.skipif("INTERESTLAB_LIBRARY_PYTHON" not in os.environ, reason="no environment with RecTools is named")
def test_ours_is_no_worse_than_the_librarys(tmp_path):
    actual = check(["world=small"], tmp_path, os.environ["INTERESTLAB_LIBRARY_PYTHON"])
    assert actual["above the library"]["sequence, logQ in full"]["high"] > 0
    assert actual["recall@10"]["sequence, logQ in full"]["value"] > actual["recall@10"]["popular"]["value"]
