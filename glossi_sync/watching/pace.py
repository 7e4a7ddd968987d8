"""How long to wait after a run that failed: ever longer, up to a bound, and short again once one has succeeded."""

from __future__ import annotations


class Backoff:
    """Seconds: ``first``, then twice as long each time, ``most`` at most."""

    def __init__(self, first: float = 5.0, most: float = 300.0) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def failed(self) -> float:
        """A run has failed: how long to wait before the next one."""
        # The exponent is bounded: two to the number of failures of a year is no float.
        seconds = min(self._first * 2.0 ** min(self._failures, 64), self._most)
        self._failures += 1
        return seconds

    def succeeded(self) -> None:
        """A run has succeeded."""
        self._failures = 0
