"""The hashes of the model files, each computed once.

A file is hashed once for as long as its size, modification time and inode stay as they were, as git's index does it,
with git's rule for the "racily clean": a file that was modified just before it was hashed may have been modified again
within the clock's tick, so its stamp is not trusted. For remote files see ``remote_hashing``.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from glossi_sync.resources import Model
from glossi_sync.spec.document import ModelEntry, Spec
from glossi_sync.spec.files import HEAD_BYTES, Unfit, check_content, regular_size, unreachable
from glossi_sync.spec.locating import locate
from glossi_sync.spec.neighbours import Neighbours
from glossi_sync.spec.problems import SpecError
from glossi_sync.spec.remote import is_remote
from glossi_sync.spec.remote_hashing import HashedRemote, RemoteStamp, hash_remote, look_at_remote

RACY_NS = 2_000_000_000
"""How much older than its hashing a file must be for its stamp to be trusted: the coarsest file system's tick (FAT)."""

_BUFFER_BYTES = 1 << 20
_ATTEMPTS = 3
_REPORT_SECONDS = 0.1


class Content(Protocol):
    """What is known of a file's content: how many bytes, and their SHA-256 (hex)."""

    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


class Stamp(Content, Protocol):
    """What is remembered of a hashed file: ``mtime_ns`` and ``inode`` as in os.stat, ``hashed_ns`` Unix nanoseconds."""

    @property
    def mtime_ns(self) -> int: ...
    @property
    def inode(self) -> int: ...
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
    """The models of a spec by key, in its order; ``fresh`` are the stamps to be remembered, by absolute path.

    ``remote`` are its remote files by URL.
    """

    models: dict[str, Model]
    fresh: dict[str, HashedFile]
    remote: dict[str, HashedRemote] = field(default_factory=dict)


def hash_models(
    spec: Spec,
    cache: Mapping[str, Stamp],
    remote_cache: Mapping[str, RemoteStamp] | None = None,
    *,
    remember: Callable[[Mapping[str, HashedRemote]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> Hashed:
    """Hash the spec's model files, each path once, those that ``cache`` (by absolute path) vouches for not at all.

    Remote files are hashed too, with a ``remote_cache`` by ``remembered_as``. ``remember`` is given what is to be put
    into that cache as it is found out, since reading all again would take long where this ends with an error.
    ``progress`` is told, about ten times a second and from the calling thread, how many bytes of how many are hashed;
    the total grows as remote files turn out to be large.

    Raises:
        SpecError: files that cannot be uploaded, or that keep changing while they are read; with their positions.
    """
    known: dict[str, Content] = {}
    problems: dict[str, str] = {}
    missed: dict[str, tuple[ModelEntry, int]] = {}
    neighbours = Neighbours()
    remote: dict[str, ModelEntry] = {}
    for entry in spec.models.values():
        path = entry.location
        if is_remote(path):
            _gather(remote, entry)
            continue
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
    local = sum(size for _, size in missed.values())
    hashed: dict[str, HashedRemote] = {}
    if remote:
        hashed = _hash_remote(remote, remote_cache or {}, problems, remember or (lambda _: None), local, progress)
    if problems:
        raise _error(spec, problems)
    known.update(fresh)
    known.update(hashed)
    models = {}
    for key, entry in spec.models.items():
        content = known[entry.location]
        models[key] = Model(entry.file_type, content.sha256, entry.file, content.size)
    return Hashed(models, fresh, hashed)


def look_at_remote_files(spec: Spec) -> None:
    """Look at the spec's remote files, without reading more of them than their beginning.

    Raises:
        SpecError: files that cannot be uploaded, with their positions.
    """
    remote: dict[str, ModelEntry] = {}
    for entry in spec.models.values():
        if is_remote(entry.location):
            _gather(remote, entry)
    problems: dict[str, str] = {}
    if remote:
        look_at_remote(remote, problems)
    if problems:
        raise _error(spec, problems)


def _gather(remote: dict[str, ModelEntry], entry: ModelEntry) -> None:
    """Note an entry's remote file; of several that name it, the one that knows most about its content."""
    if entry.location not in remote or entry.file_type == "glb":
        remote[entry.location] = entry


def _hash_remote(
    remote: Mapping[str, ModelEntry],
    cache: Mapping[str, RemoteStamp],
    problems: dict[str, str],
    remember: Callable[[Mapping[str, HashedRemote]], None],
    local: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, HashedRemote]:
    """As ``hash_remote``; ``local`` bytes are hashed already."""

    def tell(read: int, total: int) -> None:
        if progress is not None:
            progress(local + read, local + total)

    return hash_remote(remote, cache, problems, remember, tell)


def _error(spec: Spec, problems: Mapping[str, str]) -> SpecError:
    """The problems of files, by location, with the positions of all entries that name them."""
    wrong = [(entry, problems[entry.location]) for entry in spec.models.values() if entry.location in problems]
    return SpecError(locate(spec, [(("models", entry.key, "file"), message) for entry, message in wrong]))


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
