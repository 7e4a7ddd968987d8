"""The database itself: opening it, reading in snapshots, writing together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio.to_thread
from sqlalchemy import Connection, Engine, create_engine, event, insert, make_url, select
from sqlalchemy.exc import DBAPIError

from glossi_sync.studio.records.tables import META, SCHEMA_VERSION, metadata

T = TypeVar("T")


class Runner(Protocol):
    """How a blocking piece of work is run. ``in_thread`` for a server; a simulation on a virtual clock runs it
    inline."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread of anyio's pool."""
    return await anyio.to_thread.run_sync(work)


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    done: bool = False
    outcome: Any = None
    error: Exception | None = field(default=None)


class Records:
    """The studio's database.

    ``url`` is SQLAlchemy's: ``sqlite:///…/records.db``, ``postgresql+psycopg://…``. Tables are made where they are
    missing.

    Raises:
        RecordsError: it cannot be opened, or was written by a later version.
    """

    def __init__(self, url: str, *, run: Runner = in_thread) -> None:
        self._engine = _engine(url)
        self._run = run
        self._waiting: list[_Write] = []
        self._writer = asyncio.Lock()
        try:
            metadata.create_all(self._engine)
            with self._engine.begin() as connection:
                _check_schema(connection)
        except DBAPIError as error:
            raise RecordsError(f"the studio's records at {self._engine.url} cannot be opened: {error.orig}") from error

    def close(self) -> None:
        self._engine.dispose()

    def now(self, work: Callable[[Connection], T]) -> T:
        """Change at once, in this thread: for setting up, before anything else uses the records."""
        with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            return work(connection)

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Ask in a transaction of its own: one snapshot, nothing written."""

        def ask() -> T:
            with self._engine.connect() as connection:
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
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
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


class RecordsError(Exception):
    """The database cannot be used; the message says why and what to do."""


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=10, max_overflow=40, pool_pre_ping=True)
    in_memory = make_url(url).database in {None, "", ":memory:"}
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


def _check_schema(connection: Connection) -> None:
    found = connection.scalar(select(META.c.value).where(META.c.name == "schema"))
    if found is None:
        connection.execute(insert(META).values(name="schema", value=str(SCHEMA_VERSION)))
    elif int(found) != SCHEMA_VERSION:
        raise RecordsError(
            f"the studio's records are of schema {found}, this version of glossi-sync reads schema {SCHEMA_VERSION}:"
            " upgrade glossi-sync, or give the studio another data folder"
        )
