"""What the objects of a state in a bucket hold: the snapshot, the entries of the journal, the lock; values and bytes.

All are JSON, the snapshot gzipped, and begin with a format that a later version can tell apart.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

from glossi_sync.resources import Kind, Phase, Shard
from glossi_sync.state.document import Call, Document, PastBinding, PastRun
from glossi_sync.state.objects import Download, Holder, Intent, Object, Received, RenderedFile, Run, Stray, Subject
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

FORMAT = 1

JOURNAL = "journal"

_LEVEL = 1
"""Of gzip: most of a state is digests and ids, which more effort makes no smaller."""

_KINDS = {kind.value: kind for kind in Kind}
_PHASES = {phase.value: phase for phase in Phase}


class Malformed(ValueError):
    """An object does not hold what it should; the message says what is wrong with it."""


class Newer(ValueError):
    """An object was written by a newer version, in a format that this one does not know."""


class Position(NamedTuple):
    """A place in the journal: a taking of the lock, and a number within it, both from 1 on. They sort by time."""

    epoch: int
    number: int

    @property
    def name(self) -> str:
        """The name of the entry's object; names sort as positions do."""
        return f"{JOURNAL}/{self.epoch:010}-{self.number:010}"

    @classmethod
    def of(cls, name: str) -> Position:
        """The position that an object's name says.

        Raises:
            Malformed: it says none.
        """
        found = re.fullmatch(rf"{JOURNAL}/(\d{{10}})-(\d{{10}})", name)
        if found is None:
            raise Malformed(f"{name} is no name of a journal's entry")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction. ``after`` is the entry before it, wherever that is; ``by`` the taking of the lock that wrote it.

    ``token`` tells two entries for one position apart. A ``seal`` holds no writes: its epoch is over.
    """

    position: Position
    after: Position
    by: str
    token: str
    writes: Sequence[Write] = ()
    seal: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state, as it was after the entry ``through``; ``seals`` are those up to there."""

    through: Position
    seals: Sequence[Position]
    document: Document


@dataclass(frozen=True, slots=True)
class LockNote:
    """What the lock's object says.

    ``epoch`` counts how often the lock was taken; ``holder`` is None where nobody holds it; ``by`` and ``renewals``
    make each content another one; ``seconds`` is the lease's length. ``closed``: every epoch up to this one is over by
    its own holder's word, or sealed.
    """

    epoch: int
    by: str
    seconds: float
    holder: Holder | None = None
    renewals: int = 0
    closed: bool = False


def write_entry(entry: Entry) -> bytes:
    """An entry as bytes.

    Raises:
        TypeError, ValueError: an input in it is no JSON value, or a text is no Unicode.
    """
    return _json(
        {
            "format": FORMAT,
            "at": entry.position,
            "after": entry.after,
            "by": entry.by,
            "token": entry.token,
            "seal": entry.seal,
            "writes": [_write(one) for one in entry.writes],
        }
    )


