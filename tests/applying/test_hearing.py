"""What a webhook's event has told, the service is not asked for; what no event tells is asked for still."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from virtual_time import run_in_virtual_time

from glossi_sync.applying.hearing import hear_events
from glossi_sync.applying.waiting import LONGEST, SELDOM, Ear, ModelWaits, RenderWaits
from glossi_sync.service import Glossi, ModelStatus, NotFound, RenderJob
from glossi_sync.state import MemoryState, Received, StateError


class Service:
    """A service that is done with each id at a time of its own, and counts the looks at it."""

    def __init__(self, done_at: dict[str, float], *, failed: frozenset[str] = frozenset()) -> None:
        self.done_at = done_at
        self.failed = failed
        self.looks: Counter[str] = Counter()

    def _is_done(self, one: str) -> bool:
        return asyncio.get_running_loop().time() >= self.done_at[one]

    async def model_statuses(self, model_ids: list[str]) -> Any:
        self.looks.update(model_ids)
        await asyncio.sleep(0.05)
        done = [
            ModelStatus(one, one, "READY" if self._is_done(one) else "PENDING", self._is_done(one)) for one in model_ids
        ]
        return type("Statuses", (), {"models": tuple(done)})

    async def render(self, job_id: str) -> RenderJob:
        self.looks[job_id] += 1
        await asyncio.sleep(0.05)
        if job_id not in self.done_at:
            raise NotFound(call="GET", doing="x", where="x", happened="answered 404", status=404)
        done = "FAILED" if job_id in self.failed else "COMPLETED"
        return RenderJob(job_id, done if self._is_done(job_id) else "RENDERING", "p", (), None)


def event(about: str, **data: str) -> Received:
    body = json.dumps({"event": about, "data": data})
    return Received(body, about, body, 0.0)


def finished(one: str) -> Received:
    if one.startswith("m"):
        return event("model.processed", modelId=one, name=one, status="READY")
    return event("render.complete", jobId=one, projectId="p")


async def inline(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def apply(
    service: Service, tells: dict[float, list[Received]], ids: list[str], *, hears: bool = True
) -> dict[str, float]:
    """Wait for all ids at once, while events come at those times; when each wait ended."""
    ended: dict[str, float] = {}

    async def run() -> None:
        loop = asyncio.get_running_loop()
        ear, state = Ear(), MemoryState(service="local")
        models, renders = (kind(cast(Glossi, service), ear) for kind in (ModelWaits, RenderWaits))

        async def tell() -> None:
            for at, events in sorted(tells.items()):
                await asyncio.sleep(at - loop.time())
                for one in events:
                    state.put_event(one)

        async def wait(one: str) -> None:
            waiting: Awaitable[Any] = (
                models.settled(one) if one.startswith("m") else renders.settled(one, lambda _: None)
            )
            await waiting
            ended[one] = loop.time()

        telling = asyncio.create_task(tell())
        hearing = asyncio.create_task(hear_events(state, models, renders, inline)) if hears else None
        await asyncio.gather(*map(wait, ids))
        for task in (telling, hearing):
            if task is not None:
                task.cancel()
        await models.close()
        await renders.close()

    run_in_virtual_time(run())
    return ended


def test_waits_end_when_their_events_come_with_one_look_at_a_render_and_none_at_a_model() -> None:
    ids = [*(f"m{number}" for number in range(60)), *(f"r{number}" for number in range(60))]
    done_at = {one: 20.0 + 2 * (number % 60) for number, one in enumerate(ids)}
    first = dict.fromkeys(("m0", "r0"), 0.1)  # from here on it is known that events arrive
    tells: dict[float, list[Received]] = {}
    for one, at in (done_at | first).items():
        tells.setdefault(at, []).append(finished(one))
    heard, polled = Service(done_at | first), Service(done_at | first)
    ended = apply(heard, tells, ids)
    assert all(ended[one] - heard.done_at[one] < 0.5 for one in ids)
    late = apply(polled, {}, ids, hears=False)
    assert max(late[one] - polled.done_at[one] for one in ids) > 0.5
    # The few looks beyond are those that a lost event would need.
    assert sum(heard.looks.values()) < 60 + sum(at // SELDOM + 1 for at in heard.done_at.values())
    assert sum(heard.looks.values()) * 2 < sum(polled.looks.values())


@pytest.mark.parametrize("one", ["m1", "r1"])
def test_a_lost_event_delays_a_result_and_does_not_lose_it(one: str) -> None:
    service = Service({one: 3.0, "m0": 0.1})
    ended = apply(service, {0.1: [finished("m0")]}, ["m0", one])
    assert ended[one] <= 3.0 + SELDOM + 1


@pytest.mark.parametrize("one", ["m1", "r1"])
def test_without_events_it_looks_as_often_as_ever(one: str) -> None:
    service = Service({one: 300.0})
    ended = apply(service, {}, [one])
    assert ended[one] <= 300 + LONGEST + 1


def test_where_events_have_ceased_it_looks_often_again() -> None:
    service = Service({"m0": 0.1, "r1": 400.0})
    ended = apply(service, {0.1: [finished("m0")]}, ["m0", "r1"])
    assert ended["r1"] <= 400 + LONGEST + 1


@pytest.mark.parametrize("one", ["m1", "r1"])
def test_an_event_that_comes_before_the_wait_counts(one: str) -> None:
    async def run() -> float:
        service = Service({one: 0.0})
        ear = Ear()
        models, renders = (kind(cast(Glossi, service), ear) for kind in (ModelWaits, RenderWaits))
        if one.startswith("m"):
            models.hear(ModelStatus(one, one, "READY", True))
            await models.settled(one)
        else:
            renders.hear(one)
            await renders.settled(one, lambda _: None)
        assert service.looks.total() == one.startswith("r")
        await renders.close()
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(run()) < 0.2


def test_the_event_of_a_failure_before_the_retry_does_not_end_the_wait_after_it() -> None:
    """A render is looked at, never believed: what an event says may be old."""
    service = Service({"r1": 20.0})
    ended = apply(service, {1.0: [event("render.failed", jobId="r1")]}, ["r1"])
    assert ended["r1"] >= 20


def test_a_failed_model_is_told_with_its_reason() -> None:
    async def run() -> ModelStatus | None:
        models = ModelWaits(cast(Glossi, Service({"m1": 1e9})), Ear())
        waiting = asyncio.create_task(models.settled("m1"))
        await asyncio.sleep(0)
        state = MemoryState(service="local")
        hearing = asyncio.create_task(hear_events(state, models, RenderWaits(cast(Glossi, None), Ear()), inline))
        await asyncio.sleep(0.1)
        state.put_event(event("model.failed", modelId="m1", errorMessage="no triangles"))
        status = await waiting
        hearing.cancel()
        await models.close()
        return status

    status = run_in_virtual_time(run())
    assert status is not None
    assert (status.ready, status.failed, status.error_message) == (False, True, "no triangles")


def test_a_state_that_cannot_be_read_leaves_the_waits_to_themselves() -> None:
    class Broken(MemoryState):
        def heard(self) -> int:
            raise StateError("gone")

    async def run() -> None:
        await hear_events(Broken(service="local"), cast(Any, None), cast(Any, None), inline)

    run_in_virtual_time(run())
