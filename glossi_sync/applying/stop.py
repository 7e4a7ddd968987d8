"""Stopping gently: after the first Ctrl-C nothing new starts, and what is in flight is finished and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """An address was not gone on with, because the run was asked to stop."""


class Stop:
    """A request to stop, made at most once. Made inside the event loop that it is used in."""

    def __init__(self) -> None:
        self.time_is_up = False
        self._requested = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether the run is to stop."""
        return self._requested.is_set()

    def request(self, *, time_is_up: bool = False) -> None:
        """Ask the run to stop; ``time_is_up`` is kept: it was given no more time."""
        if not self.requested:
            self.time_is_up = time_is_up
            self._requested.set()
            for listener in self._listeners:
                listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the stop is requested."""
        self._listeners.append(listener)

    def check(self) -> None:
        """Raise Stopped where the run is to stop: called before anything new is started."""
        if self.requested:
            raise Stopped

    async def race(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Await something that may be abandoned (a wait, never a mutating call); Stopped comes first if it comes."""
        if self.requested:
            waiting.close()  # it would be told as never awaited
            raise Stopped
        wait = asyncio.ensure_future(waiting)
        stop = asyncio.ensure_future(self._requested.wait())
        try:
            await asyncio.wait((wait, stop), return_when=asyncio.FIRST_COMPLETED)
            if wait.done():
                return wait.result()
            raise Stopped
        finally:
            stop.cancel()
            wait.cancel()
