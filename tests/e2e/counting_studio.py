"""The studio's side of the end-to-end tests: a real studio, and a doorkeeper who counts what arrives and can hold it.

Run as a script, this is a server process of its own, through the studio's own entry (``serve``). The doorkeeper is
ASGI middleware outside everything else. ``Studio`` is the tests' handle on that process.

With GLOSSI_TEST_STUDIO=postgres-s3 the studios keep their records in PostgreSQL and their files in a bucket, each its
own; uploads then go to the bucket, at whose door stands a doorkeeper, too (``counting_bucket``).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from remote_places import Bucket
from studio_elsewhere import bucket_server, postgresql

HERE = Path(__file__).parent

DESK = "/the-doorkeepers-desk"

_NAMES = (
    (r"PUT /uploads/.+", "PUT upload"),
    (r"PUT /studio-[0-9a-f]{12}/.+", "PUT upload"),
    (r"POST /api/v1/models", "POST /models"),
    (r"POST /api/v1/models/[^/]+/confirm", "POST /models/{id}/confirm"),
    (r"POST /api/v1/projects", "POST /projects"),
    (r"POST /api/v1/renders", "POST /renders"),
    (r"POST /api/v1/renders/[^/]+/retry", "POST /renders/{id}/retry"),
    (r"PUT /api/v1/webhooks", "PUT /webhooks"),
    (r"DELETE /api/v1/webhooks", "DELETE /webhooks"),
)
"""What may change anything, as the contract's plans name it."""


def mutating_call(method: str, path: str) -> str | None:
    """A mutating request by the name that plans give it; None for one that only reads."""
    if method in ("GET", "HEAD") or (method, path) == ("POST", "/api/v1/models/status"):
        return None
    return next((name for pattern, name in _NAMES if re.fullmatch(pattern, f"{method} {path}")), f"{method} {path}")


