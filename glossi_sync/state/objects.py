"""What the state holds, as data: objects, the bindings to them, calls in doubt, runs, strays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from glossi_sync.resources import Kind, Phase, Shard


@dataclass(frozen=True, slots=True)
class Object:
    """Something realised at the service (or on its way there).

    ``oid`` is the state's own key (63 random bits, so that several runners can make them without asking each other);
    ``parents`` are the oids it was made from (a project's models, a render's project); ``since`` is when the phase was
    entered, ``expires`` when a recorded model's upload URL stops working (both Unix seconds); ``attempts`` counts the
    retry calls taken; ``error`` is the service's message where the phase is ``failed``.
    """

    oid: int
    kind: Kind
    digest: str
    phase: Phase
    label: str | None = None
    remote_id: str | None = None
    parents: tuple[int, ...] = ()
    since: float = 0.0
    expires: float | None = None
    attempts: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One finished picture or video of a render, as the service names it (guide, Step 5, ``renders``)."""

    id: str
    name: str
    file_path: str
    file_type: str
    is_video: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a mutating call is for: an address and the digest that it is to be realised with."""

    address: str
    digest: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A journal row: what is about to be asked. Without an outcome it is in doubt.

    ``step`` is the step's name, ``call`` the request as plans count it, ``at`` Unix seconds.
    """

    call_id: int
    run_id: int
    step: str
    call: str
    subjects: tuple[Subject, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Realised:
    """The state as planning sees it: all objects by oid, the bindings, and the calls in doubt."""

    objects: Mapping[int, Object] = field(default_factory=dict)
    bindings: Mapping[str, int] = field(default_factory=dict)
    in_doubt: tuple[Intent, ...] = ()

    def bound(self, address: str) -> Object | None:
        """The object that ``address`` is bound to, if any."""
        oid = self.bindings.get(address)
        return None if oid is None else self.objects.get(oid)


@dataclass(frozen=True, slots=True)
class Stray:
    """Something that exists (or may exist) at the service and that no object stands for."""

    kind: Kind
    remote_id: str | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Run:
    """One apply, as the history remembers it. ``outcome`` is None while it runs, or where it was killed."""

    run_id: int
    command: str
    started: float
    ended: float | None = None
    outcome: str | None = None
    steps: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock: enough to find the process and to ask its owner.

    ``spec`` is the digest of what it makes so: shards that run side by side must be of one spec. ``shard`` is the part
    that it holds, None for the whole; the state fills it in.
    """

    run_id: int
    command: str
    user: str
    host: str
    pid: int
    since: float
    spec: str = ""
    shard: Shard | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook's delivery, verified and kept.

    ``number`` is given by the state, from 1 on, in the order in which deliveries were kept (0: not kept yet);
    ``digest`` is the SHA-256 of the bytes that were signed, in hex, and tells deliveries apart; ``event`` is its name
    (``render.complete``), ``body`` its JSON text, ``at`` when it came, in Unix seconds.
    """

    digest: str
    event: str
    body: str
    at: float
    number: int = 0


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What the ``files`` cache knows of a file: git's index does the same. ``mtime_ns`` and ``inode`` as in os.stat."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str
    hashed_ns: int
    """When it was hashed: a stamp whose mtime is not older than this by a margin is "racily clean" and not trusted."""


@dataclass(frozen=True, slots=True)
class RemoteStamp:
    """What is known of a remote file. ``etag`` as its server sent it, strong: it vouches for every byte."""

    size: int
    etag: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Download:
    """A finished file brought home: which rendered file lies at ``path`` (relative to the downloads folder).

    ``sha256`` is hex; ``mtime_ns`` is the file's as it came, so that one which has it still need not be read to be
    known as unaltered. None where an earlier version did not keep them.
    """

    path: str
    render_id: str
    size: int
    sha256: str | None = None
    mtime_ns: int | None = None
