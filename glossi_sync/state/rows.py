"""Between the state's values and the rows of its tables: what each write does in SQL, and what each row means.

Shared by every backend that speaks SQL; the statements themselves are in ``statements``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

from glossi_sync.resources import Kind, Phase, Shard
from glossi_sync.state import statements
from glossi_sync.state.document import Call, Document, PastBinding, PastRun
from glossi_sync.state.objects import (
    Download,
    FileStamp,
    Holder,
    Intent,
    Object,
    Received,
    RemoteStamp,
    RenderedFile,
    Run,
    Stray,
    Subject,
)
from glossi_sync.state.writes import (
    AddStray,
    Bind,
    DropDownload,
    Intend,
    PutDownload,
    PutObject,
    PutRun,
    PutSecret,
    Settle,
    Unbind,
    Write,
)

Row = tuple[Any, ...]


class Statement(NamedTuple):
    """One SQL statement with its parameters; ``otherwise`` says what is wrong where it touches no row."""

    sql: str
    parameters: Row
    otherwise: str | None = None


def statements_of(write: Write) -> Iterator[Statement]:
    """The statements that carry out one write, in order."""
    match write:
        case PutObject():
            yield from _put_object(write)
        case Bind(address, oid):
            yield Statement(statements.BIND, (address, oid))
            yield Statement(statements.NOTE_BINDING, (address, oid))
        case Unbind(address):
            yield Statement(statements.UNBIND, (address,))
            yield Statement(statements.NOTE_BINDING, (address, None))
        case Intend(intent):
            yield Statement(statements.INTEND, _intent_row(intent))
        case Settle(call_id, outcome, at):
            yield Statement(statements.SETTLE, (outcome, at, call_id), otherwise=unknown_call(call_id))
        case AddStray(stray):
            yield Statement(statements.ADD_STRAY, _stray_row(stray))
        case PutRun(run):
            yield Statement(statements.PUT_RUN, _run_row(run))
        case PutSecret(name, sealed):
            yield Statement(statements.PUT_SEALED, (name, sealed))
        case PutDownload(download):
            yield Statement(statements.PUT_DOWNLOAD, astuple(download))
        case DropDownload(path):
            yield Statement(statements.DROP_DOWNLOAD, (path,))


def _put_object(write: PutObject) -> Iterator[Statement]:
    thing = write.object
    yield Statement(statements.PUT_OBJECT, _object_row(thing))
    if write.inputs is not None:
        yield Statement(statements.PUT_INPUTS, (thing.oid, spell(write.inputs)))
    if thing.phase is not Phase.RECORDED:
        yield Statement(statements.DROP_UPLOAD_URL, (thing.oid,))
    elif write.upload_url is not None:
        yield Statement(statements.PUT_UPLOAD_URL, (thing.oid, write.upload_url))
    if write.files is not None:
        yield Statement(statements.PUT_RENDERED_FILES, (thing.oid, spell_files(write.files)))


def _object_row(thing: Object) -> Row:
    return (
        thing.oid,
        thing.kind.value,
        thing.digest,
        thing.phase.value,
        thing.label,
        thing.remote_id,
        ",".join(map(str, thing.parents)),
        thing.since,
        thing.expires,
        thing.attempts,
        thing.error,
    )


def read_objects(rows: Iterable[Row]) -> dict[int, Object]:
    """All objects by oid, from rows of ``statements.OBJECTS``.

    A catalogue has hundreds of thousands: oids are made one int each, which parents share, and kinds and phases are
    looked up rather than called for.
    """
    kinds = {kind.value: kind for kind in Kind}
    phases = {phase.value: phase for phase in Phase}
    known: dict[int, int] = {}
    share = known.setdefault
    objects: dict[int, Object] = {}
    for oid, kind, digest, phase, label, remote_id, parents, since, expires, attempts, error in rows:
        key = share(oid, oid)
        lineage: tuple[int, ...] = ()
        if parents:
            lineage = tuple([share(parent, parent) for parent in map(int, parents.split(","))])
        objects[key] = Object(
            key, kinds[kind], digest, phases[phase], label, remote_id, lineage, since, expires, attempts, error
        )
    return objects


def read_bindings(rows: Iterable[Row], objects: Mapping[int, Object]) -> dict[str, int]:
    """All bindings, from rows of ``statements.BINDINGS``; the oids are the very ints of ``objects``."""
    return {address: objects[oid].oid if oid in objects else oid for address, oid in rows}


def read_intents(rows: Iterable[Row]) -> tuple[Intent, ...]:
    """Calls in doubt, from rows of ``statements.IN_DOUBT``."""
    return tuple(_read_intent(*row) for row in rows)


def _read_intent(call_id: int, run_id: int, step: str, call: str, subjects: str, at: float) -> Intent:
    return Intent(call_id, run_id, step, call, tuple(Subject(*subject) for subject in json.loads(subjects)), at)


def read_run(row: Sequence[Any]) -> Run:
    """One run, from a row of ``statements.RUNS``."""
    run_id, command, started, ended, outcome, steps, calls = row
    return Run(run_id, command, started, ended, outcome, json.loads(steps), json.loads(calls))


def read_stray(row: Sequence[Any]) -> Stray:
    """One stray, from a row of ``statements.STRAYS``."""
    kind, *columns = row
    return Stray(Kind(kind), *columns)


def read_download(row: Row) -> Download:
    """One download, from a row of ``statements.DOWNLOADS``."""
    return Download(*row)


def holder_row(holder: Holder, connection: int | None = None) -> Row:
    """The parameters of ``statements.ADD_HOLDER``."""
    shard = None if holder.shard is None else str(holder.shard)
    one = holder
    return (one.run_id, one.command, one.user, one.host, one.pid, one.since, one.spec, shard, connection)


def read_holder(row: Row) -> Holder:
    """One holder, from a row of ``statements.HOLDERS``."""
    run_id, command, user, host, pid, since, spec, shard, _ = row
    return Holder(run_id, command, user, host, pid, since, spec, None if shard is None else Shard.parse(shard))


def event_row(event: Received) -> Row:
    """The parameters of ``statements.PUT_EVENT``."""
    return (event.digest, event.event, event.body, event.at)


def read_event(row: Row) -> Received:
    """One delivery, from a row of ``statements.EVENTS``."""
    return Received(*row)


def read_document(ask: Callable[[str], Iterable[Row]]) -> Document:
    """A whole state, by asking for all rows of each table."""

    def every(table: str) -> Iterable[Row]:
        return ask(statements.whole(table))

    ((_, lineage, service),) = ask(statements.META)
    ((serial,),) = ask(statements.SERIAL)
    objects = read_objects(every("objects"))
    return Document(
        service=service,
        lineage=lineage,
        serial=serial,
        objects=objects,
        inputs={oid: json.loads(body) for oid, body in every("inputs")},
        upload_urls=dict(every("upload_urls")),
        files={oid: read_files(body) for oid, body in every("rendered_files")},
        bindings=read_bindings(every("bindings"), objects),
        past_bindings=sorted(
            (PastBinding(*row) for row in every("past_bindings")), key=lambda one: (one.serial, one.address)
        ),
        journal=[Call(_read_intent(*columns), outcome, settled) for *columns, outcome, settled in every("journal")],
        runs=[PastRun(read_run(columns), at) for *columns, at in every("runs")],
        strays=[read_stray(columns) for _, *columns in every("strays")],
        secrets=dict(every("secrets")),
        downloads={one.path: one for one in map(read_download, every("downloads"))},
        events=sorted(map(read_event, every("events")), key=lambda one: one.number),
    )


def table_rows(document: Document) -> dict[str, Iterable[Row]]:
    """The rows of each of ``statements.TABLES`` that hold a document."""
    newest = max((event.number for event in document.events), default=0)
    return {
        "objects": map(_object_row, document.objects.values()),
        "inputs": ((oid, spell(inputs)) for oid, inputs in document.inputs.items()),
        "upload_urls": document.upload_urls.items(),
        "rendered_files": ((oid, spell_files(files)) for oid, files in document.files.items()),
        "bindings": document.bindings.items(),
        "past_bindings": map(astuple, document.past_bindings),
        "journal": ((*_intent_row(one.intent), one.outcome, one.settled) for one in document.journal),
        "runs": ((*_run_row(past.run), past.serial) for past in document.runs),
        "strays": map(_stray_row, document.strays),
        "secrets": document.secrets.items(),
        "downloads": map(astuple, document.downloads.values()),
        "events": ((*event_row(event), event.number) for event in document.events),
        "newest_event": [(1, newest)],
    }


def _intent_row(intent: Intent) -> Row:
    subjects = spell([[subject.address, subject.digest] for subject in intent.subjects])
    return (intent.call_id, intent.run_id, intent.step, intent.call, subjects, intent.at)


def _run_row(run: Run) -> Row:
    return (run.run_id, run.command, run.started, run.ended, run.outcome, spell(run.steps), spell(run.calls))


def _stray_row(stray: Stray) -> Row:
    # A random key: several runners note strays without asking each other for the next number.
    return (secrets.randbits(63), stray.kind.value, stray.remote_id, stray.reason, stray.at)


def stamp_row(path: str, stamp: FileStamp) -> Row:
    """The parameters of ``statements.PUT_STAMP``."""
    return (path, stamp.size, stamp.mtime_ns, str(stamp.inode), stamp.sha256, stamp.hashed_ns)


def read_stamps(rows: Iterable[Row]) -> dict[str, FileStamp]:
    """The ``files`` cache by path, from rows of ``statements.STAMPS``."""
    return {
        path: FileStamp(size, mtime_ns, int(inode), sha256, hashed_ns)
        for path, size, mtime_ns, inode, sha256, hashed_ns in rows
    }


def remote_stamp_row(url: str, stamp: RemoteStamp) -> Row:
    """The parameters of ``statements.PUT_REMOTE_STAMP``."""
    return (url, stamp.size, stamp.etag, stamp.sha256)


def read_remote_stamps(rows: Iterable[Row]) -> dict[str, RemoteStamp]:
    """The cache of remote files by URL, from rows of ``statements.REMOTE_STAMPS``."""
    return {url: RemoteStamp(size, etag, sha256) for url, size, etag, sha256 in rows}


def spell(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """A JSON value as the state keeps it.

    Raises:
        TypeError, ValueError: it is no JSON value.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def spell_files(files: Iterable[RenderedFile]) -> str:
    """A render's finished files as the state keeps them."""
    return spell([astuple(file) for file in files])


def read_files(text: str) -> tuple[RenderedFile, ...]:
    """What ``spell_files`` wrote."""
    return tuple(RenderedFile(*file) for file in json.loads(text))


def unknown_call(call_id: int) -> str:
    """What is said of an outcome without an intent: it would hide a call that the journal was not told of."""
    return f"the journal knows no call {call_id}, so its outcome cannot be written down"
