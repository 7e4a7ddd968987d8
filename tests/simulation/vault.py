"""Where a simulated user's state lies: in memory or in an SQLite file, by seed; and what a killed process leaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulation.invariants import Broken, one_holder
from simulation.process import Process, ProcessDied

from glossi_sync.state import Holder, MemoryState, State, StateError, Write, open_state

SERVICE = "https://studio.test"


class Vault:
    """One state between the runs. Each process opens it anew; after a death it is what had been committed by then."""

    def __init__(self, folder: Path, *, in_file: bool) -> None:
        self._folder = folder
        self._memory = None if in_file else MemoryState(service=SERVICE)
        self._generation = 0
        self._holders: list[Process] = []
        self._reader: State | None = None

    def __str__(self) -> str:
        return "in a file" if self._memory is None else "in memory"

    @property
    def _file(self) -> Path:
        return self._folder / f"state-{self._generation}" / "simulated.db"

    def open(self, process: Process) -> MortalState:
        """The state as a process sees it."""
        inner = self._memory or open_state(self._file, service=SERVICE)
        return MortalState(inner, process, self._holders)

    def reader(self) -> State:
        """The state as an onlooker sees it.

        Raises:
            Broken: it cannot be opened, or is damaged.
        """
        if self._memory is not None:
            return self._memory
        if self._reader is None:
            try:
                self._reader = open_state(self._file, service=SERVICE)
                damage = self._reader.damage()
            except StateError as error:
                raise Broken(f"the state cannot be opened: {error}") from error
            if damage:
                raise Broken(f"the state is damaged: {damage}")
        return self._reader

    def image(self) -> None:
        """A process dies: what it has written until now is all that there will be. Its file lock goes with it."""
        if self._memory is not None:
            return
        self._close_reader()
        former = self._file
        self._generation += 1
        if former.exists():
            self._file.parent.mkdir()
            for file in (former, former.with_name(former.name + "-wal")):
                if file.exists():
                    shutil.copyfile(file, self._file.with_name(file.name))

    def close(self) -> None:
        self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class MortalState:
    """A state that a process has open: it ends with the process, and notices who holds the lock."""

    def __init__(self, inner: State, process: Process, holders: list[Process]) -> None:
        self._inner = inner
        self._process = process
        self._holders = holders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, writes: Sequence[Write]) -> None:
        self._live("before write")
        if self._process.disk_full:
            raise StateError(f"the state {self.location} cannot be written: the disk is full")
        self._inner.write(writes)
        self._live("after write")

    def put_stamps(self, stamps: Any) -> None:
        if not self._process.killed:
            self._inner.put_stamps(stamps)

    @contextmanager
    def lock(self, holder: Holder) -> Iterator[None]:
        with self._inner.lock(holder):
            self._holders.append(self._process)
            try:
                self._process.run_id = holder.run_id
                one_holder([one for one in self._holders if not one.killed])
                yield
            finally:
                self._holders.remove(self._process)

    def close(self) -> None:
        self._inner.close()

    def _live(self, point: str) -> None:
        self._process.reach(point)
        if self._process.killed:
            raise ProcessDied


Opener = Callable[[Process], MortalState]
