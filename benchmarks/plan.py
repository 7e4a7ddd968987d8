"""Plan: 100,000 products of which none has changed, in seconds and memory, on one core.

    python benchmarks/plan.py --products 100000

The figures are those of the console script, a process of its own, pinned to one core (the studio that it asks has the
others). How its time is split is told by two runs more of the very same command, in a process where a stopwatch
stands around each of the program's own steps; the rest is the start, the writing and the end.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from catalogue import GLOSSI_SYNC, environment
from converged import Converged, converged
from measuring import Ran, load, run

CORE = 0

STEPS = {
    "load": (("glossi_sync.cli.session", "load_spec"),),
    "hash check": (("glossi_sync.cli.session", "Session.hash_files"),),
    "state": (("glossi_sync.state.sql", "SqlState.realised"),),
    "observe": (("glossi_sync.planning.survey", "_templates"), ("glossi_sync.planning.survey", "observe")),
    "decide": tuple(("glossi_sync.planning.survey", name) for name in ("desire", "ask", "plan", "explain")),
}
"""The functions that a plan's time is split by, where the program looks them up."""


def plan(made: Converged, *, core: int | None = CORE) -> Ran:
    """One ``glossi-sync plan``, which must find nothing to do."""
    command = [GLOSSI_SYNC, "plan", "--detailed-exitcode", "-f", str(made.spec)]
    return run(command, env=environment(made.studio.url, made.studio.key), core=core).good()


def split(made: Converged) -> dict[str, float]:
    """Seconds of each step of a plan."""
    command = [sys.executable, __file__, "--stopwatch", str(made.spec)]
    ran = run(command, env=environment(made.studio.url, made.studio.key), core=CORE).good()
    taken: dict[str, float] = json.loads(ran.output.splitlines()[-1])
    return taken | {"rest": ran.seconds - sum(taken.values())}


def _with_stopwatch(spec: str) -> None:
    """Run the command in this process with a stopwatch around its steps, and print what they took."""
    taken: Counter[str] = Counter()
    for step, functions in STEPS.items():
        for module_name, path in functions:
            *outer, name = path.split(".")
            # Not by attribute: a package may have a function by the name of its module.
            import_module(module_name)
            holder: Any = sys.modules[module_name]
            for part in outer:
                holder = getattr(holder, part)
            setattr(holder, name, _timed(getattr(holder, name), step, taken))
    main = import_module("glossi_sync.cli").main
    main(["plan", "--detailed-exitcode", "-f", spec], standalone_mode=False)
    print(json.dumps(taken))


def _timed(function: Callable[..., Any], step: str, taken: Counter[str]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def wait(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return await function(*args, **named)
            finally:
                taken[step] += time.perf_counter() - began  # type: ignore[assignment]

        return wait

    def call(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            taken[step] += time.perf_counter() - began  # type: ignore[assignment]

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--stopwatch", metavar="SPEC", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stopwatch:
        _with_stopwatch(given.stopwatch)
        return
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder, converged(Path(folder), given.products) as made:
        plan(made)  # what the making has left in the studio's and the disk's queues goes by
        ran = [plan(made) for _ in range(given.times)]
        parts = [split(made) for _ in range(2)]
    seconds = statistics.median(one.seconds for one in ran)
    cpu = statistics.median(one.cpu_seconds for one in ran)
    peak = max(one.peak for one in ran) / 1e6
    steps = ", ".join(f"{step} {min(part[step] for part in parts):.2f}" for step in parts[0])
    print(
        f"plan: {given.products} products, nothing changed, one core: {seconds:.1f} s ({cpu:.1f} s of CPU), "
        f"{peak:.0f} MB; {steps} s; {load()}"
    )


if __name__ == "__main__":
    main()
