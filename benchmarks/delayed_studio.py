"""A studio for benchmarks, in a process of its own: the real API, but work is a delay and every answer takes a while.

    python benchmarks/delayed_studio.py FOLDER --latency 0.05 --processing 2 --rendering 2

Prints its endpoint's URL and its key once it answers; ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Templates
from glossi_sync.studio.app import create_app, new_uuid
from glossi_sync.studio.engines import RenderedFile
from glossi_sync.studio.processing import ModelFacts, ProcessedModel
from glossi_sync.studio.records import Records
from glossi_sync.studio.storage import FolderStorage
from glossi_sync.studio.tasks import KeptFile, ProcessingTask, RenderTask
from glossi_sync.studio.template import bundled_templates

KEY = "glsi_benchmark_0123456789"
COUNTS = "/counts"


class DelayedWorkshop:
    """Takes everything at once, and takes its time."""

    capacity = 5000
    engine_name = "delay"

    def __init__(self, processing: float, rendering: float) -> None:
        self._processing = processing
        self._rendering = rendering

    async def check(self) -> None:
        """It can always render."""

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        await asyncio.sleep(self._processing)
        return ProcessedModel(ModelFacts(1, 1, 0, 0, (), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        # Its file is named and not written: that would be the worker's work, in a process of its own.
        await asyncio.sleep(self._rendering)
        return (KeptFile(_PICTURE, f"{task.prefix}/{task.attempt}/0.png"),)

    async def close(self) -> None:
        """Nothing to end."""


_PICTURE = RenderedFile("Front View - Default", "front.png", "PNG", False)


class Latency:
    """ASGI middleware: every answer leaves so many seconds later than it could; counts what arrives."""

    def __init__(self, app: Any, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._arrived: Counter[str] = Counter()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == COUNTS:
            body = json.dumps(self._arrived).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            return
        self._arrived[f"{scope['method']} {scope['path'].removeprefix(wire.API_PREFIX).split('/')[1]}"] += 1
        await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Delayed:
    """A running one."""

    url: str
    pid: int
    key: str = KEY


@contextmanager
def delayed_studio(folder: Path, *, latency: float, processing: float, rendering: float) -> Iterator[Delayed]:
    """Run one for the length of the block."""
    command = [sys.executable, __file__, str(folder), "--latency", str(latency)]
    command += ["--processing", str(processing), "--rendering", str(rendering)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Delayed(process.stdout.readline().strip(), process.pid)
        finally:
            process.stdin.close()
            process.terminate()
            process.wait(20)


def _serve(folder: Path, latency: float, processing: float, rendering: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records = Records(f"sqlite:///{folder / 'records.db'}")
    now = time.time()
    workspace_id = records.now(lambda c: rows.ensure_workspace(c, "benchmark", new_uuid(), now))
    records.now(lambda c: rows.set_key(c, workspace_id, "benchmark", KEY, now))
    app = create_app(
        records=records,
        storage=FolderStorage(folder),
        workshop=DelayedWorkshop(processing, rendering),
        templates_=Templates(bundled_templates(), {}),
        signing_secret=b"benchmark" * 4,
    )
    app.add_middleware(Latency, seconds=latency)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    print(f"http://127.0.0.1:{port}{wire.API_PREFIX}", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name in ("latency", "processing", "rendering"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    given = parser.parse_args()
    _serve(given.folder, given.latency, given.processing, given.rendering)
