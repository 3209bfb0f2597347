"""The error that a user's mistake raises: one line that says what, where, and what would be right."""

from typing import Any


class InvalidInput(ValueError):
    """Bad input from a user: config, plugin, log file, checkpoint or weights.

    Commands print it as one line without a traceback and exit with status 2.
    """

    def __init__(self, field: str, value: Any, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}={value!r}: {expected}")

    def __reduce__(self) -> tuple[type["InvalidInput"], tuple[str, Any, str]]:
        # ValueError's own pickling would call __init__ with the joined message only,
        # which would lose the error on its way back from a worker process.
        return (type(self), (self.field, self.value, self.expected))


class WallBreach(InvalidInput):
    """A recommender reached for what is hidden from it, or tried to change what it may only read.

    ``breaches`` keeps every one that was raised, so that one that the recommender catches is still reported.
    """

    def __init__(self, field: str, value: Any, expected: str) -> None:
        super().__init__(field, value, expected)
        breaches.append(self)


breaches: list[WallBreach] = []
"""What was raised since the list was last cleared, by whoever guards a recommender (``agents.wall``)."""
