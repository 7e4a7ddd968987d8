"""Places that are taken by weight, for the length of a block: a few for heavy things, or many for light ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Places:
    """Weights of up to ``total`` at a time; whoever came first goes first, and what is heavier than all goes alone."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, weight: int) -> AsyncIterator[None]:
        """A place for the length of the block."""
        weight = min(weight, self._total)
        await self._enter(weight)
        try:
            yield
        finally:
            self._leave(weight)

    async def _enter(self, weight: int) -> None:
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((weight, entered))
        self._admit()
        try:
            await entered
        except asyncio.CancelledError:
            self._leave(weight if entered.done() and not entered.cancelled() else 0)
            raise

    def _leave(self, weight: int) -> None:
        self._free += weight
        self._admit()

    def _admit(self) -> None:
        while self._queue:
            weight, entered = self._queue[0]
            if not entered.done():
                if weight > self._free:
                    return
                self._free -= weight
                entered.set_result(None)
            self._queue.popleft()
