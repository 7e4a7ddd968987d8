"""The hashes of the model files, each computed once.

A file is hashed once for as long as its size, modification time and inode stay as they were, as git's index does it,
with git's rule for the "racily clean": a file that was modified just before it was hashed may have been modified again
within the clock's tick, so its stamp is not trusted.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from glossi_sync.resources import Model
from glossi_sync.spec.document import ModelEntry, Spec
from glossi_sync.spec.files import HEAD_BYTES, Unfit, check_content, regular_size, unreachable
from glossi_sync.spec.locating import locate
from glossi_sync.spec.neighbours import Neighbours
from glossi_sync.spec.problems import SpecError

RACY_NS = 2_000_000_000
"""How much older than its hashing a file must be for its stamp to be trusted: the coarsest file system's tick (FAT)."""

_BUFFER_BYTES = 1 << 20
_ATTEMPTS = 3
_REPORT_SECONDS = 0.1


class Stamp(Protocol):
    """What is remembered of a hashed file: ``mtime_ns`` and ``inode`` as in os.stat, ``hashed_ns`` Unix nanoseconds."""

    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def inode(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def hashed_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file that was hashed just now: a ``Stamp``."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str
    hashed_ns: int


@dataclass(frozen=True, slots=True)
class Hashed:
    """The models of a spec by key, in its order; ``fresh`` are the stamps to be remembered, by absolute path."""

    models: dict[str, Model]
    fresh: dict[str, HashedFile]


def hash_models(
    spec: Spec,
    cache: Mapping[str, Stamp],
    *,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> Hashed:
    """Hash the spec's model files, each path once, those that ``cache`` (by absolute path) vouches for not at all.

    ``progress`` is told, about ten times a second and from the calling thread, how many bytes of how many are hashed.

    Raises:
        SpecError: files that cannot be uploaded, or that keep changing while they are read; with their positions.
    """
    known: dict[str, Stamp] = {}
    problems: dict[str, str] = {}
    missed: dict[str, tuple[ModelEntry, int]] = {}
    neighbours = Neighbours()
    for entry in spec.models.values():
        path = entry.location
        if path in missed and entry.file_type == "glb":
            # Of several entries that name a file, the one that knows most about its content is the one to check.
            missed[path] = entry, missed[path][1]
        if path in known or path in missed or path in problems:
            continue
        try:
            status = os.stat(path)  # noqa: PTH116 - see files.py
            size = regular_size(status)
        except Unfit as error:
            problems[path] = f"{entry.file} {error}"
        except OSError as error:
            problems[path] = unreachable(error, path, entry.file, neighbours)
        else:
            stamp = cache.get(path)
            if stamp is not None and _vouches(stamp, status):
                known[path] = stamp
            else:
                missed[path] = entry, size
    fresh = _hash_all(missed, problems, progress, threads or os.cpu_count() or 1)
    if problems:
        wrong = [(entry, problems[entry.location]) for entry in spec.models.values() if entry.location in problems]
        raise SpecError(locate(spec, [(("models", entry.key, "file"), message) for entry, message in wrong]))
    known.update(fresh)
    models = {}
    for key, entry in spec.models.items():
        stamp = known[entry.location]
        models[key] = Model(entry.file_type, stamp.sha256, entry.file, stamp.size)
    return Hashed(models, fresh)


class _Stopped(Exception):
    """Hashing was given up because it failed elsewhere."""


def _vouches(stamp: Stamp, status: os.stat_result) -> bool:
    return (
        stamp.size == status.st_size
        and stamp.mtime_ns == status.st_mtime_ns
        and stamp.inode == status.st_ino
        and stamp.mtime_ns + RACY_NS < stamp.hashed_ns
    )


def _hash_all(
    missed: Mapping[str, tuple[ModelEntry, int]],
    problems: dict[str, str],
    progress: Callable[[int, int], None] | None,
    threads: int,
) -> dict[str, HashedFile]:
    """Hash all files on a few threads (hashlib lets go of the interpreter's lock); what is wrong goes into problems."""
    waiting = deque(missed)
    counts = [0] * threads
    total = sum(size for _, size in missed.values())
    stop = Event()
    hashed: dict[str, HashedFile] = {}

    def work(worker: int) -> None:
        buffer = bytearray(_BUFFER_BYTES)

        def count(read: int) -> None:
            if stop.is_set():
                raise _Stopped
            counts[worker] += read

        while True:
            try:
                path = waiting.popleft()
            except IndexError:
                return
            entry, _ = missed[path]
            try:
                hashed[path] = _hash_file(path, entry, buffer, count)
            except Unfit as error:
                problems[path] = f"{entry.file} {error}"
            except OSError as error:
                problems[path] = unreachable(error, path, entry.file)

    with ThreadPoolExecutor(max(1, min(threads, len(missed))), thread_name_prefix="hash") as pool:
        pending = {pool.submit(work, worker) for worker in range(min(threads, len(missed)))}
        try:
            while pending:
                done, pending = wait(pending, timeout=_REPORT_SECONDS, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if progress is not None:
                    progress(min(sum(counts), total), total)
        except BaseException:
            stop.set()
            raise
    return {path: hashed[path] for path in missed if path in hashed}


def _hash_file(path: str, entry: ModelEntry, buffer: bytearray, count: Callable[[int], None]) -> HashedFile:
    for _ in range(_ATTEMPTS):
        began = time.time_ns()
        sha256 = hashlib.sha256()
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - see files.py
            before = os.fstat(file.fileno())
            size = regular_size(before)
            read = file.readinto(buffer)
            check_content(bytes(buffer[: min(read, HEAD_BYTES)]), size, entry.file_type)
            total = 0
            # A file that grows faster than it is read would never end: beyond its size there is nothing of use.
            while read and total <= size:
                sha256.update(memoryview(buffer)[:read])
                total += read
                count(read)
                read = file.readinto(buffer)
            after = os.fstat(file.fileno())
        if total == size and (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return HashedFile(size, before.st_mtime_ns, before.st_ino, sha256.hexdigest(), began)
    raise Unfit("keeps changing while it is read; wait until it is written, and try again")
