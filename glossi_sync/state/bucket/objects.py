"""The objects of one state in a bucket: read, made, replaced under conditions, listed, removed.

``Objects`` is all that the state needs of a bucket; ``BucketObjects`` is a real one, through obstore (the extra
``buckets``). What goes wrong is ``Unreachable``, with a cause and an advice in words for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from glossi_sync import buckets
from glossi_sync.state.store import StateError

T = TypeVar("T")

Tag = Mapping[str, str]
"""What tells one content of an object from all others that it has had: its ETag, and where there is one its version."""

LARGE = "snapshot"
"""The one object that holds everything."""

_READERS = 16
"""Objects that are read at once."""

_SMALL = {"read_timeout": "10s", "timeout": "15s"}
"""For small objects: a write that hangs must end well before the lease does."""

_REACH_IT = "see to that and run again (everything written before is kept), or give another place with --state"
_MAY = "it takes the rights to read, write, list and delete objects below {url}; get them, or set {credentials}"


class Unreachable(Exception):
    """The bucket did not do what it was asked. Whether a write was done is not known."""

    def __init__(self, cause: str, advice: str = _REACH_IT) -> None:
        super().__init__(f"{cause}; {advice}")


@dataclass(frozen=True, slots=True)
class Found:
    """An object's content, and its tag."""

    body: bytes
    tag: Tag


