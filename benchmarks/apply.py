"""Apply: wall time over the critical path's length, and mutating calls a product.

    python benchmarks/apply.py --products 1000

The studio's API is real, its rendering a delay: 50 ms until each answer, 2 s for a model, 2 s for a render. The
critical path is what one product alone needs at these delays, its requests one after the other and every wait noticed
at once: the requests of a plan (templates) and of five steps, one look at a status each, and both waits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from catalogue import GLOSSI_SYNC, environment, write_catalogue
from delayed_studio import delayed_studio

LATENCY, PROCESSING, RENDERING = 0.05, 2.0, 2.0
REQUESTS = 1 + 5 + 2
CRITICAL_PATH = REQUESTS * LATENCY + PROCESSING + RENDERING


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1000)
    products = parser.parse_args().products
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder:
        spec = write_catalogue(Path(folder), products)
        studio_folder = Path(folder) / "studio"
        with delayed_studio(studio_folder, latency=LATENCY, processing=PROCESSING, rendering=RENDERING) as studio:
            began = time.perf_counter()
            done = subprocess.run(
                [GLOSSI_SYNC, "apply", "--yes", "--format", "json", "-f", str(spec)],
                env=environment(studio.url, studio.key),
                stdout=subprocess.PIPE,
                check=False,
                text=True,
            )
            seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"apply ended with {done.returncode}: {done.stdout[-500:]}")
    calls = json.loads(done.stdout.splitlines()[-1])["calls"]
    a_product = sum(calls.values()) / products
    print(
        f"apply: {products} products in {seconds:.1f} s, {seconds / CRITICAL_PATH:.2f} x the critical path of "
        f"{CRITICAL_PATH:.1f} s; {a_product:.2f} mutating calls a product"
    )


if __name__ == "__main__":
    main()
