"""The state in a bucket: a snapshot, the journal of what was written since, and a lock; for runners that share no disk.

    lock                              who holds it, for how long (``lease``)
    snapshot                          the whole state, as it was after one entry of the journal
    journal/<epoch>-<number>          one transaction each: its writes, and which entry it comes after
    events/<number>, deliveries/<digest>, newest-event     what a webhook's receiver has kept

Opening reads the snapshot, and the entries behind it. A write makes one small object, whatever the state's size, and
returns when it is there. The snapshot is made anew, and the entries that it holds removed, when a run ends that has
written something, and in between when there are many.

Why no run can harm another's, however long it was paused, whatever the clocks say, and wherever it was cut short:

1. *Each taking of the lock has an epoch of its own, greater than all before it*: the lock's object is only ever
   replaced under the condition that it is still the one that was read.
2. *A holder writes entries of its own epoch alone, numbered from 1, one after the other, under names that must not
   exist yet.* So for each name one entry is chosen, once, by the bucket. A holder whose write was not answered tries
   the same name next; what it finds there tells it which of the two was chosen.
3. *Whoever takes the lock while an epoch before its own is not closed seals it*: behind the last entry it makes one
   that says "over", under the very name that the former holder would use next. If that one is first, its entry is
   read, and the seal goes behind it. From then on the former holder cannot write: the name is taken, and it uses no
   other before that one. It finds the seal there, and knows that its lock is lost. An epoch is closed without a seal
   where its holder itself gave the lock back, with no write left unanswered.
4. So the entries are *one chain*, epoch by epoch; each names the one before it, and a reader that finds a link missing
   (a listing and a compaction that crossed) begins again.
5. *A snapshot holds all that is in the chain up to the entry that it names.* It is replaced under the condition that it
   is still the one that was read, so a compaction that was paused cannot put an older one in a newer one's place; one
   that comes before the newer one is right, too, and only not the newest.
6. *Entries are removed only after a snapshot that holds them is there*, and only those. Seals stay (one for each run
   that ended without giving the lock back), so 3 holds for ever. An entry that a network delivers twice, after it was
   removed, is one that the snapshot has: nobody reads what is not behind the snapshot.

What a clock decides is only when a lock may be taken from a run that does not renew it (a run that was paused asks the
bucket before it goes on); all else follows from the conditions above.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import RLock
from typing import Any

from glossi_sync.collecting import uncollected
from glossi_sync.resources import Shard
from glossi_sync.state.bucket import events as kept_events
from glossi_sync.state.bucket.lease import (
    LEASE_SECONDS,
    LOCK,
    RENEWALS,
    Beat,
    Clock,
    Lease,
    awake_clock,
    beat_in_thread,
    seconds_left,
    take,
)
from glossi_sync.state.bucket.objects import LARGE, Objects, Tag, Unreachable, no_conditions
from glossi_sync.state.bucket.wire import (
    JOURNAL,
    Entry,
    Malformed,
    Newer,
    Position,
    Snapshot,
    read_entry,
    read_lock,
    read_snapshot,
    write_entry,
    write_snapshot,
)
from glossi_sync.state.document import Document
from glossi_sync.state.memory import MemoryState
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
from glossi_sync.state.store import State, StateError
from glossi_sync.state.writes import Write

SNAPSHOT = LARGE

FEWEST_ENTRIES = 1000
"""A run does not stop to make a snapshot for fewer entries than this; it is made when it ends."""

MOST_ENTRIES = 10_000
"""A run makes a snapshot when there are as many, however large the state; see ``BucketState._is_worth_a_snapshot``."""

_TRIES = 5
_START = Position(0, 0)


class Absent(StateError):
    """There is no state there."""


class _Gap(Exception):
    """The journal was read while entries were being removed from it."""


class BucketState:
    """A state in a bucket; implements ``State``.

    Durability: when ``write`` returns, its entry lies in the bucket. A write that is answered with an error may have
    been done nevertheless; the next one finds out.

    Reading: outside the lock each method first looks for what others have written (two small requests); ``inputs``,
    ``upload_urls`` and ``files`` do not, so that they fit what ``realised`` has told. Under the lock nobody else does.

    A write outside the lock takes it for as long as it lasts. Threads: one mutex for all; the lease is renewed beside.

    File stamps are of one machine, and of no use to another: they lie in ``stamps``, a state of this machine's.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        service: str,
        stamps: State,
        clock: Clock = awake_clock,
        beat: Beat = beat_in_thread,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        """Open the state that lies there; ``seconds`` is its lease's length.

        Raises:
            Absent: there is none.
            StateError: it is another service's, or of a newer version, or cannot be read.
        """
        self.location = objects.url
        self.service = service
        self._objects = objects
        self._stamps = stamps
        self._clock = clock
        self._beat = beat
        self._seconds = seconds
        self._mutex = RLock()
        self._lease: Lease | None = None
        self._unanswered = False
        self._image = MemoryState(service=service, location=self.location)
        self._position = _START
        self._seals: list[Position] = []
        self._snapshot_tag: Tag | None = None
        self._snapshot_bytes = 0
        self._entries = 0
        self._entry_bytes = 0
        with self._explained("opened"):
            self._catch_up()

    @property
    def lineage(self) -> str:
        return self._image.lineage

    @property
    def serial(self) -> int:
        return self._fresh().serial

    def realised(self) -> Realised:
        return self._fresh().realised()

    def inputs(self, oids: Iterable[int]) -> Mapping[int, Mapping[str, Any]]:
        return self._image.inputs(oids)

    def upload_urls(self, oids: Iterable[int]) -> Mapping[int, str]:
        return self._image.upload_urls(oids)

    def files(self, oids: Iterable[int]) -> Mapping[int, Sequence[RenderedFile]]:
        return self._image.files(oids)

    def downloads(self) -> Mapping[str, Download]:
        return self._fresh().downloads()

    def runs(self) -> Sequence[Run]:
        return self._fresh().runs()

    def bindings_after(self, run_id: int) -> Mapping[str, int]:
        return self._fresh().bindings_after(run_id)

    def secret(self, name: str) -> str | None:
        return self._fresh().secret(name)

    def strays(self) -> Sequence[Stray]:
        return self._fresh().strays()

    def damage(self) -> Sequence[str]:
        with self._mutex:
            try:
                with self._explained("checked"):
                    self._read_anew()
            except StateError as error:
                return [str(error)]
        return []

    def _fresh(self) -> MemoryState:
        """The image, with all that is in the bucket."""
        with self._mutex:
            if self._lease is None:
                with self._explained("read"):
                    self._catch_up()
            return self._image

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, writes: Sequence[Write]) -> None:
        if writes:
            with self._mutex, self._own_lease() as lease:
                self._append(lease, writes)

    @contextmanager
    def _own_lease(self) -> Iterator[Lease]:
        """The lease of the run that holds the state here, or one for this moment."""
        if self._lease is not None:
            yield self._lease
        else:
            with self._held(_own_holder("a single write")) as lease:
                yield lease

    def _append(self, lease: Lease, writes: Sequence[Write]) -> None:
        while True:
            self._image.admit(writes)
            with self._explained("written"):
                lease.ensure()
                entry = Entry(self._next(lease.epoch), self._position, lease.by, secrets.token_hex(8), tuple(writes))
                body = write_entry(entry)
                self._unanswered = True
                there = self._put(entry, body)
                self._unanswered = False
            if there.by != lease.by:
                raise lease.lose()
            self._fold(there)
            if there.token == entry.token:
                break
            # It is one of ours that was never answered, and was done after all.
        with self._explained("written"):
            # A process that was paused while it wrote has written; but it must not go on as if nothing had happened.
            lease.ensure()
        if self._is_worth_a_snapshot():
            # The entry is there; that the snapshot is not can wait.
            with self._explained("written"), suppress(Unreachable):
                self._compact(lease)

    def _next(self, epoch: int) -> Position:
        return Position(epoch, self._position.number + 1 if self._position.epoch == epoch else 1)

    def _put(self, entry: Entry, body: bytes) -> Entry:
        """Put an entry at its position: the one that is there then, this one or the one that was first."""
        for _ in range(_TRIES):
            if self._objects.create(entry.position.name, body) is not None:
                self._entry_bytes += len(body)
                return entry
            there = self._objects.get(entry.position.name)
            if there is not None:
                return read_entry(there.body)
        raise Unreachable(f"the bucket says that {entry.position.name} is there, and does not give it")

    def _fold(self, entry: Entry) -> None:
        if entry.writes:
            self._image.write(entry.writes)
        if entry.seal:
            self._seals.append(entry.position)
        self._position = entry.position
        self._entries += 1

    # --- the lock ----------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, holder: Holder, shard: Shard | None = None) -> Iterator[None]:
        """Hold the state for one run; a shard's run holds it whole.

        The lease is renewed beside the run. Where it is lost, nothing more can be written.
        """
        with self._held(replace(holder, shard=shard)) as lease:
            try:
                yield
            finally:
                # The journal has it all, and what went wrong here must not hide what the run met.
                with self._mutex, suppress(StateError), self._explained("written"):
                    if self._entries:
                        lease.ensure()
                        self._compact(lease)

    @contextmanager
    def _held(self, holder: Holder, *, force: bool = False) -> Iterator[Lease]:
        lease = self._take(holder, force=force)
        stop = self._beat(lease.renew, self._seconds / RENEWALS)
        try:
            yield lease
        finally:
            try:
                stop()
            finally:
                with self._mutex, suppress(Unreachable):
                    self._lease, closed = None, not self._unanswered
                    self._unanswered = False
                    lease.let_go(closed=closed)

    def _take(self, holder: Holder, *, force: bool) -> Lease:
        with self._mutex, self._explained("locked"):
            lease, closed = take(
                self._objects, self.location, holder, seconds=self._seconds, clock=self._clock, force=force
            )
            try:
                self._catch_up()
                if not closed:
                    self._seal_before(lease)
            except BaseException:
                with suppress(Unreachable):
                    lease.let_go(closed=False)
                raise
            self._lease = lease
            return lease

    def _seal_before(self, lease: Lease) -> None:
        """Close every epoch before the lease's, the oldest first; see the module's third point."""
        for epoch in range(max(1, self._position.epoch), lease.epoch):
            while not (self._position.epoch == epoch and self._position in self._seals):
                seal = Entry(self._next(epoch), self._position, lease.by, secrets.token_hex(8), seal=True)
                self._fold(self._put(seal, write_entry(seal)))

    def holders(self) -> Sequence[Holder]:
        with self._explained("read"):
            there = self._objects.get(LOCK)
            note = None if there is None else read_lock(there.body)
            if note is None or note.holder is None or not seconds_left(self._objects, note):
                return ()
            return (note.holder,)

    def assure_lock(self) -> None:
        lease = self._lease
        if lease is not None:
            with self._explained("written"):
                lease.assure()

    def break_lock(self) -> Sequence[Holder]:
        holders = self.holders()
        if holders:
            # Taken, which seals what its holder has written, and given back.
            with self._held(_own_holder("glossi-sync unlock"), force=True):
                pass
        return holders

    # --- reading the bucket ------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Read what the bucket has and the image has not.

        Raises:
            Unreachable, Malformed, Newer, StateError: it cannot be read.
        """
        for _ in range(_TRIES):
            try:
                self._look_at_snapshot()
                self._replay()
                return
            except _Gap:
                self._snapshot_tag = None
        raise Malformed(f"the journal lacks an entry behind {self._position.name}")

    def _read_anew(self) -> None:
        self._snapshot_tag = None
        self._catch_up()

    def _look_at_snapshot(self) -> None:
        known = self._snapshot_tag
        there = self._objects.get(SNAPSHOT) if known is None else self._objects.get_unless(SNAPSHOT, known)
        if there is None:
            if known is None:
                raise Absent(f"the state {self.location} is not there: no snapshot lies below that URL")
            return
        with uncollected():
            snapshot = read_snapshot(there.body)
            self._admit(snapshot.document)
            self._image = MemoryState(service=self.service, location=self.location)
            self._image.load(snapshot.document)
            self._position = snapshot.through
            self._seals = list(snapshot.seals)
            self._entries = self._entry_bytes = 0
        self._snapshot_tag, self._snapshot_bytes = there.tag, len(there.body)

    def _admit(self, document: Document) -> None:
        if document.service != self.service:
            raise StateError(
                f"the state {self.location} belongs to the service {document.service}, and this run speaks to "
                f"{self.service}, where its ids mean nothing: choose that service with --endpoint, or another state "
                f"with --state"
            )

    def _replay(self) -> None:
        names = self._objects.names(JOURNAL, after=self._position.name)
        for name, body in zip(names, self._objects.fetch(names), strict=True):
            if body is None:
                raise _Gap
            entry = read_entry(body)
            if entry.position != Position.of(name):
                raise Malformed(f"{name} holds the entry {entry.position.name}")
            if entry.after != self._position:
                raise _Gap
            self._fold(entry)
            self._entry_bytes += len(body)

    # --- the snapshot ------------------------------------------------------------------------------------------------

    def _is_worth_a_snapshot(self) -> bool:
        """Whether there is so much in the journal that a snapshot costs a write no more than a constant."""
        large = self._entry_bytes >= self._snapshot_bytes
        return self._entries >= FEWEST_ENTRIES and (large or self._entries >= MOST_ENTRIES)

    def _compact(self, lease: Lease) -> None:
        """Make a snapshot of what there is, then remove the entries that it holds. Cut short, it harms nothing.

        Raises:
            StateError: the lock is lost.
            Unreachable: it could not be done, or not to its end.
        """
        self._put_snapshot(lease, self._image)
        old = [name for name in self._objects.names(JOURNAL) if name <= self._position.name]
        seals = {one.name for one in self._seals}
        self._objects.remove([name for name in old if name not in seals])

    def _put_snapshot(self, lease: Lease, image: MemoryState) -> None:
        with uncollected():
            body = write_snapshot(Snapshot(self._position, self._seals, image.dump()))
        assert self._snapshot_tag is not None
        for _ in range(_TRIES):
            tag = self._objects.replace(SNAPSHOT, body, self._snapshot_tag)
            if tag is None:
                there = self._objects.get(SNAPSHOT)
                if there is None:
                    raise Malformed("its snapshot is gone")
                if there.body != body:
                    if read_snapshot(there.body).through > self._position:
                        raise lease.lose()
                    # A compaction that was paused has come before this one.
                    self._snapshot_tag = there.tag
                    continue
                # It was written, and the answer lost on its way.
                tag = there.tag
            self._snapshot_tag, self._snapshot_bytes = tag, len(body)
            self._entries = self._entry_bytes = 0
            return
        raise Unreachable("the snapshot is being replaced again and again")

    def dump(self) -> Document:
        """Everything but the caches of files, which are this machine's."""
        return replace(self._fresh().dump(), events=tuple(self.events(0)))

    def load(self, document: Document) -> None:
        with self._mutex, self._own_lease() as lease, self._explained("written"):
            self._admit(document)
            image = MemoryState(service=self.service, location=self.location)
            image.load(replace(document, events=()))
            lease.ensure()
            self._put_snapshot(lease, image)
            self._image = image
            kept_events.replace_all(self._objects, document.events)

    # --- events ------------------------------------------------------------------------------------------------------

    def put_event(self, event: Received) -> bool:
        with self._explained("written"):
            return kept_events.put(self._objects, event)

    def heard(self) -> int:
        with self._explained("read"):
            return kept_events.newest(self._objects)

    def events(self, after: int) -> Sequence[Received]:
        with self._explained("read"):
            return kept_events.read(self._objects, after)

    # --- this machine's ----------------------------------------------------------------------------------------------

    def stamps(self) -> Mapping[str, FileStamp]:
        return self._stamps.stamps()

    def put_stamps(self, stamps: Mapping[str, FileStamp]) -> None:
        self._stamps.put_stamps(stamps)

    def remote_stamps(self) -> Mapping[str, RemoteStamp]:
        return self._stamps.remote_stamps()

    def put_remote_stamps(self, stamps: Mapping[str, RemoteStamp]) -> None:
        self._stamps.put_remote_stamps(stamps)

    def close(self) -> None:
        self._stamps.close()

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Unreachable as error:
            raise StateError(f"the state {self.location} cannot be {doing}: {error}") from error
        except Newer as error:
            raise StateError(f"the state {self.location} cannot be {doing}: {error}; upgrade glossi-sync") from error
        except Malformed as error:
            raise StateError(
                f"the state {self.location} cannot be {doing}: it is damaged, or no state ({error}); bring back the "
                f"objects below {self.location} as they were (bucket versioning, a backup)"
            ) from error
        except UnicodeEncodeError as error:
            raise StateError(
                f"the state {self.location} cannot be {doing}: a text in it is not valid Unicode ({error}); mend that "
                f"name"
            ) from error


def create(objects: Objects, *, service: str) -> None:
    """Make an empty state there. Where another process was first, that one's state stays.

    Raises:
        StateError: it cannot be made, or the bucket's server does not keep two writers apart.
    """
    try:
        _demand_conditions(objects)
        image = MemoryState(service=service, location=objects.url)
        objects.create(SNAPSHOT, write_snapshot(Snapshot(_START, (), image.dump())))
    except Unreachable as error:
        raise StateError(f"the state {objects.url} cannot be created: {error}") from error


def _demand_conditions(objects: Objects) -> None:
    """Some servers take a conditional write for a plain one, and never say so.

    Raises:
        Unreachable: this one does.
    """
    name = f"conditions/{secrets.token_hex(8)}"
    first = objects.create(name, b"1")
    kept = (
        first is not None
        and objects.create(name, b"2") is None
        and objects.replace(name, b"3", first) is not None
        and objects.replace(name, b"4", first) is None
    )
    objects.remove([name])
    if not kept:
        raise no_conditions()


def _own_holder(command: str) -> Holder:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return Holder(0, command, user, socket.gethostname(), os.getpid(), time.time())