def read_entry(body: bytes) -> Entry:
    """The entry that ``write_entry`` wrote.

    Raises:
        Malformed, Newer: it is none, or one of a newer version.
    """
    value = _value(body)
    try:
        return Entry(
            Position(*value["at"]),
            Position(*value["after"]),
            value["by"],
            value["token"],
            tuple(map(_read_write, value["writes"])),
            value["seal"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"it is no entry of a journal ({error!r})") from error


def write_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot as bytes; caches of files and deliveries are left out, for they lie elsewhere."""
    whole = snapshot.document
    value = {
        "format": FORMAT,
        "through": snapshot.through,
        "seals": snapshot.seals,
        "service": whole.service,
        "lineage": whole.lineage,
        "serial": whole.serial,
        "objects": list(map(_object_row, whole.objects.values())),
        "inputs": list(whole.inputs.items()),
        "urls": list(whole.upload_urls.items()),
        "files": [[oid, [astuple(file) for file in files]] for oid, files in whole.files.items()],
        "bindings": list(whole.bindings.items()),
        "past": [[one.address, one.serial, one.oid] for one in whole.past_bindings],
        "journal": [[_intent_row(one.intent), one.outcome, one.settled] for one in whole.journal],
        "runs": [[_run_row(one.run), one.serial] for one in whole.runs],
        "strays": list(map(astuple, whole.strays)),
        "secrets": dict(whole.secrets),
        "downloads": list(map(astuple, whole.downloads.values())),
    }
    return gzip.compress(_json(value), compresslevel=_LEVEL, mtime=0)


def read_snapshot(body: bytes) -> Snapshot:
    """The snapshot that ``write_snapshot`` wrote.

    Raises:
        Malformed, Newer: it is none, or one of a newer version.
    """
    try:
        value = _value(gzip.decompress(body))
    except (OSError, EOFError, zlib.error) as error:
        raise Malformed(f"it is damaged ({error})") from error
    try:
        objects = list(map(_object, value["objects"]))
        downloads = [Download(*row) for row in value["downloads"]]
        whole = Document(
            service=value["service"],
            lineage=value["lineage"],
            serial=value["serial"],
            objects={one.oid: one for one in objects},
            inputs=dict(value["inputs"]),
            upload_urls=dict(value["urls"]),
            files={oid: tuple(RenderedFile(*file) for file in files) for oid, files in value["files"]},
            bindings=dict(value["bindings"]),
            past_bindings=[PastBinding(*row) for row in value["past"]],
            journal=[Call(_intent(row), outcome, settled) for row, outcome, settled in value["journal"]],
            runs=[PastRun(Run(*row), serial) for row, serial in value["runs"]],
            strays=[Stray(Kind(kind), *row) for kind, *row in value["strays"]],
            secrets=value["secrets"],
            downloads={one.path: one for one in downloads},
        )
        return Snapshot(Position(*value["through"]), [Position(*one) for one in value["seals"]], whole)
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"it is no snapshot ({error!r})") from error


def write_lock(note: LockNote) -> bytes:
    """A lock's note as bytes."""
    holder = note.holder
    return _json(
        {
            "format": FORMAT,
            "epoch": note.epoch,
            "by": note.by,
            "renewals": note.renewals,
            "seconds": note.seconds,
            "closed": note.closed,
            "holder": None
            if holder is None
            else {
                "run": str(holder.run_id),
                "command": holder.command,
                "user": holder.user,
                "host": holder.host,
                "pid": holder.pid,
                "since": holder.since,
                "spec": holder.spec,
                "shard": None if holder.shard is None else str(holder.shard),
            },
        }
    )


def read_lock(body: bytes) -> LockNote:
    """The note that ``write_lock`` wrote.

    Raises:
        Malformed, Newer: it is none, or one of a newer version.
    """
    value = _value(body)
    try:
        return LockNote(
            value["epoch"],
            value["by"],
            value["seconds"],
            None if value["holder"] is None else _read_holder(value["holder"]),
            value["renewals"],
            value["closed"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"it is no lock ({error!r})") from error


def write_event(event: Received, token: str) -> bytes:
    """A delivery as bytes; ``token`` tells two attempts to keep one apart."""
    return _json({"format": FORMAT, "token": token, "event": astuple(event)})


def read_event(body: bytes) -> tuple[Received, str]:
    """What ``write_event`` wrote.

    Raises:
        Malformed, Newer: it is none, or one of a newer version.
    """
    value = _value(body)
    try:
        return Received(*value["event"]), value["token"]
    except (KeyError, TypeError) as error:
        raise Malformed(f"it is no event ({error!r})") from error


def _read_holder(one: Mapping[str, Any]) -> Holder:
    shard = None if one["shard"] is None else Shard.parse(one["shard"])
    return Holder(
        int(one["run"]), one["command"], one["user"], one["host"], one["pid"], one["since"], one["spec"], shard
    )


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _value(body: bytes) -> Any:
    try:
        value = json.loads(body)
        known = value["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("it was not written by glossi-sync") from error
    if known != FORMAT:
        raise Newer(f"it was written by a newer glossi-sync (format {known}, this one knows {FORMAT})")
    return value


def _write(write: Write) -> list[Any]:  # noqa: PLR0911
    match write:
        case PutObject(thing, inputs, url, files):
            return [
                "object",
                _object_row(thing),
                inputs,
                url,
                None if files is None else [astuple(one) for one in files],
            ]
        case Bind(address, oid):
            return ["bind", address, oid]
        case Unbind(address):
            return ["unbind", address]
        case Intend(intent):
            return ["intend", _intent_row(intent)]
        case Settle(call_id, outcome, at):
            return ["settle", call_id, outcome, at]
        case AddStray(stray):
            return ["stray", astuple(stray)]
        case PutRun(run):
            return ["run", _run_row(run)]
        case PutSecret(name, sealed):
            return ["secret", name, sealed]
        case PutDownload(download):
            return ["download", astuple(download)]
        case DropDownload(path):
            return ["drop", path]


def _read_write(value: Sequence[Any]) -> Write:  # noqa: PLR0911
    match value:
        case ["object", thing, inputs, url, files]:
            return PutObject(
                _object(thing), inputs, url, None if files is None else [RenderedFile(*one) for one in files]
            )
        case ["bind", address, oid]:
            return Bind(address, oid)
        case ["unbind", address]:
            return Unbind(address)
        case ["intend", intent]:
            return Intend(_intent(intent))
        case ["settle", call_id, outcome, at]:
            return Settle(call_id, outcome, at)
        case ["stray", [kind, *rest]]:
            return AddStray(Stray(Kind(kind), *rest))
        case ["run", run]:
            return PutRun(Run(*run))
        case ["secret", name, sealed]:
            return PutSecret(name, sealed)
        case ["download", download]:
            return PutDownload(Download(*download))
        case ["drop", path]:
            return DropDownload(path)
        case _:
            raise Malformed(f"{value!r} is no write")


_object_row = attrgetter(*(one.name for one in fields(Object)))
"""An object as a row; a state has hundreds of thousands, and ``astuple`` takes its time."""


def _object(row: Sequence[Any]) -> Object:
    oid, kind, digest, phase, label, remote_id, parents, *rest = row
    return Object(oid, _KINDS[kind], digest, _PHASES[phase], label, remote_id, tuple(parents), *rest)


def _intent_row(one: Intent) -> list[Any]:
    subjects = [[subject.address, subject.digest] for subject in one.subjects]
    return [one.call_id, one.run_id, one.step, one.call, subjects, one.at]


def _intent(row: Sequence[Any]) -> Intent:
    call_id, run_id, step, call, subjects, at = row
    return Intent(call_id, run_id, step, call, tuple(Subject(*one) for one in subjects), at)


def _run_row(run: Run) -> list[Any]:
    return [run.run_id, run.command, run.started, run.ended, run.outcome, dict(run.steps), dict(run.calls)]
