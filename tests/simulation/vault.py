"""Where a simulated user's state lies: in memory, in an SQLite file, in a bucket or in PostgreSQL; and what becomes of
it, and of its lock, when a process is killed, paused, or loses its lock.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Protocol

from bucket_in_memory import Cupboard, MemoryObjects
from simulation.invariants import Broken, one_holder
from simulation.process import BUCKET_ANSWER, BUCKET_REQUEST, Process, ProcessDied

from glossi_sync.resources import Shard
from glossi_sync.state import Holder, MemoryState, Received, State, StateError, Write, open_state
from glossi_sync.state.bucket import bucket_state as bucket
from glossi_sync.state.bucket.lease import LEASE_SECONDS, MARGIN_SECONDS
from glossi_sync.state.bucket.objects import Unreachable

SERVICE = "https://studio.test"

BACKENDS = ("memory", "file", "bucket", "postgresql")

MOST_BEATS = 20_000
"""Renewals of one lease after which its process is taken never to end."""


class Place(Protocol):
    """Where a state lies."""

    lease: bool
    """Whether a lock goes to another run where its holder does not renew it."""

    def open(self, process: Process) -> State:
        """The state as a process opens it."""
        ...

    def read(self) -> State:
        """The state as an onlooker opens it."""
        ...

    def died(self, state: State | None) -> bool:
        """A process that had this state open has died: whether an onlooker must open it anew."""
        ...


class InMemory:
    """The state in the memory of this process."""

    lease = False

    def __init__(self) -> None:
        self._state = MemoryState(service=SERVICE)

    def open(self, process: Process) -> State:
        return self._state

    def read(self) -> State:
        return self._state

    def died(self, state: State | None) -> bool:
        return False


class InFile:
    """The state in a file. What has been committed when a process dies is copied, and is all that there will be."""

    lease = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generation = 0

    @property
    def _file(self) -> Path:
        return self._folder / f"state-{self._generation}" / "simulated.db"

    def open(self, process: Process) -> State:
        return open_state(self._file, service=SERVICE)

    def read(self) -> State:
        return open_state(self._file, service=SERVICE)

    def died(self, state: State | None) -> bool:
        former = self._file
        self._generation += 1
        if former.exists():
            self._file.parent.mkdir()
            for file in (former, former.with_name(former.name + "-wal")):
                if file.exists():
                    shutil.copyfile(file, self._file.with_name(file.name))
        return True


class InBucket:
    """The state in a bucket, which a request or an answer may not reach while ``stormy`` says how likely that is."""

    lease = True

    def __init__(self, rng: Random, stormy: Callable[[], float]) -> None:
        self._cupboard = Cupboard(lambda: asyncio.get_running_loop().time())
        self._stamps = MemoryState(service=SERVICE)
        self._rng = rng
        self._stormy = stormy

    def open(self, process: Process) -> State:
        def before(what: str, name: str) -> None:
            self._happen(process, BUCKET_REQUEST, "the request to the bucket is lost")

        def after(what: str, name: str) -> None:
            self._happen(process, BUCKET_ANSWER, "the bucket's answer is lost")

        return self._opened(MemoryObjects(self._cupboard, before=before, after=after), process)

    def read(self) -> State:
        return self._opened(MemoryObjects(self._cupboard), None)

    def _opened(self, objects: MemoryObjects, process: Process | None) -> State:
        clock = asyncio.get_running_loop().time
        beat = (lambda *_: lambda: None) if process is None else _Heart(process).beat
        try:
            return bucket.BucketState(objects, service=SERVICE, stamps=self._stamps, clock=clock, beat=beat)
        except bucket.Absent:
            bucket.create(objects, service=SERVICE)
            return bucket.BucketState(objects, service=SERVICE, stamps=self._stamps, clock=clock, beat=beat)

    def _happen(self, process: Process, point: str, said: str) -> None:
        process.reach(point)
        if process.killed:
            raise ProcessDied
        if self._rng.random() < self._stormy():
            process.say(said)
            raise Unreachable(said)

    def died(self, state: State | None) -> bool:
        return False


class _Heart:
    """Renews a process's lease on the simulation's clock, unless the process is paused."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._beats = 0
        self._timer: asyncio.TimerHandle | None = None

    def beat(self, renew: Callable[[], bool], every: float) -> Callable[[], None]:
        self._wait(renew, every)
        return self._stop

    def _wait(self, renew: Callable[[], bool], every: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(every, self._process.paused_until - loop.time()), self._renew, renew, every)

    def _renew(self, renew: Callable[[], bool], every: float) -> None:
        self._beats += 1
        if self._beats > MOST_BEATS:
            self._process.blame(Broken(f"{self._process.name} never ends"))
        if self._process.over:
            return
        if asyncio.get_running_loop().time() < self._process.paused_until:
            self._wait(renew, every)
            return
        with suppress(ProcessDied):
            if renew():
                self._wait(renew, every)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class InPostgres:
    """The state in a schema of its own of a real server's database."""

    lease = False

    def __init__(self, database: str) -> None:
        self._url = f"{database}{'&' if '?' in database else '?'}schema=simulated_{secrets.token_hex(6)}"

    def open(self, process: Process) -> State:
        return open_state(self._url, service=SERVICE)

    def read(self) -> State:
        return open_state(self._url, service=SERVICE)

    def died(self, state: State | None) -> bool:
        if state is not None:
            # The server gives its lock back when it notices.
            state.close()
        return False


