"""Batching: let steps share calls, without making the first wait for the last, and within the plan's bound.

A batcher knows how many members its group has (``expected``) and how many calls it may make (``calls``). It sends what
has come together as soon as the calls that are left suffice for the members that are still to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from glossi_sync.applying.stop import Stop, Stopped
from glossi_sync.service import Refused

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LINGER = 0.02
"""Seconds that the first member of a call waits for others that come at the same time."""

MOST = 100
"""Members in one call. The service documents no limit; a call that it refuses is halved."""

_MEMBER_MAY_BE_AT_FAULT = frozenset({400, 404, 409, 413, 422})


class Batcher(Generic[Item, Answer]):
    """Collects the members of one group into calls. ``send`` makes one call and answers in the order of its items."""

    def __init__(
        self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, expected: int, calls: int, stop: Stop
    ) -> None:
        self._send = send
        self._expected = expected
        self._calls = calls
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        stop.listen(self._abandon)
        self._stop = stop

    async def submit(self, item: Item) -> Answer:
        """Hand in one member and wait for its share of the answer.

        Raises:
            Stopped: the run was asked to stop before its call was made.
            ServiceError: what its call met with.
        """
        self._stop.check()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._consider()
        return await answer

    def withdraw(self) -> None:
        """One of the expected members will not come."""
        self._expected -= 1
        self._consider()

    def _consider(self) -> None:
        if self._waiting and self._timer is None and len(self._waiting) >= self._enough():
            self._timer = asyncio.get_running_loop().call_later(LINGER, self._flush)

    def _enough(self) -> int:
        """The fewest members that a call must take now, so that the calls that are left suffice for the rest."""
        if self._calls <= 0:
            return 1  # the bound was for a world in which nothing is refused
        return min(-(-self._expected // self._calls), MOST)

    def _flush(self) -> None:
        self._timer = None
        if len(self._waiting) < min(self._enough(), max(self._expected, 1)):
            return
        batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        self._expected -= len(batch)
        self._calls -= 1
        task = asyncio.create_task(self._deliver(batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        self._consider()

    async def _deliver(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._send([item for item, _ in batch])
        except Refused as refusal:
            if len(batch) > 1 and refusal.status in _MEMBER_MAY_BE_AT_FAULT:
                # One member may have spoilt the call for all: halve it to find the culprit.
                middle = len(batch) // 2
                await self._deliver(batch[:middle])
                await self._deliver(batch[middle:])
                return
            self._fail(batch, refusal)
        except BaseException as error:
            self._fail(batch, error)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    @staticmethod
    def _fail(batch: Sequence[tuple[Item, asyncio.Future[Answer]]], error: BaseException) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error if isinstance(error, Exception) else Stopped())

    def _abandon(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._fail(waiting, Stopped())
