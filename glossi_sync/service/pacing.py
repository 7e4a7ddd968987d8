"""Pacing: how many requests may be under way at once, and when none may be.

::

    limit ^     .'|        .-'      at first each answer adds 1: twice as many at a time after each round of answers;
          |    .' |     .-'         after the first trouble each adds 1/limit: one more after each round
          |  .'   |  .-'
          | -     '-'               429, 503, a timeout: the limit is halved, once for all that were sent before it
          +---------------------> t         Retry-After: nobody goes until it is over

A service origin has one ``Hold`` and two governors that share it, one for calls and one for transfers, so that a long
upload does not keep a status call waiting. Time is the event loop's: on a loop with a virtual clock all of this is too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests may be under way at once: at first, and at most."""

    start: int = 16
    ceiling: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.start <= self.ceiling:
            raise ValueError(f"a pace needs 1 <= start <= ceiling, not {self.start} and {self.ceiling}")


@dataclass(slots=True)
class Hold:
    """Until when an origin wants to be left alone (loop time, seconds)."""

    until: float = 0.0

    def extend(self, until: float) -> None:
        """Hold until then, unless it is held for longer already."""
        self.until = max(self.until, until)


class HeldTooLong(Exception):
    """The origin wants to be left alone for longer than the caller would wait; ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"held for {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send one request. ``epoch`` tells whether the limit was cut since."""

    epoch: int


@dataclass(slots=True)
class _Waiter:
    future: asyncio.Future[None]
    longest_hold: float


class Governor:
    """Holds the concurrency of one origin's requests: additive increase, multiplicative decrease, first come first go.

    Every ``enter`` must be followed by one ``leave``, whatever becomes of the request.
    """

    def __init__(self, pace: Pace | None = None, hold: Hold | None = None) -> None:
        pace = pace or Pace()
        self._limit = float(pace.start)
        self._ceiling = pace.ceiling
        self._hold = hold or Hold()
        self._epoch = 0
        self._under_way = 0
        self._waiters: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return int(self._limit)

    @property
    def under_way(self) -> int:
        """How many requests are under way now."""
        return self._under_way

    async def enter(self, longest_hold: float = float("inf")) -> Permit:
        """Wait for leave to send one request.

        Raises:
            HeldTooLong: the origin is held for more than ``longest_hold`` seconds.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop.create_future(), longest_hold)
        self._waiters.append(waiter)
        while True:
            await self._admission_of(waiter)
            if self._hold.until <= loop.time():
                return Permit(self._epoch)
            # Held between being let go and going: back to the head of the queue.
            self._under_way -= 1
            waiter = _Waiter(loop.create_future(), longest_hold)
            self._waiters.appendleft(waiter)

    async def _admission_of(self, waiter: _Waiter) -> None:
        self._admit()
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self._under_way -= 1
            self._admit()
            raise

    def leave(self) -> None:
        """The request is over: the next one may go."""
        self._under_way -= 1
        self._admit()

    def grow(self) -> None:
        """An answer came in good order."""
        self._limit = min(float(self._ceiling), self._limit + (1 / self._limit if self._epoch else 1))
        self._admit()

    def shrink(self, permit: Permit, retry_after: float | None = None) -> None:
        """The origin is overloaded; with ``retry_after`` it asked to be left alone for so many seconds."""
        if permit.epoch == self._epoch:
            self._limit = max(1.0, self._limit / 2)
            self._epoch += 1
        if retry_after is not None:
            self._hold.extend(asyncio.get_running_loop().time() + retry_after)
        self._admit()

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        held_for = self._hold.until - loop.time()
        if held_for > 0:
            self._turn_away(held_for)
            self._wake_at(loop)
            return
        while self._waiters and self._under_way < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.future.done():
                self._under_way += 1
                waiter.future.set_result(None)

    def _turn_away(self, held_for: float) -> None:
        staying: deque[_Waiter] = deque()
        for waiter in self._waiters:
            if waiter.future.done():
                continue
            if held_for > waiter.longest_hold:
                waiter.future.set_exception(HeldTooLong(held_for))
            else:
                staying.append(waiter)
        self._waiters = staying

    def _wake_at(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._hold.until, self._admit) if self._waiters else None
