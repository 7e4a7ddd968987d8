"""The database itself: opening it, reading in snapshots, writing together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from glossi_sync.studio.records.claim import Claim, FileClaim, Taken, application_name
from glossi_sync.studio.records.migrations import SCHEMA_VERSION, LaterSchema, bring_up_to_date, version
from glossi_sync.studio.threads import Runner, in_thread

T = TypeVar("T")


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    done: bool = False
    outcome: Any = None
    error: Exception | None = field(default=None)


class Records:
    """The studio's database.

    ``url`` is SQLAlchemy's: ``sqlite:///…/records.db``, ``postgresql+psycopg://…``. Tables are made where they are
    missing, and those of an earlier version brought up to date (see ``migrations``).

    Raises:
        RecordsError: it cannot be opened, or was written by a later version; or, of ``write``, another server has it.
    """

    def __init__(self, url: str, *, run: Runner = in_thread) -> None:
        self._engine = _engine(url)
        self._run = run
        self._waiting: list[_Write] = []
        self._writer = asyncio.Lock()
        self._claim: Claim | None = None
        self._lock: FileClaim | None = None
        try:
            with self._engine.connect() as connection:
                found = version(connection)
            if found != SCHEMA_VERSION:
                self.now(bring_up_to_date)
        except LaterSchema as later:
            raise RecordsError(
                f"the studio's records are of schema {later}, this version of glossi-sync reads schema"
                f" {SCHEMA_VERSION}: upgrade glossi-sync, or give the studio another data folder"
            ) from None
        except DBAPIError as error:
            raise self._unusable(error) from error

    def claim(self) -> None:
        """Be the one server of this database until ``close``.

        Raises:
            RecordsError: another server has it.
        """
        try:
            if self._engine.dialect.name == "postgresql":
                self._claim = Claim(self._engine)
            elif self._engine.url.database not in _IN_MEMORY:
                self._lock = FileClaim(Path(f"{self._engine.url.database}.lock"))
        except Taken as taken:
            raise RecordsError(
                f"the studio's records at {self._engine.url} are in use by another studio ({taken}): two would render"
                " the same jobs. Stop that one, or give this one another database"
            ) from None
        except DBAPIError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        for claim in (self._claim, self._lock):
            if claim is not None:
                claim.close()
        self._engine.dispose()

    def now(self, work: Callable[[Connection], T]) -> T:
        """Change at once, in this thread: for setting up, before anything else uses the records."""
        with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            return work(connection)

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Ask in a transaction of its own: one snapshot, nothing written."""

        def ask() -> T:
            with self._engine.connect().execution_options(**_SNAPSHOT[self._engine.dialect.name]) as connection:
                return question(connection)

        return await self._run(ask)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Change in a transaction, committed to the disk when this returns. What ``work`` raises undoes it alone.

        Writes that wait for the one before them share the next transaction, each in a savepoint: a hundred requests at
        once cost one flush of the disk, not a hundred. It is also the only writer, so SQLite's busy handler, which
        sleeps, is never met.
        """
        mine = _Write(work)
        self._waiting.append(mine)
        async with self._writer:
            if not mine.done:
                batch, self._waiting = self._waiting, []
                await self._run(lambda: self._commit(batch))
        if mine.error is not None:
            raise mine.error
        outcome: T = mine.outcome
        return outcome

    def _commit(self, batch: Sequence[_Write]) -> None:
        try:
            with self._writing() as connection, connection.begin():
                for write in batch:
                    try:
                        with connection.begin_nested():
                            write.outcome = write.work(connection)
                    except Exception as error:
                        write.error = error
        except Exception as error:
            for write in batch:
                write.error = write.error or error
        for write in batch:
            write.done = True

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._claim is None:
            with self._engine.connect().execution_options(writes=True) as connection:
                yield connection
            return
        try:
            claimed = self._claim.connection()
        except Taken as taken:
            raise RecordsError(f"another studio has taken over the records ({taken}): stop one of the two") from None
        yield claimed

    def _unusable(self, error: DBAPIError) -> RecordsError:
        reason = " ".join(str(error.orig).split())
        return RecordsError(f"the studio's records at {self._engine.url} cannot be opened: {reason}")


class RecordsError(Exception):
    """The database cannot be used; the message says why and what to do."""


_SNAPSHOT: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
"""What makes a transaction see one state of the database, by its kind."""


_IN_MEMORY = (None, "", ":memory:")


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
        if kind == "postgresql":
            return _postgresql(parsed)
        if kind == "sqlite":
            return _sqlite(parsed)
    except ArgumentError:
        kind = "what --records names"
    except ImportError as error:
        raise RecordsError(
            f"records in PostgreSQL need their extra ({error.name} is missing): pip install 'glossi-sync[postgres]'"
        ) from None
    raise RecordsError(
        f"a studio's records cannot lie in {kind}: its URL is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    )


def _postgresql(url: URL) -> Engine:
    return create_engine(
        # Whichever driver the URL names: this is the one that the extra brings.
        url.set(drivername="postgresql+psycopg"),
        pool_size=10,
        max_overflow=40,
        pool_pre_ping=True,
        connect_args={"application_name": application_name(), "connect_timeout": 10},
    )


def _sqlite(url: URL) -> Engine:
    in_memory = url.database in _IN_MEMORY
    engine = create_engine(url) if in_memory else create_engine(url, pool_size=10, max_overflow=40)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # Transactions begin where SQLAlchemy says so, not where the driver guesses.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        # An answer is a promise: an id that a client has written into its state must outlive a power cut, too. Writes
        # share their commits, so that FULL costs one flush for many of them.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=10000")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
