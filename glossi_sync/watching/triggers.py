"""Reasons to run, collected from many threads until the loop takes them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, RLock


class Triggers:
    """However many reasons come during a run, one more run answers them all."""

    def __init__(self) -> None:
        self._changed = Condition(RLock())
        self._reasons: dict[str, None] = {}
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether the loop is to end."""
        return self._stopped

    def pull(self, reason: str) -> None:
        """Ask for a run, for a reason that a person understands: ``a file changed``."""
        with self._changed:
            self._reasons[reason] = None
            self._changed.notify_all()

    def stop(self) -> None:
        """Ask the loop to end. May be called in a signal's handler: the lock is one that its thread may take twice."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, seconds: float | None) -> tuple[str, ...]:
        """The reasons, as soon as there are any, in the order in which they came; none where ``seconds`` are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._reasons or self._stopped, seconds)
            reasons, self._reasons = tuple(self._reasons), {}
            return reasons

    def rest(self, seconds: float | None) -> None:
        """Let time pass, whatever comes; a stop alone ends it."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)

    def forget(self, matches: Callable[[str], bool]) -> None:
        """Take back reasons that a run has answered already, though they came while it ran."""
        with self._changed:
            self._reasons = {reason: None for reason in self._reasons if not matches(reason)}
