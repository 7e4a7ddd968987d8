"""Threads: how the studio's server runs what blocks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Runner(Protocol):
    """How a blocking piece of work is run. ``in_thread`` for a server; a simulation on a virtual clock runs it
    inline."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread of anyio's pool."""
    import anyio.to_thread  # noqa: PLC0415 - only the server needs it, and workers import this module

    return await anyio.to_thread.run_sync(work)
