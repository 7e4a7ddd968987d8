"""Start-up: how long the smallest things take.

    python benchmarks/startup.py --times 20

``--version``, and a plan of the example storefront at a studio that runs already: the first one, without a state, and
one that finds nothing to do. Medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from catalogue import GLOSSI_SYNC, environment
from delayed_studio import delayed_studio
from measuring import load, run

EXAMPLE = Path(__file__).parents[1] / "examples" / "storefront" / "glossi.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    times: int = parser.parse_args().times
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder:
        studio_folder = Path(folder) / "studio"
        with delayed_studio(studio_folder, latency=0, processing=0, rendering=0) as studio:
            env = environment(studio.url, studio.key) | {"GLOSSI_STATE": str(Path(folder) / "state.db")}
            version = median([GLOSSI_SYNC, "--version"], env, times)
            plan = [GLOSSI_SYNC, "plan", "-f", str(EXAMPLE)]
            first = median(plan, env, times)
            run([GLOSSI_SYNC, "apply", "--yes", "--no-download", "-f", str(EXAMPLE)], env=env).good()
            again = median([*plan, "--detailed-exitcode"], env, times)
    print(
        f"startup: --version {version}, a first plan of the example {first}, one with nothing to do {again} "
        f"(medians of {times}); {load()}"
    )


def median(command: Sequence[str], env: dict[str, str], times: int) -> str:
    """What a command takes: ``0.312 s (0.290 s of CPU)``."""
    ran = [run(command, env=env).good() for _ in range(times)]
    seconds = statistics.median(one.seconds for one in ran)
    cpu = statistics.median(one.cpu_seconds for one in ran)
    return f"{seconds:.3f} s ({cpu:.3f} s of CPU)"


if __name__ == "__main__":
    main()
