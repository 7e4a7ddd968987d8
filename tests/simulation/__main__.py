"""Run many seeds on all cores, or replay one.

make simulate SEEDS=1000000
make simulate SEEDS=100000 BACKEND=bucket
PYTHONPATH=tests python -m simulation --seed 42 --trace
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext

from simulation.many import run
from simulation.story import simulate
from simulation.vault import BACKENDS
from studio_elsewhere import postgresql


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--start", type=int, default=0, help="the first of several")
    parser.add_argument("--seeds", type=int, default=2000, help="how many")
    parser.add_argument("--trace", action="store_true", help="print everything that happens, one seed after the other")
    parser.add_argument("--backend", choices=BACKENDS, help="where the state lies, in place of what the seed decides")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    start, count = (arguments.start, arguments.seeds) if arguments.seed is None else (arguments.seed, 1)
    backend = arguments.backend
    with postgresql() if backend == "postgresql" else nullcontext() as new_database:
        database = None if new_database is None else new_database().replace("+psycopg", "")
        if arguments.trace or count == 1:
            for seed in range(start, start + count):
                simulate(seed, print if arguments.trace else None, backend=backend, database=database)
                print(f"seed {seed}: nothing is broken")
        else:
            sys.exit(min(1, run(start, count, arguments.workers, backend, database)))


if __name__ == "__main__":
    main()
