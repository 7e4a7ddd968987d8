"""Waiting for the service: many models in one status call, renders one by one, ever less often.

A wait is asked about after 1 s, then at intervals of about a tenth of its age, up to 10 s: a result is seen late by a
tenth at most, and a thousand waits cost few calls.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from glossi_sync.planning.observe import STATUS_BATCH, render_job
from glossi_sync.service import Glossi, ModelStatus, RenderJob

SHORTEST = 1.0
LONGEST = 10.0
TOGETHER = 0.25
"""Seconds by which a wait may be asked about early, to share a call."""

SETTLED_RENDER = frozenset({"COMPLETED", "FAILED"})


def interval(age: float) -> float:
    """Seconds until a wait of that age (seconds) is asked about again."""
    return min(max(age / 10, SHORTEST), LONGEST)


class ModelWaits:
    """All models that the service is processing, polled together."""

    def __init__(self, service: Glossi) -> None:
        self._service = service
        self._due: list[tuple[float, float, str]] = []
        self._answers: dict[str, asyncio.Future[ModelStatus | None]] = {}
        self._poller: asyncio.Task[None] | None = None

    async def settled(self, model_id: str) -> ModelStatus | None:
        """Wait until a model is READY or FAILED; None where the service does not know it.

        Raises:
            ServiceError: the service could not be asked any more.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ModelStatus | None] = loop.create_future()
        self._answers[model_id] = answer
        heapq.heappush(self._due, (loop.time() + SHORTEST, loop.time(), model_id))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        return await answer

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
                heapq.heappush(self._due, (loop.time() + interval(loop.time() - since), since, model_id))

    def _forget(self, model_id: str) -> asyncio.Future[ModelStatus | None]:
        """The answer that is still awaited for a model; a fresh one that nobody hears where nobody waits any more."""
        future = self._answers.pop(model_id)
        return asyncio.get_running_loop().create_future() if future.done() else future


async def settled_render(service: Glossi, job_id: str, tell: Callable[[str], None]) -> RenderJob | None:
    """Wait until a render job is COMPLETED or FAILED; None where the service does not know it.

    ``tell`` hears each status on the way.

    Raises:
        ServiceError: the service could not be asked any more.
    """
    loop = asyncio.get_running_loop()
    since = loop.time()
    while True:
        await asyncio.sleep(interval(loop.time() - since))
        job = await render_job(service, job_id)
        if job is None or job.status in SETTLED_RENDER:
            return job
        tell(job.status)
