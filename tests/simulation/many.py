"""Many seeds on many cores. A module of its own, because workers import it by name."""

from __future__ import annotations

import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from multiprocessing import get_context

from simulation.story import how_to_replay, simulate

AT_ONCE = 100
"""Seeds that a worker runs before it tells how it went."""

WORKER_LIFE = 50
"""Such portions after which a worker makes room for a new one: what leaks in a seed must not add up to a million."""


def run(start: int, seeds: int, workers: int, backend: str | None = None, database: str | None = None) -> int:
    """Run seeds, and print how it goes; answers how many are broken."""
    portions = (range(one, min(one + AT_ONCE, start + seeds)) for one in range(start, start + seeds, AT_ONCE))
    began = time.monotonic()
    done = broken = 0
    context = get_context("spawn")
    submit = partial(_submit, backend, database)
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=WORKER_LIFE) as pool:
        under_way = {submit(pool, one) for one in islice(portions, 2 * workers)}
        while under_way:
            finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for one in finished:
                count, failures = one.result()
                done += count
                broken += len(failures)
                for failure in failures:
                    print(failure, flush=True)
                under_way |= {submit(pool, one) for one in islice(portions, 1)}
            print(_progress(done, seeds, broken, time.monotonic() - began), file=sys.stderr, flush=True)
    print(f"{done:,} seeds, {broken} broken, {time.monotonic() - began:.0f} s on {workers} cores")
    return broken


def portion(seeds: range, backend: str | None = None, database: str | None = None) -> tuple[int, list[str]]:
    """Run some seeds in this process: how many, and for each that is broken what to say of it."""
    failures: list[str] = []
    for seed in seeds:
        try:
            simulate(seed, backend=backend, database=database)
        except Exception as error:
            failures.append(told(seed, error, backend))
    return len(seeds), failures


def told(seed: int, error: Exception, backend: str | None = None) -> str:
    """What is broken, and the line that shows how it came to that."""
    what = "".join(traceback.format_exception_only(error)).strip()
    return f"seed {seed} is broken: {what}\n  {how_to_replay(seed, backend)}"


def _submit(
    backend: str | None, database: str | None, pool: ProcessPoolExecutor, seeds: range
) -> Future[tuple[int, list[str]]]:
    return pool.submit(portion, seeds, backend, database)


def _progress(done: int, seeds: int, broken: int, seconds: float) -> str:
    left = seconds / done * (seeds - done)
    return f"{done:,} of {seeds:,} seeds, {broken} broken, {seconds:.0f} s, {left:.0f} s to go"
