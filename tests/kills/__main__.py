"""Kill the console script at random moments, and prove by the studio's own records that nothing was done twice.

make kill KILLS=200
PYTHONPATH=tests python -m kills --kills 200 --products 200 --seed 42
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from kills.proof import Broken
from kills.story import kill


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--products", type=int, default=200, help="in each catalogue")
    parser.add_argument("--seed", type=int, help="the moments of the kills; by default another one each time")
    given = parser.parse_args()
    seed = SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="glossi-kills-"))
    try:
        figures = kill(
            folder, seed=seed, kills=given.kills, products=given.products, say=lambda line: print(line, flush=True)
        )
    except Broken as broken:
        sys.exit(f"{told(broken, seed=seed, kills=given.kills, products=given.products)}\n  all is left in {folder}")
    shutil.rmtree(folder)
    print(figures)


def told(broken: Broken, *, seed: int, kills: int, products: int) -> str:
    """What is broken, and the line that does the same again."""
    line = f"PYTHONPATH=tests python -m kills --kills {kills} --products {products} --seed {seed}"
    return f"seed {seed} is broken: {broken}\n  {line}"


if __name__ == "__main__":
    main()
