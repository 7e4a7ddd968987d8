"""A batcher keeps to the plan's bound of calls, loses no member, and finds the one that spoils a call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossi_sync.applying.batching import Batcher
from glossi_sync.applying.stop import Stop, Stopped
from glossi_sync.planning import allowance
from glossi_sync.service import Refused


def refusal(status: int) -> Refused:
    return Refused(call="POST /x", doing="x", where="POST /x", happened=f"answered {status}", status=status)


async def run(
    delays: Sequence[float], bad: set[int] = frozenset(), withdrawn: int = 0
) -> tuple[list[list[int]], list[object]]:
    """Submit a member after each delay; the calls that were made, and what each member got."""
    calls: list[list[int]] = []

    async def send(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        await asyncio.sleep(0.001)
        if bad.intersection(items):
            raise refusal(400)
        return [item * 10 for item in items]

    members = len(delays) + withdrawn
    batcher = Batcher[int, int](send, expected=members, calls=allowance(members), stop=Stop())

    async def submit(item: int, delay: float) -> int:
        await asyncio.sleep(delay)
        return await batcher.submit(item)

    submitted = [asyncio.create_task(submit(item, delay)) for item, delay in enumerate(delays)]
    for _ in range(withdrawn):
        batcher.withdraw()
    answers = await asyncio.wait_for(asyncio.gather(*submitted, return_exceptions=True), 20)
    return calls, list(answers)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.03, 0.06]), min_size=1, max_size=150), st.integers(0, 20))
def test_every_member_gets_its_answer_within_the_allowance(delays: list[float], withdrawn: int) -> None:
    calls, answers = asyncio.run(run(delays, withdrawn=withdrawn))
    assert answers == [item * 10 for item in range(len(delays))]
    assert sorted(item for call in calls for item in call) == list(range(len(delays)))
    assert len(calls) <= allowance(len(delays) + withdrawn)


def test_members_that_come_together_share_one_call() -> None:
    calls, _ = asyncio.run(run([0.0] * 60))
    assert len(calls) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.data())
def test_a_refused_call_is_halved_until_the_culprits_alone_are_refused(members: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, members - 1), min_size=1, max_size=3))
    _, answers = asyncio.run(run([0.0] * members, bad))
    for item, answer in enumerate(answers):
        assert isinstance(answer, Refused) if item in bad else answer == item * 10


def test_a_stop_abandons_those_who_wait_and_lets_the_call_under_way_end() -> None:
    async def scenario() -> tuple[object, object]:
        release = asyncio.Event()
        begun = asyncio.Event()

        async def send(items: Sequence[int]) -> list[int]:
            begun.set()
            await release.wait()
            return list(items)

        stop = Stop()
        batcher = Batcher[int, int](send, expected=5, calls=5, stop=stop)
        first = asyncio.create_task(batcher.submit(1))
        await begun.wait()
        second = asyncio.create_task(batcher.submit(2))
        await asyncio.sleep(0)
        stop.request()
        release.set()
        return await first, (await asyncio.gather(second, return_exceptions=True))[0]

    first, second = asyncio.run(scenario())
    assert first == 1
    assert isinstance(second, Stopped)


def test_nothing_is_taken_in_after_a_stop() -> None:
    async def scenario() -> None:
        stop = Stop()
        stop.request()

        async def send(items: Sequence[int]) -> list[int]:
            raise AssertionError("nothing may be sent")

        with pytest.raises(Stopped):
            await Batcher[int, int](send, expected=1, calls=1, stop=stop).submit(1)

    asyncio.run(scenario())
