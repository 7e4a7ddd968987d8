"""The state in a database that speaks SQL: one reading, one writing, one history of schemas for all of them.

What differs between databases (how to connect, what a transaction is, who holds the lock) is a ``Database``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from glossi_sync.collecting import uncollected
from glossi_sync.resources import Shard
from glossi_sync.state import rows, statements
from glossi_sync.state.document import Document
from glossi_sync.state.objects import (
    Download,
    FileStamp,
    Holder,
    Realised,
    Received,
    RemoteStamp,
    RenderedFile,
    Run,
    Stray,
)
from glossi_sync.state.rows import Row, Statement
from glossi_sync.state.store import State, StateError
from glossi_sync.state.writes import Write, changes_realised

_IDS_AT_ONCE = 500

T = TypeVar("T")


class Ask(Protocol):
    """Run one SELECT of ``statements`` and give its rows."""

    def __call__(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[Row]: ...


class Database(Protocol):
    """A database that a state lies in; several threads may use it. Every method may raise StateError."""

    location: str

    def read(self, look: Callable[[Ask], T]) -> T:
        """What ``look`` finds in the database as it is at one moment. It may be called again where that failed.

        A ValueError, KeyError or TypeError of its own means rows that nobody wrote: the state is damaged.
        """
        ...

    def write(self, todo: Sequence[Statement], *, count: bool) -> list[int]:
        """Run all statements in one durable transaction and tell how many rows each touched.

        With ``count`` the serial is counted up, before any statement of ``statements.AT_SERIAL`` is run.
        """
        ...

    def put_many(self, sql: str, many: Sequence[Row]) -> None:
        """Run one statement with many parameters, in one transaction."""
        ...

    def replace(self, tables: Mapping[str, Iterable[Row]], meta: Row) -> None:
        """Empty the tables and fill them with these rows, and set ``statements.SET_META``, in one transaction."""
        ...

    def meta(self) -> tuple[int, str, str]:
        """The schema's version, the lineage and the service.

        Raises:
            StateError: this is no state.
        """
        ...

    def migrate(self, version: int) -> None:
        """Bring the schema from a version up to date, under the lock.

        Raises:
            StateLocked: a run holds it.
        """
        ...

    def lock(self, holder: Holder, shard: Shard | None) -> AbstractContextManager[None]: ...

    def holders(self) -> Sequence[Holder]: ...

    def assure_lock(self) -> None: ...

    def break_lock(self) -> Sequence[Holder]: ...

    def damage(self) -> Sequence[str]: ...

    def close(self) -> None: ...


class SqlState:
    """A state in a database; implements ``State``."""

    def __init__(self, database: Database, *, service: str, stamps: State | None = None) -> None:
        """Admit a database: a state, of the service of that identity, with a schema that is brought up to date.

        ``stamps`` is where the stamps of files lie, if not in the database itself: another state, closed with this one.

        Raises:
            StateError: not a state, another service's, a newer schema, or unreadable; the database is closed.
            StateLocked: its schema is older, and a run holds it.
        """
        self.location = database.location
        self.service = service
        self._database = database
        self._stamps = stamps
        try:
            self._lineage = self._admit()
        except BaseException:
            self.close()
            raise

    def _admit(self) -> str:
        version, lineage, service = self._database.meta()
        newest = len(statements.MIGRATIONS)
        if version > newest:
            raise StateError(
                f"the state {self.location} was written by a newer glossi-sync (schema version {version}, this one "
                f"knows up to {newest}): upgrade glossi-sync"
            )
        if service != self.service:
            raise StateError(
                f"the state {self.location} belongs to the service {service}, and this run speaks to {self.service}, "
                f"where its ids mean nothing: choose that service with --endpoint, or another state with --state"
            )
        if version < newest:
            self._database.migrate(version)
        return lineage

    @property
    def lineage(self) -> str:
        return self._lineage

    @property
    def serial(self) -> int:
        return self._database.read(lambda ask: int(_only(ask(statements.SERIAL))))

    def realised(self) -> Realised:
        def look(ask: Ask) -> Realised:
            objects = rows.read_objects(ask(statements.OBJECTS))
            bindings = rows.read_bindings(ask(statements.BINDINGS), objects)
            return Realised(objects, bindings, rows.read_intents(ask(statements.IN_DOUBT)))

        with uncollected():
            return self._database.read(look)

    def inputs(self, oids: Iterable[int]) -> Mapping[int, Mapping[str, Any]]:
        return {oid: json.loads(body) for oid, body in self._beside(statements.inputs_of, oids)}

    def upload_urls(self, oids: Iterable[int]) -> Mapping[int, str]:
        return dict(self._beside(statements.upload_urls_of, oids))

    def files(self, oids: Iterable[int]) -> Mapping[int, Sequence[RenderedFile]]:
        return {oid: rows.read_files(body) for oid, body in self._beside(statements.rendered_files_of, oids)}

    def write(self, writes: Sequence[Write]) -> None:
        if todo := list(chain.from_iterable(map(rows.statements_of, writes))):
            self._database.write(todo, count=changes_realised(writes))

    def lock(self, holder: Holder, shard: Shard | None = None) -> AbstractContextManager[None]:
        return self._database.lock(holder, shard)

    def holders(self) -> Sequence[Holder]:
        return self._database.holders()

    def assure_lock(self) -> None:
        self._database.assure_lock()

    def break_lock(self) -> Sequence[Holder]:
        return self._database.break_lock()

    def stamps(self) -> Mapping[str, FileStamp]:
        if self._stamps is not None:
            return self._stamps.stamps()
        return self._database.read(lambda ask: rows.read_stamps(ask(statements.STAMPS)))

    def put_stamps(self, stamps: Mapping[str, FileStamp]) -> None:
        if self._stamps is not None:
            return self._stamps.put_stamps(stamps)
        # A file name that is no Unicode cannot be written as text; it is hashed again next time. Sorted, because
        # several processes that put the same files must take their rows in one order.
        writable = [rows.stamp_row(path, stamp) for path, stamp in sorted(stamps.items()) if _is_text(path)]
        self._remember(statements.PUT_STAMP, writable)

    def remote_stamps(self) -> Mapping[str, RemoteStamp]:
        return self._database.read(lambda ask: rows.read_remote_stamps(ask(statements.REMOTE_STAMPS)))

    def put_remote_stamps(self, stamps: Mapping[str, RemoteStamp]) -> None:
        many = [rows.remote_stamp_row(url, stamp) for url, stamp in sorted(stamps.items())]
        self._remember(statements.PUT_REMOTE_STAMP, many)

    def _remember(self, sql: str, many: Sequence[Row]) -> None:
        if many:
            with suppress(StateError):
                self._database.put_many(sql, many)

    def downloads(self) -> Mapping[str, Download]:
        downloads = self._all(statements.DOWNLOADS, rows.read_download)
        return {download.path: download for download in downloads}

    def runs(self) -> Sequence[Run]:
        return self._all(statements.RUNS, rows.read_run)

    def bindings_after(self, run_id: int) -> Mapping[str, int]:
        return dict(self._all(statements.BINDINGS_AFTER, tuple, (run_id,)))

    def secret(self, name: str) -> str | None:
        found = self._all(statements.SEALED, tuple, (name,))
        return str(found[0][0]) if found else None

    def damage(self) -> Sequence[str]:
        return self._database.damage()

    def strays(self) -> Sequence[Stray]:
        return self._all(statements.STRAYS, rows.read_stray)

    def put_event(self, event: Received) -> bool:
        # Most replays end here, and write nothing.
        if self._all(statements.KNOWN_EVENT, tuple, (event.digest,)):
            return False
        put = [Statement(statements.NEXT_EVENT, ()), Statement(statements.PUT_EVENT, rows.event_row(event))]
        return bool(self._database.write(put, count=False)[-1])

    def heard(self) -> int:
        return self._database.read(lambda ask: int(_only(ask(statements.HEARD))))

    def events(self, after: int) -> Sequence[Received]:
        return self._all(statements.EVENTS, rows.read_event, (after,))

    def dump(self) -> Document:
        with uncollected():
            return self._database.read(rows.read_document)

    def load(self, document: Document) -> None:
        meta = (document.lineage, document.serial, document.service)
        with uncollected():
            self._database.replace(rows.table_rows(document), meta)
        self._lineage = document.lineage

    def close(self) -> None:
        if self._stamps is not None:
            self._stamps.close()
        self._database.close()

    def _all(self, sql: str, meaning: Callable[[Row], T], parameters: Row = ()) -> list[T]:
        return self._database.read(lambda ask: [meaning(row) for row in ask(sql, parameters)])

    def _beside(self, select: Callable[[int], str], oids: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Rows of one of the tables beside ``objects``, asked for in pieces that every database takes."""
        wanted = iter(oids)
        while piece := tuple(islice(wanted, _IDS_AT_ONCE)):
            yield from self._all(select(len(piece)), _pair, piece)


def _pair(row: Row) -> tuple[int, str]:
    oid, text = row
    return oid, text


def _only(found: Iterable[Row]) -> Any:
    """The value of a SELECT that gives one row of one column."""
    ((value,),) = found
    return value


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
