"""The governor's promises, under arbitrary schedules on a virtual clock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_in_virtual_time

from glossi_sync.service.pacing import Governor, HeldTooLong, Hold, Pace


@dataclass(frozen=True)
class Job:
    starts: float
    takes: float
    outcome: str
    retry_after: float | None
    cancelled_after: float | None


seconds = st.integers(0, 40).map(lambda n: n / 4)
jobs = st.lists(
    st.builds(
        Job,
        starts=seconds,
        takes=seconds,
        outcome=st.sampled_from(["good", "good", "overloaded"]),
        retry_after=st.none() | seconds,
        cancelled_after=st.none() | st.none() | seconds,
    ),
    max_size=30,
)
paces = st.integers(1, 8).flatmap(lambda ceiling: st.builds(Pace, st.integers(1, ceiling), st.just(ceiling)))


@given(jobs, paces)
@settings(deadline=None, max_examples=60)
def test_never_too_many_never_while_held_and_nobody_is_forgotten(jobs: list[Job], pace: Pace) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        hold = Hold()
        governor = Governor(pace, hold)
        inside: set[int] = set()
        finished: set[int] = set()

        async def work(number: int, job: Job) -> None:
            await asyncio.sleep(job.starts)
            permit = await governor.enter()
            try:
                inside.add(number)
                assert len(inside) <= pace.ceiling
                assert loop.time() >= hold.until
                assert len(inside) <= governor.under_way <= pace.ceiling
                await asyncio.sleep(job.takes)
                if job.outcome == "good":
                    governor.grow()
                else:
                    governor.shrink(permit, job.retry_after)
                assert 1 <= governor.limit <= pace.ceiling
            finally:
                inside.discard(number)
                governor.leave()
            finished.add(number)

        tasks = [asyncio.ensure_future(work(number, job)) for number, job in enumerate(jobs)]
        for task, job in zip(tasks, jobs, strict=True):
            if job.cancelled_after is not None:
                loop.call_later(job.cancelled_after, task.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            assert number in finished or isinstance(result, asyncio.CancelledError), result
        assert governor.under_way == 0
        await governor.enter()  # no slot was lost on the way

    run_in_virtual_time(main())


def test_overload_halves_the_limit_once_for_all_that_were_under_way() -> None:
    async def main() -> None:
        governor = Governor(Pace(16, 64))
        permits = [await governor.enter() for _ in range(16)]
        for permit in permits:
            governor.shrink(permit)
            governor.leave()
        assert governor.limit == 8

        later = await governor.enter()
        governor.shrink(later)
        assert governor.limit == 4

    run_in_virtual_time(main())


def test_after_the_cut_only_as_many_go_as_the_new_limit_allows() -> None:
    async def main() -> None:
        governor = Governor(Pace(4, 4))
        permit = await governor.enter()
        governor.shrink(permit)
        governor.leave()
        entered = [asyncio.ensure_future(governor.enter()) for _ in range(4)]
        await asyncio.sleep(1)
        assert sum(task.done() for task in entered) == 2
        for _ in range(2):
            governor.leave()
        await asyncio.sleep(1)
        assert all(task.done() for task in entered)

    run_in_virtual_time(main())


def test_good_answers_double_the_limit_each_round_and_after_the_first_trouble_add_one() -> None:
    async def main() -> None:
        governor = Governor(Pace(4, 12))
        for _ in range(4):
            governor.grow()
        assert governor.limit == 8
        governor.shrink(await governor.enter())
        assert governor.limit == 4
        for _ in range(5):
            governor.grow()
        assert governor.limit == 5
        for _ in range(100):
            governor.grow()
        assert governor.limit == 12

    run_in_virtual_time(main())


def test_retry_after_holds_both_lanes_of_an_origin_until_it_is_over() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        hold = Hold()
        calls, transfers = Governor(hold=hold), Governor(hold=hold)
        calls.shrink(await calls.enter(), retry_after=30)
        calls.leave()
        await asyncio.gather(calls.enter(), transfers.enter())
        assert 30 <= loop.time() < 31

    run_in_virtual_time(main())


def test_who_cannot_wait_so_long_is_told_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        governor = Governor(Pace(1, 1))
        permit = await governor.enter()
        queued = asyncio.ensure_future(governor.enter(longest_hold=60))
        await asyncio.sleep(1)
        governor.shrink(permit, retry_after=3600)
        governor.leave()
        with pytest.raises(HeldTooLong) as told:
            await queued
        assert told.value.seconds == 3600
        with pytest.raises(HeldTooLong):
            await governor.enter(longest_hold=60)
        assert loop.time() == 1

    run_in_virtual_time(main())


def test_first_come_first_go() -> None:
    async def main() -> None:
        governor = Governor(Pace(1, 1))
        order: list[int] = []

        async def work(number: int) -> None:
            await governor.enter()
            order.append(number)
            await asyncio.sleep(1)
            governor.leave()

        await asyncio.gather(*(work(number) for number in range(10)))
        assert order == list(range(10))

    run_in_virtual_time(main())
