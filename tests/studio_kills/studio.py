"""The studio that is killed: a real one, in processes of its own, through its own entry, always on one folder and port.

A life that ends by the clock, and the last one, are ``python -m glossi_sync.studio`` as it is. For the others this module is
the server: the same entry (``serve``), and at each point at which a kill would hurt something that counts, and in the
end kills its own process: the system sees no difference, and no line of the studio comes after it.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

from studio_kills.moments import ANALYSIS, COMMIT, DELIVERY, RENDER, AtPoint, AtTime, Moment, UnderWay, read, spelled

WORKERS = 2
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TESTS = Path(__file__).parent.parent


def call_of(method: str, path: str) -> str:
    """A request by the name of its call."""
    path = path.removeprefix("/api/v1")
    if path.startswith("/uploads/"):
        return "PUT upload"
    if path.startswith("/files/"):
        return "GET /files"
    return f"{method} {_ID.sub('{id}', path)}"


class Studio:
    """The tests' handle on it, over all of its lives."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "studio.log"
        self._flickered = folder / "flickered"
        self._flickered.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self._port}"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def key(self) -> str:
        return (self.data / "api-key").read_text(encoding="utf-8").strip()

    async def start(self, moment: Moment | None = None, *, engine: str = "Sketch") -> None:
        """Begin a life, without waiting for anything."""
        at_point = moment is not None and not isinstance(moment, AtTime)
        module = "studio_kills.studio" if at_point else "glossi_sync.studio"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "GLOSSI_KILLS_FLICKERED": str(self._flickered),
        }
        if at_point:
            assert moment is not None
            environment["GLOSSI_KILLS_MOMENT"] = spelled(moment)
        options = ["--data", str(self.data), "--port", str(self._port), "--workers", str(WORKERS)]
        with self.log.open("a", encoding="utf-8") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", module, *options, "--engine", f"studio_kills.engine:{engine}"],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
            )

    async def answers(self) -> bool:
        """Wait until it answers; False where it has ended before."""
        assert self._process is not None and self._process.stdout is not None
        return bool(await self._process.stdout.readline())

    async def killed_by_itself(self, seconds: float) -> bool:
        """Whether it comes to its moment within so many seconds."""
        assert self._process is not None
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def kill(self) -> int:
        """Kill it, if it is alive. How its life ended, as ``Popen.returncode``."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        return await self._process.wait()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of its own records."""
        with closing(sqlite3.connect(f"file:{self.data / 'records.db'}?mode=ro", uri=True, timeout=20)) as records:
            return records.execute(query, values).fetchall()

    def file(self, key: str) -> bytes | None:
        """A file of its storage; None where there is none."""
        path = self.data / "files" / key
        return path.read_bytes() if path.is_file() else None

    def keys(self) -> set[str]:
        """The keys of everything that lies in its storage."""
        root = self.data / "files"
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


# --- the server ----------------------------------------------------------------------------------------------------------


class _Doom:
    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._passed = 0

    def pass_by(self, point: str, when: str) -> None:
        moment = self._moment
        if isinstance(moment, AtPoint) and (moment.point, moment.when) == (point, when):
            self._passed += 1
            if self._passed == moment.nth:
                self._come()

    def loaded(self, requests: int) -> None:
        if isinstance(self._moment, UnderWay) and requests >= self._moment.requests:
            self._come()

    def cuts(self, call: str) -> bool:
        """Whether an answer is to be cut in half, should this be the nth."""
        return isinstance(self._moment, AtPoint) and (self._moment.point, self._moment.when) == (call, "half")

    def _come(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class _Door:
    """ASGI middleware outside everything else."""

    def __init__(self, app: Any, doom: _Doom) -> None:
        self._app = app
        self._doom = doom
        self._open = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = call_of(scope["method"], scope["path"])
        self._open += 1
        self._doom.loaded(self._open)
        self._doom.pass_by(call, "before")

        async def pass_on(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._doom.pass_by(call, "after")
            elif self._doom.cuts(call) and (body := message.get("body")):
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                await asyncio.sleep(0.01)  # until it is on its way
                self._doom.pass_by(call, "half")
                message = {**message, "body": body[len(body) // 2 :]}
            await send(message)

        try:
            await self._app(scope, receive, pass_on)
        finally:
            self._open -= 1


class _Transport:
    """Carries deliveries."""

    def __init__(self, transport: Any, doom: _Doom) -> None:
        self._transport = transport
        self._doom = doom

    async def handle_async_request(self, request: Any) -> Any:
        self._doom.pass_by(DELIVERY, "before")
        answer = await self._transport.handle_async_request(request)
        self._doom.pass_by(DELIVERY, "after")
        return answer

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()


def _doomed(doom: _Doom) -> None:
    """Put something that counts at each point of this process."""
    from sqlalchemy import Engine, event

    from glossi_sync.studio import serve as entry

    event.listen(Engine, "commit", lambda _: doom.pass_by(COMMIT, "before"))
    create_app = entry.create_app

    def create_doomed_app(**parts: Any) -> Any:
        records, workshop = parts["records"], parts["workshop"]
        write, process, render = records.write, workshop.process, workshop.render

        async def write_and_pass(work: Any) -> Any:
            outcome = await write(work)
            doom.pass_by(COMMIT, "after")
            return outcome

        def watched(work: Any, point: str) -> Any:
            async def carried_out(task: Any) -> Any:
                # Some way into the work, and not before the worker has seen it.
                asyncio.get_running_loop().call_later(0.012, doom.pass_by, point, "before")
                outcome = await work(task)
                doom.pass_by(point, "after")
                return outcome

            return carried_out

        records.write = write_and_pass
        workshop.process, workshop.render = watched(process, ANALYSIS), watched(render, RENDER)
        parts["webhook_transport"] = _Transport(parts["webhook_transport"], doom)
        app = create_app(**parts)
        app.add_middleware(_Door, doom=doom)
        return app

    entry.create_app = create_doomed_app


if __name__ == "__main__":
    from glossi_sync.studio.__main__ import main

    _doomed(_Doom(read(os.environ["GLOSSI_KILLS_MOMENT"])))
    raise SystemExit(main())
