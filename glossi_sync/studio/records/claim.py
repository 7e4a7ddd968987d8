"""The claim: of two servers on one database, one.

A studio's server holds the order of its work in memory, so two of them would render the same jobs. Beside a SQLite
file a lock file keeps the second one out, at PostgreSQL a session's advisory lock. That one lives with one connection,
and everything that the server writes goes through it: whoever has lost the connection, and the lock with it, writes
nothing more until he has both again. So a server that was cut off for a while, and meanwhile replaced, spoils nothing.
"""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

_PATIENCE_SECONDS = 5.0
"""How long a lock is waited for: the database takes a moment to notice that a server was killed."""

_QUIET_SECONDS = 1.0
"""After such a pause a connection is tried before it is used."""

_KEY = "1735151443, hashtext(current_schema())"
"""Any number that nobody else is likely to take, and the schema: each can be a studio's."""

_TAKE = text(f"SELECT pg_try_advisory_lock({_KEY})")

_HOLDER = text(
    "SELECT a.pid, a.backend_start, a.application_name"
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1735151443"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND l.objid::bigint = (hashtext(current_schema())::bigint & 4294967295)"
)


def application_name() -> str:
    """What this process calls itself at the database, at most 63 characters."""
    return f"glossi-studio, process {os.getpid()} on {socket.gethostname()}"[:63]


class Taken(Exception):
    """Another server has the claim; the message is what it calls itself."""


class FileClaim:
    """The claim on a SQLite database: a lock file beside it, held as long as the process lives.

    Raises:
        Taken: another server has it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Taken(f"it holds {path}") from None

    def close(self) -> None:
        """Let go of the claim."""
        self._lock.release()


class Claim:
    """The claim on a PostgreSQL database, and the one connection that writes to it.

    Raises:
        Taken: another server has it, and did not let go of it for some seconds.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._session: tuple[int, datetime] | None = None
        self._used_at = 0.0
        self.connection()

    def connection(self) -> Connection:
        """The connection that writes; a new one, with the claim taken anew, where the database broke it off.

        Raises:
            Taken: another server has taken the claim meanwhile.
            DBAPIError: the database is away.
        """
        now = time.monotonic()
        if self._connection is not None and now - self._used_at > _QUIET_SECONDS:
            self._try()
        if self._connection is None or self._connection.invalidated or self._connection.closed:
            self._connection = self._claimed()
        self._used_at = time.monotonic()
        return self._connection

    def close(self) -> None:
        """Let go of the claim."""
        if self._connection is not None:
            # Not back into the pool: the lock goes with the session.
            if not self._connection.invalidated:
                self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _try(self) -> None:
        assert self._connection is not None
        try:
            with self._connection.begin():
                self._connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise

    def _claimed(self) -> Connection:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        connection = self._engine.connect().execution_options(writes=True)
        try:
            give_up = time.monotonic() + _PATIENCE_SECONDS
            while not self._take(connection):
                if time.monotonic() > give_up:
                    with connection.begin():
                        holder = connection.execute(_HOLDER).first()
                    raise Taken("a studio that has just ended" if holder is None else holder.application_name)
                time.sleep(0.1)
            return connection
        except BaseException:
            connection.close()
            raise

    def _take(self, connection: Connection) -> bool:
        with connection.begin():
            taken = bool(connection.scalar(_TAKE))
            holder = connection.execute(_HOLDER).first()
            if holder is None:
                return taken
            session = (holder.pid, holder.backend_start)
            if taken:
                self._session = session
            elif session == self._session:
                # Our own earlier connection, which the database does not know to be broken yet.
                connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": holder.pid})
            return taken
