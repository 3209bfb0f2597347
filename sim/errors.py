"""The error that a user's mistake raises: one line that says what, where, and what would be right."""

import pickle
from typing import Any

_LONGEST_VALUE = 400
"""Characters of a value that a message shows."""


class InvalidInput(ValueError):
    """Bad input from a user: config, plugin, log file, checkpoint or weights.

    Commands print it as one line without a traceback and exit with status 2.
    """

    def __init__(self, field: str, value: Any, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}..."
        message = f"{field}={shown}: {expected}"
        super().__init__(" ".join(message.split()) if "\n" in message else message)

    def __reduce__(self) -> tuple[type["InvalidInput"], tuple[str, Any, str]]:
        # ValueError's own pickling would call __init__ with the joined message only,
        # which would lose the error on its way back from a worker process.
        # A plugin's own subclass may take other arguments, and its value may be anything.
        kind = type(self) if type(self) in (InvalidInput, WallBreach) else InvalidInput
        try:
            pickle.dumps(self.value)
        except Exception:  # pickle's errors are of many kinds
            return (kind, (self.field, repr(self.value), self.expected))
        return (kind, (self.field, self.value, self.expected))


class WallBreach(InvalidInput):
    """A recommender reached for what is hidden from it, or tried to change what it may only read.

    ``breaches`` keeps every one that was raised, so that one that the recommender catches is still reported.
    """

    def __init__(self, field: str, value: Any, expected: str) -> None:
        super().__init__(field, value, expected)
        breaches.append(self)


breaches: list[WallBreach] = []
"""What was raised since the list was last cleared, by whoever guards a recommender (``agents.wall``)."""
