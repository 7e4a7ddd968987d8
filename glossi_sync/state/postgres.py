"""The state in a PostgreSQL database, which many machines share.

Each state has a PostgreSQL schema of its own, so that the workspaces of a company fit into one database. The lock is
an advisory lock of the session: the server itself gives it back as soon as the connection of its holder is gone.

    whole run     exclusive on the state's key
    shard's run   shared on the state's key, and exclusive on the key of (index, count)

A run writes through the very connection that holds its lock, and never through another one: who has lost the lock has
lost the only way to write with it.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from threading import RLock
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg
from psycopg import Connection, errors
from psycopg.pq import TransactionStatus

from glossi_sync.resources import Shard
from glossi_sync.state import rows, statements
from glossi_sync.state.causes import database_error
from glossi_sync.state.lock import in_the_way, locked
from glossi_sync.state.objects import Holder
from glossi_sync.state.postgres_url import Place
from glossi_sync.state.rows import Row, Statement
from glossi_sync.state.sql import Ask
from glossi_sync.state.store import StateError

T = TypeVar("T")

_CONNECTING = {
    "application_name": "glossi-sync",
    "connect_timeout": "10",
    # A server that has vanished is noticed in a minute, not when TCP gives up after a quarter of an hour.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "client_encoding": "UTF8",
}
"""What a connection is made with, unless the URL says otherwise."""

_SETTINGS = {
    # The same for the server's side: the lock of a machine that has vanished is free again in a minute.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    # A run that waits for renders says nothing for minutes, and must not lose its lock for that.
    "idle_session_timeout": "0",
}
"""What is set in each session, where the server has such a setting."""

# It logs that a pipeline ended badly, which is told by what is raised.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_GATE_SECONDS = 30
"""How long to wait for another process that is taking the lock, or making or migrating the schema."""

_BREAKING_SECONDS = 10

_ATTEMPTS = 5
"""How often a transaction is tried that the server gives up in favour of another one."""


class PostgresDatabase:
    """A schema of a PostgreSQL database, connected; implements ``Database``.

    One connection, guarded by a mutex, for all threads of the process. Where it is lost it is made anew, once for each
    thing that is read or written; a run that held the lock may go on reading, but writes no more.

    Transactions are short: all statements of one go to the server in one flight, and the meta row, which every run
    counts up, is taken in the last of them, so that runs of several shards wait for one another's commits and for
    nothing else.
    """

    def __init__(self, place: Place) -> None:
        """Connect.

        Raises:
            StateError: the server cannot be reached, or refuses.
        """
        self.location = place.location
        self._place = place
        self._mutex = RLock()
        self._held: Holder | None = None
        self._lost = False
        self._ended = False
        self._key = _key(place.schema)
        self._gate = _key(place.schema, "gate")
        self._connection = self._connect()
        _connected.add(self)

    def exists(self) -> bool:
        """Whether there is a state, or something else in its place."""
        with self._mutex, self._explained("opened"):
            return self._exists()

    def _exists(self) -> bool:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
        return bool(_one(self._connection.execute(tables, (self._place.schema,)))[0])

    def create(self, service: str) -> None:
        """Make the schema, where it is missing, and an empty state in it; another process's is left as it is.

        Raises:
            StateError: you may not, or the server cannot be reached.
        """
        with self._mutex, self._explained("created"), self._connection.transaction():
            connection = self._connection
            self._pass_gate()
            if self._exists():
                return
            # Asked first, because to make it where it is one must be allowed to make any.
            known = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
            if connection.execute(known, (self._place.schema,)).fetchone() is None:
                connection.execute(f"CREATE SCHEMA {_quoted(self._place.schema)}".encode())
            _run_migrations(connection, 0)
            new = (len(statements.MIGRATIONS), secrets.token_hex(16), service, time.time())
            connection.execute(_translated(statements.NEW_META), new)

    def meta(self) -> tuple[int, str, str]:
        with self._mutex, self._explained("opened"):
            try:
                row = self._connection.execute(_translated(statements.META)).fetchone()
            except (errors.UndefinedTable, errors.UndefinedColumn) as error:
                # A schema that one may not look into is passed over in the search for the table.
                ask = "SELECT has_schema_privilege(%s, 'USAGE')"
                (may_look,) = _one(self._connection.execute(ask, (self._place.schema,)))
                if not may_look:
                    raise errors.InsufficientPrivilege(f"permission denied for schema {self._place.schema}") from error
                raise StateError(
                    f"the state {self.location} cannot be opened: the schema holds tables, but no glossi-sync state; "
                    f"give another one in ?schema=…"
                ) from error
            if row is None:
                raise ValueError("its meta table is empty")
        version, lineage, service = row
        return version, lineage, service

    def migrate(self, version: int) -> None:
        with self._mutex, self._explained("migrated"), self._connection.transaction():
            connection = self._connection
            self._pass_gate()
            (free,) = _one(connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (self._key,)))
            if not free:
                raise locked(self.location, next(iter(self._holders()), None))
            # Another process may have been first.
            (current,) = _one(connection.execute(_translated(statements.SCHEMA_VERSION)))
            _run_migrations(connection, current)
            connection.execute(_translated(statements.SET_SCHEMA_VERSION), (len(statements.MIGRATIONS),))

    def read(self, look: Callable[[Ask], T]) -> T:
        with self._mutex:
            try:
                return self._look(look)
            except StateError:
                if not self._connection.closed:
                    raise
            self._connect_anew("read")
            return self._look(look)

    def _look(self, look: Callable[[Ask], T]) -> T:
        connection = self._connection

        def ask(sql: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
            return connection.execute(_translated(sql), parameters, binary=True)

        with self._explained("read"), _rolled_back(connection):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return look(ask)

    def write(self, todo: Sequence[Statement], *, count: bool) -> list[int]:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._write(todo, count=count)
            except StateError as error:
                if not isinstance(error.__cause__, errors.DeadlockDetected | errors.SerializationFailure):
                    raise
        return self._write(todo, count=count)

    def _write(self, todo: Sequence[Statement], *, count: bool) -> list[int]:
        late = [one.sql in statements.AT_SERIAL for one in todo]
        cursors: list[psycopg.Cursor[Row] | None] = [None] * len(todo)
        with self._writing("written") as connection, connection.pipeline() as pipeline:

            def send(now: bool) -> None:
                for number, one in enumerate(todo):
                    if late[number] is now:
                        cursors[number] = connection.execute(_translated(one.sql), one.parameters)

            connection.execute("BEGIN")
            send(False)
            if any(one.otherwise for one in todo):
                pipeline.sync()
                for one, cursor in zip(todo, cursors, strict=True):
                    if one.otherwise and cursor is not None and cursor.rowcount == 0:
                        raise StateError(f"the state {self.location} cannot be written: {one.otherwise}")
            if count:
                connection.execute(_translated(statements.NEXT_SERIAL))
            send(True)
            connection.execute("COMMIT")
        return [0 if cursor is None else cursor.rowcount for cursor in cursors]

    def put_many(self, sql: str, many: Sequence[Row]) -> None:
        with self._writing("written") as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_translated(sql), many)

    def replace(self, tables: Mapping[str, Iterable[Row]], meta: Row) -> None:
        with self._writing("written") as connection, connection.transaction(), connection.cursor() as cursor:
            for table, many in tables.items():
                cursor.execute(_translated(statements.emptied(table)))
                columns = ", ".join(statements.TABLES[table])
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
                    for row in many:
                        copy.write_row(row)
            cursor.execute(_translated(statements.SET_META), meta)

    @contextmanager
    def lock(self, holder: Holder, shard: Shard | None) -> Iterator[None]:
        """Hold the state, or a shard of it, until the block is left or the connection is lost."""
        mine = replace(holder, shard=shard)
        with self._mutex:
            if self._held is not None:
                raise locked(self.location, self._held)
            # A connection that was lost since it was last of use is made anew.
            self.read(lambda _: None)
            with self._writing("locked") as connection:
                try:
                    self._take(connection, mine)
                except BaseException:
                    if not connection.closed:
                        connection.execute("SELECT pg_advisory_unlock_all()")
                    raise
            self._held = mine
        try:
            yield
        finally:
            self._release(mine)

    def _take(self, connection: Connection, wanted: Holder) -> None:
        with connection.transaction():
            # One at a time: what is decided from the holders must hold until this one is among them.
            self._pass_gate()
            others = self._holders()
            for other in others:
                if (why := in_the_way(wanted, other)) is not None:
                    raise locked(self.location, other, why)
            if not self._lock_keys(connection, wanted.shard):
                raise locked(self.location, None)
            connection.execute("DELETE FROM holders WHERE run_id <> ALL(%s)", ([other.run_id for other in others],))
            row = rows.holder_row(wanted, connection.info.backend_pid)
            connection.execute(_translated(statements.ADD_HOLDER), row)

    def _lock_keys(self, connection: Connection, shard: Shard | None) -> bool:
        if shard is None:
            (taken,) = _one(connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)))
        else:
            both = "SELECT pg_try_advisory_lock_shared(%s) AND pg_try_advisory_lock(%s)"
            (taken,) = _one(connection.execute(both, (self._key, _key(self._place.schema, f"shard {shard}"))))
        return bool(taken)

    def _release(self, holder: Holder) -> None:
        with self._mutex:
            lost, self._held, self._lost = self._lost, None, False
            if lost or self._connection.closed:
                return
            try:
                self._connection.execute(_translated(statements.DROP_HOLDER), (holder.run_id,))
                self._connection.execute("SELECT pg_advisory_unlock_all()")
            except psycopg.Error:
                # Whatever is wrong with it: without its connection there is no lock.
                self._connection.close()

    def holders(self) -> Sequence[Holder]:
        return self.read(lambda _: self._holders())

    def _holders(self) -> list[Holder]:
        """Those whose connection has the state's key now. The rows of dead ones stay until another takes the lock."""
        living = self._living()
        found = self._connection.execute(_translated(statements.HOLDERS)).fetchall()
        return [rows.read_holder(row) for row in found if row[-1] in living]

    def _living(self) -> set[int]:
        """The server's processes that hold the state's key, shared or not."""
        key = self._key % 2**64
        found = self._connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND classid::bigint = %s AND objid::bigint = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (key >> 32, key % 2**32),
        )
        return {pid for (pid,) in found}

    def assure_lock(self) -> None:
        if self._held is not None:
            with self._writing("written") as connection:
                connection.execute("SELECT 1")

    def break_lock(self) -> Sequence[Holder]:
        """End the server's side of the holders' connections: their locks go at once, and what they would write fails.

        Raises:
            StateError: your user may not end them.
        """
        with self._reaching("unlocked") as connection:
            holders, living = self._holders(), self._living() - {connection.info.backend_pid}
            for pid in living:
                try:
                    connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
                except errors.InsufficientPrivilege as error:
                    raise StateError(
                        f"the lock of the state {self.location} cannot be broken: {connection.info.user} may not end "
                        f"the connection of its holder; ask for the role pg_signal_backend, or have its own user or "
                        f"an administrator run `SELECT pg_terminate_backend({pid})`"
                    ) from error
            end = time.monotonic() + _BREAKING_SECONDS
            while living & self._living():
                if time.monotonic() > end:
                    raise StateError(
                        f"the lock of the state {self.location} is not free yet: its holder's connection was told to "
                        f"end and has not; look again in a minute"
                    )
                time.sleep(0.02)
        return holders

    def damage(self) -> Sequence[str]:
        """Nothing: a server looks after its own files."""
        return ()

    def close(self) -> None:
        with self._mutex:
            self._ended = True
            self._connection.close()

    def _connect(self) -> Connection:
        with self._explained("opened"):
            connection = psycopg.connect(**{**_CONNECTING, **self._place.parameters}, autocommit=True)  # type: ignore[arg-type]
            # No statement is prepared unasked: one whose preparation was in a pipeline that the server gave up is
            # prepared for psycopg, and not for the server, which then refuses it for as long as the connection lives.
            connection.prepare_threshold = None
            connection.execute(
                "SELECT set_config(name, setting, false) FROM unnest(%s::text[], %s::text[]) AS wanted (name, setting)"
                " WHERE name IN (SELECT name FROM pg_settings)",
                (list(_SETTINGS), list(_SETTINGS.values())),
            )
            connection.execute("SELECT set_config('search_path', %s, false)", (_quoted(self._place.schema),))
        return connection

    def _connect_anew(self, doing: str) -> None:
        """Connect again; the lock, which the lost connection held, is lost for good."""
        if self._ended:
            raise StateError(f"the state {self.location} cannot be {doing}: it is closed already")
        self._lost = self._held is not None
        self._connection.close()
        self._connection = self._connect()

    @contextmanager
    def _reaching(self, doing: str) -> Iterator[Connection]:
        """The connection, made anew where it is lost; outside of any transaction."""
        with self._mutex:
            if self._connection.closed:
                self._connect_anew(doing)
            with self._explained(doing):
                yield self._connection

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Connection]:
        """The connection to write through: the one that holds the lock, if any does."""
        with self._mutex:
            if self._held is not None and (self._lost or self._connection.closed):
                raise self._lock_is_lost()
            try:
                with self._reaching(doing) as connection, _rolled_back(connection):
                    yield connection
            except StateError as error:
                if self._held is not None and self._connection.closed:
                    raise self._lock_is_lost() from error
                raise

    def _lock_is_lost(self) -> StateError:
        self._lost = True
        return StateError(
            f"the state {self.location} cannot be written: the lock is lost, because the connection to the server "
            f"ended or somebody broke the lock; another run may hold it now, so this one writes nothing more; "
            f"everything written before is kept: run again"
        )

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, ValueError, KeyError, TypeError) as error:
            raise database_error(self.location, doing, error) from error

    def _pass_gate(self) -> None:
        self._connection.execute(f"SET LOCAL lock_timeout = '{_GATE_SECONDS}s'".encode())
        self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._gate,))


_connected: WeakSet[PostgresDatabase] = WeakSet()


def _leave_to_the_parent() -> None:
    """In a forked child: let go of the parent's connections, or their locks would outlive it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for database in _connected:
        with suppress(psycopg.Error, OSError):
            os.dup2(nowhere, database._connection.fileno(), inheritable=False)
    os.close(nowhere)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def _run_migrations(connection: Connection, version: int) -> None:
    for migration in statements.MIGRATIONS[version:]:
        for statement in migration:
            connection.execute(_translated(statement))


@contextmanager
def _rolled_back(connection: Connection) -> Iterator[None]:
    """Whatever happens, leave no transaction open."""
    try:
        yield
    finally:
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()


def _one(found: psycopg.Cursor[Row]) -> Row:
    row = found.fetchone()
    assert row is not None
    return row


def _key(schema: str, part: str = "") -> int:
    """The number of an advisory lock: the same on every machine, 64 bits, signed."""
    return int.from_bytes(blake2b(f"glossi-sync\0{schema}\0{part}".encode(), digest_size=8).digest(), signed=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@cache
def _translated(sql: str) -> bytes:
    """A statement of ``statements`` in psycopg's parameter style."""
    return sql.replace("?", "%s").encode()
