"""Waiting for the service: many models in one status call, renders the oldest first, ever less often.

A wait is asked about after half a second, then at intervals of about a tenth of its age, from half a second to ten: a
result is seen late by a tenth or half a second, and a thousand waits cost few calls.

Where a webhook's events are heard (``hearing``), they end waits at once, and the service is asked seldom, but never not
at all: an event may be lost. That a model is READY or FAILED is taken from its event, for nothing comes after it. Of a
render an event tells neither its files nor whether it is retried by now, so each costs one look, at once.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from glossi_sync.planning.observe import STATUS_BATCH, render_job
from glossi_sync.service import Glossi, ModelStatus, RenderJob

SHORTEST = 0.5
LONGEST = 10.0
TOGETHER = 0.25
"""Seconds by which a wait may be asked about early, to share a call."""

WAVE = 32
"""Renders that are asked about at once, before it is known whether asking about more is worth it."""

SELDOM = 30.0
"""Seconds between two looks at a wait while events arrive: how late a result may be seen whose event was lost."""

STILL_HEARD = 90.0
"""Seconds after an event in which events count as arriving."""

SETTLED_RENDER = frozenset({"COMPLETED", "FAILED"})


def interval(age: float, *, heard: bool = False) -> float:
    """Seconds until a wait of that age (seconds) is asked about again; ``heard`` where events arrive."""
    return SELDOM if heard else min(max(age / 10, SHORTEST), LONGEST)


class Ear:
    """When an event that ended a wait was last heard; the loop's seconds."""

    def __init__(self) -> None:
        self._heard = float("-inf")

    def hear(self) -> None:
        """An event has ended a wait: the receiver lives, and its events reach us."""
        self._heard = asyncio.get_running_loop().time()

    @property
    def hears(self) -> bool:
        """Whether events arrive."""
        return asyncio.get_running_loop().time() - self._heard < STILL_HEARD


