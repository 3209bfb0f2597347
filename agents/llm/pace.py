"""Spacing of requests over time."""

import threading
import time


class Stopped(Exception):
    """Another request has failed for good; this one was not sent, or not sent again."""


class Pace:
    """Spaces requests of several threads evenly, and holds all of them back when a server asks for it.

    Args:
        per_minute: most starts a minute; 0 = no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, stop: threading.Event) -> None:
        """Wait for this thread's turn.

        Raises:
            Stopped: ``stop`` was set meanwhile.
        """
        while not stop.is_set():
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._interval
                    return
                delay = self._next - now
            stop.wait(delay)
        raise Stopped

    def pause(self, seconds: float) -> None:
        """Let nobody start for a while."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
