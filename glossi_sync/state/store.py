"""The one protocol of all state backends, and the errors they raise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from glossi_sync.errors import UserError
from glossi_sync.resources import Shard
from glossi_sync.state.document import Document
from glossi_sync.state.objects import (
    Download,
    FileStamp,
    Holder,
    Realised,
    Received,
    RemoteStamp,
    RenderedFile,
    Run,
    Stray,
)
from glossi_sync.state.writes import Write


class StateError(UserError):
    """The state cannot be read or written; the message names the place, the cause and what to do next."""


class StateLocked(StateError):
    """Another run holds the state; the message names the holder."""

    def __init__(self, message: str, holder: Holder | None) -> None:
        super().__init__(message)
        self.holder = holder


class State(Protocol):
    """Where realised objects are remembered. Every method may raise StateError.

    Calls are synchronous and short; the applying room makes them from a thread of its own, several writes at a time.
    """

    location: str
    """Where it lies, as a person would name it: a path, or a URL without its password."""

    service: str
    """The identity of the service that its ids belong to: ``local``, or the endpoint's origin."""

    @property
    def lineage(self) -> str:
        """A random name given when the state was made: two states with different lineages are not the same state."""
        ...

    @property
    def serial(self) -> int:
        """Counts the transactions that put objects, bound or unbound."""
        ...

    def realised(self) -> Realised:
        """All objects, bindings, and calls in doubt."""
        ...

    def inputs(self, oids: Iterable[int]) -> Mapping[int, Mapping[str, Any]]:
        """The inputs that objects were realised with, for explanations."""
        ...

    def upload_urls(self, oids: Iterable[int]) -> Mapping[int, str]:
        """The signed upload URLs of models that are ``recorded``; there is none in any other phase."""
        ...

    def files(self, oids: Iterable[int]) -> Mapping[int, Sequence[RenderedFile]]:
        """The finished files of completed renders."""
        ...

    def write(self, writes: Sequence[Write]) -> None:
        """Apply all writes in one transaction, durable when this returns."""
        ...

    def lock(self, holder: Holder, shard: Shard | None = None) -> AbstractContextManager[None]:
        """Hold the state for one run, or a shard of it; the lock dies with its process.

        Shards of one count and one ``holder.spec`` may be held side by side, each once; a backend without locks for
        shards takes the whole. A lock that was lost, or broken by somebody else, is not noticed by itself: what is
        written after that is refused.

        Raises:
            StateLocked: another run holds it, or a part of it that does not go with this one.
        """
        ...

    def holders(self) -> Sequence[Holder]:
        """Who holds it now, oldest first; nobody, one run, or several shards."""
        ...

    def assure_lock(self) -> None:
        """Make certain that the lock that is held here is one's own still; where none is held, nothing.

        Raises:
            StateError: it is lost, or that cannot be found out.
        """
        ...

    def break_lock(self) -> Sequence[Holder]:
        """Take the lock away from whoever holds it, and tell from whom; nobody is nothing to take it from.

        A former holder that still lives cannot write any more.

        Raises:
            StateError: the backend's lock cannot be taken away, or you may not; the message says what to do instead.
        """
        ...

    def stamps(self) -> Mapping[str, FileStamp]:
        """The ``files`` cache: absolute path -> what is known of it."""
        ...

    def put_stamps(self, stamps: Mapping[str, FileStamp]) -> None:
        """Remember file stamps. It is a cache: a backend that cannot write it says nothing."""
        ...

    def remote_stamps(self) -> Mapping[str, RemoteStamp]:
        """The ``remote_files`` cache: a remote file's URL (its query hashed) -> what is known of it."""
        ...

    def put_remote_stamps(self, stamps: Mapping[str, RemoteStamp]) -> None:
        """Remember stamps of remote files, as ``put_stamps`` does those of files."""
        ...

    def downloads(self) -> Mapping[str, Download]:
        """Finished files that were brought home, by path."""
        ...

    def runs(self) -> Sequence[Run]:
        """The history, newest first."""
        ...

    def bindings_after(self, run_id: int) -> Mapping[str, int]:
        """The bindings as a run of the history left them: address -> oid. None for a run that is not known."""
        ...

    def secret(self, name: str) -> str | None:
        """A sealed secret, by name."""
        ...

    def damage(self) -> Sequence[str]:
        """What the backend finds wrong with its own file, a sentence each; what it means is ``check``'s matter."""
        ...

    def strays(self) -> Sequence[Stray]:
        """What exists at the service and is not used, oldest first."""
        ...

    def put_event(self, event: Received) -> bool:
        """Keep a webhook's delivery, durable when this returns; False where one with its digest is kept already.

        Needs no lock: a receiver writes beside a run, and so may several receivers.
        """
        ...

    def heard(self) -> int:
        """The number of the newest event that is kept, 0 where there is none; costs the same however many there are."""
        ...

    def events(self, after: int) -> Sequence[Received]:
        """The events with numbers greater than ``after``, oldest first.

        Whoever asks again with the greatest number that it has seen misses none: an event appears after all of lesser
        number have. Numbers may have gaps.
        """
        ...

    def dump(self) -> Document:
        """Everything that it holds, as it is at one moment."""
        ...

    def load(self, document: Document) -> None:
        """Put a document in the place of everything that it holds, lineage and serial included, in one transaction.

        The caller holds the lock, and has asked what must be asked (see ``transfer``).
        """
        ...

    def close(self) -> None:
        """Release the backend's resources."""
        ...
