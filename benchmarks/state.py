"""The state, in a file and in PostgreSQL: read, copied whole, and written by one process and by four.

    python benchmarks/state.py

PostgreSQL runs on this machine, in processes of its own, with everything written through to the disk as it would be in
earnest. A step of an apply is two transactions: what is about to be asked; then an object, a binding, the outcome.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from measuring import load

from glossi_sync.resources import Kind, Phase, Shard
from glossi_sync.state import (
    Bind,
    Holder,
    Intend,
    Intent,
    Object,
    PutObject,
    Settle,
    State,
    Subject,
    open_state,
)
from glossi_sync.state.document import Document, PastBinding

PROCESSES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=300_000)
    parser.add_argument("--writes", type=int, default=1_000, help="transactions of each process")
    parser.add_argument("--writer", nargs=2, metavar=("STATE", "INDEX"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.writer is not None:
        _write(given.writer[0], int(given.writer[1]), given.writes)
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from studio_elsewhere import postgresql  # noqa: PLC0415  (a helper of the tests)

    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder, postgresql(durable=True) as new_database:
        server = new_database().replace("+psycopg", "")
        for name, where in (("a file", f"{folder}/state.db"), ("PostgreSQL", server)):
            print(f"state in {name}: {_measure(where, given.objects, given.writes, server)}; {load()}", flush=True)


def _measure(where: str, objects: int, writes: int, server: str) -> str:
    with closing(open_state(where, service="local")) as state:
        catalogue = _catalogue(state, objects)
        loaded = _cost(lambda: state.load(catalogue))
    with closing(open_state(where, service="local", create=False)) as state:
        read = _cost(state.realised)
        dumped = _cost(state.dump)
    figures = f"{objects} objects read in {read}, dumped in {dumped}, loaded in {loaded}"
    # Shards share PostgreSQL alone.
    for processes in (1, PROCESSES) if where == server else (1,):
        began = time.perf_counter()
        command = [sys.executable, __file__, "--writes", str(writes), "--writer", where]
        running = [subprocess.Popen([*command, str(index)]) for index in range(1, processes + 1)]
        assert all(one.wait() == 0 for one in running)
        rate = processes * writes / (time.perf_counter() - began)
        figures += f", {rate:.0f} transactions a second by {processes} process{'es' if processes > 1 else ''}"
    return figures


def _cost(act: Callable[[], object]) -> str:
    began, used = time.perf_counter(), time.process_time()
    act()
    return f"{time.perf_counter() - began:.2f} s ({time.process_time() - used:.2f} s of CPU)"


def _catalogue(state: State, count: int) -> Document:
    objects = {}
    parent = 0
    for number in range(count):
        oid, kind = secrets.randbits(63), (Kind.MODEL, Kind.PROJECT, Kind.RENDER)[number % 3]
        phase = {Kind.MODEL: Phase.READY, Kind.PROJECT: Phase.CREATED, Kind.RENDER: Phase.COMPLETED}[kind]
        parents = () if kind is Kind.MODEL else (parent,)
        digest = secrets.token_hex(32)
        objects[oid] = Object(oid, kind, digest, phase, f"Product {number}", f"id-{number}", parents, time.time())
        parent = oid
    bindings = {f"{thing.kind}.product-{number}": oid for number, (oid, thing) in enumerate(objects.items())}
    past = tuple(PastBinding(address, 1, oid) for address, oid in bindings.items())
    inputs = {oid: {"file": f"models/{oid}.glb", "size": 20_000_000} for oid in objects}
    return Document("local", state.lineage, 1, objects, inputs, bindings=bindings, past_bindings=past)


def _write(where: str, index: int, writes: int) -> None:
    with closing(open_state(where, service="local")) as state:
        holder = Holder(index, "benchmark", "ana", "here", 1, time.time())
        with state.lock(holder, Shard(index, PROCESSES)):
            for _ in range(writes // 2):
                oid, call = secrets.randbits(63), secrets.randbits(63)
                subjects = (Subject(f"model.{oid}", "d" * 64),)
                state.write([Intend(Intent(call, index, "record", "POST /models", subjects, time.time()))])
                state.write(
                    [
                        PutObject(Object(oid, Kind.MODEL, "d" * 64, Phase.READY), inputs={"file": "lamp.glb"}),
                        Bind(f"model.{oid}", oid),
                        Settle(call, "done", time.time()),
                    ]
                )


if __name__ == "__main__":
    main()
