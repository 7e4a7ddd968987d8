"""Places by weight, under arbitrary schedules on a virtual clock."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_in_virtual_time

from glossi_sync.applying.places import Places

jobs = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 30), st.integers(1, 8), st.none() | st.integers(1, 40)), max_size=30
)


@given(jobs, st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_never_too_much_at_a_time_and_nobody_is_forgotten(
    given_jobs: list[tuple[int, int, int, int | None]], total: int
) -> None:
    async def main() -> None:
        places = Places(total)
        inside: list[int] = []
        came: list[int] = []
        went_in: dict[int, float] = {}

        async def work(number: int, starts: int, takes: int, weight: int) -> None:
            await asyncio.sleep(starts)
            came.append(number)
            async with places.take(weight):
                went_in[number] = loop.time()
                inside.append(min(weight, total))
                assert sum(inside) <= total
                try:
                    await asyncio.sleep(takes)
                finally:
                    inside.remove(min(weight, total))

        loop = asyncio.get_running_loop()
        tasks = []
        for number, (starts, takes, weight, cancelled_after) in enumerate(given_jobs):
            tasks.append(asyncio.ensure_future(work(number, starts, takes, weight)))
            if cancelled_after is not None:
                loop.call_later(cancelled_after, tasks[-1].cancel)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome
        entries = [went_in[number] for number in came if number in went_in]
        assert entries == sorted(entries)  # first come, first go
        async with places.take(total):
            pass  # none was lost on the way

    run_in_virtual_time(main())
