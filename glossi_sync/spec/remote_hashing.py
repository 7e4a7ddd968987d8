"""The hashes of remote files: each asked for at once with what was known of it, and read only where that has changed.

::

    bucket's listing --ETag as it was--> known
             else    --GET, unless its ETag is still ...--> 304: known
                                                        --> 200: its first bytes are looked at, all are hashed

One question is enough for both, so no file is asked about twice; and a URL that was signed for GET alone will do.
"""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from itertools import chain
from threading import Event, Lock
from typing import Protocol

from glossi_sync.buckets import BUCKETS
from glossi_sync.spec.document import ModelEntry
from glossi_sync.spec.files import HEAD_BYTES, Unfit, check_content, check_size
from glossi_sync.spec.remote import remembered_as
from glossi_sync.spec.stores import ExtraMissing, Reading, Stores, aside

AT_A_TIME = 64
"""Files that are asked for, or read, at a time."""

WORTH_LISTING = 200
"""From so many known files in one bucket on, it is listed: a thousand an answer, instead of one."""

LISTED_IN_VAIN = 4
"""How many objects are listed for each that is known, before the rest is asked for one by one."""

ENOUGH = 100
"""Problems after which no more files are asked for: nobody reads on, and each may have taken its time."""

_REPORT_SECONDS = 0.1
_REMEMBER_SECONDS = 10.0
_GRACE_SECONDS = 2.0
"""How long an end that came early waits for the threads; one that waits for a server is left to itself."""


class RemoteStamp(Protocol):
    """What is remembered of a remote file: its size in bytes, SHA-256 (hex), an ETag that vouches for every byte."""

    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str | None: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True, slots=True)
class HashedRemote:
    """A remote file of a known hash. ``etag`` is None where its server gives none that vouches for every byte."""

    size: int
    etag: str | None
    sha256: str


def hash_remote(
    wanted: Mapping[str, ModelEntry],
    cache: Mapping[str, RemoteStamp],
    problems: dict[str, str],
    remember: Callable[[Mapping[str, HashedRemote]], None],
    progress: Callable[[int, int], None],
) -> dict[str, HashedRemote]:
    """Hash remote files by URL, those that ``cache`` (by ``remembered_as``) vouches for without reading them.

    What is wrong goes into ``problems``, by URL. From the calling thread, ``remember`` is given what is to be cached,
    every few seconds and whatever ends this; and ``progress`` is told, about ten times a second, how many bytes of how
    many are read. The total grows as servers tell how large their files are.
    """
    known = {url: cache[key] for url in wanted if (key := remembered_as(url)) in cache}
    hashing = _Hashing(wanted, known, problems, whole=True)

    def tell() -> None:
        progress(hashing.read, hashing.total)
        if hashing.fresh and time.monotonic() - hashing.remembered >= _REMEMBER_SECONDS:
            remember(hashing.take_fresh())

    try:
        hashing.run(tell)
    finally:
        remember(hashing.take_fresh())
    progress(hashing.read, hashing.total)
    return {url: hashing.hashed[url] for url in wanted if url in hashing.hashed}


def look_at_remote(wanted: Mapping[str, ModelEntry], problems: dict[str, str]) -> None:
    """Look at remote files by URL: their sizes and first bytes. What is wrong goes into ``problems``, by URL."""
    _Hashing(wanted, {}, problems, whole=False).run(lambda: None)


class _Stopped(Exception):
    """Reading was given up because it ended elsewhere."""


