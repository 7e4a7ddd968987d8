"""The state in this process's memory: for simulations, and for a plan where no state exists yet."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from threading import Lock
from typing import Any

from glossi_sync.resources import Phase, Shard
from glossi_sync.state.document import Call, Document, PastBinding, PastRun, bindings_at
from glossi_sync.state.lock import locked, unbreakable
from glossi_sync.state.objects import (
    Download,
    FileStamp,
    Holder,
    Intent,
    Object,
    Realised,
    Received,
    RemoteStamp,
    RenderedFile,
    Run,
    Stray,
)
from glossi_sync.state.rows import spell, unknown_call
from glossi_sync.state.store import StateError
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
    changes_realised,
)


class MemoryState:
    """A state that lasts as long as this value; implements ``State``. ``close`` forgets nothing.

    With ``absent`` it stands for a state that does not exist yet: it is empty, has no lineage, and refuses to be
    written to, so that nothing is remembered where it would be lost.
    """

    def __init__(self, *, service: str, location: str = "memory", absent: bool = False) -> None:
        self.location = location
        self.service = service
        self._absent = absent
        self._lineage = "" if absent else secrets.token_hex(16)
        self._serial = 0
        self._objects: dict[int, Object] = {}
        # Inputs and runs are kept as JSON text, so that what comes out is what a database would give back.
        self._inputs: dict[int, str] = {}
        self._upload_urls: dict[int, str] = {}
        self._files: dict[int, tuple[RenderedFile, ...]] = {}
        self._bindings: dict[str, int] = {}
        self._past_bindings: dict[tuple[str, int], int | None] = {}
        self._run_serials: dict[int, int] = {}
        self._secrets: dict[str, str] = {}
        self._journal: dict[int, Intent] = {}
        self._outcomes: dict[int, tuple[str, float]] = {}
        self._runs: dict[int, tuple[Run, str, str]] = {}
        self._strays: list[Stray] = []
        self._downloads: dict[str, Download] = {}
        self._stamps: dict[str, FileStamp] = {}
        self._remote_stamps: dict[str, RemoteStamp] = {}
        self._events: dict[str, Received] = {}
        self._mutex = Lock()
        self._run_lock = Lock()
        self._holder: Holder | None = None

    @property
    def lineage(self) -> str:
        return self._lineage

    @property
    def serial(self) -> int:
        return self._serial

    def realised(self) -> Realised:
        with self._mutex:
            in_doubt = [intent for call_id, intent in self._journal.items() if call_id not in self._outcomes]
            in_doubt.sort(key=lambda intent: (intent.at, intent.call_id))
            return Realised(dict(self._objects), dict(self._bindings), tuple(in_doubt))

    def inputs(self, oids: Iterable[int]) -> Mapping[int, Mapping[str, Any]]:
        with self._mutex:
            return {oid: json.loads(self._inputs[oid]) for oid in oids if oid in self._inputs}

    def upload_urls(self, oids: Iterable[int]) -> Mapping[int, str]:
        with self._mutex:
            return {oid: self._upload_urls[oid] for oid in oids if oid in self._upload_urls}

    def files(self, oids: Iterable[int]) -> Mapping[int, Sequence[RenderedFile]]:
        with self._mutex:
            return {oid: self._files[oid] for oid in oids if oid in self._files}

    def write(self, writes: Sequence[Write]) -> None:
        if self._absent:
            raise StateError(f"the state {self.location} does not exist yet: it was opened only to be read")
        with self._mutex:
            self._refuse_unknown_calls(writes)
            spelled = [_spell(write) for write in writes]
            self._serial += changes_realised(writes)
            for write, texts in zip(writes, spelled, strict=True):
                self._fold(write, texts)

    def admit(self, writes: Sequence[Write]) -> None:
        """Refuse what ``write`` would refuse, and change nothing.

        Raises:
            StateError, TypeError, ValueError: as ``write`` does.
        """
        with self._mutex:
            self._refuse_unknown_calls(writes)
            for write in writes:
                _spell(write)

    def _refuse_unknown_calls(self, writes: Sequence[Write]) -> None:
        """Refuse what a database would, before anything is changed."""
        begun: set[int] = set()
        for write in writes:
            match write:
                case Intend(intent):
                    if intent.call_id in begun or intent.call_id in self._journal:
                        raise StateError(
                            f"the state {self.location} cannot be written: it holds the call {intent.call_id} already"
                        )
                    begun.add(intent.call_id)
                case Settle(call_id) if call_id not in begun and call_id not in self._journal:
                    raise StateError(f"the state {self.location} cannot be written: {unknown_call(call_id)}")

    def _fold(self, write: Write, texts: tuple[str, ...]) -> None:
        match write:
            case PutObject():
                self._put_object(write, texts)
            case Bind(address, oid):
                self._bindings[address] = oid
                self._past_bindings[address, self._serial] = oid
            case Unbind(address):
                self._bindings.pop(address, None)
                self._past_bindings[address, self._serial] = None
            case Intend(intent):
                self._journal[intent.call_id] = intent
            case Settle(call_id, outcome, at):
                self._outcomes[call_id] = (outcome, at)
            case AddStray(stray):
                self._strays.append(stray)
            case PutRun(run):
                steps, calls = texts
                self._runs[run.run_id] = (run, steps, calls)
                self._run_serials[run.run_id] = self._serial
            case PutSecret(name, sealed):
                self._secrets[name] = sealed
            case PutDownload(download):
                self._downloads[download.path] = download
            case DropDownload(path):
                self._downloads.pop(path, None)

    def _put_object(self, write: PutObject, texts: tuple[str, ...]) -> None:
        oid = write.object.oid
        self._objects[oid] = write.object
        if texts:
            (self._inputs[oid],) = texts
        if write.object.phase is not Phase.RECORDED:
            self._upload_urls.pop(oid, None)
        elif write.upload_url is not None:
            self._upload_urls[oid] = write.upload_url
        if write.files is not None:
            self._files[oid] = tuple(write.files)

    @contextmanager
    def lock(self, holder: Holder, shard: Shard | None = None) -> Iterator[None]:
        """Hold the state for one run among those that share this value; a shard's run holds it whole."""
        if self._absent:
            raise StateError(f"the state {self.location} does not exist yet: it was opened only to be read")
        if not self._run_lock.acquire(blocking=False):
            raise locked(self.location, self._holder)
        self._holder = replace(holder, shard=shard)
        try:
            yield
        finally:
            self._holder = None
            self._run_lock.release()

    def holders(self) -> Sequence[Holder]:
        holder = self._holder
        return () if holder is None else (holder,)

    def assure_lock(self) -> None:
        """It goes with its process, and cannot be lost before."""

    def break_lock(self) -> Sequence[Holder]:
        if holders := self.holders():
            raise unbreakable(self.location, holders[0])
        return ()

    def stamps(self) -> Mapping[str, FileStamp]:
        with self._mutex:
            return dict(self._stamps)

    def put_stamps(self, stamps: Mapping[str, FileStamp]) -> None:
        with self._mutex:
            self._stamps.update(stamps)

    def remote_stamps(self) -> Mapping[str, RemoteStamp]:
        with self._mutex:
            return dict(self._remote_stamps)

    def put_remote_stamps(self, stamps: Mapping[str, RemoteStamp]) -> None:
        with self._mutex:
            self._remote_stamps.update(stamps)

    def downloads(self) -> Mapping[str, Download]:
        with self._mutex:
            return dict(self._downloads)

    def runs(self) -> Sequence[Run]:
        with self._mutex:
            runs = [_told(*kept) for kept in self._runs.values()]
        return sorted(runs, key=lambda run: (run.started, run.run_id), reverse=True)

    def bindings_after(self, run_id: int) -> Mapping[str, int]:
        with self._mutex:
            if run_id not in self._run_serials:
                return {}
            past = (PastBinding(address, serial, oid) for (address, serial), oid in self._past_bindings.items())
            return bindings_at(past, self._run_serials[run_id])

    def secret(self, name: str) -> str | None:
        with self._mutex:
            return self._secrets.get(name)

    def damage(self) -> Sequence[str]:
        return ()

    def strays(self) -> Sequence[Stray]:
        with self._mutex:
            return sorted(self._strays, key=lambda stray: stray.at)

    def put_event(self, event: Received) -> bool:
        if self._absent:
            raise StateError(f"the state {self.location} does not exist yet: it was opened only to be read")
        with self._mutex:
            if event.digest in self._events:
                return False
            self._events[event.digest] = replace(event, number=self._heard() + 1)
            return True

    def heard(self) -> int:
        with self._mutex:
            return self._heard()

    def _heard(self) -> int:
        return next((event.number for event in reversed(self._events.values())), 0)

    def events(self, after: int) -> Sequence[Received]:
        with self._mutex:
            newer = list(takewhile(lambda event: event.number > after, reversed(self._events.values())))
        return newer[::-1]

    def dump(self) -> Document:
        with self._mutex:
            return Document(
                service=self.service,
                lineage=self._lineage,
                serial=self._serial,
                objects=dict(self._objects),
                inputs={oid: json.loads(inputs) for oid, inputs in self._inputs.items()},
                upload_urls=dict(self._upload_urls),
                files=dict(self._files),
                bindings=dict(self._bindings),
                past_bindings=tuple(
                    PastBinding(address, serial, oid) for (address, serial), oid in self._past_bindings.items()
                ),
                journal=tuple(
                    Call(intent, *self._outcomes.get(call_id, (None, None)))
                    for call_id, intent in self._journal.items()
                ),
                runs=tuple(PastRun(_told(*kept), self._run_serials[kept[0].run_id]) for kept in self._runs.values()),
                strays=tuple(self._strays),
                secrets=dict(self._secrets),
                downloads=dict(self._downloads),
                events=tuple(self._events.values()),
            )

    def load(self, document: Document) -> None:
        if self._absent:
            raise StateError(f"the state {self.location} does not exist yet: it was opened only to be read")
        with self._mutex:
            self.service, self._lineage, self._serial = document.service, document.lineage, document.serial
            self._objects = dict(document.objects)
            self._inputs = {oid: spell(inputs) for oid, inputs in document.inputs.items()}
            self._upload_urls = dict(document.upload_urls)
            self._files = {oid: tuple(files) for oid, files in document.files.items()}
            self._bindings = dict(document.bindings)
            self._past_bindings = {(one.address, one.serial): one.oid for one in document.past_bindings}
            self._journal = {call.intent.call_id: call.intent for call in document.journal}
            self._outcomes = {
                call.intent.call_id: (call.outcome, call.settled)
                for call in document.journal
                if call.outcome is not None and call.settled is not None
            }
            self._runs = {
                past.run.run_id: (past.run, spell(past.run.steps), spell(past.run.calls)) for past in document.runs
            }
            self._run_serials = {past.run.run_id: past.serial for past in document.runs}
            self._strays = list(document.strays)
            self._secrets = dict(document.secrets)
            self._downloads = dict(document.downloads)
            self._events = {event.digest: event for event in document.events}

    def close(self) -> None:
        """Nothing to release: what was written stays readable."""


def _told(run: Run, steps: str, calls: str) -> Run:
    return replace(run, steps=json.loads(steps), calls=json.loads(calls))


def _spell(write: Write) -> tuple[str, ...]:
    match write:
        case PutObject(inputs=inputs) if inputs is not None:
            return (spell(inputs),)
        case PutRun(run):
            return (spell(run.steps), spell(run.calls))
        case _:
            return ()
