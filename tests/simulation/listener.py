"""The webhook's receiver beside the runs, in a fifth of the stories: events come late, in any order, or never."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextvars import copy_context
from random import Random

from glossi_sync.state import Received

SHARE = 0.2
LOST = 0.1
LATEST = 3.0
"""Seconds that an event is under way, at most."""


class Listener:
    """Hears what the service tells, and has it kept. Made outside of every process: it outlives them."""

    def __init__(self, keep: Callable[[Received], None], *, rng: Random, clock: Callable[[], float]) -> None:
        self.hears = rng.random() < SHARE
        self._keep = keep
        self._rng = rng
        self._clock = clock
        self._context = copy_context()

    def hear(self, event: str, body: str) -> None:
        """The service tells of an event."""
        if self.hears and self._rng.random() >= LOST:
            loop = asyncio.get_running_loop()
            loop.call_later(self._rng.random() * LATEST, self._arrive, event, body, context=self._context.copy())

    def _arrive(self, event: str, body: str) -> None:
        self._keep(Received(hashlib.sha256(body.encode()).hexdigest(), event, body, self._clock()))
