"""First hash: how fast the model files are hashed, beside ``sha256sum`` on the same files.

    python benchmarks/hash.py --gigabytes 4

Both on one core, then both on all of them (``sha256sum`` by ``xargs -P``), by turns, the files in the system's cache.
``sha256sum`` is timed as a whole process, ours from the first file to the last (its start is startup.py's matter).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from catalogue import write_catalogue
from measuring import load, run

from glossi_sync.spec import hash_models, read_spec

FILE_BYTES = 100_000_000
CORE = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--hash", nargs=2, metavar=("SPEC", "THREADS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hash:
        _hash(Path(given.hash[0]), int(given.hash[1]))
        return
    if shutil.which("sha256sum") is None or shutil.which("xargs") is None:
        sys.exit("sha256sum and xargs (coreutils, findutils) are not installed")
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder:
        spec = write_catalogue(Path(folder), round(given.gigabytes * 1e9 / FILE_BYTES), size=FILE_BYTES)
        size = sum(file.stat().st_size for file in spec.parent.glob("models/*"))
        speeds = [_round(spec, size, cores) for _ in range(1 + given.times)][1:]  # the first warms the cache
    ours, theirs, all_ours, all_theirs = (statistics.median(column) for column in zip(*speeds, strict=True))
    print(
        f"hash: {size / 1e9:.1f} GB, one core: {ours:.0f} MB/s, {ours / theirs:.2f} of sha256sum's {theirs:.0f}; "
        f"{cores} cores: {all_ours:.0f} MB/s, {all_ours / all_theirs:.2f} of xargs -P {cores}'s {all_theirs:.0f}; "
        f"{load()}"
    )


def _round(spec: Path, size: int, cores: int) -> tuple[float, float, float, float]:
    """MB/s: ours and sha256sum's on one core, ours and sha256sum's on all."""
    files = [str(file) for file in sorted(spec.parent.glob("models/*"))]
    listed = spec.parent / "files"
    listed.write_text("\n".join(files), encoding="utf-8")
    ours = [sys.executable, __file__, "--hash", str(spec)]
    seconds = (
        float(run([*ours, "1"], core=CORE).good().output),
        run(["sha256sum", *files], core=CORE).good().seconds,
        float(run([*ours, str(cores)]).good().output),
        run(["xargs", "-a", str(listed), "-P", str(cores), "-n", "1", "sha256sum"]).good().seconds,
    )
    one, other, all_one, all_other = (size / 1e6 / taken for taken in seconds)
    return one, other, all_one, all_other


def _hash(path: Path, threads: int) -> None:
    """In a process of its own: hash a spec's files, and print the seconds that it took."""
    spec = read_spec(path, env={}, endpoint="local")
    began = time.perf_counter()
    hash_models(spec, {}, threads=threads)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
