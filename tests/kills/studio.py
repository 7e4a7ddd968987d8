"""The studio that survives every kill: a real one, in processes of its own, through its own entry (``serve``).

A witness stands at its door (ASGI middleware outside everything else). It writes down every request with what was
answered, lets each take a random while on both ways, and can hold one: *before* the studio sees it, or *after* the
studio did what it asks and before anybody hears of it. That is where a kill hurts.

Run as a script, this is the server; ``Studio`` is the tests' handle on it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from glossi_sync.service import calls, wire
from glossi_sync.service.calls import CALLS

DESK = "/the-witness"
LATENCY = 0.004
"""Mean seconds that a request takes to arrive, and its answer to leave."""

_PATTERNS = [
    (call.name, call.method, re.compile(re.sub(r"\{\w+\}", "[^/]+", wire.API_PREFIX + call.path)))
    for call in CALLS
    if call.path
] + [
    (calls.UPLOAD.name, "PUT", re.compile("/uploads/.+")),
    (calls.DOWNLOAD.name, "GET", re.compile(wire.API_PREFIX + "/files/.+")),
]


def call_of(method: str, path: str) -> str:
    """A request by the name that plans give it."""
    found = (name for name, known, pattern in _PATTERNS if known == method and pattern.fullmatch(path))
    return next(found, f"{method} {path}")


class Witness:
    """ASGI middleware; see the module."""

    def __init__(self, app: Any, seed: str) -> None:
        self._app = app
        self._rng = Random(seed)
        self._log: list[dict[str, Any]] = []
        self._open = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._trap: dict[str, str] = {}
        self._left = 0
        self._sprung = asyncio.Event()
        self._go = asyncio.Event()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(DESK):
            await self._desk(
                scope["path"].removeprefix(DESK + "/"), dict(parse_qsl(scope["query_string"].decode())), send
            )
        else:
            self._open += 1
            self._quiet.clear()
            try:
                await self._pass(scope, receive, send)
            finally:
                self._open -= 1
                if not self._open:
                    self._quiet.set()

    async def _pass(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        entry: dict[str, Any] = {
            "call": call_of(scope["method"], scope["path"]),
            "path": scope["path"],
            "status": None,
        }
        self._log.append(entry)
        when = self._springs(entry["call"])
        if when is None:
            await asyncio.sleep(self._rng.expovariate(1 / LATENCY))
        elif when != "after":
            await self._hold()
            if when == "lost":
                return await _answer(send, 503, {})
        answer: list[Any] = []

        async def keep(message: Any) -> None:
            entry["status"] = message.get("status", entry["status"])
            answer.append(message)

        await self._app(scope, receive, keep)
        if when == "after":
            await self._hold()
        else:
            await asyncio.sleep(self._rng.expovariate(1 / LATENCY))
        for message in answer:
            await send(message)

    def _springs(self, call: str) -> str | None:
        """How this request is held, where it is the one that was waited for."""
        if not self._left or self._trap["call"] not in ("any", call):
            return None
        self._left -= 1
        return None if self._left else self._trap["when"]

    async def _hold(self) -> None:
        self._sprung.set()
        await self._go.wait()

    async def _desk(self, errand: str, given: dict[str, str], send: Any) -> None:
        answer: Any = {}
        match errand:
            case "trap":
                self._trap, self._left = given, int(given["nth"])
                self._sprung.clear()
                self._go.clear()
            case "sprung":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._sprung.wait(), 0.25)
                answer = self._sprung.is_set()
            case "let-go":
                self._left = 0
                self._go.set()
            case "quiet":
                # What a killed process wrote to its socket may still be on its way in here.
                await asyncio.sleep(0.02)
                await self._quiet.wait()
            case "log":
                answer = self._log[int(given["start"]) :]
        await _answer(send, 200, answer)


async def _answer(send: Any, status: int, document: Any) -> None:
    body = json.dumps(document).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True)
class Seen:
    """A request that arrived: its call, its path, and the status of the answer (None: there was none)."""

    call: str
    path: str
    status: int | None


class Studio:
    """A running one: its endpoint, its witness, its own records and files."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.key = (folder / "api-key").read_text(encoding="utf-8").strip()
        self._folder = folder
        self._desk = httpx.Client(base_url=url.removesuffix(wire.API_PREFIX) + DESK, timeout=60, trust_env=False)

    def trap(self, call: str, nth: int, when: str) -> None:
        """Hold the nth request from now on of that call (``any``): ``before`` it is done, ``after``, or lose it."""
        self._ask("trap", call=call, nth=str(nth), when=when)

    def sprung(self) -> bool:
        """Whether a request is held; waits a moment for one."""
        return bool(self._ask("sprung"))

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._ask("let-go")

    def wait_until_quiet(self) -> None:
        """Wait until nothing is being answered."""
        self._ask("quiet")

    def log(self, start: int = 0) -> list[Seen]:
        """Every request from the start-th on."""
        return [Seen(**entry) for entry in self._ask("log", start=str(start))]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the studio's own records."""
        with closing(sqlite3.connect(f"file:{self._folder / 'records.db'}?mode=ro", uri=True, timeout=20)) as records:
            return records.execute(query, values).fetchall()

    def file(self, key: str) -> bytes | None:
        """A file of its storage; None where there is none."""
        path = self._folder / "files" / key
        return path.read_bytes() if path.exists() else None

    def close(self) -> None:
        self._desk.close()

    def _ask(self, errand: str, **given: str) -> Any:
        return self._desk.get(f"/{errand}?{urlencode(given)}").raise_for_status().json()


@contextmanager
def running_studio(folder: Path, seed: str) -> Iterator[Studio]:
    """A studio in a process of its own, which ends with the block (or with this process)."""
    command = [sys.executable, __file__, str(folder), seed]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the studio did not start"
        studio = Studio(folder, url)
        try:
            yield studio
        finally:
            studio.close()
            process.stdin.close()
            process.wait(20)


def _serve(folder: Path, seed: str) -> None:
    from glossi_sync.studio import serve as entry

    create_app = entry.create_app

    def with_witness(**parts: Any) -> Any:
        app = create_app(**parts)
        app.add_middleware(Witness, seed=seed)
        return app

    entry.create_app = with_witness
    entry.serve(
        folder,
        port=0,
        workers=2,
        engine="one_picture:OnePicture",
        stop_with_stdin=True,
        on_ready=lambda url: print(url, flush=True),
    )


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
