"""Uploads: a file to its signed URL (guide, Step 2.2), from this disk or from wherever a ``ModelFile`` reads it.

The file is read in large pieces off the event loop, ahead of the network, hashed as it goes, so memory stays flat and
nothing else waits. A file on disk of another size is refused before anything is sent; and the last piece leaves only
when the whole is known to be what was planned, so a file with other bytes in it never arrives.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from glossi_sync.service import wire
from glossi_sync.service.asking import Asking
from glossi_sync.service.calls import UPLOAD
from glossi_sync.service.errors import SAFE_TO_REPEAT, FileChanged, InDoubt
from glossi_sync.service.exchange import Exchange

CHUNK_BYTES: Final = 512 * 1024

Progress = Callable[[int], None]
"""Told how many bytes of the file have left in all; an upload that is begun again starts from 0 again."""


class RunBlocking(Protocol):
    """Runs a blocking function off the event loop, as ``asyncio.to_thread`` does."""

    def __call__(self, function: Callable[..., Any], /, *args: Any) -> Awaitable[Any]: ...


class Unreadable(Exception):
    """Why a file's bytes are not to be had, to be said after "the file"."""


class ModelFile(Protocol):
    """A model's file, wherever it lies; it is read from its beginning as often as its upload is begun.

    ``str()`` of it is where it lies, for messages.
    """

    @property
    def name(self) -> str:
        """What the service is told that the file is called."""
        ...

    def size(self) -> int | None:
        """How many bytes it has now, or None where only reading tells; called off the event loop.

        Raises:
            Unreadable: it is not there.
        """
        ...

    def pieces(self, seen: Callable[[bytes], object], run_blocking: RunBlocking) -> AsyncIterator[bytes]:
        """Its bytes, each piece after ``seen`` was called with it off the event loop.

        Raises:
            Unreadable: they are not to be had, or no longer those that were planned.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A ``ModelFile`` on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise _unreadable(error) from None

    async def pieces(self, seen: Callable[[bytes], object], run_blocking: RunBlocking) -> AsyncIterator[bytes]:
        # Read and seen in one go, since each visit to a thread costs as much as hashing 100 kB. Where nobody waits for
        # a piece any more, the file is closed with the generator, when its thread is through.
        chunks = self._chunks(seen)
        while (chunk := await run_blocking(next, chunks, None)) is not None:
            yield chunk

    def _chunks(self, seen: Callable[[bytes], object]) -> Iterator[bytes]:
        try:
            with self.path.open("rb", buffering=0) as content:
                while chunk := content.read(CHUNK_BYTES):
                    seen(chunk)
                    yield chunk
        except OSError as error:
            raise _unreadable(error) from None


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file as the plan knows it: how many bytes it has, and their SHA-256 (hex)."""

    file: ModelFile
    size: int
    sha256: str


async def upload(
    exchange: Exchange,
    url: str,
    file: ExpectedFile,
    file_type: str,
    *,
    progress: Progress | None = None,
    run_blocking: RunBlocking = asyncio.to_thread,
) -> None:
    """PUT a file to its signed URL, with nothing of ours on the request but its length and its type.

    Raises:
        FileChanged: the file is not what the plan hashed, or cannot be read.
        UploadExpired: the URL is too old.
        ServiceError: anything else, sorted as usual.
    """
    headers = {"Content-Type": wire.FILE_TYPES[file_type], "Content-Length": str(file.size)}

    body: _Body | None = None

    def build() -> httpx.Request:
        nonlocal body
        body = _Body(asking, file, progress, run_blocking)
        return httpx.Request("PUT", url, headers=headers, content=body)

    async def consume(response: httpx.Response) -> None:
        await response.aread()
        if body is not None and body.sent < file.size:
            happened = f"answered {response.status_code} before it had the whole file"
            raise asking.failed(InDoubt, happened, status=response.status_code, advice=SAFE_TO_REPEAT)

    asking = Asking(UPLOAD, f"uploading {file.file}", url, build, keyed=False, lane="transfers")
    await run_blocking(_check_size, asking, file)
    await exchange.persist(asking, consume)


class _Body:
    """A request's body, to be sent once. ``sent`` counts the bytes that have left."""

    def __init__(
        self, asking: Asking, file: ExpectedFile, progress: Progress | None, run_blocking: RunBlocking
    ) -> None:
        self.sent = 0
        self._pieces = _proven(asking, file, run_blocking)
        self._progress = progress or (lambda _: None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._progress(self.sent)
        ahead = self._next_piece()
        try:
            while (piece := await ahead) is not None:
                ahead = self._next_piece()
                yield piece
                self.sent += len(piece)
                self._progress(self.sent)
        finally:
            # Nobody waits for it any more.
            ahead.add_done_callback(lambda done: done.cancelled() or done.exception())
            ahead.cancel()

    def _next_piece(self) -> asyncio.Future[bytes | None]:
        return asyncio.ensure_future(anext(self._pieces, None))


def _check_size(asking: Asking, file: ExpectedFile) -> None:
    try:
        size = file.file.size()
    except Unreadable as error:
        raise asking.failed(FileChanged, f"was not begun: the file {error}") from None
    if size is not None and size != file.size:
        happened = f"was not begun: the file has {size:,} bytes where {file.size:,} were planned"
        raise asking.failed(FileChanged, happened)


async def _proven(asking: Asking, file: ExpectedFile, run_blocking: RunBlocking) -> AsyncIterator[bytes]:
    """The file's bytes; the last piece only when all are known to be what was planned."""

    def broken_off(why: str) -> FileChanged:
        return asking.failed(FileChanged, f"was broken off: {why}")

    digest = hashlib.sha256()
    left = file.size
    held = b""
    try:
        async for piece in file.file.pieces(digest.update, run_blocking):
            left -= len(piece)
            if left < 0:
                raise broken_off(f"the file has become longer than the {file.size:,} bytes that were planned")
            if held:
                yield held
            held = piece
    except Unreadable as error:
        raise broken_off(f"the file {error}") from None
    if left:
        raise broken_off(f"the file has become shorter than the {file.size:,} bytes that were planned")
    if digest.hexdigest() != file.sha256:
        raise broken_off("the file's content is no longer what was planned")
    yield held


def _unreadable(error: OSError) -> Unreadable:
    return Unreadable(f"cannot be read ({error.strerror or type(error).__name__})")