class Doorkeeper:
    """ASGI middleware: counts mutating requests as they arrive, and holds one back where it was told to.

    A request is held ``before`` the studio sees it, or ``after`` the studio did what it asks, before the answer goes
    out. Then it is let through, or lost (a request that never arrived; an answer that nobody heard).
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._arrived: Counter[str] = Counter()
        self._reads = 0
        self._trap: tuple[str, str] | None = None
        self._held = asyncio.Event()
        self._go = asyncio.Event()
        self._lose = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(DESK):
            await self._desk(scope["path"].removeprefix(DESK + "/"), send)
            return
        call = mutating_call(scope["method"], scope["path"])
        if call is None:
            self._reads += 1
            await self._app(scope, receive, send)
            return
        self._arrived[call] += 1
        if self._trap is None or self._trap[0] != call:
            await self._app(scope, receive, send)
            return
        when = self._trap[1]
        self._trap = None
        answer: list[Any] = []
        if when == "after":

            async def keep(message: Any) -> None:
                answer.append(message)

            await self._app(scope, receive, keep)
        self._held.set()
        await self._go.wait()
        if self._lose:
            await _answer(send, 503, b"")
        elif when == "before":
            await self._app(scope, receive, send)
        else:
            for message in answer:
                await send(message)

    async def _desk(self, errand: str, send: Any) -> None:
        match errand.split("/"):
            case ["arrived"]:
                await _answer(send, 200, json.dumps({"mutating": self._arrived, "reads": self._reads}).encode())
                return
            case ["hold", when, *call]:
                self._held.clear()
                self._go.clear()
                self._trap = "/".join(call), when
            case ["held"]:
                await asyncio.wait_for(self._held.wait(), 30)
            case ["let-go", how]:
                self._lose = how == "lost"
                self._go.set()
        await _answer(send, 200, b"{}")


async def _answer(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Studio:
    """A running studio: its endpoint, its key, what has arrived there, and what its records hold."""

    def __init__(self, data: Path, url: str, *, records: str | None = None, bucket: Bucket | None = None) -> None:
        self.url = url
        self.key = (data / "api-key").read_text(encoding="utf-8").strip()
        self._records = records or str(data / "records.db")
        self._desk = url.removesuffix("/api/v1") + DESK
        self._uploads_desk = self._desk if bucket is None else bucket.endpoint + DESK
        self._holding_desk = self._desk

    def arrived(self) -> Counter[str]:
        """How many requests of each mutating call have arrived, ever."""
        arrived = Counter(self._ask("arrived")["mutating"])
        if self._uploads_desk != self._desk:
            arrived += Counter(self._ask("arrived", self._uploads_desk)["mutating"])
        return arrived

    def reads(self) -> int:
        """How many requests that change nothing have arrived, ever."""
        return int(self._ask("arrived")["reads"])

    def hold(self, call: str, when: str) -> None:
        """Hold the next request of that call, ``before`` or ``after`` the studio does what it asks."""
        self._holding_desk = self._uploads_desk if call == "PUT upload" else self._desk
        self._ask(f"hold/{when}/{call}", self._holding_desk)

    def wait_until_held(self) -> None:
        self._ask("held", self._holding_desk)

    def let_go(self, how: str) -> None:
        """End the hold: ``through``, or ``lost``."""
        self._ask(f"let-go/{how}", self._holding_desk)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers={"X-API-Key": self.key}, trust_env=False)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the studio's own records; JSON comes as text."""
        return self._execute(query, values)

    def count(self) -> Counter[str]:
        """How many models, projects and render jobs there are."""
        tables = ("models", "projects", "render_jobs")
        return Counter({table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables})

    def without_model(self, model_id: str) -> AbstractContextManager[None]:
        """A model's record is gone, behind everyone's back, until the block ends."""
        return self._without("models", "model_id", model_id)

    def without_job(self, job_id: str) -> AbstractContextManager[None]:
        """The same of a render job."""
        return self._without("render_jobs", "job_id", job_id)

    @contextmanager
    def _without(self, table: str, column: str, value: str) -> Iterator[None]:
        [row] = self.rows(f"SELECT * FROM {table} WHERE {column} = ?", value)
        self._write(f"DELETE FROM {table} WHERE {column} = ?", value)
        try:
            yield
        finally:
            self._write(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)

    def _write(self, statement: str, *values: Any) -> None:
        self._execute(statement, values)

    def _execute(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if not self._records.startswith("postgresql"):
            with closing(sqlite3.connect(self._records, timeout=20)) as connection, connection:
                return connection.execute(statement, values).fetchall()
        import psycopg
        from psycopg.types.string import TextLoader

        with psycopg.connect(self._records.replace("+psycopg", "")) as connection:
            connection.adapters.register_loader("json", TextLoader)
            # As in SQLite, where foreign keys are heeded only where a connection asks for it.
            connection.execute("SET session_replication_role = replica")
            cursor = connection.execute(statement.replace("%", "%%").replace("?", "%s"), values)
            return cursor.fetchall() if cursor.description is not None else []

    def _ask(self, errand: str, desk: str | None = None) -> Any:
        # The desk answers `held` only when something is.
        return httpx.get(f"{desk or self._desk}/{errand}", timeout=40, trust_env=False).raise_for_status().json()


@dataclass(frozen=True)
class Elsewhere:
    """Makes a database, and a bucket, for a studio's records and files."""

    new_database: Callable[[], str]
    new_bucket: Callable[[], Bucket]


@contextmanager
def postgresql_and_s3() -> Iterator[Elsewhere]:
    """A PostgreSQL and an S3, with a doorkeeper, until the block is left."""
    with postgresql() as new_database, bucket_server(HERE / "counting_bucket.py") as new_bucket:
        yield Elsewhere(new_database, new_bucket)


@contextmanager
def running_studio(data: Path, *, port: int = 0, elsewhere: Elsewhere | None = None) -> Iterator[Studio]:
    """A studio in a process of its own, which ends with the block (or with this process)."""
    command = [sys.executable, __file__, str(data), str(port)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    records, bucket = None, None
    if elsewhere is not None:
        records, bucket = elsewhere.new_database(), elsewhere.new_bucket()
        environment |= {"GLOSSI_STUDIO_RECORDS": records, "GLOSSI_STUDIO_STORAGE": f"{bucket.url}/studio"}
        environment |= bucket.environment
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the studio did not start"
        try:
            yield Studio(data, url, records=records, bucket=bucket)
        finally:
            process.stdin.close()
            process.wait(20)


def _serve(data: Path, port: int) -> None:
    from glossi_sync.studio import serve as entry

    create_app = entry.create_app

    def with_doorkeeper(**parts: Any) -> Any:
        app = create_app(**parts)
        app.add_middleware(Doorkeeper)
        return app

    entry.create_app = with_doorkeeper
    entry.serve(
        data,
        port=port,
        records=os.environ.get("GLOSSI_STUDIO_RECORDS"),
        storage=os.environ.get("GLOSSI_STUDIO_STORAGE"),
        workers=2,
        engine="quick_engine:QuickEngine",
        stop_with_stdin=True,
        on_ready=lambda url: print(url, flush=True),
    )


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