class ModelWaits:
    """All models that the service is processing, polled together."""

    def __init__(self, service: Glossi, ear: Ear | None = None) -> None:
        self._service = service
        self._ear = ear or Ear()
        self._told: dict[str, ModelStatus] = {}
        self._due: list[tuple[float, float, str]] = []
        self._answers: dict[str, asyncio.Future[ModelStatus | None]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def settled(self, model_id: str) -> ModelStatus | None:
        """Wait until a model is READY or FAILED; None where the service does not know it.

        Raises:
            ServiceError: the service could not be asked any more.
        """
        if model_id in self._told:
            self._ear.hear()
            return self._told.pop(model_id)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ModelStatus | None] = loop.create_future()
        self._answers[model_id] = answer
        heapq.heappush(self._due, (loop.time() + interval(0, heard=self._ear.hears), loop.time(), model_id))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return await answer

    def hear(self, status: ModelStatus) -> None:
        """An event says that a model is READY or FAILED: whoever waits for it, or will, need not ask."""
        waiting = self._answers.get(status.model_id)
        if waiting is None or waiting.done():
            self._told[status.model_id] = status
            return
        self._ear.hear()
        waiting.set_result(status)

    async def close(self) -> None:
        """Stop polling."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait((self._poller,))

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due:
            # A newcomer is due no sooner than SHORTEST from now, so sleeping that long misses none.
            await asyncio.sleep(min(max(self._due[0][0] - loop.time(), 0), SHORTEST))
            asked: dict[str, float] = {}
            while self._due and self._due[0][0] <= loop.time() + TOGETHER and len(asked) < STATUS_BATCH:
                _, since, model_id = heapq.heappop(self._due)
                if not self._answers[model_id].done():
                    asked[model_id] = since
            if asked:
                await self._ask(asked)

    async def _ask(self, asked: dict[str, float]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answer = await self._service.model_statuses(list(asked))
        except Exception as error:
            for model_id in asked:
                self._forget(model_id).set_exception(error)
            return
        statuses = {status.model_id: status for status in answer.models}
        for model_id, since in asked.items():
            status = statuses.get(model_id)
            if status is None or status.ready or status.status == "FAILED":
                self._forget(model_id).set_result(status)
            else:
                due = loop.time() + interval(loop.time() - since, heard=self._ear.hears)
                heapq.heappush(self._due, (due, since, model_id))

    def _forget(self, model_id: str) -> asyncio.Future[ModelStatus | None]:
        """The answer that is still awaited for a model; a fresh one that nobody hears where nobody waits any more."""
        future = self._answers.pop(model_id)
        return asyncio.get_running_loop().create_future() if future.done() else future


class RenderWaits:
    """All renders that the service is working on. It has no call that tells of several, so each look is a call.

    While few are due, all of them are asked. Where many are, the oldest are asked first, a wave of them, and the next
    wave (twice as large) only if most of the first were done: services take renders about in the order in which they
    were started, so what stands behind a render that is not done is hardly done either. So a thousand renders cost
    little more than a call each. Nobody goes unasked for longer than ``LONGEST``, or ``SELDOM`` while events arrive.
    """

    def __init__(self, service: Glossi, ear: Ear | None = None) -> None:
        self._service = service
        self._ear = ear or Ear()
        self._told: set[str] = set()
        self._looks: set[asyncio.Task[bool]] = set()
        self._waits: dict[str, _RenderWait] = {}
        self._poller: asyncio.Task[None] | None = None

    async def settled(self, job_id: str, tell: Callable[[str], None]) -> RenderJob | None:
        """Wait until a render job is COMPLETED or FAILED; None where the service does not know it.

        ``tell`` hears each status on the way.

        Raises:
            ServiceError: the service could not be asked any more.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = now + interval(0, heard=self._ear.hears)
        wait = _RenderWait(job_id, tell, loop.create_future(), since=now, asked=now, due=due)
        self._waits[job_id] = wait
        if job_id in self._told:
            self.hear(job_id)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            return await wait.answer
        finally:
            self._waits.pop(job_id, None)

    def hear(self, job_id: str) -> None:
        """An event says that a render has finished: whoever waits for it looks now, or as soon as it waits."""
        wait = self._waits.get(job_id)
        if wait is None or wait.answer.done():
            self._told.add(job_id)
            return
        self._told.discard(job_id)
        self._ear.hear()
        wait.due = asyncio.get_running_loop().time() + SELDOM
        look = asyncio.create_task(self._ask(wait))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def close(self) -> None:
        """Stop polling."""
        tasks = [*self._looks, *(() if self._poller is None else (self._poller,))]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while waiting := [wait for wait in self._waits.values() if not wait.answer.done()]:
            # A newcomer is due no sooner than SHORTEST from now, so sleeping that long misses none.
            await asyncio.sleep(min(max(min(wait.due for wait in waiting) - loop.time(), 0), SHORTEST))
            due = [wait for wait in waiting if wait.due <= loop.time() + TOGETHER and not wait.answer.done()]
            await self._look(sorted(due, key=lambda wait: wait.since))

    async def _look(self, due: list[_RenderWait]) -> None:
        loop = asyncio.get_running_loop()
        wave = WAVE
        while due:
            asked, due = due[:wave], due[wave:]
            done = sum(await asyncio.gather(*(self._ask(wait) for wait in asked)))
            if done * 2 < len(asked):
                longest = SELDOM if self._ear.hears else LONGEST
                overdue = [wait for wait in due if wait.asked + longest <= loop.time()]
                for wait in due:
                    wait.due = loop.time() + interval(0, heard=self._ear.hears)
                await asyncio.gather(*(self._ask(wait) for wait in overdue))
                return
            wave *= 2

    async def _ask(self, wait: _RenderWait) -> bool:
        loop = asyncio.get_running_loop()
        try:
            job = await render_job(self._service, wait.job_id)
        except Exception as error:
            if not wait.answer.done():
                wait.answer.set_exception(error)
            return True
        wait.asked = loop.time()
        wait.due = wait.asked + interval(wait.asked - wait.since, heard=self._ear.hears)
        settled = job is None or job.status in SETTLED_RENDER
        if settled and not wait.answer.done():
            wait.answer.set_result(job)
        elif job is not None and not settled:
            wait.tell(job.status)
        return settled


@dataclass(slots=True, eq=False)
class _RenderWait:
    """One render that is waited for; ``since``, ``asked`` and ``due`` are the loop's seconds."""

    job_id: str
    tell: Callable[[str], None]
    answer: asyncio.Future[RenderJob | None]
    since: float
    asked: float
    due: float