class _Hashing:
    """Asks for files and hashes them on many threads, since nearly all of their time is spent waiting.

    ``hashed`` are those whose hash is known, ``fresh`` those of them that are to be remembered; ``read`` of ``total``
    bytes have come. Not ``whole``, files are only looked at.
    """

    def __init__(
        self,
        wanted: Mapping[str, ModelEntry],
        known: Mapping[str, RemoteStamp],
        problems: dict[str, str],
        *,
        whole: bool,
    ) -> None:
        self.hashed: dict[str, HashedRemote] = {}
        self.fresh: dict[str, HashedRemote] = {}
        self.remembered = time.monotonic()
        self.read = 0
        self.total = 0
        self._wanted = wanted
        self._known = known
        self._problems = problems
        self._whole = whole
        self._stores = Stores()
        self._waiting: deque[str] = deque()
        self._mutex = Lock()
        self._stop = Event()

    def run(self, tell: Callable[[], None]) -> None:
        """Go through all files; ``tell`` is called about ten times a second, and may end it with an exception."""
        try:
            self._finish([aside(self._list)], tell)
            self._waiting.extend(url for url in self._wanted if url not in self.hashed)
            self._finish([aside(self._work) for _ in range(min(AT_A_TIME, len(self._waiting)))], tell)
        except ExtraMissing as error:
            url, entry = next(iter(self._wanted.items()))
            self._problems[url] = f"{entry.file} {error}"

    def take_fresh(self) -> dict[str, HashedRemote]:
        """What is to be remembered, once."""
        with self._mutex:
            self.remembered = time.monotonic()
            fresh, self.fresh = self.fresh, {}
        return fresh

    def _finish(self, threads: Iterable[Future[None]], tell: Callable[[], None]) -> None:
        pending = set(threads)
        try:
            while pending:
                done, pending = wait(pending, timeout=_REPORT_SECONDS, return_when=FIRST_EXCEPTION)
                for thread in done:
                    thread.result()
                tell()
        except BaseException:
            self._stop.set()
            wait(pending, timeout=_GRACE_SECONDS)
            raise

    def _work(self) -> None:
        while len(self._problems) < ENOUGH and not self._stop.is_set():
            try:
                url = self._waiting.popleft()
            except IndexError:
                return
            entry = self._wanted[url]
            try:
                self._one(url, entry)
            except ExtraMissing:
                raise
            except Unfit as error:
                self._problems[url] = f"{entry.file} {error}"
            except _Stopped:
                return

    def _one(self, url: str, entry: ModelEntry) -> None:
        known = self._known.get(url)
        if known is None or known.etag is None:
            reading = self._stores.read(url)
        elif (changed := self._stores.read_unless(url, known.etag)) is not None:
            reading = changed
        else:
            self.hashed[url] = HashedRemote(known.size, known.etag, known.sha256)
            return
        check_size(reading.size)
        first = next(reading.pieces, b"")
        check_content(first[:HEAD_BYTES], reading.size, entry.file_type)
        if self._whole:
            one = HashedRemote(reading.size, reading.etag, self._hash(first, reading))
            with self._mutex:
                self.hashed[url] = one
                if one.etag is not None:
                    self.fresh[remembered_as(url)] = one

    def _hash(self, first: bytes, reading: Reading) -> str:
        """The SHA-256 of a file whose first piece was read. hashlib lets go of the interpreter's lock."""
        with self._mutex:
            self.total += reading.size
        sha256 = hashlib.sha256()
        total = 0
        for piece in chain((first,), reading.pieces):
            if self._stop.is_set():
                raise _Stopped
            sha256.update(piece)
            total += len(piece)
            with self._mutex:
                self.read += len(piece)
        if total != reading.size:
            raise Unfit(f"gave {total:,} bytes where its server promised {reading.size:,}")
        return sha256.hexdigest()

    def _list(self) -> None:
        """Find out what has not changed from the listings of the buckets, where that is likely to be the shorter way.

        What a listing does not tell, or that it is forbidden, is found out file by file.
        """
        buckets: dict[str, dict[str, str]] = {}
        for url in self._known:
            scheme, _, rest = url.partition("://")
            if scheme in BUCKETS:
                bucket, _, key = rest.partition("/")
                buckets.setdefault(f"{scheme}://{bucket}", {})[key] = url
        for bucket, urls in buckets.items():
            if len(urls) >= WORTH_LISTING:
                try:
                    self._list_bucket(bucket, urls)
                except ExtraMissing:
                    raise
                except Unfit:
                    continue

    def _list_bucket(self, bucket: str, urls: dict[str, str]) -> None:
        folder = posixpath.commonpath({key.rpartition("/")[0] for key in urls})
        left = LISTED_IN_VAIN * len(urls)
        for key, size, etag in self._stores.list_bucket(bucket, folder):
            url = urls.pop(key, None)
            if url is not None:
                known = self._known[url]
                if (known.size, known.etag) == (size, etag):
                    self.hashed[url] = HashedRemote(known.size, known.etag, known.sha256)
            left -= 1
            if not urls or not left or self._stop.is_set():
                return
