"""The simulation's event loop: a clock that jumps, and processes that can end between any two of their steps.

A *process* is one run of the console script. Everything that it starts (tasks, timers) carries it in its context, so
the loop can count its steps, and put an end to all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Protocol

from virtual_time import VirtualTimeLoop


class Stepping(Protocol):
    """A process, as the loop sees it."""

    tasks: list[asyncio.Task[Any]]
    timers: list[asyncio.TimerHandle]

    def reach(self, point: str) -> None:
        """It has come to a point; ``step`` is one more step of one of its tasks."""
        ...


PROCESS: ContextVar[Stepping | None] = ContextVar("process", default=None)
"""The process that the running code belongs to; None for the service, the network and the schedule."""


class SimulationLoop(VirtualTimeLoop):
    """Counts the steps of processes, and keeps their tasks and timers together."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(_make_task)

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.reach("step")
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.timers.append(timer)
        return timer


def _make_task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, **options)
    context = options.get("context")
    process = PROCESS.get() if context is None else context.get(PROCESS)
    if process is not None:
        process.tasks.append(task)
    return task
