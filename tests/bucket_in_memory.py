"""A bucket in this process's memory, which does what the state asks of a bucket, and says when it is asked.

``before`` and ``after`` are called with each change that is asked for and its name; what they raise is raised there, so
a test can lose a request, an answer, or the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from threading import RLock

from glossi_sync.state import MemoryState
from glossi_sync.state.bucket.bucket_state import BucketState, create
from glossi_sync.state.bucket.objects import Found, Tag

Told = Callable[[str, str], None]


@dataclass
class Kept:
    """One object: its content, its tag, and when it was written."""

    body: bytes
    etag: str
    written: float


@dataclass
class Cupboard:
    """What lies in the bucket, for all who have it open."""

    clock: Callable[[], float] = lambda: 0.0
    things: dict[str, Kept] = field(default_factory=dict)
    mutex: RLock = field(default_factory=RLock)
    etags: count[int] = field(default_factory=count)

    def keep(self, name: str, body: bytes) -> Tag:
        kept = self.things[name] = Kept(body, f'"{next(self.etags)}"', self.clock())
        return {"e_tag": kept.etag}


class MemoryObjects:
    """The bucket as one process has it open; implements ``Objects``."""

    def __init__(
        self,
        cupboard: Cupboard,
        *,
        url: str = "s3://shop/state",
        before: Told = lambda what, name: None,
        after: Told = lambda what, name: None,
    ) -> None:
        self.url = url
        self._cupboard = cupboard
        self._before = before
        self._after = after

    def get(self, name: str) -> Found | None:
        self._before("get", name)
        with self._cupboard.mutex:
            kept = self._cupboard.things.get(name)
            return None if kept is None else Found(kept.body, {"e_tag": kept.etag})

    def get_unless(self, name: str, tag: Tag) -> Found | None:
        found = self.get(name)
        return None if found is None or found.tag == tag else found

    def fetch(self, names: Sequence[str]) -> Sequence[bytes | None]:
        return [None if found is None else found.body for found in map(self.get, names)]

    def create(self, name: str, body: bytes) -> Tag | None:
        return self._change("create", name, body, lambda kept: kept is None)

    def replace(self, name: str, body: bytes, tag: Tag) -> Tag | None:
        return self._change("replace", name, body, lambda kept: kept is not None and kept.etag == tag["e_tag"])

    def put(self, name: str, body: bytes) -> None:
        self._change("put", name, body, lambda kept: True)

    def _change(self, what: str, name: str, body: bytes, fits: Callable[[Kept | None], bool]) -> Tag | None:
        self._before(what, name)
        with self._cupboard.mutex:
            tag = self._cupboard.keep(name, body) if fits(self._cupboard.things.get(name)) else None
        self._after(what, name)
        return tag

    def age(self, name: str) -> float | None:
        self._before("get", name)
        kept = self._cupboard.things.get(name)
        return None if kept is None else self._cupboard.clock() - kept.written

    def names(self, folder: str, after: str | None = None) -> Sequence[str]:
        self._before("list", folder)
        with self._cupboard.mutex:
            inside = (name for name in self._cupboard.things if name.startswith(f"{folder}/"))
            return sorted(name for name in inside if after is None or name > after)

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            self._before("remove", name)
            with self._cupboard.mutex:
                self._cupboard.things.pop(name, None)
            self._after("remove", name)


def bucket_state(service: str = "local") -> BucketState:
    """A new state in a bucket of its own, whose lease nobody renews."""
    objects = MemoryObjects(Cupboard())
    create(objects, service=service)
    return BucketState(objects, service=service, stamps=MemoryState(service=service), beat=lambda *_: lambda: None)


def shown(cupboard: Cupboard) -> Mapping[str, bytes]:
    """What lies there, by name, but for what only tells the time."""
    return {name: kept.body for name, kept in sorted(cupboard.things.items()) if name != "clock"}
