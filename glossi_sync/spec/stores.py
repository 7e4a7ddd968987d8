"""Stores: remote files read by obstore (the extra ``buckets``), with the credentials that the environment has.

What goes wrong is told in the words of ``Unfit``, to be said after the file's name. All of it blocks, and is meant for
threads (``aside``); see ``glossi_sync.buckets``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from glossi_sync import buckets
from glossi_sync.buckets import BUCKETS
from glossi_sync.spec.files import Unfit

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

P = ParamSpec("P")
T = TypeVar("T")

PIECE_BYTES = 512 * 1024
"""The least that is read of a file at a time; the last piece may be smaller."""

_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
"""Paths that obstore puts into a URL just as they are."""

_BUCKET_URLS = tuple(f"{scheme}://" for scheme in BUCKETS)

_ANOTHER = "is no longer what was planned: its ETag is another"


class ExtraMissing(Unfit):
    """obstore is not installed."""

    def __init__(self) -> None:
        super().__init__("cannot be read without the extra `buckets`: pip install 'glossi-sync[buckets]'")


@dataclass(frozen=True, slots=True)
class Reading:
    """A remote file that is being read: its size in bytes, its ETag where that vouches for every byte, its pieces.

    The pieces may raise Unfit. Dropping them ends the transfer.
    """

    size: int
    etag: str | None
    pieces: Iterator[bytes]


def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run a function in a thread of its own, for which the end of the process does not wait.

    So a server that has gone quiet holds up nobody who has pressed Ctrl-C.
    """
    future: Future[T] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

    Thread(target=run, name="remote", daemon=True).start()
    return future


def open_store(url: str) -> ObjectStore:
    """The store of a bucket or web server, for paths below ``url``.

    Raises:
        ExtraMissing: obstore is not installed.
        Unfit: the environment lacks what it takes, or has something that cannot be used.
    """
    obstore = _obstore()
    try:
        return buckets.open_url(url)
    except (obstore.exceptions.BaseError, ValueError, TypeError) as error:
        raise Unfit(_reason(error, url)) from None


def _obstore() -> Any:
    """The library, imported where a remote file is used. Raises ExtraMissing."""
    try:
        return buckets.obstore()
    except ImportError:
        raise ExtraMissing from None


class Stores:
    """The stores that one command reads from, each opened once; for all threads."""

    def __init__(self) -> None:
        self._stores: dict[str, ObjectStore] = {}
        self._mutex = Lock()

    def look(self, url: str) -> tuple[int, str | None]:
        """A remote file's size in bytes, and its ETag where that vouches for every byte; its content is not asked for.

        Raises:
            ExtraMissing, Unfit: as ``read`` does.
        """
        obstore = _obstore()
        store, path = self._store(url)
        try:
            meta = obstore.head(store, path)
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise Unfit(_reason(error, url)) from None
        return meta["size"], _strong(meta["e_tag"])

    def read(self, url: str, *, only: str | None = None, start: int = 0) -> Reading:
        """Begin to read a remote file, which must have the ETag ``only`` where one is given.

        ``start`` is the number of bytes that are left out at its beginning; there must be more than that.

        Raises:
            ExtraMissing: obstore is not installed.
            Unfit: it cannot be read, or has another ETag.
        """
        try:
            rest: GetOptions = {"range": {"offset": start}} if start else {}
            answer = self._get(url, rest if only is None else {**rest, "if_match": only})
        except _obstore().exceptions.PreconditionError:
            raise Unfit(_ANOTHER) from None
        # Servers that know no conditions answer all the same.
        if only is not None and answer.meta["e_tag"] != only:
            raise Unfit(_ANOTHER)
        return _reading(answer, url)

    def read_unless(self, url: str, etag: str) -> Reading | None:
        """Begin to read a remote file; None where it still has this ETag.

        Raises:
            ExtraMissing, Unfit: as ``read`` does.
        """
        try:
            answer = self._get(url, {"if_none_match": etag})
        except _obstore().exceptions.NotModifiedError:
            return None
        return None if answer.meta["e_tag"] == etag else _reading(answer, url)

    def _get(self, url: str, options: GetOptions) -> Any:
        obstore = _obstore()
        store, path = self._store(url)
        try:
            return obstore.get(store, path, options=options)
        except (obstore.exceptions.NotModifiedError, obstore.exceptions.PreconditionError):
            raise
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise Unfit(_reason(error, url)) from None

    def list_bucket(self, bucket: str, folder: str) -> Iterator[tuple[str, int, str | None]]:
        """Key, size and ETag of what lies in a bucket (``s3://BUCKET``), below a folder of it, in no certain order.

        Raises:
            Unfit: it cannot be listed.
        """
        obstore = _obstore()
        store, _ = self._store(f"{bucket}/")
        try:
            for page in obstore.list(store, prefix=folder or None, chunk_size=1000):
                for one in page:
                    # Azure leaves the quotation marks out here, and here only.
                    etag = one["e_tag"]
                    yield one["path"], one["size"], None if etag is None else '"' + etag.strip('"') + '"'
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise Unfit(_reason(error, bucket)) from None

    def _store(self, url: str) -> tuple[ObjectStore, str]:
        """The store of a file, and its path in there."""
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        if scheme not in BUCKETS and (not _PLAIN.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/"))):
            # Asked for letter by letter as it stands, query and all, through a store of its own.
            return open_store(url), ""
        root = f"{scheme}://{host}"
        with self._mutex:
            if root not in self._stores:
                self._stores[root] = open_store(root)
            return self._stores[root], path


def _reading(answer: Any, url: str) -> Reading:
    return Reading(answer.meta["size"], _strong(answer.meta["e_tag"]), _pieces(answer, url))


def _strong(etag: str | None) -> str | None:
    return None if etag is None or etag.startswith("W/") else etag


def _pieces(answer: Any, url: str) -> Iterator[bytes]:
    try:
        yield from answer.stream(min_chunk_size=PIECE_BYTES)
    except (_obstore().exceptions.BaseError, OSError, ValueError) as error:
        raise Unfit(_reason(error, url)) from None


def _reason(error: Exception, url: str) -> str:
    """Why a file cannot be read, in words of our own; what obstore says is only searched for what it is about."""
    known = buckets.cause(error, url)
    if known is not None:
        return f"cannot be read: {known}"
    if isinstance(error, FileNotFoundError):
        return "does not exist there (404)"
    status = buckets.status(error)
    return f"cannot be read ({buckets.remark(error)})" if status is None else _refusal(status, url)


def _refusal(status: str, url: str) -> str:
    if status not in ("401", "403"):
        return f"cannot be read: the server answers {status}"
    if url.startswith(_BUCKET_URLS):
        # S3 says so of a key that does not exist, too, to those who may not list the bucket.
        return f"may not be read with the environment's credentials, or does not exist ({status})"
    return f"may not be read{'; its signature may have expired' if '?' in url else ''} ({status})"
