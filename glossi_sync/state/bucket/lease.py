"""The lock of a state in a bucket: a lease on one object, taken, renewed and let go by conditional writes.

    free, epoch n ──take──> held, epoch n+1 ──renew──> held, epoch n+1 … ──let go──> free, epoch n+1
                                 │
                                 └── not renewed for a whole lease ──take──> held by another, epoch n+2

Each taking counts the epoch up, so that no two have the same one. Whether a lease has run out is asked of one clock
alone: the bucket's for somebody else's (how long ago was the object written?), this machine's for one's own (how long
ago was the last renewal sent off?). A wrong clock can hand the lock to another run too early; it can harm nothing,
because the journal keeps the two apart (see ``bucket``).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Lock, Thread

from glossi_sync.state.bucket.objects import Objects, Tag, Unreachable
from glossi_sync.state.bucket.wire import LockNote, Malformed, Newer, read_lock, write_lock
from glossi_sync.state.lock import told
from glossi_sync.state.objects import Holder
from glossi_sync.state.store import StateError, StateLocked

LOCK = "lock"

LEASE_SECONDS = 60.0
RENEWALS = 3
"""How often a lease is renewed in its length."""

MARGIN_SECONDS = 5.0
"""How much longer than a lease another run's is left alone: buckets tell whole seconds, and their machines differ."""

_TRIES = 5

Clock = Callable[[], float]
Beat = Callable[[Callable[[], bool], float], Callable[[], None]]
"""Calls a function every so many seconds until it answers False, or until what is answered here is called."""


def awake_clock() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock; they begin anywhere."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def beat_in_thread(renew: Callable[[], bool], every: float) -> Callable[[], None]:
    """A ``Beat`` in a thread of its own, for which the end of the process does not wait."""
    over = Event()

    def run() -> None:
        while not over.wait(every) and renew():
            pass

    thread = Thread(target=run, name="lease", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join()

    return stop


class Lease:
    """One taking of the lock, as its holder has it. ``epoch`` is its number, ``by`` its name; for all threads."""

    def __init__(self, objects: Objects, location: str, note: LockNote, tag: Tag, sent: float, clock: Clock) -> None:
        self.epoch = note.epoch
        self.by = note.by
        self._objects = objects
        self._location = location
        self._note = note
        self._tag = tag
        self._renewed = sent
        self._clock = clock
        self._lost: str | None = None
        self._mutex = Lock()

    def renew(self) -> bool:
        """Renew the lease; False where it is lost for good. A bucket that cannot be reached is asked again later."""
        with self._mutex:
            try:
                self._renew()
            except Unreachable:
                return True
            return self._lost is None

    def _renew(self) -> None:
        if self._lost is not None:
            return
        sent = self._clock()
        note = replace(self._note, renewals=self._note.renewals + 1)
        tag = self._objects.replace(LOCK, write_lock(note), self._tag)
        if tag is None:
            there = self._objects.get(LOCK)
            now = None if there is None else _understood(there.body)
            if there is None or now is None or now.by != self.by:
                self._lost = _taken_by(now)
                return
            # It was written, and the answer lost on its way: obstore has asked again.
            tag = there.tag
        self._note, self._tag, self._renewed = note, tag, sent

    def ensure(self) -> None:
        """Make certain that the lease is still one's own, so far as can be known without asking.

        Where it has run out (the process was paused, or the bucket could not be reached), it is renewed, which works
        where nobody has taken it.

        Raises:
            StateError: it is lost.
            Unreachable: it has run out, and the bucket cannot be asked.
        """
        with self._mutex:
            if self._lost is None and self._clock() - self._renewed >= self._note.seconds:
                self._renew()
            if self._lost is not None:
                raise self._lost_error()

    def assure(self) -> None:
        """Make certain that the lease is still one's own, by asking: it is renewed.

        Raises:
            StateError: it is lost.
            Unreachable: the bucket cannot be asked.
        """
        with self._mutex:
            self._renew()
            if self._lost is not None:
                raise self._lost_error()

    def lose(self) -> StateError:
        """Something in the bucket shows that another run has taken over; the error to raise."""
        with self._mutex:
            self._lost = self._lost or _taken_by(None)
            return self._lost_error()

    def _lost_error(self) -> StateError:
        return StateError(
            f"the state {self._location} cannot be written: its lock is lost, {self._lost}; nothing more is written or "
            f"asked for. What was on its way is in the journal: run again, and that run takes it up"
        )

    def let_go(self, *, closed: bool) -> None:
        """Give the lock back, unless it is lost. ``closed``: nothing that was sent to the journal can still arrive.

        Raises:
            Unreachable: it could not be given back; it ends by itself.
        """
        with self._mutex:
            if self._lost is None:
                note = replace(self._note, holder=None, renewals=self._note.renewals + 1, closed=closed)
                self._objects.replace(LOCK, write_lock(note), self._tag)


def take(
    objects: Objects, location: str, holder: Holder, *, seconds: float, clock: Clock, force: bool = False
) -> tuple[Lease, bool]:
    """Take the lock: the lease, and whether every epoch before it is closed. ``force`` takes it from its holder.

    Raises:
        StateLocked: another run holds it.
        Unreachable: the bucket cannot be asked.
        Malformed, Newer: the lock's object cannot be understood.
    """
    by = secrets.token_hex(8)
    began = clock()
    closed = True
    for _ in range(_TRIES):
        there = objects.get(LOCK)
        if there is None:
            note = LockNote(1, by, seconds, holder)
            tag = objects.create(LOCK, write_lock(note))
        else:
            now = read_lock(there.body)
            if now.by == by:
                # Written by the try before, whose answer was lost on its way.
                return Lease(objects, location, now, there.tag, began, clock), closed
            if not force:
                refuse_living(objects, location, now)
            note = LockNote(now.epoch + 1, by, seconds, holder)
            closed = now.closed
            tag = objects.replace(LOCK, write_lock(note), there.tag)
        if tag is not None:
            return Lease(objects, location, note, tag, began, clock), closed
    raise StateLocked(f"the state {location} is wanted by several runs at once; run again", None)


def seconds_left(objects: Objects, note: LockNote) -> float:
    """For how many seconds a lock is left to its holder if the lease is not renewed; 0 where nobody holds it.

    Raises:
        Unreachable: the bucket cannot be asked.
    """
    if note.holder is None:
        return 0.0
    age = objects.age(LOCK)
    return 0.0 if age is None else max(0.0, note.seconds + MARGIN_SECONDS - age)


def refuse_living(objects: Objects, location: str, note: LockNote) -> None:
    """Refuse to take the lock from a holder whose lease has not run out.

    Raises:
        StateLocked: it has not.
        Unreachable: the bucket cannot be asked.
    """
    left = seconds_left(objects, note)
    if left and note.holder is not None:
        raise StateLocked(
            f"the state {location} is held by {told(note.holder)}; wait for it, or stop that process. If it is gone "
            f"already, its lease ends in {left:.0f} s",
            note.holder,
        )


def _understood(body: bytes) -> LockNote | None:
    try:
        return read_lock(body)
    except (Malformed, Newer):
        return None


def _taken_by(now: LockNote | None) -> str:
    if now is None or now.holder is None:
        return "because it was not renewed in time or was broken, and another run has taken over"
    return f"because it was not renewed in time or was broken, and {told(now.holder)} has taken over"
