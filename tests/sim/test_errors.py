import pickle

import numpy as np

from sim.errors import InvalidInput, WallBreach


class Own(InvalidInput):
    """As a plugin may define one."""

    def __init__(self, message):
        super().__init__("own", (lambda: message), message)


def test_a_message_is_one_line_whatever_the_value():
    assert str(InvalidInput("x", 1, "line one\nline two")) == "x=1: line one line two"
    long = str(InvalidInput("x", np.zeros((50, 50)), "must be shorter"))
    assert "\n" not in long
    assert len(long) < 500
    assert long.endswith(": must be shorter")


def test_errors_come_back_from_a_worker_whatever_they_hold():
    for error in (InvalidInput("x", 1, "y"), WallBreach("x", 1, "y")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back)) == (type(error), str(error))
    back = pickle.loads(pickle.dumps(Own("must be right")))
    assert type(back) is InvalidInput
    assert str(back).startswith("own=")
    assert str(back).endswith(": must be right")
