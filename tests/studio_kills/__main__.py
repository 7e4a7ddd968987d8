"""Kill the studio's server at random moments, under load, and prove that nothing it has promised is lost.

make studio-kills KILLS=100
PYTHONPATH=tests python -m studio_kills --kills 100 --seed 42
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from studio_kills.client import Broken
from studio_kills.story import kill


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studio_kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, help="the moments of the kills; by default another one each time")
    given = parser.parse_args()
    seed = SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="glossi-studio-kills-"))
    try:
        figures = kill(folder, seed=seed, kills=given.kills, say=lambda line: print(line, flush=True))
    except Broken as broken:
        sys.exit(f"{told(broken, seed=seed, kills=given.kills)}\n  all is left in {folder}")
    shutil.rmtree(folder)
    print(figures)


def told(broken: Broken, *, seed: int, kills: int) -> str:
    """What is broken, and the line that does the same again."""
    line = f"PYTHONPATH=tests python -m studio_kills --kills {kills} --seed {seed}"
    return f"seed {seed} is broken: {broken}\n  {line}"


if __name__ == "__main__":
    main()
