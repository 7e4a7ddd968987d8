"""The state in one file on this machine, through the standard library's sqlite3."""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TypeVar

from glossi_sync.resources import Shard
from glossi_sync.state import rows, statements
from glossi_sync.state.causes import state_error
from glossi_sync.state.lock import locked, take, unbreakable
from glossi_sync.state.objects import Holder
from glossi_sync.state.rows import Row, Statement
from glossi_sync.state.sql import Ask
from glossi_sync.state.store import StateError, StateLocked

T = TypeVar("T")

BUSY_SECONDS = 30
"""How long a write waits for another process's write (a plan's file stamps beside an apply) before it gives up."""


class SqliteDatabase:
    """A state's file, opened; implements ``Database``.

    Durability: the file is in WAL mode with ``synchronous=FULL``, so each commit is one append to the write-ahead log
    and one fsync of it. When ``write`` returns, its writes survive a killed process and a power cut; what was cut
    short leaves no trace. WAL also lets plans read, and put their stamps, while an apply writes. It needs a file
    system of this machine: WAL's shared memory does not work across a network.

    Threads: one connection, guarded by a mutex, for all threads of the process (the applying room writes from a thread
    of its own while the main thread may read). A connection must not be carried across a fork.

    The run lock lies beside the file as ``<file>.lock``; see ``lock``.
    """

    def __init__(self, path: Path, *, location: str | None = None, reading: bool = False) -> None:
        """Open the existing file at ``path``; ``reading`` also takes one in a read-only folder.

        Raises:
            StateError: no such file, or unreadable.
        """
        self.location = location or str(path)
        # SQLite names the files beside a state after the link's target, so the lock must be named after it as well.
        self._path = path.resolve()
        self._mutex = Lock()
        with self._explained("opened"):
            self._connection = _open(self._path, reading)

    def meta(self) -> tuple[int, str, str]:
        with self._mutex, self._explained("opened"):
            try:
                row = self._connection.execute(statements.META).fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                # The tables are not ours: this file is somebody else's.
                raise StateError(
                    f"the state {self.location} cannot be opened: the file is an SQLite database, but not a "
                    f"glossi-sync state; give the state's own path with --state"
                ) from error
        if row is None:
            raise state_error(self.location, self._path, "opened", ValueError("its meta table is empty"))
        version, lineage, service = row
        return version, lineage, service

    def migrate(self, version: int) -> None:
        """Bring the schema up to date; the file as it was is kept beside it."""
        release = self._take_lock()
        try:
            with self._mutex, self._explained("backed up"):
                _back_up(self._connection, self._path.with_name(f"{self._path.name}.schema{version}.backup"))
            with self._transaction("migrated") as connection:
                # Another process may have been first.
                (current,) = connection.execute(statements.SCHEMA_VERSION).fetchone()
                _apply_migrations(connection, current)
        finally:
            release()

    def read(self, look: Callable[[Ask], T]) -> T:
        with self._transaction("read", begin="BEGIN") as connection:
            try:
                return look(lambda sql, parameters=(): connection.execute(sql, parameters))
            except (ValueError, KeyError, TypeError) as error:
                # A row that cannot be understood: SQLite found the file sound, but nobody wrote this.
                raise state_error(self.location, self._path, "read", error) from error

    def write(self, todo: Sequence[Statement], *, count: bool) -> list[int]:
        touched = []
        with self._transaction("written") as connection:
            if count:
                connection.execute(statements.NEXT_SERIAL)
            for sql, parameters, otherwise in todo:
                touched.append(connection.execute(sql, parameters).rowcount)
                if otherwise is not None and touched[-1] == 0:
                    raise StateError(f"the state {self.location} cannot be written: {otherwise}")
        return touched

    def put_many(self, sql: str, many: Sequence[Row]) -> None:
        with self._transaction("written") as connection:
            connection.executemany(sql, many)

    def replace(self, tables: Mapping[str, Iterable[Row]], meta: Row) -> None:
        with self._transaction("written") as connection:
            for table, many in tables.items():
                connection.execute(statements.emptied(table))
                connection.executemany(statements.filled(table), many)
            connection.execute(statements.SET_META, meta)

    @contextmanager
    def lock(self, holder: Holder, shard: Shard | None) -> Iterator[None]:
        """Hold the state for one run; a shard's run holds it whole.

        The lock is the operating system's, on ``<file>.lock``: it ends with the process, even one that is killed. Who
        holds it is written into the state, for the sentence that a refused run gets.
        """
        release = self._take_lock()
        try:
            with self._transaction("locked") as connection:
                connection.execute(statements.NO_HOLDERS)
                connection.execute(statements.ADD_HOLDER, rows.holder_row(replace(holder, shard=shard)))
            yield
        finally:
            # The row only names the holder; that it could not be taken away must not hide what the run met.
            with suppress(StateError), self._transaction("written") as connection:
                connection.execute(statements.NO_HOLDERS)
            release()

    def holders(self) -> Sequence[Holder]:
        # The row of a killed run stays, so that the lock itself is asked: taken, and let go at once.
        holder = self._holder()
        if holder is None:
            return ()
        with suppress(StateLocked):
            self._take_lock()()
            return ()
        return (holder,)

    def assure_lock(self) -> None:
        """It goes with its process, and cannot be lost before."""

    def break_lock(self) -> Sequence[Holder]:
        if holders := self.holders():
            raise unbreakable(self.location, holders[0])
        return ()

    def _take_lock(self) -> Callable[[], None]:
        with self._explained("locked"):
            release = take(self._path.with_name(f"{self._path.name}.lock"))
        if release is None:
            raise locked(self.location, self._holder())
        return release

    def _holder(self) -> Holder | None:
        # A schema older than the one that has holders, or a busy file, must not hide that the state is held.
        with suppress(StateError):
            return self.read(lambda ask: next(map(rows.read_holder, ask(statements.HOLDERS)), None))
        return None

    def damage(self) -> Sequence[str]:
        with self._mutex, self._explained("checked"):
            told = [str(line) for (line,) in self._connection.execute("PRAGMA integrity_check")]
        return [] if told == ["ok"] else told

    def close(self) -> None:
        with self._mutex, self._explained("closed"):
            self._connection.close()

    @contextmanager
    def _transaction(self, doing: str, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with self._mutex, self._explained(doing):
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # After some failures (a full disk) SQLite has rolled back by itself.
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise state_error(self.location, self._path, doing, error) from error


def create_file(path: Path, *, service: str) -> None:
    """Make an empty state at ``path``, with its folders, for its owner's eyes alone (mode 0600).

    It appears whole or not at all: it is made under another name and then linked to its own. Where another process was
    first, that one's state stays.

    Raises:
        StateError: it cannot be made; nothing is left behind.
    """
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(16)}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _make(fresh, service)
            _refuse_leftovers(path)
            _publish(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as error:
        raise state_error(str(path), path, "created", error) from error


def _make(fresh: Path, service: str) -> None:
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = _connection(f"{fresh.as_uri()}?mode=rw")
    try:
        connection.execute("BEGIN IMMEDIATE")
        _apply_migrations(connection, 0, new=(secrets.token_hex(16), service, time.time()))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _refuse_leftovers(path: Path) -> None:
    for ending in ("-wal", "-journal"):
        log = path.with_name(path.name + ending)
        # SQLite would take an orphaned log for the new file's own. (Asked in this order, another process that has just
        # made the state is not mistaken for an orphan.)
        if log.exists() and not path.exists():
            raise StateError(
                f"the state {path} is gone, but {log.name}, which holds its last writes, is still there: put the state "
                f"back beside it, or remove {log} to begin anew"
            )


def _publish(fresh: Path, path: Path) -> None:
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links.
        if not path.exists():
            fresh.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder, and needs no such thing.
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _apply_migrations(connection: sqlite3.Connection, version: int, new: tuple[str, str, float] | None = None) -> None:
    """Run what is missing from ``version`` on; for a ``new`` state its lineage, service and time are written."""
    for migration in statements.MIGRATIONS[version:]:
        for statement in migration:
            # In SQLite only this spelling makes the key the row's own number, which saves an index.
            connection.execute(statement.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"))
    newest = len(statements.MIGRATIONS)
    if new is not None:
        connection.execute(statements.NEW_META, (newest, *new))
    connection.execute(statements.SET_SCHEMA_VERSION, (newest,))


def _back_up(connection: sqlite3.Connection, backup: Path) -> None:
    fresh = backup.with_name(f".{backup.name}.{secrets.token_hex(16)}.new")
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        target = sqlite3.connect(fresh)
        try:
            connection.backup(target)
        finally:
            target.close()
        fresh.replace(backup)
        _sync_folder(backup.parent)
    finally:
        fresh.unlink(missing_ok=True)


def _open(path: Path, reading: bool) -> sqlite3.Connection:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder", str(path))
    status = path.stat()
    if status.st_size == 0:
        # A state appears whole, so this was one that something has emptied; SQLite would call it new and forget all.
        raise ValueError("the file is empty")
    if status.st_mode & 0o077:
        # Signed URLs lie in it. A copy restored from a backup may have come with looser permissions.
        with suppress(OSError):
            path.chmod(0o600)
    try:
        return _connection(f"{path.as_uri()}?mode=rw")
    except sqlite3.Error as error:
        read_only = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        if not (reading and read_only and _is_at_rest(path)):
            raise
    # Even a reader of a WAL file writes beside it (its shared memory). Where the folder forbids that, a file at rest
    # may be read as one that does not change.
    return _connection(f"{path.as_uri()}?mode=ro&immutable=1")


def _connection(uri: str) -> sqlite3.Connection:
    # isolation_level=None: transactions begin and end where this module says so.
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Also the first read of the file, which tells whether it can be read at all.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA schema_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_at_rest(path: Path) -> bool:
    """Whether every write has reached the file itself: no log with content lies beside it."""
    log = path.with_name(path.name + "-wal")
    return not log.exists() or log.stat().st_size == 0