class Vault:
    """One state between the runs. Each process opens it anew; after a death it is what had been committed by then.

    ``storm`` is how likely a request to a bucket, or its answer, is lost.
    """

    def __init__(self, backend: str, folder: Path, *, rng: Random, database: str | None = None) -> None:
        self.backend = backend
        self.storm = 0.0
        self._rng = rng
        self._holders: list[MortalState] = []
        self._reader: State | None = None
        self._place = self._placed(folder, database)

    def _placed(self, folder: Path, database: str | None) -> Place:
        match self.backend:
            case "memory":
                return InMemory()
            case "file":
                return InFile(folder)
            case "bucket":
                return InBucket(self._rng, lambda: self.storm)
            case _:
                assert database is not None, "a state in PostgreSQL needs the URL of a database"
                return InPostgres(database)

    def __str__(self) -> str:
        return f"in {self.backend}" if self.backend in ("memory", "postgresql") else f"in a {self.backend}"

    def open(self, process: Process) -> MortalState:
        """The state as a process sees it."""
        return MortalState(self._place.open(process), process, self._holders, lease=self._place.lease)

    def reader(self) -> State:
        """The state as an onlooker sees it.

        Raises:
            Broken: it cannot be opened, or is damaged.
        """
        if self._reader is None:
            try:
                self._reader = self._place.read()
                damage = self._reader.damage()
            except StateError as error:
                raise Broken(f"the state cannot be opened: {error}") from error
            if damage:
                raise Broken(f"the state is damaged: {damage}")
        return self._reader

    def keep(self, event: Received) -> None:
        """Keep an event beside the state; where that cannot be done, it is lost."""
        with suppress(StateError):
            self.reader().put_event(event)

    def image(self, process: Process) -> None:
        """A process dies: what it has written until now is all that there will be. Its lock goes with it, or ends."""
        state = process.state
        if self._place.died(None if state is None else state.inner):
            self._close_reader()

    def unlock(self) -> None:
        """Somebody breaks the lock of whoever holds it, where that can be done."""
        with suppress(StateError):
            for holder in self.reader().break_lock():
                for one in self._holders:
                    if one.process.run_id == holder.run_id:
                        one.lose()

    async def wait_for_the_dead(self) -> None:
        """Where a process that is over has the lock still, wait until its lease has run out, or break it."""
        living = any(not one.process.over for one in self._holders)
        if self._place.lease and not living and self.reader().holders():
            if self._rng.random() < 0.5:
                await asyncio.sleep(LEASE_SECONDS + MARGIN_SECONDS + 1)
            else:
                self.unlock()

    def close(self) -> None:
        self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class MortalState:
    """A state that a process has open: it ends with the process, and notices who holds the lock, and who has lost it."""

    def __init__(self, inner: State, process: Process, holders: list[MortalState], *, lease: bool) -> None:
        self.inner = inner
        self.process = process
        self._holders = holders
        self._lease = lease

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, writes: Sequence[Write]) -> None:
        self._live("before write")
        if self.process.disk_full:
            raise StateError(f"the state {self.location} cannot be written: the disk is full")
        self.inner.write(writes)
        if self.process.lost is not None:
            raise Broken(f"{self.process.name} has lost the lock, and writes {writes}")
        self._live("after write")

    def put_stamps(self, stamps: Any) -> None:
        if not self.process.killed:
            self.inner.put_stamps(stamps)

    @contextmanager
    def lock(self, holder: Holder, shard: Shard | None = None) -> Iterator[None]:
        with self.inner.lock(holder, shard):
            for other in self._holders:
                # A process that was paused for long may lose a lease, and knows nothing of it yet.
                if self._lease and other.process.paused_until:
                    other.lose()
            self._holders.append(self)
            try:
                self.process.run_id = holder.run_id
                one_holder([one.process for one in self._holders if one.process.holds])
                yield
            finally:
                self._holders.remove(self)

    def lose(self) -> None:
        """Its process has lost the lock: what it asks for from now on must have been written down before."""
        if self.process.lost is None and not self.process.over:
            self.process.say("has lost its lock")
            rows = self.inner.realised().in_doubt
            self.process.lost = {row.call_id for row in rows if row.run_id == self.process.run_id}

    def close(self) -> None:
        self.inner.close()

    def _live(self, point: str) -> None:
        self.process.reach(point)
        if self.process.killed:
            raise ProcessDied
