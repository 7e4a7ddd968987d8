"""Growth: what a plan takes for each product, at 1,000, 10,000 and 100,000 products of which none has changed.

    python benchmarks/growth.py

Flat or falling is the aim: nothing in a plan may grow faster than the catalogue. On one core, as in plan.py.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from converged import converged
from measuring import load
from plan import plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    sizes = [_measure(products, given.times) for products in given.products]
    print(f"growth: {'; '.join(sizes)}; {load()}")


def _measure(products: int, times: int) -> str:
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder, converged(Path(folder), products) as made:
        plan(made)
        ran = [plan(made) for _ in range(times)]
    seconds = statistics.median(one.seconds for one in ran)
    cpu = statistics.median(one.cpu_seconds for one in ran)
    peak = max(one.peak for one in ran)
    return (
        f"{products} products {seconds:.2f} s ({cpu:.2f} s of CPU) and {peak / 1e6:.0f} MB, "
        f"{seconds / products * 1e3:.3f} ms and {peak / products / 1e3:.1f} kB each"
    )


if __name__ == "__main__":
    main()
