"""A whole state as one value, whichever backend it lies in; and that value as JSON, to carry it elsewhere.

What ``State.dump`` gives, ``State.load`` takes: pulled, pushed, moved from a file to a database or a bucket, a state
stays what it was, lineage and serial included. ``write`` and ``read`` are the JSON: times are Unix seconds, and whole
numbers of 63 bits are strings, because most JSON readers keep 53.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glossi_sync.resources import Kind, Phase
from glossi_sync.state.objects import (
    Download,
    Intent,
    Object,
    Received,
    RenderedFile,
    Run,
    Stray,
    Subject,
)
from glossi_sync.state.values import file_values, intent_values, object_values, run_values, stray_values

FORMAT = 1


@dataclass(frozen=True, slots=True)
class PastBinding:
    """What an address was bound to (None: to nothing) from a serial on."""

    address: str
    serial: int
    oid: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """A row of the journal: a mutating call, and how it ended. Both are None while it is in doubt."""

    intent: Intent
    outcome: str | None = None
    settled: float | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the history, and the serial that the state had when it was last written down."""

    run: Run
    serial: int


@dataclass(frozen=True, slots=True)
class Document:
    """Everything that a state holds, but who holds its lock, and its caches of files' hashes.

    ``secrets`` are sealed; ``upload_urls`` are in clear.
    """

    service: str
    lineage: str
    serial: int
    objects: Mapping[int, Object] = field(default_factory=dict)
    inputs: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    upload_urls: Mapping[int, str] = field(default_factory=dict)
    files: Mapping[int, Sequence[RenderedFile]] = field(default_factory=dict)
    bindings: Mapping[str, int] = field(default_factory=dict)
    past_bindings: Sequence[PastBinding] = ()
    journal: Sequence[Call] = ()
    runs: Sequence[PastRun] = ()
    strays: Sequence[Stray] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    downloads: Mapping[str, Download] = field(default_factory=dict)
    events: Sequence[Received] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written down that a run would miss; the caches of files do not count."""
        kept = (self.journal, self.runs, self.strays, self.secrets, self.downloads, self.events)
        return not (self.serial or any(kept))


def bindings_at(past: Iterable[PastBinding], serial: int) -> dict[str, int]:
    """The bindings as they were at a serial; ``past`` in the order in which it happened."""
    found: dict[str, int] = {}
    for one in past:
        if one.serial > serial:
            continue
        if one.oid is None:
            found.pop(one.address, None)
        else:
            found[one.address] = one.oid
    return found


def write(document: Document, *, clear: bool = False) -> dict[str, Any]:
    """A document as JSON values, in an order that depends on what it holds alone.

    The signed upload URLs of recorded models, and when they expire, are left out unless ``clear``: they are secrets,
    and die within the hour. An upload that needs one is begun anew.
    """
    urls = {"uploadUrls": {str(oid): url for oid, url in sorted(document.upload_urls.items())}} if clear else {}
    return {
        "format": FORMAT,
        "service": document.service,
        "lineage": document.lineage,
        "serial": str(document.serial),
        "bindings": {address: str(oid) for address, oid in sorted(document.bindings.items())},
        "objects": [
            _object(thing, clear)
            | ({} if oid not in document.inputs else {"inputs": document.inputs[oid]})
            | ({} if oid not in document.files else {"files": [file_values(one) for one in document.files[oid]]})
            for oid, thing in sorted(document.objects.items())
        ],
        **urls,
        "journal": [_call(one) for one in sorted(document.journal, key=lambda one: one.intent.call_id)],
        "runs": [_run(one) for one in sorted(document.runs, key=lambda one: one.run.run_id)],
        "pastBindings": [
            {"address": one.address, "serial": str(one.serial), "oid": None if one.oid is None else str(one.oid)}
            for one in sorted(document.past_bindings, key=lambda one: (one.serial, one.address))
        ],
        "strays": [
            stray_values(one)
            for one in sorted(document.strays, key=lambda one: (one.at, one.kind, one.remote_id or "", one.reason))
        ],
        "secrets": dict(sorted(document.secrets.items())),
        "downloads": [
            {
                "path": one.path,
                "renderId": one.render_id,
                "size": str(one.size),
                "sha256": one.sha256,
                "mtimeNs": None if one.mtime_ns is None else str(one.mtime_ns),
            }
            for _, one in sorted(document.downloads.items())
        ],
        "events": [
            {"number": str(one.number), "digest": one.digest, "event": one.event, "body": one.body, "at": one.at}
            for one in document.events
        ],
    }


def read(value: Any) -> Document:
    """The document that ``write`` made.

    Raises:
        ValueError: it is none; the message names the format or the part that is missing or wrong.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError(f"it is no state of format {FORMAT}")
    try:
        things = {thing.oid: thing for thing in map(_read_object, value["objects"])}
        return Document(
            service=value["service"],
            lineage=value["lineage"],
            serial=int(value["serial"]),
            objects=things,
            inputs={int(one["oid"]): one["inputs"] for one in value["objects"] if "inputs" in one},
            files={int(one["oid"]): tuple(map(_read_file, one["files"])) for one in value["objects"] if "files" in one},
            upload_urls={int(oid): url for oid, url in value.get("uploadUrls", {}).items()},
            bindings={address: int(oid) for address, oid in value["bindings"].items()},
            past_bindings=tuple(
                PastBinding(one["address"], int(one["serial"]), None if one["oid"] is None else int(one["oid"]))
                for one in value["pastBindings"]
            ),
            journal=tuple(map(_read_call, value["journal"])),
            runs=tuple(map(_read_run, value["runs"])),
            strays=tuple(
                Stray(Kind(one["kind"]), one["remoteId"], one["reason"], float(one["at"])) for one in value["strays"]
            ),
            secrets=value["secrets"],
            downloads={one["path"]: _read_download(one) for one in value["downloads"]},
            events=tuple(
                Received(one["digest"], one["event"], one["body"], float(one["at"]), int(one["number"]))
                for one in value["events"]
            ),
        )
    except KeyError as error:
        raise ValueError(f"it lacks {error.args[0]!r}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"a part of it is not what it should be ({error})") from error


def _object(thing: Object, clear: bool) -> dict[str, Any]:
    values = object_values(thing)
    if not clear and thing.phase is Phase.RECORDED:
        values["expires"] = None
    return values


def _read_object(one: Mapping[str, Any]) -> Object:
    return Object(
        int(one["oid"]),
        Kind(one["kind"]),
        one["digest"],
        Phase(one["phase"]),
        one["label"],
        one["remoteId"],
        tuple(map(int, one["parents"])),
        float(one["since"]),
        None if one["expires"] is None else float(one["expires"]),
        one["attempts"],
        one["error"],
    )


def _read_file(one: Mapping[str, Any]) -> RenderedFile:
    return RenderedFile(one["id"], one["name"], one["filePath"], one["fileType"], one["isVideo"])


def _read_download(one: Mapping[str, Any]) -> Download:
    mtime_ns = None if one["mtimeNs"] is None else int(one["mtimeNs"])
    return Download(one["path"], one["renderId"], int(one["size"]), one["sha256"], mtime_ns)


def _call(call: Call) -> dict[str, Any]:
    return {**intent_values(call.intent), "outcome": call.outcome, "settled": call.settled}


def _read_call(one: Mapping[str, Any]) -> Call:
    subjects = tuple(Subject(subject["address"], subject["digest"]) for subject in one["subjects"])
    intent = Intent(int(one["callId"]), int(one["runId"]), one["step"], one["call"], subjects, float(one["at"]))
    return Call(intent, one["outcome"], None if one["settled"] is None else float(one["settled"]))


def _run(past: PastRun) -> dict[str, Any]:
    return {**run_values(past.run), "serial": str(past.serial)}


def _read_run(one: Mapping[str, Any]) -> PastRun:
    ended = None if one["ended"] is None else float(one["ended"])
    run = Run(
        int(one["runId"]), one["command"], float(one["started"]), ended, one["outcome"], one["steps"], one["calls"]
    )
    return PastRun(run, int(one["serial"]))
