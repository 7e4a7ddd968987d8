"""One run of the console script, and how it may end: by itself, by Ctrl-C (once, twice), or by SIGKILL at any moment.

A killed process leaves what it had committed and what it had sent, and nothing else: from that moment on its state
refuses to be written and its connections carry nothing, so no cleanup of its own has any effect.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from simulation.invariants import Broken
from simulation.loop import PROCESS

from glossi_sync.applying import Stop
from glossi_sync.errors import UserError

POINTS = ("step", "before write", "after write", "send", "answer")
"""Where something may happen to a process: between two steps, around a commit, when it sends, before it hears."""

BUCKET_REQUEST, BUCKET_ANSWER = "bucket request", "bucket answer"
"""Points of a process whose state lies in a bucket: before it asks for a change there, before it hears the answer."""

PAUSES = (10.0, 50.0, 70.0, 100.0, 300.0)
"""Seconds that a process may be paused for: shorter than a lease, and longer."""

INTERRUPT_AFTER = 20
"""Steps between the first Ctrl-C and the second."""

MOST_STEPS = 400_000


class ProcessDied(Exception):
    """Raised into what is left of a killed process."""


class Fate(StrEnum):
    """What happens to a process at a point of its way."""

    KILLED = "is killed"
    STOPPED = "is asked to stop"
    INTERRUPTED = "is interrupted twice"
    FULL = "finds the disk full from now on"
    PAUSED = "is paused"
    UNLOCKED = "has its lock broken by somebody"


@dataclass(frozen=True, slots=True)
class Mishap:
    """``fate`` befalls a process when it comes to ``point`` for the ``count``-th time."""

    fate: Fate
    point: str
    count: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: killed, with a result, or with an error that the user is told."""

    killed: bool = False
    result: Any = None
    error: BaseException | None = None


class Process:
    """One run of the console script. ``run_id`` and ``stop`` are set as soon as the command has them.

    ``paused_until`` is when it goes on, 0 where it was never paused. ``lost``: once it has lost its lock, the calls that
    it had written down before.
    """

    def __init__(
        self,
        name: str,
        *,
        rng: Random,
        say: Callable[[str], None] | None = None,
        mishap: Mishap | None = None,
        on_death: Callable[[], None] = lambda: None,
        on_loss: Callable[[Fate], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.rng = rng
        self.run_id = 0
        self.desired: Any = {}
        self.stop: Stop | None = None
        self.state: Any = None
        self.over = False
        self.disk_full = False
        self.paused_until = 0.0
        self.lost: set[int] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.timers: list[asyncio.TimerHandle] = []
        self._say = say
        self._mishap = mishap
        self._on_death = on_death
        self._on_loss = on_loss
        self._reached: Counter[str] = Counter()
        self._killed = False
        self._broken: Broken | None = None
        self._main: asyncio.Task[Any] | None = None
        self._attention = asyncio.Event()

    @property
    def tracing(self) -> bool:
        """Whether anybody listens to what it says."""
        return self._say is not None

    def say(self, text: str) -> None:
        if self._say is not None:
            self._say(f"{self.name}: {text}")

    @property
    def steps(self) -> int:
        return self._reached["step"]

    @property
    def killed(self) -> bool:
        return self._killed

    @property
    def holds(self) -> bool:
        """Whether it may do what only the holder of the lock may."""
        return not self._killed and self.lost is None

    async def awake(self) -> None:
        """Wait while it is paused; whatever it does next, it does after that."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.paused_until:
            await asyncio.sleep(self.paused_until - loop.time())

    def blame(self, broken: Broken) -> None:
        """Something has been seen that must never be: the process is ended, and its ``run`` raises."""
        self._broken = self._broken or broken
        self._killed = self.over = True
        self._attention.set()

    def reach(self, point: str) -> None:
        """It has come to a point for once more; what is to befall it there does."""
        if self.over:
            return
        self._reached[point] += 1
        if self._reached["step"] > MOST_STEPS:
            self.blame(Broken(f"{self.name} never ends"))
        mishap = self._mishap
        if mishap is not None and mishap.point == point and self._reached[point] == mishap.count:
            self._befall(mishap)

    def _befall(self, mishap: Mishap) -> None:
        self.say(f"{mishap.fate} at {mishap.point} {mishap.count}")
        loop = asyncio.get_running_loop()
        match mishap.fate:
            case Fate.KILLED:
                self._killed = self.over = True
                self._on_death()
                self._attention.set()
            case Fate.FULL:
                self.disk_full = True
            case Fate.PAUSED:
                self.paused_until = loop.time() + self.rng.choice(PAUSES)
                self._on_loss(mishap.fate)
            case Fate.UNLOCKED:
                self._on_loss(mishap.fate)
            case Fate.STOPPED:
                loop.call_soon(self._ask_to_stop)
            case Fate.INTERRUPTED if self.stop is not None and self.stop.requested:
                loop.call_soon(self._cancel)
            case Fate.INTERRUPTED:
                self._mishap = Mishap(Fate.INTERRUPTED, "step", self.steps + INTERRUPT_AFTER)
                loop.call_soon(self._ask_to_stop)

    def _ask_to_stop(self) -> None:
        # Before there is anything to be stopped gently, Ctrl-C is a KeyboardInterrupt.
        if self.stop is None:
            self._cancel()
        else:
            self.stop.request()

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    async def run(self, command: Coroutine[Any, Any, Any]) -> Ending:
        """Run the command to its end, whichever that is. What it leaves running is ended as ``asyncio.run`` does."""
        loop = asyncio.get_running_loop()
        context = copy_context()
        context.run(PROCESS.set, self)
        self._main = main = loop.create_task(command, context=context)
        main.add_done_callback(lambda _: self._attention.set())
        await self._attention.wait()
        self.over = True
        ending = Ending(killed=True) if self._killed else _ending_of(main)
        await self._end_the_rest()
        if self._broken is not None:
            raise self._broken
        return ending

    async def _end_the_rest(self) -> None:
        for timer in self.timers:
            timer.cancel()
        for _ in range(1000):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        else:
            raise Broken(f"{self.name} cannot be ended: {left}")
        for task in self.tasks:
            if not task.cancelled():
                task.exception()  # heard
        self.tasks.clear()
        self.timers.clear()


def _ending_of(main: asyncio.Task[Any]) -> Ending:
    if main.cancelled():
        return Ending(error=KeyboardInterrupt())
    error = main.exception()
    if error is None:
        return Ending(result=main.result())
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, UserError | OSError):
        return Ending(error=first)
    raise error
