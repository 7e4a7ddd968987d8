"""Events: what a webhook's receiver saves an apply: status calls, and the time until a result is seen.

    python benchmarks/events.py --products 50

The same catalogue twice on a studio whose work is a delay (50 ms until each answer, 8 s for a model, 15 s for a
render): once polling alone, once with `glossi-sync webhook listen` beside it.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from catalogue import GLOSSI_SYNC, environment, write_catalogue
from delayed_studio import delayed_studio
from measuring import load, run

LATENCY, PROCESSING, RENDERING = 0.05, 8.0, 15.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=50)
    products = parser.parse_args().products
    for heard in (False, True):
        seconds, looks = measure(products, heard=heard)
        how = "with a receiver" if heard else "polling alone"
        models, renders = looks["POST /models/status"], looks["GET /renders/{id}"]
        print(
            f"events: {products} products {how}: {seconds:.1f} s, of which {PROCESSING + RENDERING:.0f} s are waits; "
            f"status calls: {models} for models, {renders} for renders; {load()}"
        )


def measure(products: int, *, heard: bool) -> tuple[float, Counter[str]]:
    """The seconds of an apply, and its requests by name."""
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder:
        spec = write_catalogue(Path(folder), products)
        with delayed_studio(
            Path(folder) / "studio", latency=LATENCY, processing=PROCESSING, rendering=RENDERING
        ) as studio:
            env = environment(studio.url, studio.key)
            if heard:
                with socket.create_server(("127.0.0.1", 0)) as free:
                    port = free.getsockname()[1]
                events = "[model.processed, model.failed, render.complete, render.failed]"
                with spec.open("a", encoding="utf-8") as file:
                    file.write(f'webhook: {{url: "http://127.0.0.1:{port}/hook", events: {events}}}\n')
            listening = [GLOSSI_SYNC, "webhook", "listen", "--port", str(port if heard else 0), "-f", str(spec)]
            with subprocess.Popen(listening, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as receiver:
                assert receiver.stderr is not None
                receiver.stderr.readline()
                began = time.perf_counter()
                ran = run([GLOSSI_SYNC, "apply", "--yes", "-v", "-f", str(spec)], env=env).good()
                seconds = time.perf_counter() - began
                receiver.terminate()
    named = re.findall(r"^((?:GET|POST|PUT|DELETE) \S+): \d+ in \d+ ms$", ran.errors, re.MULTILINE)
    return seconds, Counter(named)


if __name__ == "__main__":
    sys.exit(main())
