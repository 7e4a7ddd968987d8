"""The files of models, as uploads read them: on this machine, or streamed from where they lie to the signed URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from glossi_sync.service import LocalFile, ModelFile, RunBlocking, Unreadable
from glossi_sync.spec import HashedRemote, Spec
from glossi_sync.spec.files import Unfit
from glossi_sync.spec.remote import is_remote, remote_name
from glossi_sync.spec.stores import Stores, aside


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A ``ModelFile`` in a bucket or on a web server; what it has now must be what was hashed there.

    Where its server gives ETags, one that has changed is refused before anything of it is sent. ``shown`` is how
    messages call it: the URL may hold a signature.
    """

    shown: str
    url: str = field(repr=False)
    planned: HashedRemote
    stores: Stores

    def __str__(self) -> str:
        return self.shown

    @property
    def name(self) -> str:
        return remote_name(self.url)

    def size(self) -> None:
        """Nothing: the question is saved, since reading tells it in time."""

    async def pieces(self, seen: Callable[[bytes], object], run_blocking: RunBlocking) -> AsyncIterator[bytes]:
        # Not by ``run_blocking``: a server that takes its time would keep the state's writes waiting for a thread.
        pieces = self._pieces(seen)
        while (piece := await asyncio.wrap_future(aside(next, pieces, None))) is not None:
            yield piece

    def _pieces(self, seen: Callable[[bytes], object]) -> Iterator[bytes]:
        try:
            reading = self.stores.read(self.url, only=self.planned.etag)
            if reading.size != self.planned.size:
                raise Unreadable(f"has {reading.size:,} bytes where {self.planned.size:,} were planned")
            for piece in reading.pieces:
                seen(piece)
                yield piece
        except Unfit as error:
            raise Unreadable(str(error)) from None


def model_files(spec: Spec, remote: Mapping[str, HashedRemote]) -> Callable[[str], ModelFile]:
    """Finds the file of a model by its address; ``remote`` are the spec's remote files by URL, as they were hashed."""
    stores = Stores()

    def find(address: str) -> ModelFile:
        entry = spec.model_at(address)
        if is_remote(entry.location):
            return RemoteFile(entry.file, entry.location, remote[entry.location], stores)
        return LocalFile(entry.path)

    return find
