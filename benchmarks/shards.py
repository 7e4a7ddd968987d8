"""Shards: a catalogue on four runners side by side, over one runner alone; and whether they leave the same state.

    python benchmarks/shards.py --products 2000 --latency 0.05 1

The state is in PostgreSQL, the studio's API is real, its rendering a delay. Each runner is a process of its own, as on
a machine of its own; but here they share two cores with PostgreSQL and with the studio, which is one process. So the
line says what each took of the processors: where the studio's CPU time comes near the wall-clock time, it is the limit,
not the runners. A service that is further away (--latency, seconds until each answer) shows what shards can do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from catalogue import GLOSSI_SYNC, environment, write_catalogue
from delayed_studio import delayed_studio
from measuring import load, run

PROCESSING, RENDERING = 2.0, 2.0


@dataclass(frozen=True)
class Applied:
    """What an apply by so many runners took. ``state`` tells of each address what its object is, and is made from."""

    seconds: float
    cpu: Mapping[str, float]
    mutating: int
    state: Mapping[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=2000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 1.0])
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from studio_elsewhere import postgresql  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder, postgresql(durable=True) as new_database:
        spec = write_catalogue(Path(folder), given.products)
        told = [_compare(spec, new_database, given.shards, latency) for latency in given.latency]
    print(f"shards: {given.products} products; {'; '.join(told)}; {load()}")


def _compare(spec: Path, new_database: Callable[[], str], shards: int, latency: float) -> str:
    alone = _apply(spec, new_database, 1, latency)
    together = _apply(spec, new_database, shards, latency)
    if alone.state != together.state:
        different = [
            one for one in alone.state.keys() | together.state.keys() if alone.state.get(one) != together.state.get(one)
        ]
        sys.exit(f"the states differ at {len(different)} addresses, such as {different[0]}")
    return (
        f"{latency * 1000:.0f} ms until each answer: one runner {_told(alone)}, {shards} shards {_told(together)}, "
        f"{alone.seconds / together.seconds:.2f} times as fast, the same state"
    )


def _told(applied: Applied) -> str:
    cpu = ", ".join(f"{who} {seconds:.1f}" for who, seconds in applied.cpu.items())
    return f"{applied.seconds:.1f} s ({applied.mutating} mutating calls; seconds of CPU: {cpu})"


def _apply(spec: Path, new_database: Callable[[], str], shards: int, latency: float) -> Applied:
    database = new_database().replace("+psycopg", "")
    with psycopg.connect(database) as connection:
        [lines] = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone() or [""]
    server = int(lines.split()[0])
    with (
        tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder,
        delayed_studio(Path(folder), latency=latency, processing=PROCESSING, rendering=RENDERING) as studio,
        ThreadPoolExecutor(shards) as runners,
    ):
        env = environment(studio.url, studio.key) | {"GLOSSI_STATE": database}
        command = [GLOSSI_SYNC, "apply", "--yes", "--format", "json", "-f", str(spec)]
        parts = [["--shard", f"{number}/{shards}"] for number in range(1, shards + 1)] if shards > 1 else [[]]
        studio_before, server_before = _cpu(studio.pid), _cpu(server)
        began = time.perf_counter()
        ran = list(runners.map(lambda part: run([*command, *part], env=env).good(), parts))
        seconds = time.perf_counter() - began
        cpu = {
            "runners": sum(one.cpu_seconds for one in ran),
            "studio": _cpu(studio.pid) - studio_before,
            "PostgreSQL": _cpu(server) - server_before,
        }
        shown = run([GLOSSI_SYNC, "state", "show", "--format", "json", "-f", str(spec)], env=env).good()
    mutating = sum(sum(json.loads(one.output.splitlines()[-1])["calls"].values()) for one in ran)
    return Applied(seconds, cpu, mutating, _state(json.loads(shown.output)))


def _state(document: dict[str, Any]) -> dict[str, object]:
    """What two applies of one catalogue must agree on: all but ids and times."""
    objects = {one["oid"]: one for one in document["objects"]}
    digests = {oid: one["digest"] for oid, one in objects.items()}

    def told(one: dict[str, Any]) -> object:
        parents = [digests[parent] for parent in one["parents"]]
        files = sorted(file["name"] for file in one["files"])
        return one["kind"], one["digest"], one["phase"], one["label"], one["error"], parents, files

    assert not document["inDoubt"]
    return {address: told(objects[oid]) for address, oid in document["bindings"].items()}


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken, and its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