class Objects(Protocol):
    """The objects of one state, by names such as ``journal/0000000001-0000000001``; every method may raise Unreachable.

    What it must be is linearizable for each object, and a listing must have every object that was there when it began
    and was not removed since. S3, Google Cloud Storage and Azure are.
    """

    url: str

    def get(self, name: str) -> Found | None:
        """An object, or None where there is none."""
        ...

    def get_unless(self, name: str, tag: Tag) -> Found | None:
        """An object, or None where it still has that tag, or is gone."""
        ...

    def fetch(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """Many objects' contents, in the order given; None for one that there is not."""
        ...

    def create(self, name: str, body: bytes) -> Tag | None:
        """Make an object; None where there is one already, or somebody is just making one."""
        ...

    def replace(self, name: str, body: bytes, tag: Tag) -> Tag | None:
        """Replace an object that has that tag; None where it has another one, or is gone."""
        ...

    def put(self, name: str, body: bytes) -> None:
        """Make or replace an object, whatever there is."""
        ...

    def age(self, name: str) -> float | None:
        """How many seconds ago an object was written, by the bucket's own clock; None where there is none."""
        ...

    def names(self, folder: str, after: str | None = None) -> Sequence[str]:
        """The names of the objects in a folder, those behind ``after`` alone where it is given, in order."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        ...


class BucketObjects:
    """The objects below ``url`` in a bucket; implements ``Objects``."""

    def __init__(self, url: str) -> None:
        """Open the bucket, with the credentials that the environment has; nothing is asked of it yet.

        Raises:
            StateError: it cannot be opened; the message says what is missing.
        """
        self.url = url
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        self._bucket = f"{scheme}://{bucket}"
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._scheme = scheme
        if not bucket or "@" in bucket:
            raise StateError(f"the state {scheme}://… names no bucket: give {scheme}://BUCKET/NAME with --state")
        try:
            self._library = buckets.obstore()
        except ImportError:
            raise StateError(
                f"the state {url} cannot be opened without the extra `buckets`: pip install 'glossi-sync[buckets]'"
            ) from None
        try:
            # The whole state may take long to be sent; nothing else may.
            self._large: Any = buckets.open_url(self._bucket)
            self._small: Any = buckets.open_url(self._bucket, **_SMALL)
        except (self._library.exceptions.BaseError, ValueError, TypeError) as error:
            cause = buckets.cause(error, url) or buckets.remark(error)
            raise StateError(f"the state {url} cannot be opened: {cause}; {_REACH_IT}") from None

    def get(self, name: str) -> Found | None:
        return self._asked(lambda: self._found(name, {}))

    def get_unless(self, name: str, tag: Tag) -> Found | None:
        options = {"if_none_match": tag["e_tag"]}
        return self._asked(lambda: self._found(name, options), self._library.exceptions.NotModifiedError)

    def _found(self, name: str, options: Mapping[str, str]) -> Found:
        answer = self._library.get(self._store(name), self._prefix + name, options=options)
        return Found(bytes(answer.bytes()), _tag(answer.meta))

    def _store(self, name: str) -> Any:
        return self._large if name == LARGE else self._small

    def fetch(self, names: Sequence[str]) -> Sequence[bytes | None]:
        if not names:
            return []
        with ThreadPoolExecutor(min(_READERS, len(names))) as pool:
            return [None if found is None else found.body for found in pool.map(self.get, names)]

    def create(self, name: str, body: bytes) -> Tag | None:
        return self._asked(
            lambda: self._put(name, body, "create"),
            self._library.exceptions.AlreadyExistsError,
        )

    def replace(self, name: str, body: bytes, tag: Tag) -> Tag | None:
        exceptions = self._library.exceptions
        return self._asked(
            lambda: self._put(name, body, dict(tag)),
            exceptions.PreconditionError,
            exceptions.AlreadyExistsError,
        )

    def put(self, name: str, body: bytes) -> None:
        self._asked(lambda: self._put(name, body, "overwrite"))

    def _put(self, name: str, body: bytes, mode: str | Mapping[str, str]) -> Tag:
        # In one piece: several would know no condition.
        return _tag(self._library.put(self._store(name), self._prefix + name, body, mode=mode, use_multipart=False))

    def age(self, name: str) -> float | None:
        written = self._asked(lambda: self._library.head(self._small, self._prefix + name)["last_modified"])
        if written is None:
            return None
        # What time it is there is told by an object that is written now.
        self.put("clock", b"")
        now = self._asked(lambda: self._library.head(self._small, f"{self._prefix}clock")["last_modified"])
        return None if now is None else float((now - written).total_seconds())

    def names(self, folder: str, after: str | None = None) -> Sequence[str]:
        def listed() -> list[str]:
            pages = self._library.list(
                self._small,
                prefix=f"{self._prefix}{folder}",
                offset=None if after is None else self._prefix + after,
                chunk_size=1000,
            )
            return sorted(one["path"].removeprefix(self._prefix) for page in pages for one in page)

        return self._asked(listed) or []

    def remove(self, names: Sequence[str]) -> None:
        if names:
            self._asked(lambda: self._library.delete(self._small, [self._prefix + name for name in names]))

    def _asked(self, ask: Callable[[], T], *refusals: type[Exception]) -> T | None:
        """What the bucket answers; None where there is no such object, or where it refuses as a condition wants it."""
        try:
            return ask()
        except refusals:
            return None
        except (self._library.exceptions.BaseError, OSError, ValueError) as error:
            trouble = self._trouble(error)
            if trouble is None:
                return None
            raise trouble from None

    def _trouble(self, error: Exception) -> Unreachable | None:
        known = buckets.cause(error, self._bucket)
        if known is not None:
            return Unreachable(known)
        if isinstance(error, FileNotFoundError):
            return None
        status = buckets.status(error)
        match status:
            case "401" | "403":
                may = _MAY.format(url=self.url, credentials=buckets.CREDENTIALS[self._scheme])
                return Unreachable(f"the bucket refuses the environment's credentials ({status})", may)
            case "501":
                return no_conditions()
            case None:
                return Unreachable(buckets.remark(error))
            case _:
                return Unreachable(f"the server answers {status}")


def no_conditions() -> Unreachable:
    """What is said of a bucket that does not keep two writers apart."""
    return Unreachable(
        "the bucket's server knows no conditional writes (If-Match, If-None-Match), so it cannot keep two runs apart",
        "use a bucket of S3, Google Cloud Storage or Azure, a recent MinIO, or PostgreSQL",
    )


def _tag(meta: Any) -> Tag:
    return {key: meta[key] for key in ("e_tag", "version") if meta[key] is not None}
