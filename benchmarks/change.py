"""One change in 100,000: what an apply costs over a plan that has the same change to tell.

    python benchmarks/change.py --products 100000

One model's file gets another content; a plan finds it, then an apply carries it out (record, upload, confirm, project,
render). Again and again, always another model. The studio works without delay, but an apply looks whether a model is
ready, and whether a render is, no sooner than a second after it asked for it: those two seconds are waited, not
worked, so the ratio of CPU seconds is told as well.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from catalogue import GLOSSI_SYNC, environment, glb
from converged import Converged, converged
from measuring import Ran, load, run

from glossi_sync.spec.hashing import RACY_NS

CHANGED = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    planned, applied = [], []
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder, converged(Path(folder), given.products) as made:
        _run(made, "plan", "--detailed-exitcode").good()
        for number in range(given.times):
            swapped = made.spec.parent / "models" / f"sku{number:06}.glb"
            swapped.write_bytes(glb(given.products + number))
            time.sleep(RACY_NS / 1e9 + 0.1)  # so that it is hashed once, as in a catalogue that was saved a while ago
            planned.append(_run(made, "plan", "--detailed-exitcode").good(CHANGED))
            applied.append(_run(made, "apply", "--yes").good())
        _run(made, "plan", "--detailed-exitcode").good()
    plan, apply = (statistics.median(one.seconds for one in ran) for ran in (planned, applied))
    plan_cpu, apply_cpu = (statistics.median(one.cpu_seconds for one in ran) for ran in (planned, applied))
    print(
        f"change: 1 of {given.products} products: plan {plan:.1f} s, apply {apply:.1f} s, {apply / plan:.2f} x the "
        f"plan ({apply_cpu:.1f} over {plan_cpu:.1f} s of CPU: {apply_cpu / plan_cpu:.2f} x); {load()}"
    )


def _run(made: Converged, *arguments: str) -> Ran:
    command = [GLOSSI_SYNC, arguments[0], "-f", str(made.spec), *arguments[1:]]
    return run(command, env=environment(made.studio.url, made.studio.key))


if __name__ == "__main__":
    main()
