"""Stores: remote files read by obstore (the extra ``buckets``), with the credentials that the environment has.

This is the one place that knows obstore. What goes wrong is told in the words of ``Unfit``, to be said after the
file's name; obstore's own messages hold whole URLs, signatures included.

All of it blocks, and is meant for threads (``aside``). obstore's coroutines are not used: its own threads would call
into Python to resume them, and where one does so while the interpreter ends, the process is aborted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from glossi_sync.spec.files import Unfit
from glossi_sync.spec.remote import BUCKETS

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

P = ParamSpec("P")
T = TypeVar("T")

PIECE_BYTES = 512 * 1024
"""The least that is read of a file at a time; the last piece may be smaller."""

_TIMEOUTS = {"connect_timeout": "5s", "read_timeout": "60s", "timeout": "1day"}
"""Without progress; a large file may take long (obstore would give up after 30 s in all)."""

_RETRIES = {"max_retries": 7, "retry_timeout": timedelta(seconds=30)}
"""A busy bucket is waited for; where nobody answers, it is told after a few seconds."""

_ENVIRONMENT = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}

_CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "read_timeout",
    "timeout",
    "user_agent",
)
"""What obstore takes from the environment of a cloud (``AWS_ALLOW_HTTP`` …), unless any of it is given."""

_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
"""Paths that obstore puts into a URL just as they are."""

_BUCKET_URLS = tuple(f"{scheme}://" for scheme in BUCKETS)

_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}

_METADATA = re.compile(r"//169\.254\.169\.254|//metadata\.google|MissingAccount")
"""The clouds' own machines are asked for credentials where the environment has none."""

_ANOTHER = "is no longer what was planned: its ETag is another"

_STATUS = re.compile(r"non-2xx status code: (\d+)")

_NAMES = re.compile(r"[a-z0-9]+://\S+|(?m:^ *path: .*$)")
"""What in a message of obstore's is not its own: a key may be called whatever its errors are."""

_SIGNS = {
    "BadScheme": "its endpoint is an http:// URL; where that is meant, set AWS_ALLOW_HTTP=true (or GOOGLE_, AZURE_)",
    "without LOCATION": "its bucket lies in another region; set AWS_REGION",
    "Content-Length": "the server does not tell its length",
    "ertificate": "the server's certificate cannot be trusted",
    "dns error": "the server's name is not known, or there is no network",
    "kind: Connect": "nothing answers there",
    "imedOut": "the server takes too long",
    "kind: Body": "the connection broke off",
    "kind: Decode": "the connection broke off",
    "Range request": "the connection broke off",
}
"""Words of obstore's errors, and what they mean."""


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
    scheme = url.partition("://")[0]
    # Named by its own class: from_url would take some https:// hosts for buckets, and sign what is asked of them.
    store = obstore.store.from_url if scheme in BUCKETS else obstore.store.HTTPStore
    try:
        opened: ObjectStore = store(url, client_options=_client_options(scheme), retry_config=_RETRIES)
    except (obstore.exceptions.BaseError, ValueError, TypeError) as error:
        raise Unfit(_reason(error, url)) from None
    return opened


def _obstore() -> Any:
    """The library, imported where a remote file is used. Raises ExtraMissing."""
    try:
        import obstore  # noqa: PLC0415
        import obstore.exceptions  # noqa: PLC0415
        import obstore.store  # noqa: PLC0415
    except ImportError:
        raise ExtraMissing from None
    return obstore


class Stores:
    """The stores that one command reads from, each opened once; for all threads."""

    def __init__(self) -> None:
        self._stores: dict[str, ObjectStore] = {}
        self._mutex = Lock()

    def read(self, url: str, *, only: str | None = None) -> Reading:
        """Begin to read a remote file, which must have the ETag ``only`` where one is given.

        Raises:
            ExtraMissing: obstore is not installed.
            Unfit: it cannot be read, or has another ETag.
        """
        try:
            answer = self._get(url, {} if only is None else {"if_match": only})
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
    etag = answer.meta["e_tag"]
    strong = etag is not None and not etag.startswith("W/")
    return Reading(answer.meta["size"], etag if strong else None, _pieces(answer, url))


def _pieces(answer: Any, url: str) -> Iterator[bytes]:
    try:
        yield from answer.stream(min_chunk_size=PIECE_BYTES)
    except (_obstore().exceptions.BaseError, OSError, ValueError) as error:
        raise Unfit(_reason(error, url)) from None


def _client_options(scheme: str) -> Mapping[str, Any]:
    """How to connect. Options that are given take the place of all that the environment has, so it is given too."""
    if scheme not in BUCKETS:
        return {**_TIMEOUTS, "allow_http": scheme == "http"}
    named = {name: os.environ.get(_ENVIRONMENT[scheme] + name.upper()) for name in _CLIENT_OPTIONS}
    return {**_TIMEOUTS, **{name: value for name, value in named.items() if value}}


def _reason(error: Exception, url: str) -> str:
    """Why a file cannot be read, in words of our own; what obstore says is only searched for what it is about."""
    said = str(error)
    if _METADATA.search(said):
        return f"cannot be read: {_no_credentials(url)}"
    if "<Code>NoSuchBucket<" in said or "<Code>ContainerNotFound<" in said:
        return f"cannot be read: there is no bucket {'/'.join(url.split('/')[:3])}"
    if isinstance(error, FileNotFoundError):
        return "does not exist there (404)"
    status = _STATUS.search(said)
    if status is not None:
        return _refusal(status[1], url)
    said = _NAMES.sub("", said)
    return next((f"cannot be read: {reason}" for sign, reason in _SIGNS.items() if sign in said), _unknown(said))


def _no_credentials(url: str) -> str:
    scheme = url.partition("://")[0]
    return f"the environment has no credentials for {scheme}://; set {_CREDENTIALS.get(scheme, 'them')}"


def _refusal(status: str, url: str) -> str:
    if status not in ("401", "403"):
        return f"cannot be read: the server answers {status}"
    if url.startswith(_BUCKET_URLS):
        # S3 says so of a key that does not exist, too, to those who may not list the bucket.
        return f"may not be read with the environment's credentials, or does not exist ({status})"
    return f"may not be read{'; its signature may have expired' if '?' in url else ''} ({status})"


def _unknown(said: str) -> str:
    """What else there may be; it can hold no URL any more."""
    return f"cannot be read ({said.partition(chr(10))[0].strip()[:200]})"
